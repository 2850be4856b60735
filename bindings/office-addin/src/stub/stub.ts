// What Outlook's item holds in place of a mail, from its first save on. spec/outlook.md, The stub.
//
// This folder runs in classic Outlook on Windows too, in a runtime of ES2016 alone: no DOM, no Intl, no TextEncoder.

/** The header that an item with a stub has; Outlook starts the reader by its name. */
export const HEADER = "x-medipeps";
/** The header of an item that a person has said goes without protection. */
export const PLAIN_HEADER = "x-medipeps-unprotected";

/** The one subject of all stubs. A reply to one has it after its own prefix: that is how such a reply is known. */
export const SUBJECT = "Medipeps: message protégé / protected message";

const LINES = [
  "Message protégé par Medipeps. Pour le lire, ouvrez le volet Medipeps dans Outlook.",
  "This message is protected by Medipeps. To read it, open the Medipeps pane in Outlook.",
];
const MARK = "Medipeps-Id:";

/** 32 lower-case hexadecimal digits. */
export type StubId = string;

/** In place of the id of a mail that is not known. */
export const NO_ID = "0".repeat(32);

/** What stands in the item: the stub of a mail that is being written (`draft`), of one that Medipeps has (`sent`), or in an answer. */
export type StubState = { state: "draft"; id: StubId } | { state: "sent"; id: StubId; recipients: string } | { state: "answer"; id: StubId; to: AnswerKind };
/** As Outlook tells it: a reply to all is a reply. */
export type AnswerKind = "reply" | "forward";

/** The stub as a body of HTML. */
export function stubHtml(id: StubId): string {
  return [...LINES, `${MARK} ${id}`].map((line) => `<p>${line}</p>`).join("");
}

/** The stub as text, its white space collapsed. */
export function stubText(id: StubId): string {
  return [...LINES, `${MARK} ${id}`].join(" ");
}

/** The id of the first stub in a text, which may have more around it: that of a received mail, or one that a reply quotes. */
export function stubIdIn(text: string): StubId | undefined {
  const found = /Medipeps-Id:\s*([0-9a-f]{32})(?![0-9a-f])/.exec(text);
  return found === null ? undefined : found[1];
}

/** Whether a subject or a text comes from a stub, whatever has been put around it. */
export function speaksOfStub(subject: string, text: string): boolean {
  return subject.includes(SUBJECT) || text.includes(MARK);
}

/** The value of `HEADER`. */
export function headerOf(stub: StubState): string {
  switch (stub.state) {
    case "draft":
      return `v=1; id=${stub.id}; state=draft`;
    case "answer":
      return `v=1; id=${stub.id}; state=answer; to=${stub.to}`;
    case "sent":
      return `v=1; id=${stub.id}; state=sent; recipients=${stub.recipients}`;
  }
}

/** Reads a value of `HEADER`. `undefined`: it is none that this version writes. */
export function parseHeader(value: string): StubState | undefined {
  // Mail servers may fold a header.
  const found = /^v=1; id=([0-9a-f]{32}); state=(?:(draft)|answer; to=(reply|forward)|sent; recipients=([0-9a-f]{64}))$/.exec(
    value.trim().replace(/\s+/g, " "),
  );
  if (found === null) {
    return undefined;
  }
  const [, id = "", draft, to, recipients] = found;
  if (draft !== undefined) {
    return { state: "draft", id };
  }
  return to === undefined ? { state: "sent", id, recipients: recipients ?? "" } : { state: "answer", id, to: to as AnswerKind };
}
