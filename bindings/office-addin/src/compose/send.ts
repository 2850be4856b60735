// A draft becomes a mail of Medipeps', once. The pane can end between any two lines here.

import type { Client, MailSummary } from "@medipeps/client";

import type { Account } from "../account/account.ts";
import type { Draft, Drafts } from "../draft/drafts.ts";
import { stubIdOf } from "../stub/index.ts";
import type { People } from "./item.ts";

/** Clocks of one machine may be set back a little between two of its looks. */
const CLOCK_SLACK = 60_000;

/** Sends a draft. What it returns, and what is kept, is `sent`: Medipeps has the mail, in its outbox at least. */
export async function send(account: Account, drafts: Drafts, draft: Draft, { to, cc }: People): Promise<Draft> {
  const attachments = [];
  for (const { key, name, mediaType } of draft.files) {
    attachments.push({ name, mediaType, data: await drafts.file(draft, key) });
  }
  const sending: Draft = { ...draft, progress: { state: "sending", since: Date.now(), to, cc } };
  await drafts.put(sending);
  try {
    const mail = { to, cc, subject: draft.subject, text: draft.text, attachments, ...(draft.inReplyTo === undefined ? {} : { inReplyTo: draft.inReplyTo }) };
    const summary = await account.use(async (client) => {
      const { id } = await client.send(mail);
      return summaryOf(client, id);
    });
    return await settled(drafts, sending, summary);
  } catch (error) {
    // It was refused, or it was taken and only the answer is lost: the outbox says which.
    const known = await recover(account, drafts, sending).catch(() => undefined);
    if (known?.progress.state === "sent") {
      return known;
    }
    throw error;
  }
}

/** A draft whose sending was interrupted: `sent` if Medipeps has it, else `writing` again. It is never sent twice. */
export async function recover(account: Account, drafts: Drafts, draft: Draft): Promise<Draft> {
  if (draft.progress.state !== "sending") {
    return draft;
  }
  const others = await drafts.sentMails();
  const found = await account.use((client) => findSent(client, draft, others));
  if (found !== undefined) {
    return settled(drafts, draft, found);
  }
  // The engine commits a mail in one transaction, and whoever asks now has the account: what is not there was not sent.
  const writing: Draft = { ...draft, progress: { state: "writing" } };
  await drafts.put(writing);
  return writing;
}

/** The mail that this draft became, if it did. `others` became of other drafts, which may say the same. */
async function findSent(client: Client, draft: Draft, others: ReadonlySet<string>): Promise<MailSummary | undefined> {
  const { progress } = draft;
  if (progress.state !== "sending") {
    return undefined;
  }
  const people = (all: readonly string[]) => [...all].sort().join();
  for (const summary of await client.messages()) {
    const { id, sent, created, subject, attachments, recipients } = summary;
    const same =
      sent &&
      !others.has(id) &&
      created >= progress.since - CLOCK_SLACK &&
      subject === draft.subject &&
      attachments === draft.files.length &&
      people(recipients.map(({ address }) => address)) === people([...progress.to, ...progress.cc]);
    if (same) {
      const { text, whole } = await client.read(id);
      if (!whole || text === draft.text) {
        return summary;
      }
    }
  }
  return undefined;
}

async function summaryOf(client: Client, id: string): Promise<MailSummary> {
  const summary = (await client.messages()).find((mail) => mail.id === id);
  if (summary === undefined) {
    throw new Error("the mail that was just sent is not among the mails");
  }
  return summary;
}

/** The text is with Medipeps now, and no longer among the drafts. */
async function settled(drafts: Drafts, draft: Draft, { id, messageId }: MailSummary): Promise<Draft> {
  const sent: Draft = { id: draft.id, subject: "", text: "", files: [], changed: Date.now(), progress: { state: "sent", mail: id, stub: stubIdOf(messageId) } };
  await drafts.put(sent);
  return sent;
}
