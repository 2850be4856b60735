/**
 * Why something was not done.
 *
 * - `argument`: what was given is wrong; the message says what.
 * - `busy`: another page of this browser has the account.
 * - `store`: the browser's database failed. After a failed write nothing more is done; load the page again.
 * - `quota`: the browser gives no more room. Nothing was queued.
 * - `network`: the server was not reached. What was to be sent is kept and goes later.
 * - `refused`: the server refuses; `reason` is its word (`spec/errors.md`).
 * - `contact`: somebody cannot be written to; `reason` is `unknown_account`, `key_changed`, `statement` or a word of his server's.
 * - `not_found`: there is no such message, group, contact or linking.
 * - `linking`: a linking is over; `reason` says why (`spec/linking.md`).
 * - `document`: an attachment or a long text cannot be had, or not be sent; `reason` says why: `UnknownBlob` (the server has it no
 *   longer), `altered`, `photo` (it tells more than its pixels), `stalled` (nothing comes now), `unreadable` (the `Blob`), `browser`.
 * - `engine`: the account cannot do that now.
 * - `closed`: the account was closed.
 * - `internal`: a defect, or files of two versions of this package.
 */
export type ErrorCode =
  | "argument"
  | "busy"
  | "store"
  | "quota"
  | "network"
  | "refused"
  | "contact"
  | "not_found"
  | "linking"
  | "document"
  | "engine"
  | "closed"
  | "internal";

export class MedipepsError extends Error {
  readonly code: ErrorCode;
  readonly reason?: string;
}

export type Transport = "webtransport" | "websocket";

export interface OpenOptions {
  /** Which transports may be taken. By default both: WebTransport first, where the browser has it, and WebSocket beside it. */
  transports?: readonly Transport[];
  /**
   * For development: SHA-256 of the server's own certificate (of ECDSA P-256, good for 14 days at most), as 64 hexadecimal digits or
   * 43 of base64url. WebTransport then takes that one, and none of the Web's PKI. WebSocket is not concerned.
   */
  certificateHashes?: readonly string[];
  /** Where `worker.js` is, for bundlers that move it. */
  worker?: URL | string;
  /** Where `medipeps_wasm_bg.wasm` is, for bundlers that move it. */
  wasm?: URL | string;
}

export interface Connection {
  /** What carries it; `undefined` before there was one. */
  readonly transport?: Transport;
  /** Why a transport that was tried for it was not taken, where it failed. A browser does not tell much. */
  readonly problem?: string;
}

/** `local@domain` */
export type Address = string;
/** 32 hexadecimal digits, of this browser's account alone. */
export type MailId = string;
/** 32 hexadecimal digits, the same for all who have the message. */
export type MessageId = string;
/** Milliseconds since 1970. */
export type Time = number;

export interface Account {
  readonly address: Address;
  readonly name: string;
  readonly deviceId: number;
  /** Whether this device holds the account key: it can link and revoke devices. */
  readonly primary: boolean;
  /** `HOST:PORT` */
  readonly server: string;
}

export interface Created {
  readonly address: Address;
  /**
   * To be shown once and kept by the person; it is stored nowhere. Where a call fails, the next one of this page gives it; empty if
   * the page was loaded anew in between.
   */
  readonly recoveryKey: string;
}

export type Urgency = "routine" | "urgent" | "vital";

/** A file to be sent. */
export interface OutgoingAttachment {
  /** As the recipient shall see it. */
  readonly name: string;
  /** For instance `application/pdf`. */
  readonly mediaType: string;
  /** A `Blob` is read part by part and need not fit into memory; bytes are copied. */
  readonly data: Blob | Uint8Array;
}

export interface MailDraft {
  readonly to: readonly Address[];
  readonly cc?: readonly Address[];
  readonly subject: string;
  readonly text: string;
  /** The same as HTML; it is sanitised. */
  readonly html?: string;
  /** The mail that this one answers. */
  readonly inReplyTo?: MailId;
  /** At most 64. What does not fit into the message is sealed into the browser's database, and removed when the server has it. */
  readonly attachments?: readonly OutgoingAttachment[];
  readonly urgency?: Urgency;
  /** Ask to be told when a device has it. */
  readonly askDelivered?: boolean;
  /** Ask to be told when a person has seen it. */
  readonly askDisplayed?: boolean;
}

