// Which view is shown: the part of the address after `#`, so that the browser's own back and forward work and no server hears of it.

import { computed, signal } from "@preact/signals";

export type Area = "mail" | "write" | "groups" | "contacts" | "devices" | "settings";
const AREAS: readonly Area[] = ["mail", "write", "groups", "contacts", "devices", "settings"];

export interface Route {
  readonly area: Area;
  /** What is open in it: an id, an address, `new`. */
  readonly rest: readonly string[];
}

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export const route = computed<Route>(() => {
  const [area = "", ...rest] = hash.value.replace(/^#\/?/, "").split("/").map(decoded);
  return AREAS.some((known) => known === area) ? { area: area as Area, rest } : { area: "mail", rest: [] };
});

/** The address of a view, for links. */
export function hrefTo(area: Area, ...rest: readonly string[]): string {
  return `#/${[area, ...rest.map(encodeURIComponent)].join("/")}`;
}

export function goTo(area: Area, ...rest: readonly string[]): void {
  location.hash = hrefTo(area, ...rest);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // Typed by hand.
    return part;
  }
}
