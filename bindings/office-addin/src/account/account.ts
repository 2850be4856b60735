// The account of this browser. Outlook opens several panes, and one page at a time may have it: who needs it asks for it, who has it
// and is doing nothing gives it away.

import { Client, MedipepsError, type Transfer } from "@medipeps/client";

const CHANNEL = "medipeps account";
/** How often it is tried to get the account from another pane, and how long it waits in between, in milliseconds. */
const TRIES = 40;
const PAUSE = 250;

type Said = "wanted" | "free";

export class Account {
  /** How far files are. */
  onTransfer: (transfer: Transfer) => void = () => {};
  /** Another page has let the account go: what failed with `busy` may be tried again. */
  onFree: () => void = () => {};

  readonly #channel = new BroadcastChannel(CHANNEL);
  #client: Promise<Client> | undefined;
  /** Calls that are not done. */
  #calls = 0;
  #wanted = false;

  /** `receive`: stay connected as long as this page has the account, so that what waits goes out and what comes is there. */
  constructor(private readonly receive: boolean) {
    this.#channel.addEventListener("message", ({ data }: MessageEvent<Said>) => {
      if (data === "free") {
        this.onFree();
      } else {
        this.#wanted = this.#client !== undefined;
        void this.#giveAway();
      }
    });
  }

  /**
   * Does something with the account, which nobody gets before it is done.
   *
   * Fails with a `MedipepsError`; with `busy` if another page needs the account for longer than ten seconds.
   */
  async use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    this.#calls += 1;
    try {
      this.#client ??= this.#take();
      const client = await this.#client.catch((error: unknown) => {
        this.#client = undefined;
        throw error;
      });
      return await work(client);
    } finally {
      this.#calls -= 1;
      void this.#giveAway();
    }
  }

  /** Lets the account go. */
  async close(): Promise<void> {
    this.#wanted = this.#client !== undefined;
    await this.#giveAway();
  }

  /** Connects an account that has just been made or linked. */
  connect(): Promise<void> {
    return this.use(async (client) => {
      if (this.receive && (await client.account()) !== undefined) {
        await client.startReceiving();
      }
    });
  }

  async #take(): Promise<Client> {
    for (let tries = 1; ; tries++) {
      try {
        const client = await Client.open();
        client.addEventListener("transfer", (event) => this.onTransfer((event as CustomEvent<Transfer>).detail));
        void this.connect().catch(() => {});
        return client;
      } catch (error) {
        if (tries === TRIES || !(error instanceof MedipepsError) || error.code !== "busy") {
          throw error;
        }
        this.#say("wanted");
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }

  async #giveAway(): Promise<void> {
    const client = this.#client;
    if (!this.#wanted || this.#calls > 0 || client === undefined) {
      return;
    }
    this.#wanted = false;
    this.#client = undefined;
    await client.then((open) => open.close()).catch(() => {});
    this.#say("free");
  }

  #say(said: Said): void {
    this.#channel.postMessage(said);
  }
}