export interface Queued {
  readonly id: MailId;
  /** Why it is not at the server yet, if it is not. */
  readonly problem?: string;
}

/** How far a file or a long text has come. */
export interface Transfer {
  /** To tell transfers apart. */
  readonly id: string;
  readonly direction: "upload" | "download";
  readonly name: string;
  /** Sealed bytes that are where they go: less than before if it had to be begun anew. */
  readonly done: number;
  readonly total: number;
}

/** On this device; at the recipient's server; on a device of the recipient's; a person has seen it; it will never arrive. */
export type RecipientState = "queued" | "accepted" | "delivered" | "displayed" | "failed";

export interface Recipient {
  readonly address: Address;
  readonly copy: boolean;
  readonly state: RecipientState;
  /** Why it failed or what holds it up: a word out of `spec/errors.md` or `spec/client-engine.md`. */
  readonly reason?: string;
}

export interface MailSummary {
  readonly id: MailId;
  readonly messageId: MessageId;
  /** Whether this account wrote it. */
  readonly sent: boolean;
  readonly sender: Address;
  /** As the sender calls himself. */
  readonly senderName: string;
  /** Of a received one: under the pinned key; the sender's server was not asked yet; forged. */
  readonly senderCheck?: "checked" | "unchecked" | "impostor";
  /** Whether a person has compared the sender's key. */
  readonly verified: boolean;
  /** It comes from a stranger; `accept` lets him write like others. */
  readonly request: boolean;
  readonly subject: string;
  /** By the sender's clock. */
  readonly created: Time;
  /** By the server's clock; 0 if it was sent. */
  readonly received: Time;
  readonly displayed: boolean;
  /** How many. */
  readonly attachments: number;
  readonly urgency: Urgency;
  /** Of a sent one. */
  readonly recipients: readonly Recipient[];
}

export interface Attachment {
  /** As the sender named it: text to show, no path. */
  readonly name: string;
  /** As the sender says. */
  readonly mediaType: string;
  /** Bytes. */
  readonly length: number;
  /** Inside the message; otherwise it is fetched from the server. */
  readonly inside: boolean;
}

export interface Mail {
  readonly summary: MailSummary;
  readonly to: readonly Address[];
  readonly cc: readonly Address[];
  readonly text: string;
  /** Sanitised; not there if the sender gave none. */
  readonly html?: string;
  /** Whether the text is all of it; if not, `missing` says why. */
  readonly whole: boolean;
  readonly missing?: string;
  readonly attachments: readonly Attachment[];
  readonly inReplyTo?: MessageId;
}

export interface Contact {
  readonly address: Address;
  /** Sixty digits to compare with what the contact sees. */
  readonly safetyNumber: string;
  /** For a QR code that the contact's device scans. */
  readonly verificationCode: string;
  /** Of the first contact; compared by a person; taken instead of another; the server gives another now: nothing is sent. */
  readonly key: "pinned" | "verified" | "replaced" | "changed";
  readonly devices: number;
  readonly blocked: boolean;
}

export type GroupState = "making" | "active" | "joining" | "left" | "removed" | "broken" | "rejoining" | "leaving";

export interface GroupMember {
  readonly address: Address;
  readonly role: "owner" | "member" | "reader";
  /** The number of the last message that it has read, as far as it has told. */
  readonly readUpTo?: number;
}

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly state: GroupState;
  /** What keeps it from going on. */
  readonly problem?: string;
  readonly members: readonly GroupMember[];
  /** What nobody has marked as displayed on this device, one's own messages too. */
  readonly unread: number;
  /** It does not ring. */
  readonly muted: boolean;
  /** 0: for ever. */
  readonly retentionDays: number;
}

export type ChatBody =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "edit"; readonly message: MessageId; readonly text: string }
  | { readonly kind: "delete"; readonly message: MessageId }
  | { readonly kind: "reaction"; readonly message: MessageId; readonly emoji?: string }
  | { readonly kind: "other"; readonly text: string };

