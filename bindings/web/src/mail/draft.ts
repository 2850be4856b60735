// The mail that is being written. Its texts outlive the page.

import { computed, effect, signal } from "@preact/signals";
import type { Mail, MailDraft, MailSummary, OutgoingAttachment } from "@medipeps/client";
import { Directory, formatTime } from "@medipeps/ui";

import { forgetDraft, keepDraft, keptDraft } from "../kept.ts";
import { goTo } from "../route.ts";
import { account, medipeps } from "../session.ts";
import { texts } from "../texts.ts";

export interface DraftFile {
  readonly key: string;
  readonly name: string;
  readonly mediaType: string;
  readonly data: Blob;
}

export interface Draft {
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly files: readonly DraftFile[];
  readonly urgency: MailSummary["urgency"];
  readonly askDisplayed: boolean;
  readonly inReplyTo?: string;
}

/** After the last letter, before a draft is kept, in milliseconds. */
const PAUSE = 500;
const EMPTY: Draft = { to: [], cc: [], subject: "", text: "", files: [], urgency: "routine", askDisplayed: false };

export const draft = signal<Draft>(EMPTY);
/** The draft as the page made it; what differs from it, a person has written. */
const begun = signal<Draft>(EMPTY);
export const isWritten = computed(() => draft.value !== begun.value && JSON.stringify(draft.value) !== JSON.stringify(begun.value));

/** Of a draft that was found again: its files, which were not kept, and whether it may have been sent. */
export const found = signal<{ readonly fileNames: readonly string[]; readonly handedOver: boolean } | undefined>(undefined);

/** One for both fields of the mail; made anew with every draft, so that everybody is looked up again. */
export const directory = signal(newDirectory());

function newDirectory(): Directory {
  return new Directory((address, acceptNewKey) => medipeps().addContact(address, { acceptNewKey }));
}

export function change(part: Partial<Draft>): void {
  draft.value = { ...draft.value, ...part };
}

export function addFiles(files: readonly File[]): void {
  const added = files.map((file) => ({ key: crypto.randomUUID(), name: file.name, mediaType: file.type || "application/octet-stream", data: file }));
  change({ files: [...draft.value.files, ...added] });
}

export function discard(): void {
  draft.value = EMPTY;
  begun.value = EMPTY;
  found.value = undefined;
}

/** The draft that this browser has kept, if this account has written it. */
export async function restoreDraft(): Promise<void> {
  const kept = await keptDraft();
  if (kept === undefined || kept.account !== account.peek()?.address || isWritten.peek()) {
    return;
  }
  const { account: _, fileNames, handedOver, ...rest } = kept;
  begun.value = EMPTY;
  draft.value = { ...EMPTY, ...rest };
  directory.value = newDirectory();
  found.value = { fileNames, handedOver };
}

/** Before it is handed to the account: if the page ends meanwhile, the person is told that it may have been sent. */
export async function keepAsHandedOver(): Promise<void> {
  clearTimeout(pause);
  await keep(true);
}

async function keep(handedOver: boolean): Promise<void> {
  const address = account.peek()?.address;
  const { files, ...rest } = draft.peek();
  if (address !== undefined) {
    await keepDraft({ ...rest, account: address, fileNames: files.map(({ name }) => name), handedOver });
  }
}

let pause: ReturnType<typeof setTimeout> | undefined;

/** Keeps the draft, from now on, whenever it changes. */
export function keepDrafts(): void {
  effect(() => {
    const [written, running] = [isWritten.value, account.value !== undefined];
    void draft.value;
    clearTimeout(pause);
    if (running) {
      // A browser that has no room for it has none for the mail either, which is told when it is sent.
      pause = setTimeout(() => void (written ? keep(false) : forgetDraft()).catch(() => {}), PAUSE);
    }
  });
}

/** Begins another draft. One that a person has written is kept, unless he agrees to lose it. */
export function begin(fresh: Partial<Draft>): void {
  if (!isWritten.value || confirm(texts().write.loseDraft)) {
    begun.value = { ...EMPTY, ...fresh };
    draft.value = begun.value;
    directory.value = newDirectory();
  }
  goTo("write");
}

export function startMailTo(address: string): void {
  begin({ to: [address] });
}

export function startReply(mail: Mail, toAll: boolean): void {
  const { summary } = mail;
  const me = account.value?.address;
  const others = (addresses: readonly string[]) => addresses.filter((address) => address !== me);
  // Whoever answers what he wrote himself goes on writing to the same people.
  const to = summary.sent ? others(mail.to) : [summary.sender];
  const rest = summary.sent ? [] : others(mail.to).filter((address) => !to.includes(address));
  const cc = others(mail.cc).filter((address) => !to.includes(address) && !rest.includes(address));
  begin({
    to: toAll ? [...to, ...rest] : to,
    cc: toAll ? cc : [],
    subject: prefixed(texts().write.replyPrefix, summary.subject),
    text: `\n\n${texts().write.wrote(summary.senderName || summary.sender, formatTime(summary.created))}\n${quoted(mail.text)}`,
    inReplyTo: summary.id,
  });
}

/** With the files, which are fetched first. */
export async function startForward(mail: Mail): Promise<void> {
  const { summary } = mail;
  const files = await Promise.all(
    mail.attachments.map(async ({ name, mediaType }, index) => ({
      key: crypto.randomUUID(),
      name,
      mediaType,
      data: await medipeps().attachment(summary.id, index),
    })),
  );
  const said = texts().write;
  const head = said.forwarded(summary.sender, formatTime(summary.created), summary.subject, [...mail.to, ...mail.cc].join(", "));
  begin({ subject: prefixed(said.forwardPrefix, summary.subject), text: `\n\n${head}\n\n${mail.text}`, files });
}

/** What goes to the package. */
export function outgoing({ to, cc, subject, text, files, urgency, askDisplayed, inReplyTo }: Draft): MailDraft {
  const attachments: OutgoingAttachment[] = files.map(({ name, mediaType, data }) => ({ name, mediaType, data }));
  return { to, cc, subject, text, attachments, urgency, askDelivered: true, askDisplayed, ...(inReplyTo === undefined ? {} : { inReplyTo }) };
}

function prefixed(prefix: string, subject: string): string {
  return subject.toLowerCase().startsWith(prefix.toLowerCase().trim()) ? subject : `${prefix}${subject}`;
}

function quoted(text: string): string {
  return text.split("\n").map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`)).join("\n");
}
