// Something that a person has asked for, which takes a moment and may fail.

import { type Signal, useSignal } from "@preact/signals";
import { Notice, errorText } from "@medipeps/ui";

import { noteFailure } from "./session.ts";

export interface Action {
  readonly busy: Signal<boolean>;
  readonly problem: Signal<string | undefined>;
  /** Does it unless it is being done. Whether it succeeded; if it did not, `problem` says why. */
  run(work: () => Promise<void>): Promise<boolean>;
}

export function useAction(): Action {
  const busy = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  const run = async (work: () => Promise<void>) => {
    if (busy.peek()) {
      return false;
    }
    busy.value = true;
    problem.value = undefined;
    try {
      await work();
      return true;
    } catch (error) {
      problem.value = errorText(error);
      noteFailure(error);
      return false;
    } finally {
      busy.value = false;
    }
  };
  return { busy, problem, run };
}

/** Why the last try failed. */
export function Problem({ action }: { action: Action }) {
  return action.problem.value === undefined ? null : <Notice problem>{action.problem.value}</Notice>;
}
