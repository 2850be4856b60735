// Whether this computer's clock is far from the server's, by the times that the server has put on what has just come.

import { signal } from "@preact/signals";

/** What is not noticed, in milliseconds: mail waits, computers sleep. */
const TOLERANCE = 5 * 60_000;

export const clockIsWrong = signal(false);

/**
 * Compares a time of the server's with the time here. A time that is still to come is proof of a slow clock; one that has long passed
 * is one of a fast clock only if the server has put it on a moment ago (`fresh`).
 */
export function compareClock(serverTime: number, fresh: boolean): void {
  const ahead = Date.now() - serverTime;
  if (ahead < -TOLERANCE || (fresh && ahead > TOLERANCE)) {
    clockIsWrong.value = true;
  } else if (fresh) {
    clockIsWrong.value = false;
  }
}
