// What is in Outlook's window beside the pane. Outlook tells when recipients change, and nothing else: the pane looks.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { Written } from "../launchevent/item.ts";
import type { ComposeItem } from "./item.ts";

/** In milliseconds. Nothing depends on it: the handler at Send looks again. */
const INTERVAL = 2_000;

/** The item as it is, and a way to look again at once. */
export function useWritten(item: ComposeItem): [Signal<Written | undefined>, () => Promise<void>] {
  const written = useSignal<Written | undefined>(undefined);
  const refresh = async () => {
    const now = await item.written();
    if (JSON.stringify(now) !== JSON.stringify(written.value)) {
      written.value = now;
    }
  };
  useEffect(() => {
    // The window may be closed under it.
    const look = () => void refresh().catch(() => {});
    look();
    item.onRecipients(look);
    addEventListener("focus", look);
    const timer = setInterval(look, INTERVAL);
    return () => {
      clearInterval(timer);
      removeEventListener("focus", look);
    };
  }, [item]);
  return [written, refresh];
}
