// Files of a mail: those that came, and those that go with one.

import { signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

import { formatShare, formatSize } from "./format.ts";
import { texts } from "./texts.ts";

export interface AttachmentItem {
  /** Tells it from the others of the list. */
  readonly key: string;
  readonly name: string;
  /** In bytes. */
  readonly length: number;
  /** How much of it is up or down, while it is on its way. */
  readonly transfer?: { readonly done: number; readonly total: number };
  /** Why it cannot be had, as it is said to a person. */
  readonly problem?: string;
}

/** Names, sizes and progress. With `onSave` each can be saved, with `onRemove` taken out. */
export function AttachmentList(list: { items: readonly AttachmentItem[]; onSave?: (item: AttachmentItem) => void; onRemove?: (item: AttachmentItem) => void }) {
  if (list.items.length === 0) {
    return null;
  }
  const said = texts().attachments;
  return (
    <ul class="mp-attachments" aria-label={said.title}>
      {list.items.map((item) => (
        <li key={item.key}>
          <span class="mp-name">{item.name}</span> <span class="mp-quiet">{formatSize(item.length)}</span>
          {item.transfer !== undefined && <Progress item={item} />}
          {item.problem !== undefined && <span class="mp-problem">{item.problem}</span>}
          {list.onSave !== undefined && (
            <button type="button" class="mp-small" aria-label={said.save(item.name)} disabled={item.transfer !== undefined} onClick={() => list.onSave?.(item)}>
              {texts().save}
            </button>
          )}
          {list.onRemove !== undefined && (
            <button type="button" class="mp-small" aria-label={said.remove(item.name)} onClick={() => list.onRemove?.(item)}>
              {texts().remove}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Progress({ item: { name, transfer } }: { item: AttachmentItem }) {
  const { done = 0, total = 0 } = transfer ?? {};
  return (
    <>
      <progress max={Math.max(total, 1)} value={done} aria-label={texts().attachments.progress(name)} />
      <span class="mp-quiet">{formatShare(total === 0 ? 0 : done / total)}</span>
    </>
  );
}

/** A place where files are dropped or chosen. What is in it can be anything; files dropped on it count too. */
export function FileDrop({ onFiles, children }: { onFiles: (files: readonly File[]) => void; children?: ComponentChildren }) {
  const input = useRef<HTMLInputElement>(null);
  const over = useMemo(() => signal(false), []);
  const said = texts().attachments;
  const take = (files: FileList | null | undefined) => {
    if (files !== null && files !== undefined && files.length > 0) {
      onFiles([...files]);
    }
  };
  return (
    <div
      class={over.value ? "mp-drop mp-over" : "mp-drop"}
      onDragOver={(event) => {
        // Else the browser would open the file in place of this page.
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => {
        over.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        take(event.dataTransfer?.files);
      }}
    >
      {children}
      <div class="mp-row">
        <button type="button" onClick={() => input.current?.click()}>
          {said.add}
        </button>
        <span class="mp-quiet">{said.drop}</span>
      </div>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={said.add}
        onChange={(event) => {
          take(event.currentTarget.files);
          // The same file can be chosen again.
          event.currentTarget.value = "";
        }}
      />
    </div>
  );
}

/** Lets the browser save a file under a name. */
export function saveFile(data: Blob, name: string): void {
  // Of a type that no browser opens by itself: an html file of a mail must not run as part of this origin.
  const url = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
