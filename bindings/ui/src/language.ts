// Which language a page speaks, and the texts of it.

import { computed, signal } from "@preact/signals";

export type Language = "en" | "fr";

/** What each language calls itself. */
export const LANGUAGES: Readonly<Record<Language, string>> = { en: "English", fr: "Français" };

/** The first of some language tags (`fr-CA`) that there are texts for; English if there are none. */
export function bestLanguage(tags: readonly string[]): Language {
  for (const tag of tags) {
    const primary = tag.toLowerCase().split("-")[0];
    if (primary === "en" || primary === "fr") {
      return primary;
    }
  }
  return "en";
}

const current = signal<Language>(bestLanguage(navigator.languages));

/** The language now. What a component reads from here it renders again when the language changes. */
export function language(): Language {
  return current.value;
}

/** Switches the language of the page, and tells it to screen readers. */
export function setLanguage(to: Language): void {
  current.value = to;
  document.documentElement.lang = to;
}

/** A text, or a text with values in it. */
export type Text = string | ((...values: never[]) => string);
export interface Texts {
  readonly [key: string]: Text | Texts;
}

/** The same keys, with the same values in the texts, in another language. */
export type Translation<T> = {
  readonly [K in keyof T]: T[K] extends string ? string : T[K] extends (...values: infer V) => string ? (...values: V) => string : Translation<T[K]>;
};

/** Texts by language. The English ones say which there are; the compiler holds the others to them. */
export function catalogue<T extends Texts>(en: T, fr: NoInfer<Translation<T>>): () => Translation<T> {
  const texts = computed(() => ({ en, fr })[current.value] as Translation<T>);
  return () => texts.value;
}

/** `one` or `other` as the language counts: French says "0 message", English "0 messages". */
export function counted(tag: Language, count: number, one: string, other: string): string {
  return `${number(count, tag)} ${new Intl.PluralRules(tag).select(count) === "one" ? one : other}`;
}

/** The language as people write it where the browser is: `en-GB` has 24 hours, `en-US` has not. */
export function locale(): string {
  return navigator.languages.find((tag) => bestLanguage([tag]) === current.value && tag.toLowerCase().startsWith(current.value)) ?? current.value;
}

/** A number as the language writes it. */
export function number(value: number, tag: Language = current.value): string {
  return new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }).format(value);
}
