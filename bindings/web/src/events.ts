// What the account tells by itself, and what is read again because of it.

import { signal } from "@preact/signals";
import type { ClientEvent } from "@medipeps/client";

import { noteGroupChange, reloadContacts, reloadDevices, reloadGroups, reloadMails } from "./lists.ts";
import { notifyOfMessage } from "./notifications.ts";

/** Mails whose text came, or never will; grows. */
export const bodies = signal(0);
/** Messages that nobody can open, since the page was loaded. */
export const undecryptable = signal(0);
/** Who is typing where: group, then addresses. */
export const typing = signal<ReadonlyMap<string, ReadonlySet<string>>>(new Map());

export function handle(event: ClientEvent): void {
  switch (event.type) {
    case "message":
      void reloadMails();
      void reloadContacts();
      notifyOfMessage(event.muted);
      break;
    case "message_state":
    case "elsewhere":
      void reloadMails();
      break;
    case "body":
      bodies.value += 1;
      void reloadMails();
      break;
    case "undecryptable":
      undecryptable.value += 1;
      break;
    case "contact":
      void reloadContacts();
      void reloadMails();
      break;
    case "group":
      void reloadGroups();
      noteGroupChange(event.group);
      break;
    case "group_message":
      noteTyping(event.group, undefined, false);
      void reloadGroups();
      noteGroupChange(event.group);
      notifyOfMessage(event.muted);
      break;
    case "group_message_state":
    case "group_read":
      void reloadGroups();
      noteGroupChange(event.group);
      break;
    case "typing":
      noteTyping(event.group, event.by, event.active);
      break;
    case "devices":
      void reloadDevices();
      break;
    case "ready":
      // What happened while nothing was heard.
      void reloadMails();
      void reloadGroups();
      break;
    case "offline":
    case "stopped":
      typing.value = new Map();
      break;
  }
}

/** Without an address: nobody of the group any more. */
function noteTyping(group: string, by: string | undefined, active: boolean): void {
  const people = new Set(by === undefined ? [] : typing.peek().get(group));
  if (by !== undefined && active) {
    people.add(by);
  } else if (by !== undefined) {
    people.delete(by);
  }
  typing.value = new Map(typing.peek()).set(group, people);
}
