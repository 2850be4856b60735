// Files on their way up or down.

import { signal } from "@preact/signals";
import type { Transfer } from "@medipeps/client";

const transfers = signal<ReadonlyMap<string, Transfer>>(new Map());

const key = (id: string, name: string) => `${id}\n${name}`;

export function noteTransfer(transfer: Transfer): void {
  const all = new Map(transfers.peek());
  if (transfer.done >= transfer.total) {
    all.delete(key(transfer.id, transfer.name));
  } else {
    all.set(key(transfer.id, transfer.name), transfer);
  }
  transfers.value = all;
}

/** The transfer of a file of a message, while there is one. */
export function transferOf(id: string, name: string): Transfer | undefined {
  return transfers.value.get(key(id, name));
}

/** Uploads by the file's name, for a message that has no id yet. */
export function uploadOf(name: string): Transfer | undefined {
  return [...transfers.value.values()].find((transfer) => transfer.direction === "upload" && transfer.name === name);
}

export function forgetTransfers(): void {
  transfers.value = new Map();
}
