// What is known of the people that somebody is about to write to.

import { type Signal, signal } from "@preact/signals";
import type { Contact } from "@medipeps/client";

import { type Failure, errorText, isFailure } from "./errors.ts";

export type RecipientStatus =
  | { readonly state: "looking" | "malformed" }
  /** Has a key that is pinned; `verified` if a person has compared it. */
  | { readonly state: "ready"; readonly verified: boolean }
  /** The server is not reached now. */
  | { readonly state: "later" }
  /** Cannot be written to; `text` is said to a person. */
  | { readonly state: "unreachable"; readonly failure: Failure | undefined; readonly text: string };

/** Addresses and what became of looking each up. One of these serves all fields of a mail. */
export class Directory {
  readonly #lookUp: (address: string, acceptNewKey: boolean) => Promise<Pick<Contact, "key">>;
  readonly #known = new Map<string, Signal<RecipientStatus>>();

  /** `lookUp` is `client.addContact` or behaves like it. */
  constructor(lookUp: (address: string, acceptNewKey: boolean) => Promise<Pick<Contact, "key">>) {
    this.#lookUp = lookUp;
  }

  /** What is known of an address. It is looked up when it is asked for the first time. */
  status(address: string): Signal<RecipientStatus> {
    const known = this.#known.get(address);
    if (known !== undefined) {
      return known;
    }
    const status = signal<RecipientStatus>(isAddress(address) ? { state: "looking" } : { state: "malformed" });
    this.#known.set(address, status);
    if (status.peek().state === "looking") {
      void this.#ask(address, status, false);
    }
    return status;
  }

  /** Looks an address up again. `acceptNewKey`: the person has agreed to a key that is not the one known. */
  async again(address: string, acceptNewKey = false): Promise<void> {
    const status = this.status(address);
    if (status.peek().state !== "malformed") {
      status.value = { state: "looking" };
      await this.#ask(address, status, acceptNewKey);
    }
  }

  /** Whether mail to all of them may go out; to those that cannot be looked up now it waits. */
  allWritable(addresses: readonly string[]): boolean {
    return addresses.every((address) => ["ready", "later"].includes(this.status(address).value.state));
  }

  async #ask(address: string, status: Signal<RecipientStatus>, acceptNewKey: boolean): Promise<void> {
    try {
      const { key } = await this.#lookUp(address, acceptNewKey);
      status.value = { state: "ready", verified: key === "verified" };
    } catch (error) {
      const failure = isFailure(error) ? error : undefined;
      status.value = failure?.code === "network" ? { state: "later" } : { state: "unreachable", failure, text: errorText(error) };
    }
  }
}

/** Whether a text has the form `local@domain`. Whether there is such an account, only a look-up tells. */
export function isAddress(text: string): boolean {
  return /^[^\s@,;<>"]+@[^\s@,;<>"]+\.[^\s@,;<>"]+$/.test(text);
}

/** The addresses in what was typed or pasted: `Claire <claire@x.example>, karim@x.example`. Lower case, each once. */
export function parseAddresses(text: string): string[] {
  const parts = text
    .split(/[,;\n]/)
    .flatMap((part) => /<([^<>]*)>/.exec(part)?.[1] ?? part.trim().split(/\s+/))
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== "");
  return [...new Set(parts)];
}
