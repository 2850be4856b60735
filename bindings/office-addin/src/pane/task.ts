// Something that takes a while, and may fail: what a view shows of it.

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

export interface Task {
  readonly running: Signal<boolean>;
  readonly error: Signal<unknown>;
  /** Runs it if it is not running. */
  run(work: () => Promise<void>): void;
}

/** A task of a component. */
export function useTask(): Task {
  return useMemo(() => {
    const running = signal(false);
    const error = signal<unknown>(undefined);
    const run = (work: () => Promise<void>): void => {
      if (running.value) {
        return;
      }
      running.value = true;
      error.value = undefined;
      work()
        .catch((reason: unknown) => {
          error.value = reason;
        })
        .finally(() => {
          running.value = false;
        });
    };
    return { running, error, run };
  }, []);
}

/** Does something when a component appears, and again when one of the values changes. */
export function useLoad(task: Task, work: () => Promise<void>, values: readonly unknown[]): void {
  useEffect(() => task.run(work), [...values]);
}
