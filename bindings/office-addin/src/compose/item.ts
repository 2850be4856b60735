// Outlook's item that is being written, as the pane sees and changes it.

import type { MailSummary } from "@medipeps/client";

import { type Written, asked, written } from "../launchevent/item.ts";
import { type Refusal, refusal } from "../launchevent/verdict.ts";
import { HEADER, PLAIN_HEADER, SUBJECT, type StubState, canonical, headerOf, parseHeader, recipientsDigest, stubHtml, stubIdIn, wordsOf } from "../stub/index.ts";
import { PLAIN_MAIL } from "../stub/plain-mail.ts";

/** What the item is. */
export type Standing =
  | { readonly is: "stub"; readonly stub: StubState }
  /** Marked to go without protection, where the build lets people do that. */
  | { readonly is: "plain" }
  /** Nobody has decided. `empty`: nothing is written in it, so far as can be told. */
  | { readonly is: "open"; readonly empty: boolean };

export interface People {
  readonly to: readonly string[];
  readonly cc: readonly string[];
}

export class ComposeItem {
  constructor(readonly item: Office.MessageCompose) {}

  written(): Promise<Written> {
    return written(this.item, [HEADER, PLAIN_HEADER]);
  }

  /** What Outlook would be told at Send. */
  async refusal(): Promise<Refusal | undefined> {
    return refusal(await this.written());
  }

  /** Calls when somebody changes recipients in Outlook's window. */
  onRecipients(changed: () => void): void {
    this.item.addHandlerAsync(Office.EventType.RecipientsChanged, changed);
  }

  async setPeople({ to, cc }: People): Promise<void> {
    await asked<void>((callback) => this.item.to.setAsync([...to], callback));
    await asked<void>((callback) => this.item.cc.setAsync([...cc], callback));
  }

  async clearBlindCopies(): Promise<void> {
    await asked<void>((callback) => this.item.bcc.setAsync([], callback));
  }

  /** The files that somebody attached in Outlook's window. Fails if a filter of the host has emptied one. */
  async files({ attachments }: Written): Promise<File[]> {
    const files: File[] = [];
    for (const { id, name, size } of attachments) {
      const { content, format } = await asked<Office.AttachmentContent>((callback) => this.item.getAttachmentContentAsync(id, callback));
      if (String(format) !== "base64" || (size > 0 && content === "")) {
        throw new UnreadableFile(name);
      }
      files.push(new File([Uint8Array.from(atob(content), (character) => character.charCodeAt(0))], name));
    }
    return files;
  }

  /**
   * Makes the item a stub: body and subject first, then what was attached goes, then it is saved, and only then gets its header:
   * Outlook loses the headers of an item that was never saved, and the handler sees those of the last save.
   */
  async stamp(stub: StubState): Promise<void> {
    await asked<void>((callback) => this.item.disableClientSignatureAsync(callback)).catch(() => {});
    const html = { coercionType: Office.CoercionType.Html };
    await asked<void>((callback) => this.item.body.setAsync(stubHtml(stub.id), html, callback));
    await asked<void>((callback) => this.item.subject.setAsync(SUBJECT, callback));
    for (const { id } of await asked<Office.AttachmentDetailsCompose[]>((callback) => this.item.getAttachmentsAsync(callback))) {
      await asked<void>((callback) => this.item.removeAttachmentAsync(id, callback));
    }
    await this.#save();
    await asked<void>((callback) => this.item.internetHeaders.removeAsync([PLAIN_HEADER], callback));
    await asked<void>((callback) => this.item.internetHeaders.setAsync({ [HEADER]: headerOf(stub) }, callback));
    await this.#save();
  }

  /** Stamps the item as that of a mail that Medipeps has sent to these people. */
  stampSent(id: string, { to, cc }: People): Promise<void> {
    return this.stamp({ state: "sent", id, recipients: recipientsDigest(id, [...to, ...cc]) });
  }

  /** Marks the item to go as it is. */
  async markPlain(): Promise<void> {
    await this.#save();
    await asked<void>((callback) => this.item.internetHeaders.setAsync({ [PLAIN_HEADER]: "v=1" }, callback));
    await this.#save();
  }

  async unmarkPlain(): Promise<void> {
    await asked<void>((callback) => this.item.internetHeaders.removeAsync([PLAIN_HEADER], callback));
    await this.#save();
  }

  #save(): Promise<string> {
    return asked<string>((callback) => this.item.saveAsync(callback));
  }
}

/** A file whose bytes Outlook does not give. */
export class UnreadableFile extends Error {}

/** What an item is, from what is in it. The header decides; without one, an item with a stub's subject is that of a draft. */
export function standing({ subject, html, attachments, headers }: Written): Standing {
  const header = headers[HEADER];
  const stub = header === undefined ? undefined : parseHeader(header);
  if (stub !== undefined) {
    return { is: "stub", stub };
  }
  const id = subject === SUBJECT ? stubIdIn(html) : undefined;
  if (id !== undefined) {
    return { is: "stub", stub: { state: "draft", id } };
  }
  if (PLAIN_MAIL && headers[PLAIN_HEADER] !== undefined) {
    return { is: "plain" };
  }
  return { is: "open", empty: subject === "" && attachments.length === 0 && wordsOf(html) === "" };
}

/** The people of an item in the spelling that Medipeps compares. */
export function peopleOf({ to, cc }: Written): People {
  return { to: to.map(canonical), cc: cc.map(canonical) };
}

/** The people of a mail that was sent. */
export function peopleOfMail({ recipients }: MailSummary): People {
  const people = (cc: boolean) => recipients.filter(({ copy }) => copy === cc).map(({ address }) => address);
  return { to: people(false), cc: people(true) };
}
