// The two hashes of a stub: the id that both ends find a mail by, and whom the mail was sent to.

import { hash as sha256 } from "@stablelib/sha256";

import type { StubId } from "./stub.ts";

/**
 * The stub id of a mail, from the message id (32 hexadecimal digits) that all who have the mail know. It tells nobody else which
 * message it is, and nothing new has to go with the mail.
 */
export function stubIdOf(messageId: string): StubId {
  return hex(sha256(labelled("medipeps outlook stub", messageId)).subarray(0, 16));
}

/** What stands in the header for the people of an item: who they are, in any order and spelling, bound to the stub. */
export function recipientsDigest(id: StubId, addresses: readonly string[]): string {
  const all = Array.from(new Set(addresses.map(canonical))).sort();
  return hex(sha256(labelled("medipeps outlook recipients", [id, ...all].join("\n"))));
}

/** An address as Medipeps compares it. */
export function canonical(address: string): string {
  return address.trim().toLowerCase();
}

/** One byte with the label's length, the label, the text, as everywhere in Medipeps. There is no TextEncoder in every runtime. */
function labelled(label: string, text: string): Uint8Array {
  const bytes = encodeURIComponent(text).replace(/%([0-9A-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  return Uint8Array.from(String.fromCharCode(label.length) + label + bytes, (character) => character.charCodeAt(0));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join("");
}
