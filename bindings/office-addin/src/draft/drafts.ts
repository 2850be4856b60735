// What is being written in the pane, until Medipeps has it. It outlives the pane, which Outlook may end at any moment.

import type { StubId } from "../stub/index.ts";
import type { SealedStore } from "@medipeps/ui";

export interface DraftFile {
  readonly key: string;
  readonly name: string;
  readonly mediaType: string;
  readonly length: number;
}

/** How far a draft is. */
export type Progress =
  | { readonly state: "writing" }
  /** Handed to Medipeps, whose answer is not known: it may have the mail. */
  | { readonly state: "sending"; readonly since: number; readonly to: readonly string[]; readonly cc: readonly string[] }
  /** Medipeps has it, as this mail. The text is there, no longer here. */
  | { readonly state: "sent"; readonly mail: string; readonly stub: StubId };

export interface Draft {
  /** The id of the stub in Outlook's item while this is being written. */
  readonly id: StubId;
  readonly subject: string;
  readonly text: string;
  readonly files: readonly DraftFile[];
  /** The account's id of the mail that this answers. */
  readonly inReplyTo?: string;
  /** Milliseconds since 1970. */
  readonly changed: number;
  readonly progress: Progress;
}

/** How long a draft that was sent is remembered, in milliseconds: an item in Outlook's Drafts may still have its id. */
const REMEMBERED = 90 * 24 * 60 * 60 * 1000;

export class Drafts {
  constructor(private readonly store: SealedStore) {}

  /** A new one, on the disk when this returns. */
  async create(content: Partial<Pick<Draft, "subject" | "text" | "inReplyTo">>, files: readonly File[] = []): Promise<Draft> {
    const id = randomId();
    const { kept, records } = await taken(id, files);
    const draft: Draft = { subject: "", text: "", ...content, id, files: kept, changed: Date.now(), progress: { state: "writing" } };
    await this.store.put(records.set(draftName(id), encoded(draft)));
    return draft;
  }

  async get(id: StubId): Promise<Draft | undefined> {
    const bytes = await this.store.get(draftName(id));
    return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as Draft);
  }

  /** Those that Medipeps does not have, the last changed first. */
  async unsent(): Promise<Draft[]> {
    return (await this.#all()).filter(({ progress }) => progress.state !== "sent").sort((a, b) => b.changed - a.changed);
  }

  /** The account's ids of the mails that drafts became. */
  async sentMails(): Promise<Set<string>> {
    return new Set((await this.#all()).flatMap(({ progress }) => (progress.state === "sent" ? [progress.mail] : [])));
  }

  /** Writes a draft, and takes the files of one that was sent away. */
  async put(draft: Draft): Promise<void> {
    await this.store.put(new Map([[draftName(draft.id), encoded({ ...draft, changed: Date.now() })]]));
    if (draft.progress.state === "sent") {
      await this.store.delete(filePrefix(draft.id));
    }
  }

  /** Adds files: they and the draft that lists them are there together. */
  async addFiles(draft: Draft, files: readonly File[]): Promise<Draft> {
    const { kept, records } = await taken(draft.id, files);
    const more: Draft = { ...draft, files: [...draft.files, ...kept] };
    await this.store.put(records.set(draftName(draft.id), encoded(more)));
    return more;
  }

  async removeFile(draft: Draft, key: string): Promise<Draft> {
    const fewer: Draft = { ...draft, files: draft.files.filter((file) => file.key !== key) };
    await this.put(fewer);
    await this.store.delete(fileName(draft.id, key));
    return fewer;
  }

  /** The bytes of a file. */
  async file(draft: Draft, key: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.store.get(fileName(draft.id, key));
    if (bytes === undefined) {
      throw new Error("a file of this draft is not here any more");
    }
    return bytes;
  }

  async delete(id: StubId): Promise<void> {
    await this.store.delete(draftName(id));
    await this.store.delete(filePrefix(id));
  }

  /** All but those that were sent long ago, which are forgotten. */
  async #all(): Promise<Draft[]> {
    const drafts: Draft[] = [];
    for (const name of await this.store.names("draft/")) {
      const draft = await this.get(name.slice("draft/".length));
      if (draft?.progress.state === "sent" && draft.changed < Date.now() - REMEMBERED) {
        await this.delete(draft.id);
      } else if (draft !== undefined) {
        drafts.push(draft);
      }
    }
    return drafts;
  }
}

export function randomId(): StubId {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function taken(id: StubId, files: readonly File[]) {
  const records = new Map<string, Uint8Array<ArrayBuffer>>();
  const kept: DraftFile[] = [];
  for (const file of files) {
    const key = randomId();
    records.set(fileName(id, key), new Uint8Array(await file.arrayBuffer()));
    kept.push({ key, name: fittingName(file.name), mediaType: file.type === "" ? "application/octet-stream" : file.type, length: file.size });
  }
  return { kept, records };
}

/** A name of at most 255 bytes, its ending kept. */
export function fittingName(name: string): string {
  const length = (text: string) => new TextEncoder().encode(text).length;
  const [, stem = name, ending = ""] = /^(.*?)(\.[^.]{1,16})?$/su.exec(name) ?? [];
  let characters = [...stem];
  while (length(characters.join("") + ending) > 255) {
    characters = characters.slice(0, -1);
  }
  return characters.join("") + ending;
}

const draftName = (id: StubId) => `draft/${id}`;
const filePrefix = (id: StubId) => `file/${id}/`;
const fileName = (id: StubId, key: string) => `${filePrefix(id)}${key}`;

function encoded(draft: Draft): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(draft));
}
