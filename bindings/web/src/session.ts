// The account of this browser: whether this tab has it, and how it stands with the server.

import { signal } from "@preact/signals";
import { type Account, Client, type ClientEvent, type Created, type Transfer } from "@medipeps/client";
import { errorText, isFailure } from "@medipeps/ui";

import { handle } from "./events.ts";
import { forgetRecoveryKey, keepRecoveryKey, keptRecoveryKey } from "./kept.ts";
import { forgetLists, loadLists } from "./lists.ts";
import { restoreDraft } from "./mail/draft.ts";
import { type Settings, accountIsHere, accountWasHere, readSettings } from "./settings.ts";
import { forgetTransfers, noteTransfer } from "./transfers.ts";

export type Phase =
  | { readonly at: "opening" }
  /** Another tab has the account. `gaveWay`: this one had it and was asked for it. */
  | { readonly at: "busy"; readonly gaveWay: boolean }
  /** There is no account here. `lost`: there was one, and the browser has deleted it. */
  | { readonly at: "first_run"; readonly lost: boolean }
  /** A new account, whose recovery key has not been confirmed yet; it is empty if the page ended while the account was made. */
  | { readonly at: "recovery"; readonly created: Created }
  | { readonly at: "running" }
  /** Nothing more is done by this page. */
  | { readonly at: "ended"; readonly text: string; readonly revoked: boolean };

export type Connection = { readonly state: "connecting" | "ready" } | { readonly state: "offline"; readonly message: string };

/** How often a tab tries to get the account from another one, and the pause between, in milliseconds. */
const TRIES = 10;
const PAUSE = 200;

export const phase = signal<Phase>({ at: "opening" });
export const account = signal<Account | undefined>(undefined);
export const connection = signal<Connection>({ state: "connecting" });
export const settings = signal<Settings>({});

let client: Client | undefined;

/** The account's client, while this tab has it. */
export function medipeps(): Client {
  if (client === undefined) {
    throw new Error("this tab does not have the account");
  }
  return client;
}

/** Takes the account of this browser, and goes on where it was left. */
export async function openAccount(): Promise<void> {
  phase.value = { at: "opening" };
  settings.value = await readSettings();
  try {
    client = await openWhenFree();
  } catch (error) {
    phase.value = isFailure(error) && error.code === "busy" ? { at: "busy", gaveWay: false } : ended(error);
    return;
  }
  listen(client);
  try {
    const found = await client.account();
    if (found === undefined) {
      phase.value = { at: "first_run", lost: accountWasHere() };
      return;
    }
    const pending = await keptRecoveryKey();
    if (pending?.address === found.address) {
      phase.value = { at: "recovery", created: pending };
      return;
    }
  } catch (error) {
    phase.value = ended(error);
    return;
  }
  await run();
}

/** A page that is loaded again finds the account still held for a moment, by what it was before. */
async function openWhenFree(): Promise<Client> {
  const { transports, certificateHashes } = settings.value;
  for (let tries = 1; ; tries += 1) {
    try {
      return await Client.open("account", {
        ...(transports === undefined ? {} : { transports }),
        ...(certificateHashes === undefined ? {} : { certificateHashes }),
      });
    } catch (error) {
      if (!isFailure(error) || error.code !== "busy" || tries === TRIES) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

/** Goes on with an account that is here now. */
export async function run(): Promise<void> {
  try {
    account.value = await medipeps().account();
    await Promise.all([loadLists(), restoreDraft()]);
    phase.value = { at: "running" };
    accountIsHere();
    await medipeps().startReceiving();
  } catch (error) {
    if (!isFailure(error) || error.code !== "network") {
      phase.value = ended(error);
    }
  }
}

/** Shows a new account's recovery key until somebody has it on paper; it is empty if nobody has it any more. */
export async function showRecoveryKey(created: Created): Promise<void> {
  accountIsHere();
  await keepRecoveryKey(created);
  phase.value = { at: "recovery", created };
}

/** The person has it on paper, or knows that it is gone. */
export async function confirmRecoveryKey(): Promise<void> {
  await forgetRecoveryKey();
  await run();
}

/** Asks the tab that has the account for it, and takes it. */
export async function takeOver(): Promise<void> {
  // If it does not let go, its person is in the middle of something, or it hangs: then this tab says so again.
  tabs.postMessage("give way");
  await openAccount();
}

const tabs = new BroadcastChannel("medipeps tabs");
tabs.onmessage = async ({ data }: MessageEvent<unknown>) => {
  const at = phase.value.at;
  // Not while a recovery key is on the screen: it would be gone.
  if (data === "give way" && client !== undefined && (at === "running" || at === "first_run")) {
    phase.value = { at: "busy", gaveWay: true };
    await letGo();
  }
};

async function letGo(): Promise<void> {
  const held = client;
  client = undefined;
  forgetLists();
  forgetTransfers();
  account.value = undefined;
  await held?.close();
}

function listen(to: Client): void {
  to.addEventListener("event", (event) => {
    const { detail } = event as CustomEvent<ClientEvent>;
    if (detail.type === "ready") {
      connection.value = { state: "ready" };
    } else if (detail.type === "offline") {
      connection.value = { state: "offline", message: detail.message };
    } else if (detail.type === "stopped") {
      stopped(detail);
    }
    if (phase.value.at === "running") {
      handle(detail);
    }
  });
  to.addEventListener("transfer", (event) => noteTransfer((event as CustomEvent<Transfer>).detail));
}

function stopped({ code, message }: { code: string; message: string }): void {
  if (code === "asked" || phase.value.at !== "running") {
    return;
  }
  if (code === "displaced") {
    phase.value = { at: "busy", gaveWay: true };
    void letGo();
    return;
  }
  const revoked = /UnknownDevice|ProofRefused|revoked/.test(message);
  phase.value = { at: "ended", text: errorText(Object.assign(new Error(message), { code })), revoked };
}

function ended(error: unknown): Phase {
  return { at: "ended", text: errorText(error), revoked: false };
}

/** What a call that failed with `store` or `closed` means for the whole page. */
export function noteFailure(error: unknown): void {
  if (phase.value.at === "running" && isFailure(error) && (error.code === "store" || error.code === "closed")) {
    phase.value = ended(error);
  }
}
