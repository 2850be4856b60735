// What is said of a mail in a word: who really sent it, how urgent it is, how far it got.

import type { MailSummary, Recipient, RecipientState } from "@medipeps/client";

import { texts } from "../texts.ts";

/** How far a mail got with everybody: what is worst counts. */
const WORST_FIRST: readonly RecipientState[] = ["failed", "queued", "accepted", "delivered", "displayed"];

export function overallState(recipients: readonly Recipient[]): RecipientState {
  return WORST_FIRST.find((state) => recipients.some((recipient) => recipient.state === state)) ?? "queued";
}

/** Whether the sender is who the mail says, and whether somebody has compared his key. */
export function SenderMarks({ mail: { senderCheck, verified, request } }: { mail: MailSummary }) {
  const said = texts().mail;
  return (
    <>
      {senderCheck === "impostor" && <span class="mark bad">{said.impostor}</span>}
      {senderCheck === "unchecked" && <span class="mark warn">{said.unchecked}</span>}
      {verified && senderCheck !== "impostor" && <span class="mark good">{said.verified}</span>}
      {request && <span class="mark warn">{said.request}</span>}
    </>
  );
}

export function UrgencyMark({ urgency }: { urgency: MailSummary["urgency"] }) {
  return urgency === "routine" ? null : <span class="mark bad">{texts().write.urgencies[urgency]}</span>;
}
