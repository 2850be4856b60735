// Where handlers run: the bare runtime of classic Outlook on Windows. And office.ts for it and for pages, compiled once.

import { fileURLToPath } from "node:url";
import vm from "node:vm";

import { modules } from "../modules.js";

const { buildSync } = modules("esbuild");

/** office.ts as a script that puts `officeMock` into the page. */
export function officeScript() {
  const entryPoints = [fileURLToPath(new URL("./office.ts", import.meta.url))];
  const { outputFiles } = buildSync({ entryPoints, write: false, format: "iife", globalName: "officeMock", target: "es2022" });
  return outputFiles[0].text;
}

/** office.ts in Node. @type {typeof import("./office.ts")} */
export const office = vm.runInThisContext(`${officeScript()}\nofficeMock`);

/** What a runtime of ES2016 without a browser does not have. */
const MISSING = [
  "Intl BigInt BigInt64Array BigUint64Array WebAssembly SharedArrayBuffer Atomics WeakRef FinalizationRegistry AggregateError globalThis console",
  "Object.entries Object.values Object.fromEntries Object.getOwnPropertyDescriptors Object.hasOwn Array.fromAsync Promise.allSettled Promise.any",
  "Array.prototype.flat Array.prototype.flatMap Array.prototype.at String.prototype.padStart String.prototype.padEnd String.prototype.trimStart",
  "String.prototype.trimEnd String.prototype.matchAll String.prototype.replaceAll String.prototype.at Promise.prototype.finally",
].join(" ");

/**
 * Runs launchevent.js as classic Outlook on Windows does: a fresh runtime with `Office` and nothing else, without `onReady`, and the
 * handler called by its name. Gives what the event was completed with.
 * @param {string} script
 * @param {string} name
 * @param {import("./office.ts").Start} start
 * @param {import("./office.ts").Call} call
 */
export async function runBare(script, name, start, call) {
  const { Office, run } = office.makeOffice(start, call);
  const { onReady, ...rest } = Office;
  // There is an `onReady`, but it never calls anybody.
  const context = vm.createContext({ Office: { ...rest, onReady: () => new Promise(() => {}) } });
  vm.runInContext(
    MISSING.split(" ")
      .map((path) => `delete ${path};`)
      .join("\n"),
    context,
  );
  vm.runInContext(script, context, { filename: "launchevent.js" });
  return JSON.parse(JSON.stringify(await bounded(run(name), `${name} did not complete its event`)));
}

/** Outlook ends a handler after five minutes; a test after ten seconds. @param {Promise<unknown>} promise @param {string} message */
export function bounded(promise, message) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), 10_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
