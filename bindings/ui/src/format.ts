// Sizes and times as people read them.

import { language, locale, number } from "./language.ts";

const UNITS = { en: ["bytes", "KB", "MB", "GB"], fr: ["octets", "Ko", "Mo", "Go"] } as const;

/** A length in bytes, by thousands: `3.4 MB`, `3,4 Mo`. */
export function formatSize(bytes: number): string {
  const units = UNITS[language()];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(unit === 0 || value >= 100 ? Math.round(value) : value)}\u00a0${units[unit]}`;
}

/** A moment, in milliseconds since 1970: the time of today, the day and time of another day. */
export function formatTime(milliseconds: number, now = Date.now()): string {
  const moment = new Date(milliseconds);
  const today = moment.toDateString() === new Date(now).toDateString();
  const format: Intl.DateTimeFormatOptions = today
    ? { hour: "2-digit", minute: "2-digit" }
    : { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(locale(), format).format(moment);
}

/** Progress between 0 and 1 as a percentage, rounded down: 100 % is said when it is done. */
export function formatShare(share: number): string {
  return new Intl.NumberFormat(language(), { style: "percent" }).format(Math.floor(share * 100) / 100);
}
