// The steps of a linking, as either side sees them.

import { type Signal, useSignal } from "@preact/signals";
import type { LinkState } from "@medipeps/client";
import { Notice, QrCode, errorText } from "@medipeps/ui";

import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";

/** Between two steps, in milliseconds. */
const PAUSE = 500;

export interface Linking {
  /** `undefined` before it begins, and when it has failed. */
  readonly state: Signal<LinkState | undefined>;
  readonly busy: Signal<boolean>;
  readonly problem: Signal<string | undefined>;
  begin(first: () => Promise<LinkState>): Promise<void>;
  /** The person has compared the digits. */
  agree(): Promise<void>;
  /** The person has seen other digits, or wants to stop. */
  refuse(): Promise<void>;
}

/** Goes from step to step by itself until a person is asked or it is over. `onDone`: the devices are linked. */
export function useLinking(onDone: () => void): Linking {
  const state = useSignal<LinkState | undefined>(undefined);
  const busy = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  const walk = async (step: Promise<LinkState>) => {
    busy.value = true;
    problem.value = undefined;
    try {
      for (;;) {
        const next = await step;
        state.value = next;
        if (next.state === "compare") {
          return;
        }
        if (next.state === "linked" || next.state === "granted") {
          onDone();
          return;
        }
        // The account asks the server with each call.
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        step = medipeps().continueLinking();
      }
    } catch (error) {
      state.value = undefined;
      problem.value = errorText(error);
    } finally {
      busy.value = false;
    }
  };
  return {
    state,
    busy,
    problem,
    begin: (first) => walk(first()),
    agree: () => walk(medipeps().continueLinking(true)),
    refuse: () => walk(medipeps().continueLinking(false)),
  };
}

export function LinkingSteps({ linking }: { linking: Linking }) {
  const said = texts().linking;
  const state = linking.state.value;
  if (state === undefined) {
    return null;
  }
  switch (state.state) {
    case "show_code":
      return (
        <>
          <p>{said.scan}</p>
          <QrCode text={state.code} label={said.codeLabel} />
          <label class="mp-field">
            {said.codeText}
            <textarea class="code" readOnly rows={4} value={state.code} />
          </label>
          <p role="status">{said.waiting}</p>
        </>
      );
    case "compare":
      return (
        <>
          <h2>{said.compareTitle}</h2>
          <p>{state.name === undefined ? said.compareHere : said.compare(state.name)}</p>
          <p class="digits">{state.digits.replace(/\D/g, "").replace(/(.{4})(?=.)/g, "$1 ")}</p>
          <div class="mp-row">
            <button type="button" class="mp-first" disabled={linking.busy.value} onClick={() => void linking.agree()}>
              {said.same}
            </button>
            <button type="button" class="mp-danger" disabled={linking.busy.value} onClick={() => void linking.refuse()}>
              {said.different}
            </button>
          </div>
        </>
      );
    case "linked":
    case "granted":
      return <Notice>{said.done}</Notice>;
    default:
      return <p role="status">{said.steps[state.state]}</p>;
  }
}
