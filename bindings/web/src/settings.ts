// What whoever serves the page has set (`settings.json` beside it), and what the person at this browser has.

import { signal } from "@preact/signals";
import type { OpenOptions } from "@medipeps/client";
import { type Language, bestLanguage, setLanguage } from "@medipeps/ui";

export interface Settings {
  /** `HOST:PORT` of the practice's server, which a first run offers. */
  readonly server?: string;
  readonly transports?: NonNullable<OpenOptions["transports"]>;
  readonly certificateHashes?: readonly string[];
}

/** Reads `settings.json`. What is missing in it, or if it is missing itself, people type. */
export async function readSettings(): Promise<Settings> {
  try {
    const answer = await fetch("./settings.json", { cache: "no-cache" });
    return answer.ok ? ((await answer.json()) as Settings) : {};
  } catch {
    return {};
  }
}

const LANGUAGE = "medipeps language";
const NOTIFY = "medipeps notify";
const HERE = "medipeps account here";

/** The language chosen here before, else the browser's. */
export function startLanguage(): void {
  const kept = localStorage.getItem(LANGUAGE);
  setLanguage(bestLanguage(kept === null ? navigator.languages : [kept]));
}

export function keepLanguage(to: Language): void {
  localStorage.setItem(LANGUAGE, to);
}

/** Whether the person wants to be told of new messages by the desktop. */
export const notify = signal(localStorage.getItem(NOTIFY) === "yes");

export function setNotify(on: boolean): void {
  notify.value = on;
  localStorage.setItem(NOTIFY, on ? "yes" : "no");
}

/** That there is an account in this browser: no word of whose. So that a page notices when the database is gone. */
export function accountWasHere(): boolean {
  return localStorage.getItem(HERE) !== null;
}

export function accountIsHere(): void {
  localStorage.setItem(HERE, "yes");
}
