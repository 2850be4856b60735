// OnNewMessageCompose: Outlook's own reply or forward of a protected mail becomes a stub at once, so that what it quotes, decrypted
// perhaps, does not lie in Drafts. An item that the pane opens for an answer loses the signature.

import { HEADER, NO_ID, SUBJECT, type StubState, headerOf, speaksOfStub, stubHtml, stubIdIn } from "../stub/stub.ts";
import { asked, written } from "./item.ts";

/** Does nothing to any other item. What fails here, OnMessageSend stops. */
export function onNewMessageCompose(event: Office.MailboxEvent): Promise<void> {
  const done = () => event.completed();
  return emptied(Office.context.mailbox.item as Office.MessageCompose).then(done, done);
}

async function emptied(item: Office.MessageCompose): Promise<void> {
  const { composeType } = await asked<{ composeType: string }>((callback) => item.getComposeTypeAsync(callback));
  const { subject, html, attachments } = await written(item, [HEADER]);
  const quoted = stubIdIn(html);
  if (composeType === "newMail") {
    // What the pane has opened for a draft of its own: Outlook has put a signature to it.
    if (subject === SUBJECT && quoted !== undefined) {
      await stamp(item, attachments, { state: "draft", id: quoted });
    }
  } else if ((composeType === "reply" || composeType === "forward") && speaksOfStub(subject, html)) {
    // A decrypted mail quotes no stub; its id comes with the item. Without either nobody can tell which mail is answered.
    const id = quoted || (await decryptedId(item)) || NO_ID;
    await stamp(item, attachments, { state: "answer", id, to: composeType });
  }
}

async function stamp(item: Office.MessageCompose, attachments: readonly Office.AttachmentDetailsCompose[], stub: StubState): Promise<void> {
  await asked<void>((callback) => item.body.setAsync(stubHtml(stub.id), { coercionType: "html" as Office.CoercionType }, callback));
  await asked<void>((callback) => item.subject.setAsync(SUBJECT, callback));
  for (const attachment of attachments) {
    await asked<void>((callback) => item.removeAttachmentAsync(attachment.id, callback));
  }
  // Headers of an item that was never saved are lost.
  const save = () => asked<string>((callback) => item.saveAsync(callback));
  await save();
  await asked<void>((callback) => item.internetHeaders.setAsync({ [HEADER]: headerOf(stub) }, callback));
  await save();
}

/** The stub id that `onMessageDecrypt` gave Outlook for this. */
async function decryptedId(item: Office.MessageCompose): Promise<string | undefined> {
  try {
    const data = await asked<unknown>((callback) => item.getInitializationContextAsync(callback));
    const { medipeps } = JSON.parse(typeof data === "string" ? data : JSON.stringify(data)) as { medipeps?: unknown };
    return typeof medipeps === "string" && /^[0-9a-f]{32}$/.test(medipeps) ? medipeps : undefined;
  } catch {
    return undefined;
  }
}
