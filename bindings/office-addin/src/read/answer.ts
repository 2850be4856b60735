// A reply or forward: a draft of the pane's, and a new item in Outlook that has nothing but its stub.

import type { Mail } from "@medipeps/client";
import { formatTime } from "@medipeps/ui";

import type { Account } from "../account/account.ts";
import type { People } from "../compose/item.ts";
import type { Draft, Drafts } from "../draft/drafts.ts";
import { asked } from "../launchevent/item.ts";
import { SUBJECT, stubHtml } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";

export type Answer = "reply" | "replyAll" | "forward";

/** Makes the draft of an answer. A forward takes the files with it. */
export async function answerDraft(account: Account, drafts: Drafts, mail: Mail, answer: Answer): Promise<Draft> {
  const { summary } = mail;
  const files: File[] = [];
  if (answer === "forward") {
    for (const [at, { name, mediaType }] of mail.attachments.entries()) {
      const data = await account.use((client) => client.attachment(summary.id, at));
      files.push(new File([data], name, { type: mediaType }));
    }
  }
  const prefix = answer === "forward" ? texts().answer.forwardPrefix : texts().answer.replyPrefix;
  // "Re: Re:" says nothing.
  const subject = summary.subject.startsWith(prefix) ? summary.subject : `${prefix}${summary.subject}`;
  const content = { subject, text: quoted(mail) };
  return drafts.create(answer === "forward" ? content : { ...content, inReplyTo: summary.id }, files);
}

/** Who an answer goes to. */
export function answerPeople(mail: Mail, answer: Answer, me: string): People {
  const { sender, sent } = mail.summary;
  if (answer === "forward") {
    return { to: [], cc: [] };
  }
  const to = sent ? mail.to : [sender];
  if (answer === "reply") {
    return { to, cc: [] };
  }
  const others = (addresses: readonly string[], but: readonly string[]) => addresses.filter((address) => address !== me && !but.includes(address));
  const all = [...to, ...others(mail.to, to)];
  return { to: all, cc: others(mail.cc, all) };
}

/** Opens the item in Outlook. It is a stub before Outlook saves it for the first time. */
export async function openItem(mailbox: Office.Mailbox, draft: Draft, { to, cc }: People): Promise<void> {
  const form = { toRecipients: [...to], ccRecipients: [...cc], subject: SUBJECT, htmlBody: stubHtml(draft.id) };
  await asked<void>((callback) => mailbox.displayNewMessageFormAsync(form as unknown as Office.MessageForm, callback));
}

function quoted({ summary, text }: Mail): string {
  const lines = text.split("\n").map((line) => `> ${line}`);
  return `\n\n${texts().answer.wrote(summary.senderName || summary.sender, formatTime(summary.created))}\n${lines.join("\n")}`;
}
