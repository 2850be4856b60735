// One draft under somebody's hands. What is typed is on the disk as fast as the disk takes it; changes follow each other in order.

import { type Signal, signal } from "@preact/signals";

import type { Draft, Drafts } from "./drafts.ts";

export class Editor {
  readonly draft: Signal<Draft>;
  /** Whether something is not on the disk yet. */
  readonly saving = signal(false);
  /** Why something could not be kept. */
  readonly error = signal<unknown>(undefined);
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** A save that has not begun takes all that is typed until then. */
  #saveAhead = false;

  constructor(
    readonly drafts: Drafts,
    draft: Draft,
  ) {
    this.draft = signal(draft);
  }

  edit(change: Partial<Pick<Draft, "subject" | "text">>): void {
    this.draft.value = { ...this.draft.value, ...change };
    if (!this.#saveAhead) {
      this.#saveAhead = true;
      this.#inTurn(async () => {
        this.#saveAhead = false;
        await this.drafts.put(this.draft.value);
      });
    }
  }

  addFiles(files: readonly File[]): void {
    this.#inTurn(async () => this.#takeFiles(await this.drafts.addFiles(this.draft.value, files)));
  }

  removeFile(key: string): void {
    this.#inTurn(async () => this.#takeFiles(await this.drafts.removeFile(this.draft.value, key)));
  }

  /** Puts one file in the place of all. It is made of them, one after the other. */
  replaceFiles(make: (read: (key: string) => Promise<Uint8Array<ArrayBuffer>>) => Promise<File>): void {
    this.#inTurn(async () => {
      const before = this.draft.value.files;
      const file = await make((key) => this.drafts.file(this.draft.value, key));
      this.#takeFiles(await this.drafts.addFiles({ ...this.draft.value, files: [] }, [file]));
      await Promise.all(before.map(({ key }) => this.drafts.removeFile(this.draft.value, key)));
    });
  }

  /** Everything so far is on the disk when this returns. */
  async flush(): Promise<void> {
    await this.#last;
    if (this.error.value !== undefined) {
      throw this.error.value;
    }
  }

  /** Text may have been typed while files were written. */
  #takeFiles({ files }: Draft): void {
    this.draft.value = { ...this.draft.value, files };
  }

  #inTurn(work: () => Promise<void>): void {
    this.#waiting += 1;
    this.saving.value = true;
    this.#last = this.#last
      .then(work)
      .then(
        () => {
          this.error.value = undefined;
        },
        (error: unknown) => {
          this.error.value = error;
        },
      )
      .finally(() => {
        this.#waiting -= 1;
        this.saving.value = this.#waiting > 0;
      });
  }
}
