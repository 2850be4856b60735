// What a person is told when something was not done.

import type { ErrorCode } from "@medipeps/client";

import { texts } from "./texts.ts";

/** The fields of a `MedipepsError` that decide what is said. */
export interface Failure {
  readonly code: ErrorCode;
  readonly reason?: string;
}

/** Whether an error is one of the package's. By its fields: it may come from another copy of the package. */
export function isFailure(error: unknown): error is Failure & Error {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code in texts().errors;
}

/**
 * What to tell a person. The reason decides if there is a text for it, then the code. What the message says is in English and for
 * logs; it is shown only where it is all that there is.
 */
export function errorText(error: unknown): string {
  if (!isFailure(error)) {
    return texts().unexpected(error instanceof Error ? error.message : String(error));
  }
  const reason = reasonText(error.reason);
  if (reason !== undefined) {
    return reason;
  }
  const text = texts().errors[error.code];
  return typeof text === "function" ? text(error.reason ?? error.message) : text;
}

/** The text for a reason of the server or of the package, if there is one. */
export function reasonText(reason: string | undefined): string | undefined {
  const all: Readonly<Record<string, string>> = texts().reasons;
  return reason !== undefined && Object.hasOwn(all, reason) ? all[reason] : undefined;
}
