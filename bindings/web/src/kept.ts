// What outlives the page and is not the account's: a draft, and a recovery key that nobody has confirmed. Sealed, as the account is.

import { SealedStore } from "@medipeps/ui";

const RECOVERY_KEY = "recovery";
const DRAFT = "draft";

let opened: Promise<SealedStore> | undefined;

function store(): Promise<SealedStore> {
  opened ??= SealedStore.open("medipeps web");
  return opened;
}

/** A recovery key between its making and the moment that somebody has it on paper. */
export interface PendingRecoveryKey {
  readonly address: string;
  readonly recoveryKey: string;
}

export async function keepRecoveryKey(pending: PendingRecoveryKey): Promise<void> {
  await put(RECOVERY_KEY, pending);
}

export async function keptRecoveryKey(): Promise<PendingRecoveryKey | undefined> {
  return get<PendingRecoveryKey>(RECOVERY_KEY);
}

export async function forgetRecoveryKey(): Promise<void> {
  await (await store()).delete(RECOVERY_KEY);
}

/** A draft's texts; its files are not kept, but their names. */
export interface KeptDraft {
  /** Whose it is. */
  readonly account: string;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly urgency: "routine" | "urgent" | "vital";
  readonly askDisplayed: boolean;
  readonly inReplyTo?: string;
  readonly fileNames: readonly string[];
  /** It was being sent: whether the account has it, the page did not live to see. */
  readonly handedOver: boolean;
}

export async function keepDraft(draft: KeptDraft): Promise<void> {
  await put(DRAFT, draft);
}

export async function keptDraft(): Promise<KeptDraft | undefined> {
  return get<KeptDraft>(DRAFT);
}

export async function forgetDraft(): Promise<void> {
  await (await store()).delete(DRAFT);
}

async function put(name: string, value: unknown): Promise<void> {
  await (await store()).put(new Map([[name, new TextEncoder().encode(JSON.stringify(value))]]));
}

async function get<T>(name: string): Promise<T | undefined> {
  const bytes = await (await store()).get(name);
  return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as T);
}
