// Beside the handler, where Outlook runs it in a browser: shows a protected mail in Outlook's own window.

import { errorText, setLanguage, bestLanguage } from "@medipeps/ui";

import { Account } from "../account/account.ts";
import type { Meeting } from "../launchevent/decrypt.ts";
import { textsFor } from "../launchevent/texts.ts";
import { findMail, readMail, stubOf } from "../read/find.ts";
import { decrypted } from "./decrypted.ts";

async function read(event: Office.MailboxEvent): Promise<void> {
  const { mailbox, displayLanguage } = Office.context;
  setLanguage(bestLanguage([displayLanguage]));
  const account = new Account(false);
  let answer: Office.MessageDecryptEventCompletedOptions & { errorMessage?: string };
  try {
    const stub = await stubOf(mailbox.item as unknown as Office.MessageRead, mailbox.userProfile.emailAddress);
    const known = stub !== undefined && (await account.use((client) => client.account())) !== undefined;
    const summary = known ? await findMail(account, stub.id) : undefined;
    // What the reader cannot show, the pane explains.
    answer =
      stub === undefined || summary === undefined
        ? { allowEvent: false, errorMessage: textsFor(displayLanguage).read }
        : await decrypted(account, await readMail(account, summary), stub.id);
  } catch (error) {
    answer = { allowEvent: false, errorMessage: errorText(error) };
  }
  await account.close().catch(() => {});
  event.completed(answer as Office.SmartAlertsEventCompletedOptions);
}

await Office.onReady();
const meeting = window as unknown as Meeting;
meeting.medipepsReader = read;
for (const event of meeting.medipepsWaiting ?? []) {
  void read(event);
}
meeting.medipepsWaiting = [];
