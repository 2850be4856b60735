/**
 * Why something was not done.
 *
 * - `argument`: what was given is wrong; the message says what.
 * - `busy`: another page of this browser has the account.
 * - `store`: the browser's database failed. After a failed write nothing more is done; load the page again.
 * - `network`: the server was not reached. What was to be sent is kept and goes with a later `sync`.
 * - `refused`: the server refuses.
 * - `engine`: the account cannot do that now.
 * - `internal`: a defect.
 */
export type ErrorCode = "argument" | "busy" | "store" | "network" | "refused" | "engine" | "internal";

export class MedipepsError extends Error {
  readonly code: ErrorCode;
}

export interface Created {
  /** `local@domain` */
  readonly address: string;
  /**
   * To be shown once and kept by the person; it is stored nowhere. Where a call fails, the next one of this page gives it; empty if
   * the page was loaded anew in between.
   */
  readonly recoveryKey: string;
}

export interface Queued {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** Why it is not at the server yet, if it is not. */
  readonly problem?: string;
}

export interface MailSummary {
  /** 32 hexadecimal digits, of this account alone. */
  readonly id: string;
  /** Whether this account wrote it. */
  readonly sent: boolean;
  /** An address. */
  readonly sender: string;
  readonly senderName: string;
  readonly subject: string;
  /** Milliseconds since 1970, by the sender's clock. */
  readonly created: number;
  /** Milliseconds since 1970, by the server's clock; 0 if it was sent. */
  readonly received: number;
  readonly displayed: boolean;
  /** Of a sent mail: what each recipient's copy has come to. */
  readonly states: readonly string[];
}

export interface Mail {
  readonly summary: MailSummary;
  readonly text: string;
  /** Sanitised; not there if the sender gave none. */
  readonly html?: string;
  /** Whether the text is all of it. */
  readonly whole: boolean;
}

/** An account of this browser, in a Worker of its own. Calls are done one after the other. */
export class Client {
  /** Opens what this browser keeps under a name, and makes it if there is nothing. One page at a time has it. */
  static open(name?: string): Promise<Client>;
  /** Makes the account at a server, `HOST:PORT`. Called again after a failure it goes on. */
  create(account: { server: string; invitation: string; address: string; name: string }): Promise<Created>;
  /** The account's address; `undefined` before it is made. */
  address(): Promise<string | undefined>;
  /** Puts a mail into the outbox and tries to send it. */
  send(mail: { to: readonly string[]; subject: string; text: string }): Promise<Queued>;
  /** Sends what is due, fetches everything that has come, and stays connected for so long. */
  sync(milliseconds?: number): Promise<void>;
  /** All mails, newest first. */
  messages(): Promise<readonly MailSummary[]>;
  /** One mail, which counts as displayed from then on. */
  read(id: string): Promise<Mail>;
  /** Lets go of connections and database. */
  close(): Promise<void>;
}
