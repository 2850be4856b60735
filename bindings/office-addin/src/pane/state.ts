// What the pane knows, and what it is doing.

import type { Account as AccountData, Client, Contact } from "@medipeps/client";
import { Directory, SealedStore, isFailure } from "@medipeps/ui";
import { signal } from "@preact/signals";

import { Account } from "../account/account.ts";
import { ComposeItem } from "../compose/item.ts";
import { Drafts } from "../draft/drafts.ts";
import { PendingRecoveryKey } from "../draft/recovery-key.ts";

/** Outlook's item under the pane. */
export type Item = { readonly mode: "compose"; readonly item: ComposeItem } | { readonly mode: "read"; readonly item: Office.MessageRead } | { readonly mode: "none" };

/** All that a view needs, handed down from `main.tsx`. */
export class Pane {
  readonly account = new Account(true);
  readonly directory = new Directory((address, acceptNewKey) => this.account.use((client) => this.#lookUp(client, address, acceptNewKey)));
  readonly item = signal<Item>({ mode: "none" });
  /** `undefined`: not known yet. `null`: there is none here. */
  readonly me = signal<AccountData | null | undefined>(undefined);
  /** How far files are, by their names. */
  readonly transfers = signal<ReadonlyMap<string, { done: number; total: number }>>(new Map());

  private constructor(
    readonly mailbox: Office.Mailbox,
    readonly drafts: Drafts,
    readonly recoveryKey: PendingRecoveryKey,
  ) {
    this.account.onTransfer = ({ name, done, total }) => {
      const transfers = new Map(this.transfers.value);
      if (done === total) {
        transfers.delete(name);
      } else {
        transfers.set(name, { done, total });
      }
      this.transfers.value = transfers;
    };
  }

  static async open(mailbox: Office.Mailbox): Promise<Pane> {
    const store = await SealedStore.open("medipeps outlook drafts");
    const pane = new Pane(mailbox, new Drafts(store), new PendingRecoveryKey(store));
    pane.select();
    // A pinned pane stays while other items are selected.
    mailbox.addHandlerAsync(Office.EventType.ItemChanged, () => pane.select());
    return pane;
  }

  /**
   * Looks somebody up. A stranger of another domain whose server does not answer cannot be written to, nor can a mail wait for him:
   * that is no different from a domain that has no server.
   */
  async #lookUp(client: Client, address: string, acceptNewKey: boolean): Promise<Contact> {
    try {
      return await client.addContact(address, { acceptNewKey });
    } catch (error) {
      const domain = (of: string | undefined) => of?.split("@").at(-1);
      const stranger = domain(address) !== domain(this.me.value?.address) && !(await client.contacts()).some((contact) => contact.address === address);
      if (isFailure(error) && error.code === "network" && stranger) {
        throw Object.assign(new Error(error.message), { code: "contact", reason: "unknown_domain" });
      }
      throw error;
    }
  }

  /** Takes up the item that is selected now. */
  select(): void {
    const item = this.mailbox.item as unknown as Office.MessageCompose | Office.MessageRead | null | undefined;
    if (item === null || item === undefined) {
      this.item.value = { mode: "none" };
    } else if ("getAllInternetHeadersAsync" in item) {
      this.item.value = { mode: "read", item: item as Office.MessageRead };
    } else {
      this.item.value = { mode: "compose", item: new ComposeItem(item as Office.MessageCompose) };
    }
  }

  /** Whether this browser has an account, and which. */
  async lookAtAccount(): Promise<void> {
    const account = await this.account.use((client) => client.account());
    const pending = await this.recoveryKey.get();
    this.me.value = account === undefined || pending !== undefined ? null : account;
    if (account !== undefined) {
      rememberAccount();
      void this.account.connect().catch(() => {});
    }
  }
}

/** That there is an account goes with the mailbox, which outlives this browser's storage: who finds it without an account links again. */
const MARK = "medipeps-linked";

export function hadAccount(): boolean {
  return Office.context.roamingSettings.get(MARK) === 1;
}

function rememberAccount(): void {
  if (!hadAccount()) {
    Office.context.roamingSettings.set(MARK, 1);
    Office.context.roamingSettings.saveAsync();
  }
}
