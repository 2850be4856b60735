// What is shown of the account: lists that are read again when something has changed.

import { computed, signal } from "@preact/signals";
import type { Contact, Device, Group, MailSummary } from "@medipeps/client";
import { errorText } from "@medipeps/ui";

import { compareClock } from "./clock.ts";
import { medipeps, noteFailure, phase } from "./session.ts";

export const mails = signal<readonly MailSummary[]>([]);
export const contacts = signal<readonly Contact[]>([]);
export const groups = signal<readonly Group[]>([]);
export const devices = signal<readonly Device[]>([]);
/** Why a list could not be read again: what is shown may be old. */
export const listProblem = signal<string | undefined>(undefined);
/** Grows when something was said or read in a group. */
export const groupChanges = signal<ReadonlyMap<string, number>>(new Map());

export const unreadMails = computed(() => mails.value.filter(({ sent, displayed }) => !sent && !displayed).length);
export const requests = computed(() => mails.value.filter(({ sent, request }) => !sent && request).length);
export const unreadInGroups = computed(() => groups.value.reduce((sum, { unread }) => sum + unread, 0));
/** Addresses that can be suggested. */
export const knownAddresses = computed(() => contacts.value.filter(({ blocked }) => !blocked).map(({ address }) => address));

export const reloadMails = coalesced(async () => {
  mails.value = await medipeps().messages();
  const newest = mails.value.reduce((latest, { received }) => Math.max(latest, received), 0);
  if (newest > 0) {
    compareClock(newest, false);
  }
});
export const reloadContacts = coalesced(async () => {
  contacts.value = await medipeps().contacts();
});
export const reloadGroups = coalesced(async () => {
  groups.value = await medipeps().groups();
});
export const reloadDevices = coalesced(async () => {
  devices.value = await medipeps().devices();
});

/** Reads everything for the first time. Devices are read when somebody looks at them. */
export async function loadLists(): Promise<void> {
  await Promise.all([reloadMails(), reloadContacts(), reloadGroups()]);
}

export function forgetLists(): void {
  mails.value = [];
  contacts.value = [];
  groups.value = [];
  devices.value = [];
}

export function noteGroupChange(group: string): void {
  const changes = groupChanges.peek();
  groupChanges.value = new Map(changes).set(group, (changes.get(group) ?? 0) + 1);
}

/** Runs one at a time. Whoever asks while it runs gets one more run for all, so that a burst of events reads twice, not a hundred times. */
function coalesced(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let again: Promise<void> | undefined;
  const once = async () => {
    try {
      await work();
      listProblem.value = undefined;
    } catch (error) {
      noteFailure(error);
      // A tab that has given the account away has nothing to read.
      listProblem.value = phase.peek().at === "busy" ? undefined : errorText(error);
    }
  };
  const start = () => {
    running = once().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running === undefined) {
      return start();
    }
    again ??= running.then(() => {
      again = undefined;
      return start();
    });
    return again;
  };
}
