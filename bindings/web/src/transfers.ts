// Files and long texts on their way up or down.

import { signal } from "@preact/signals";
import type { Transfer } from "@medipeps/client";

const transfers = signal<ReadonlyMap<string, Transfer>>(new Map());

export function noteTransfer(transfer: Transfer): void {
  const all = new Map(transfers.peek());
  if (transfer.done >= transfer.total) {
    all.delete(transfer.id);
  } else {
    all.set(transfer.id, transfer);
  }
  transfers.value = all;
}

/** The transfer of a file, while there is one: it has the file's name, not the message's id. */
export function transferOf(direction: Transfer["direction"], name: string): { transfer?: Transfer } {
  const found = [...transfers.value.values()].find((transfer) => transfer.direction === direction && transfer.name === name);
  return found === undefined ? {} : { transfer: found };
}

export function forgetTransfers(): void {
  transfers.value = new Map();
}
