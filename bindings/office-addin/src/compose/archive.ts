// Many files as one: a mail takes 64.

import { Zip, ZipPassThrough } from "fflate";

import type { DraftFile } from "../draft/drafts.ts";

/** Packs files into a ZIP archive, without compressing them: pictures and PDFs are compressed already. Equal names get numbers. */
export async function archive(name: string, files: readonly DraftFile[], read: (key: string) => Promise<Uint8Array<ArrayBuffer>>): Promise<File> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, part) => {
    if (error !== null) {
      throw error;
    }
    parts.push(part as Uint8Array<ArrayBuffer>);
  });
  const taken = new Set<string>();
  for (const { key, name } of files) {
    const entry = new ZipPassThrough(unused(name, taken));
    zip.add(entry);
    entry.push(await read(key), true);
  }
  zip.end();
  return new File(parts, name, { type: "application/zip" });
}

function unused(name: string, taken: Set<string>): string {
  const [, stem = name, ending = ""] = /^(.*?)(\.[^.]*)?$/su.exec(name) ?? [];
  let free = name;
  for (let number = 2; taken.has(free); number++) {
    free = `${stem} (${number})${ending}`;
  }
  taken.add(free);
  return free;
}