export interface GroupMessage {
  /** In the group, on this device. */
  readonly number: number;
  readonly id: MessageId;
  readonly sender: Address;
  readonly senderName: string;
  /** When the server took it; by this device's clock until it has. */
  readonly time: Time;
  /** On this device; in the group's log; it will never be. */
  readonly state: "waiting" | "logged" | "failed";
  readonly reason?: string;
  readonly body: ChatBody;
  readonly inReplyTo?: MessageId;
  readonly attachments: readonly Attachment[];
}

export interface Device {
  readonly id: number;
  readonly name?: string;
  readonly primary: boolean;
  /** By the clock of the device that certified it. */
  readonly since: Time;
  readonly thisDevice: boolean;
}

/**
 * How far a linking has come. New device: `preparing`, `show_code` (as QR code and as text, good for ten minutes). Both: `meeting`,
 * `compare` (people compare the digits; their answer goes to `continueLinking`), `agreed`. Primary device: `granting`, `granted` (the new
 * one takes its grant whenever it goes on). `linked`: done.
 */
export type LinkState =
  | { readonly state: "preparing" | "meeting" | "agreed" | "granting" | "granted" | "linked" }
  | { readonly state: "show_code"; readonly code: string }
  | { readonly state: "compare"; readonly digits: string; readonly name?: string };

/** Something happened. It is kept already. */
export type ClientEvent =
  /** Connected, and everything that was at the server is here. */
  | { readonly type: "ready" }
  /** The server is not reached; it is tried again. */
  | { readonly type: "offline"; readonly message: string }
  /** Nothing more is received: `asked`; `displaced` by another program of this device; or a person has to do something first. */
  | { readonly type: "stopped"; readonly code: ErrorCode | "asked" | "displaced"; readonly message: string }
  | { readonly type: "message"; readonly id: MailId; readonly muted: boolean }
  | {
      readonly type: "message_state";
      readonly id: MailId;
      readonly recipient: Address;
      readonly state: RecipientState;
      readonly reason?: string;
    }
  /** Sent or displayed on another device of the account: list again. */
  | { readonly type: "elsewhere" }
  /** A long text is here, or, with a reason, never will be. */
  | { readonly type: "body"; readonly id: MailId; readonly reason?: string }
  | { readonly type: "undecryptable"; readonly reason: string; readonly sender?: Address }
  /** What is known of somebody has changed. */
  | { readonly type: "contact"; readonly address: Address }
  /** Members, name or standing have changed: list again. */
  | { readonly type: "group"; readonly group: string }
  | { readonly type: "group_message"; readonly group: string; readonly number: number; readonly muted: boolean }
  | { readonly type: "group_message_state"; readonly group: string; readonly number: number }
  | { readonly type: "group_read"; readonly group: string; readonly by: Address; readonly number: number }
  /** Shown for six seconds if no other comes. */
  | { readonly type: "typing"; readonly group: string; readonly by: Address; readonly active: boolean }
  | { readonly type: "devices" };

export interface ClientEventMap {
  event: CustomEvent<ClientEvent>;
  transfer: CustomEvent<Transfer>;
}

/** An account of this browser, in a Worker of its own. Calls are done one after the other; what comes is received beside them. */
export class Client extends EventTarget {
  /** Opens what this browser keeps under a name, and makes it if there is nothing. One page at a time has it. */
  static open(name?: string, options?: OpenOptions): Promise<Client>;

  /** Makes the account at a server, `HOST:PORT`. Called again after a failure it goes on. */
  create(account: { server: string; invitation: string; address: Address; name: string }): Promise<Created>;
  /**
   * Takes an account over with its recovery key (in any case and with any spaces) where there is none yet, or goes on with that. Its former
   * devices are none of it any more, and contacts are shown that its keys have changed. Gives another recovery key. A wrong one is
   * `refused` with `wrong_recovery_key`, and nothing was made.
   */
  recover(account: { server: string; address: Address; name: string; recoveryKey: string }): Promise<Created>;
  /** The account; `undefined` before it is made. */
  account(): Promise<Account | undefined>;
  /** Its address. */
  address(): Promise<Address | undefined>;

