// CONTRACT of @medipeps/client for this session. bindings/wasm/js/client.d.ts becomes this (with better comments). Names are fixed.

/** `code` of a MedipepsError. */
export type ErrorCode =
  | "argument"    // what was given is wrong; message says what
  | "busy"        // another page has the account
  | "store"       // the browser's database failed; load the page again
  | "quota"       // the browser gives no more room; nothing was queued, nothing is half done
  | "network"     // server not reached; what was to be sent is kept
  | "refused"     // the server refuses; `reason` is its word (e.g. AddressTaken)
  | "contact"     // somebody cannot be written to; `reason`: unknown_account | key_changed | statement | unknown_domain | …
  | "not_found"
  | "linking"     // a linking is over; `reason` says why
  | "document"    // an attachment or a long text cannot be had; `reason` says why
  | "engine"      // the account cannot do that now
  | "closed"
  | "internal";
export class MedipepsError extends Error { readonly code: ErrorCode; readonly reason?: string; }

export interface OpenOptions {
  /** Default: both, WebTransport first where the browser has it. */
  transports?: readonly ("webtransport" | "websocket")[];
  /** Development: SHA-256 of the server's own certificate (≤ 14 days, ECDSA); WebTransport then needs no Web PKI. Hex or base64url digits. */
  certificateHashes?: readonly string[];
  /** Where the Worker / the wasm are, for bundlers that move them. */
  worker?: URL | string;
  wasm?: URL | string;
}

export interface Account { address: string; name: string; deviceId: number; primary: boolean; server: string; }
export interface Created { address: string; recoveryKey: string; }

export interface OutgoingAttachment { name: string; mediaType: string; data: Blob | Uint8Array; }
export interface MailDraft {
  to: readonly string[]; cc?: readonly string[]; subject: string; text: string; html?: string;
  attachments?: readonly OutgoingAttachment[];
  inReplyTo?: string;              // id of a message of this account
  urgency?: "routine" | "urgent" | "vital";
  askDelivered?: boolean; askDisplayed?: boolean;
}
export interface Queued { id: string; problem?: string; }
export type RecipientState = "queued" | "accepted" | "delivered" | "displayed" | "failed";
export interface Recipient { address: string; copy: boolean; state: RecipientState; reason?: string; }
export interface MailSummary {
  id: string; sent: boolean; sender: string; senderName: string;
  senderCheck?: "checked" | "unchecked" | "impostor";   // received only
  verified: boolean;               // a person has compared the sender's key
  request: boolean;                // from a stranger
  subject: string; created: number; received: number; displayed: boolean;
  attachments: number; urgency: "routine" | "urgent" | "vital";
  recipients: readonly Recipient[];  // of a sent one
  messageId: string;               // the same for all who have it (32 hex)
}
export interface Attachment { name: string; mediaType: string; length: number; inside: boolean; }
export interface Mail {
  summary: MailSummary; to: readonly string[]; cc: readonly string[]; text: string; html?: string;
  whole: boolean;                  // false: `missing` says why the text is not all here
  missing?: string;
  attachments: readonly Attachment[]; inReplyTo?: string;
}

export interface Contact {
  address: string; safetyNumber: string; verificationCode: string;   // code: for a QR, "medipeps-verify:…"
  key: "pinned" | "verified" | "replaced" | "changed"; devices: number; blocked: boolean;
}
export interface Device { id: number; name?: string; primary: boolean; since: number; thisDevice: boolean; }
export type LinkState =
  | { state: "preparing" | "meeting" | "agreed" | "granting" | "granted" | "linked" }
  | { state: "show_code"; code: string }             // as QR code and as text
  | { state: "compare"; digits: string; name?: string };

export interface Group {
  id: string; name: string; description: string;
  state: "making" | "active" | "joining" | "left" | "removed" | "broken" | "rejoining" | "leaving"; problem?: string;
  members: readonly { address: string; role: "owner" | "member" | "reader"; readUpTo?: number }[];
  unread: number; muted: boolean; retentionDays: number;
}
export interface GroupMessage {
  number: number; id: string; sender: string; senderName: string; time: number;
  state: "waiting" | "logged" | "failed"; reason?: string;
  body: { kind: "text"; text: string } | { kind: "edit"; message: string; text: string } | { kind: "delete"; message: string }
    | { kind: "reaction"; message: string; emoji?: string } | { kind: "other"; text: string };
  inReplyTo?: string; attachments: readonly Attachment[];
}

