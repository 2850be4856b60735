// From the stub in Outlook to the mail that it stands for.

import type { Mail, MailSummary } from "@medipeps/client";

import type { Account } from "../account/account.ts";
import { asked } from "../launchevent/item.ts";
import { HEADER, type StubId, canonical, parseHeader, recipientsDigest, stubIdIn, stubIdOf } from "../stub/index.ts";

/** How often it is looked for a mail that is on its way, and how long it is waited in between, in milliseconds. */
const LOOKS = 6;
const PAUSE = 400;

/** A stub that was received, or lies among what was sent. */
export interface ReceivedStub {
  readonly id: StubId;
  /** Who sent the item in Outlook: the writer of the mail, or somebody who has forwarded the stub alone. */
  readonly from: string;
  /** Whether the item goes to exactly the people whom the mail went to, so that it is no forwarded stub. */
  readonly genuine: boolean;
  /** Whether this mailbox is among the item's recipients. */
  readonly toMe: boolean;
}

/** The stub of an item, or `undefined` if it has none. */
export async function stubOf(item: Office.MessageRead, mailbox: string): Promise<ReceivedStub | undefined> {
  const headers = await asked<string>((callback) => item.getAllInternetHeadersAsync(callback)).catch(() => "");
  const value = new RegExp(`^${HEADER}:\\s*((?:.|\\r?\\n[ \\t])*)`, "im").exec(headers)?.[1];
  const stub = value === undefined ? undefined : parseHeader(value);
  const text = () => asked<string>((callback) => item.body.getAsync(Office.CoercionType.Text, callback));
  // A forwarded stub has lost its header.
  const id = stub?.id ?? stubIdIn(await text());
  if (id === undefined) {
    return undefined;
  }
  const people = [...item.to, ...item.cc].map(({ emailAddress }) => emailAddress);
  return {
    id,
    from: item.from.emailAddress,
    genuine: stub?.state === "sent" && stub.recipients === recipientsDigest(id, people),
    toMe: people.some((address) => canonical(address) === canonical(mailbox)),
  };
}

/** Stub ids by message ids: they never change. */
const known = new Map<string, StubId>();

/** Which mail a stub stands for. `undefined`: this account has none. */
export async function findMail(account: Account, id: StubId): Promise<MailSummary | undefined> {
  const look = () =>
    account.use(async (client) => {
      const all = await client.messages();
      return all.find(({ messageId }) => {
        const stub = known.get(messageId) ?? stubIdOf(messageId);
        known.set(messageId, stub);
        return stub === id;
      });
    });
  for (let looks = 1; ; looks++) {
    const found = await look();
    if (found !== undefined || looks === LOOKS) {
      return found;
    }
    await account.use((client) => client.sync());
    await new Promise((resolve) => setTimeout(resolve, looks === 1 ? 0 : PAUSE));
  }
}

/** The mail itself. It counts as displayed from then on. */
export function readMail(account: Account, { id }: MailSummary): Promise<Mail> {
  return account.use((client) => client.read(id));
}