  /** Sends what is due, fetches everything that has come, and stays connected for so long. */
  sync(milliseconds?: number): Promise<void>;
  /** Stays connected until `stopReceiving` or `close`, connects again where the connection is lost, and tells by events. */
  startReceiving(): Promise<void>;
  stopReceiving(): Promise<void>;

  /**
   * Puts a mail into the outbox and tries to send it. Its files, and a long text, are sent while the account receives or syncs, and go
   * on with the next page that does; how far they are is told by `transfer`.
   */
  send(mail: MailDraft): Promise<Queued>;
  /** All mails, newest first. */
  messages(): Promise<readonly MailSummary[]>;
  /** One mail, which counts as displayed from then on. A long text that is not here yet is fetched. */
  read(id: MailId): Promise<Mail>;
  /** One of its files, by its place in `attachments`, whole and verified to the last byte. Other calls go on meanwhile. */
  attachment(id: MailId, index: number): Promise<Blob>;

  contacts(): Promise<readonly Contact[]>;
  /** Looks an address up, exactly as it is, and pins its key. `acceptNewKey` only after a person has compared safety numbers. */
  addContact(address: Address, options?: { acceptNewKey?: boolean }): Promise<Contact>;
  /** Compares the sixty digits, or the code of the QR, that the contact's device shows. Whether they are the same. */
  verifyContact(address: Address, digitsOrCode: string): Promise<boolean>;
  /** Whether there was a mark to take off. */
  forgetVerification(address: Address): Promise<boolean>;
  /** He is not told. */
  block(address: Address, blocked: boolean): Promise<void>;
  /** Lets a stranger write like those to whom this account has written. */
  accept(address: Address): Promise<void>;

  groups(): Promise<readonly Group[]>;
  createGroup(group: {
    name: string;
    members: readonly Address[];
    description?: string;
    retentionDays?: number;
  }): Promise<Group>;
  addToGroup(group: string, members: readonly Address[]): Promise<Group>;
  removeFromGroup(group: string, members: readonly Address[]): Promise<Group>;
  renameGroup(group: string, name: string): Promise<Group>;
  leaveGroup(group: string): Promise<Group>;
  say(
    group: string,
    message: { text: string; inReplyTo?: MessageId; attachments?: readonly OutgoingAttachment[] },
  ): Promise<GroupMessage>;
  /** Without an emoji the reaction is taken back. */
  react(group: string, message: MessageId, emoji?: string): Promise<GroupMessage>;
  /** The last ones, in the order of the group. */
  groupMessages(group: string, limit?: number): Promise<readonly GroupMessage[]>;
  /** A file of a message, as `attachment` gives it. A photo that tells more than its pixels is refused. */
  groupAttachment(group: string, number: number, index: number): Promise<Blob>;
  markGroupDisplayed(group: string, number: number): Promise<void>;
  /** On all devices of the account. */
  muteGroup(group: string, muted: boolean): Promise<void>;
  /** Tells those who are connected; nobody keeps it. */
  typeInGroup(group: string, active: boolean): Promise<void>;

  devices(): Promise<readonly Device[]>;
  /** New device: begins to belong to an account that has others, or goes on with that. `anew` throws away what was begun. */
  becomeDevice(account: { address: Address; server: string; name: string; anew?: boolean }): Promise<LinkState>;
  /** Primary device: begins to link the new one that shows this code. */
  linkDevice(code: string, options?: { makePrimary?: boolean }): Promise<LinkState>;
  /** Goes on, about twice a second, or with a person's answer to the digits. */
  continueLinking(agreed?: boolean): Promise<LinkState>;
  /** It gets nothing from now on. */
  revokeDevice(id: number): Promise<void>;
  /** An empty name takes it away. */
  renameDevice(id: number, name: string): Promise<void>;

  /** The connection that was made last. */
  connection(): Promise<Connection>;
  /** Finishes what was asked for, and lets go of connections and database. */
  close(): Promise<void>;

  addEventListener<K extends keyof ClientEventMap>(
    type: K,
    listener: (event: ClientEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof ClientEventMap>(
    type: K,
    listener: (event: ClientEventMap[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}
