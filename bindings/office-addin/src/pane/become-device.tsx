// Linking: a code that the other device reads, then digits that both show.

import type { Client, LinkState } from "@medipeps/client";
import { QrCode } from "@medipeps/ui";
import { useSignal } from "@preact/signals";

import { canonical } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";
import { Failed, Loading } from "./app.tsx";
import { Fields, type WayProps } from "./first-run.tsx";
import { useTask } from "./task.ts";

/** What the other device calls this one. */
const NAME = "Outlook";

export function BecomeDevice({ pane, asked, onAsked, back }: WayProps) {
  const said = texts().first;
  const task = useTask();
  const state = useSignal<LinkState | undefined>(undefined);
  const tried = useSignal(false);
  /** Goes on by itself until a person is asked or it is over. */
  const walk = (first: (client: Client) => Promise<LinkState>) =>
    task.run(async () => {
      try {
        await pane.account.use(async (client) => {
          state.value = await first(client);
          while (state.value.state !== "compare" && state.value.state !== "linked") {
            state.value = await client.continueLinking();
          }
        });
      } catch (error) {
        state.value = undefined;
        throw error;
      }
      if (state.value?.state === "linked") {
        await pane.lookAtAccount();
      }
    });
  const begin = () => {
    // What a linking that has ended left behind is not gone on with.
    const anew = tried.value ? { anew: true } : {};
    tried.value = true;
    walk(async (client) => {
      await navigator.storage?.persist?.();
      return client.becomeDevice({ address: canonical(asked.address), server: asked.server.trim(), name: NAME, ...anew });
    });
  };
  if (state.value !== undefined) {
    return <Step state={state.value} onAnswer={(same) => walk((client) => client.continueLinking(same))} waiting={task.running.value} />;
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        begin();
      }}
    >
      <Fields asked={asked} onAsked={onAsked} />
      <Failed task={task} />
      <div class="mp-row">
        <button type="submit" class="mp-first" disabled={task.running.value}>
          {said.link}
        </button>
        {back}
      </div>
    </form>
  );
}

function Step({ state, onAnswer, waiting }: { state: LinkState; onAnswer: (same: boolean) => void; waiting: boolean }) {
  const said = texts().first;
  if (state.state === "show_code") {
    return (
      <>
        <p>{said.showCode}</p>
        <QrCode text={state.code} label={said.code} />
        <p class="code">{state.code}</p>
        <Loading>{said.waiting}</Loading>
      </>
    );
  }
  if (state.state !== "compare") {
    return <Loading>{said.waiting}</Loading>;
  }
  return (
    <>
      <p>{state.name === undefined ? said.compare : said.compareWith(state.name)}</p>
      <p class="code digits">{state.digits.replace(/\D/g, "").replace(/(.{4})(?=.)/g, "$1 ")}</p>
      <div class="mp-row">
        <button type="button" class="mp-first" disabled={waiting} onClick={() => onAnswer(true)}>
          {said.same}
        </button>
        <button type="button" class="mp-danger" disabled={waiting} onClick={() => onAnswer(false)}>
          {said.different}
        </button>
      </div>
    </>
  );
}
