// A recovery key between its making and the moment that somebody has written it down: the pane may end in between.

import type { SealedStore } from "@medipeps/ui";

const NAME = "recovery";

export class PendingRecoveryKey {
  constructor(private readonly store: SealedStore) {}

  async get(): Promise<string | undefined> {
    const bytes = await this.store.get(NAME);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  put(recoveryKey: string): Promise<void> {
    return this.store.put(new Map([[NAME, new TextEncoder().encode(recoveryKey)]]));
  }

  forget(): Promise<void> {
    return this.store.delete(NAME);
  }
}
