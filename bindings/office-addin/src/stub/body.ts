// Whether a body of HTML is the stub and nothing else, as Outlook gives it back: with its own wrapping, head and attributes.

import { type StubId, stubText } from "./stub.ts";

/** What Outlook puts around text. Whatever can show something else, a picture, a link, a table, is none of them. */
const ELEMENTS = new Set(["html", "head", "meta", "title", "style", "body", "div", "p", "span", "font", "br", "o:p"]);
/** Attributes that say how text looks. None of them can hold words that a person wrote. */
const ATTRIBUTES =
  /^(class|style|id|dir|lang|align|face|size|color|link|vlink|alink|text|bgcolor|type|http-equiv|charset|xmlns|xmlns:[a-z]+|xml:lang|data-o[gl][a-z-]*)$/;
const META_ATTRIBUTES = /^(name|content)$/;

const NAMED: { readonly [name: string]: string } = { nbsp: " ", amp: "&", lt: "<", gt: ">", quot: '"', eacute: "é" };

/** Whether the body is exactly the stub with this id. */
export function isStub(html: string, id: StubId): boolean {
  return wordsOf(html) === stubText(id);
}

/**
 * The text of a body that holds only text, its white space collapsed. `undefined` if there may be anything else in it: it is
 * better to stop a stub that Outlook has changed than to let go what a person wrote.
 */
export function wordsOf(html: string): string | undefined {
  const plain = withoutTags(withoutStyles(html));
  const words = plain === undefined ? undefined : decoded(plain);
  return words === undefined ? undefined : collapsed(words);
}

/** White space of every kind becomes one space. */
export function collapsed(text: string): string {
  return text.replace(/[\s\u00a0\u200b\ufeff]+/g, " ").trim();
}

/** Without the style sheets and conditional comments that Word writes. */
function withoutStyles(html: string): string {
  return html
    .replace(/<!doctype[^<>]*>/i, "")
    .replace(/<style\b[^<>]*>[^<]*(?:<!--[^<]*-->[^<]*)?<\/style>/gi, "")
    .replace(/<!--\[if [^\]]*\]>[^]*?<!\[endif\]-->/gi, "");
}

function withoutTags(html: string): string | undefined {
  let allowed = true;
  const text = html.replace(/<(\/?)([a-z][a-z0-9:]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>/gi, (_, _end, name: string, attributes: string) => {
    allowed = allowed && ELEMENTS.has(name.toLowerCase()) && areHarmless(name.toLowerCase(), attributes);
    return /^(p|div|br|o:p)$/i.test(name) ? " " : "";
  });
  // A comment or anything half open is left.
  return allowed && !/[<>]/.test(text) ? text : undefined;
}

function areHarmless(element: string, attributes: string): boolean {
  let harmless = true;
  const rest = attributes.replace(/\s*([^\s=>"'/]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?/g, (_, name: string, value: string | undefined) => {
    const known = ATTRIBUTES.test(name.toLowerCase()) || (element === "meta" && META_ATTRIBUTES.test(name.toLowerCase()));
    harmless = harmless && known && !/url\s*\(/i.test(value || "");
    return "";
  });
  return harmless && /^[\s/]*$/.test(rest);
}

/** `undefined` if there is an entity that no stub has. */
function decoded(text: string): string | undefined {
  let known = true;
  const words = text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));?/gi, (_, decimal: string, hex: string, name: string) => {
    if (name !== undefined) {
      const character = NAMED[name];
      known = known && character !== undefined;
      return character || "";
    }
    const code = decimal === undefined ? parseInt(hex, 16) : parseInt(decimal, 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : "";
  });
  return known ? words : undefined;
}
