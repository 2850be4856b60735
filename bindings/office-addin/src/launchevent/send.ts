// OnMessageSend: lets nothing go but a stub whose mail Medipeps has sent; in a build with `--plain-mail` also what a person has marked as
// unprotected.

import { HEADER, PLAIN_HEADER } from "../stub/stub.ts";
import { written } from "./item.ts";
import { textsFor } from "./texts.ts";
import { type Refusal, refusal } from "./verdict.ts";

/** The button of the ribbon that opens the pane while somebody writes, by its name in both manifests. */
const PANE_COMMAND = "MedipepsComposeButton";

/** Whatever goes wrong in here stops the item. */
export function onMessageSend(event: Office.MailboxEvent): Promise<void> {
  return written(Office.context.mailbox.item as Office.MessageCompose, [HEADER, PLAIN_HEADER])
    .then(refusal)
    .then(
      (why) => answer(event, why),
      () => answer(event, "unreadable"),
    );
}

function answer(event: Office.MailboxEvent, why: Refusal | undefined): void {
  if (why === undefined) {
    event.completed({ allowEvent: true });
    return;
  }
  const texts = textsFor(Office.context.displayLanguage || "");
  event.completed({ allowEvent: false, errorMessage: texts[why], cancelLabel: texts.open, commandId: PANE_COMMAND });
}
