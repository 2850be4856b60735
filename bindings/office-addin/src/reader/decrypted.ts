// A mail as Outlook takes it.

import type { Mail } from "@medipeps/client";

import type { Account } from "../account/account.ts";
import type { StubId } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";

/** What Outlook takes in one answer, in bytes; the pane has the rest. */
const FILES_MAX = 25 << 20;

/** The answer to `OnMessageDecrypt`. Outlook keeps nothing of it but `contextData`, which holds the stub's id alone. */
export async function decrypted(account: Account, { summary, text, html, attachments }: Mail, id: StubId): Promise<Office.MessageDecryptEventCompletedOptions> {
  let all = true;
  const files: Office.DecryptedMessageAttachment[] = [];
  let room = FILES_MAX;
  for (const [at, { name, length }] of attachments.entries()) {
    room -= length;
    if (room < 0) {
      all = false;
      continue;
    }
    const data = await account.use((client) => client.attachment(summary.id, at));
    files.push({ attachmentType: Office.MailboxEnums.AttachmentType.File, name, isInline: false, content: await base64(data) });
  }
  const more = all ? "" : `<p><strong>${escaped(texts().read.moreFiles)}</strong></p>`;
  const body = html ?? `<p style="white-space: pre-wrap">${escaped(text)}</p>`;
  return {
    allowEvent: true,
    emailBody: { coercionType: Office.CoercionType.Html, content: `<h3>${escaped(summary.subject)}</h3>${body}${more}` },
    attachments: files,
    contextData: JSON.stringify({ medipeps: id }),
  };
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function base64(data: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve((reader.result as string).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(reader.error ?? new Error("the file could not be read"));
    reader.readAsDataURL(data);
  });
}