export type ClientEvent =
  | { type: "ready" } | { type: "offline"; message: string } | { type: "stopped"; code: ErrorCode | "displaced" | "asked"; message: string }
  | { type: "message"; id: string; muted: boolean }
  | { type: "message_state"; id: string; recipient: string; state: RecipientState; reason?: string }
  | { type: "elsewhere" }                                     // sent or displayed on another device: list again
  | { type: "body"; id: string; reason?: string }             // a long text is here, or never will be
  | { type: "undecryptable"; reason: string; sender?: string }
  | { type: "contact"; address: string }                      // what is known of somebody has changed
  | { type: "group"; group: string }                          // members, name, standing
  | { type: "group_message"; group: string; number: number; muted: boolean }
  | { type: "group_message_state"; group: string; number: number }
  | { type: "group_read"; group: string; by: string; number: number }
  | { type: "typing"; group: string; by: string; active: boolean }
  | { type: "devices" };
export interface Transfer { id: string; direction: "upload" | "download"; name: string; done: number; total: number; }

/** Extends EventTarget: `client.addEventListener("event", ({ detail }) => …)` gives a ClientEvent, "transfer" gives a Transfer. */
export class Client extends EventTarget {
  static open(name?: string, options?: OpenOptions): Promise<Client>;
  create(account: { server: string; invitation: string; address: string; name: string }): Promise<Created>;
  recover(account: { server: string; address: string; name: string; recoveryKey: string }): Promise<Created>;
  account(): Promise<Account | undefined>;
  /** Kept: account()?.address */
  address(): Promise<string | undefined>;
  sync(milliseconds?: number): Promise<void>;
  /** Stays connected beside all other calls, until stopReceiving or close; reconnects by itself; tells by events. */
  startReceiving(): Promise<void>;
  stopReceiving(): Promise<void>;

  send(mail: MailDraft): Promise<Queued>;
  messages(): Promise<readonly MailSummary[]>;
  read(id: string): Promise<Mail>;
  /** Fetched and verified to the last byte; progress by "transfer". */
  attachment(id: string, index: number): Promise<Blob>;

  contacts(): Promise<readonly Contact[]>;
  /** Looks an address up exactly, and pins its key. Fails with `contact` if nobody can write to it. */
  addContact(address: string, options?: { acceptNewKey?: boolean }): Promise<Contact>;
  /** With the sixty digits, or with the code of the other's QR. Whether they match. */
  verifyContact(address: string, digitsOrCode: string): Promise<boolean>;
  forgetVerification(address: string): Promise<boolean>;
  block(address: string, blocked: boolean): Promise<void>;
  accept(address: string): Promise<void>;

  groups(): Promise<readonly Group[]>;
  createGroup(group: { name: string; members: readonly string[]; description?: string; retentionDays?: number }): Promise<Group>;
  addToGroup(group: string, members: readonly string[]): Promise<Group>;
  removeFromGroup(group: string, members: readonly string[]): Promise<Group>;
  renameGroup(group: string, name: string): Promise<Group>;
  muteGroup(group: string, muted: boolean): Promise<void>;
  leaveGroup(group: string): Promise<Group>;
  say(group: string, message: { text: string; attachments?: readonly OutgoingAttachment[]; inReplyTo?: string }): Promise<GroupMessage>;
  react(group: string, message: string, emoji?: string): Promise<GroupMessage>;
  groupMessages(group: string, limit?: number): Promise<readonly GroupMessage[]>;
  groupAttachment(group: string, number: number, index: number): Promise<Blob>;
  markGroupDisplayed(group: string, number: number): Promise<void>;
  typeInGroup(group: string, active: boolean): Promise<void>;

  devices(): Promise<readonly Device[]>;
  becomeDevice(account: { address: string; server: string; name: string; anew?: boolean }): Promise<LinkState>;
  linkDevice(code: string, options?: { makePrimary?: boolean }): Promise<LinkState>;
  continueLinking(agreed?: boolean): Promise<LinkState>;
  revokeDevice(id: number): Promise<void>;
  renameDevice(id: number, name: string): Promise<void>;

  connection(): Promise<{ transport?: "webtransport" | "websocket"; problem?: string }>;
  close(): Promise<void>;
}
