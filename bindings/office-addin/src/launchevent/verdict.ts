// Whether an item may leave Outlook. Pure: everything that it looks at is given.

import { isStub } from "../stub/body.ts";
import { recipientsDigest } from "../stub/digest.ts";
import { PLAIN_MAIL } from "../stub/plain-mail.ts";
import { HEADER, PLAIN_HEADER, SUBJECT, parseHeader, speaksOfStub } from "../stub/stub.ts";
import type { Written } from "./item.ts";

/** Why an item is stopped. */
export type Refusal =
  /** Nobody has said in the pane whether it is to be protected. */
  | "unmarked"
  /** It is a stub, or was made from one, but Medipeps has not sent the mail. */
  | "not_sent"
  | "subject"
  | "body"
  | "attachments"
  /** Others than those whom Medipeps has sent the mail to. */
  | "recipients"
  /** Medipeps has no blind copies. */
  | "bcc"
  /** Marked to go without protection, but it comes from a protected mail. */
  | "quotes"
  /** Outlook did not tell what is in it. */
  | "unreadable";

/** `undefined`: it may go. */
export function refusal(item: Written): Refusal | undefined {
  const header = item.headers[HEADER];
  if (header !== undefined) {
    return stubRefusal(item, header);
  }
  if (speaksOfStub(item.subject, item.html)) {
    return item.headers[PLAIN_HEADER] === undefined ? "not_sent" : "quotes";
  }
  return PLAIN_MAIL && item.headers[PLAIN_HEADER] !== undefined ? undefined : "unmarked";
}

function stubRefusal(item: Written, header: string): Refusal | undefined {
  const stub = parseHeader(header);
  if (stub === undefined || stub.state !== "sent") {
    return "not_sent";
  }
  if (!isStub(item.html, stub.id)) {
    return "body";
  }
  if (item.subject !== SUBJECT) {
    return "subject";
  }
  if (item.attachments.length > 0) {
    return "attachments";
  }
  if (item.bcc.length > 0) {
    return "bcc";
  }
  return recipientsDigest(stub.id, item.to.concat(item.cc)) === stub.recipients ? undefined : "recipients";
}
