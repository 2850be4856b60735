// Files of different versions meet where a browser has kept one of them from before, and so do databases. It is told.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Place } from "./place.js";

const { MEDIPEPS_PACKAGE: PACKAGE } = process.env;
const WASM = "medipeps_wasm_bg.wasm";
const { version: VERSION } = JSON.parse(readFileSync(join(PACKAGE, "package.json")));

let place;
let kept;
before(async () => {
  // What lies here is served instead of the package's own.
  kept = mkdtempSync(join(tmpdir(), "medipeps-kept-"));
  place = await Place.open({ folders: [kept, PACKAGE] });
});
after(async () => {
  await place?.close();
  rmSync(kept, { recursive: true, force: true });
});

/** What becomes of an account whose page finds this in place of a file. */
async function opened(name, bytes) {
  const file = join(kept, name);
  writeFileSync(file, bytes);
  try {
    const page = await (await place.person()).tab();
    return await page.evaluate(() => window.open_account().then(() => "opened", ({ code, reason, message }) => ({ code, reason, message })));
  } finally {
    rmSync(file);
  }
}

function otherVersion(name) {
  const text = readFileSync(join(PACKAGE, name), "latin1");
  assert.ok(text.includes(VERSION), name);
  return Buffer.from(text.replaceAll(VERSION, VERSION.replace(/.$/, "x")), "latin1");
}

test("what belongs together opens", async () => {
  assert.equal(await opened("beside.txt", ""), "opened");
});

test("a page, a Worker and WebAssembly of different versions are told apart", async () => {
  for (const name of ["client.js", "worker.js", WASM]) {
    const { code, reason, message } = await opened(name, otherVersion(name));
    assert.deepEqual({ code, reason }, { code: "engine", reason: "version" }, name);
    assert.match(message, /version .*load the page again/, name);
  }
});

test("a Worker that looks at no version is told apart", async () => {
  const worker = "self.onmessage = ({ data: { number } }) => self.postMessage({ number, result: undefined });";
  assert.equal((await opened("worker.js", worker)).reason, "version");
});

test("WebAssembly that does not fit its JavaScript is told apart", async () => {
  // A module that imports the function `b` of `a`.
  const module = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 0x61, 1, 0x62, 0, 0];
  const { code, reason } = await opened(WASM, Buffer.from(module));
  assert.deepEqual({ code, reason }, { code: "engine", reason: "version" });
});

test("WebAssembly that is none is told", async () => {
  const { code, reason, message } = await opened(WASM, "<!doctype html>");
  assert.deepEqual({ code, reason }, { code: "engine", reason: "wasm" });
  assert.match(message, /cannot be loaded: .*magic/);
});

test("an account that a later version has written is told, and left alone", async () => {
  const person = await place.person();
  await person.look();
  await person.register("nora");
  await person.call("close");
  const later = (version) =>
    person.page.evaluate(
      (version) =>
        new Promise((resolve, reject) => {
          const request = indexedDB.open("medipeps account", version);
          request.onsuccess = () => {
            const stores = [...request.result.objectStoreNames];
            request.result.close();
            resolve({ version: request.result.version, stores });
          };
          request.onerror = () => reject(request.error);
        }),
      version,
    );
  await later(7);
  // Twice: whoever is refused lets go of the account's lock.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const refused = await person.page.evaluate(() => window.open_account().then(() => "opened", ({ code, reason, message }) => ({ code, reason, message })));
    assert.deepEqual({ ...refused, message: undefined }, { code: "engine", reason: "version", message: undefined });
    assert.match(refused.message, /format 7.* format 2/);
  }
  assert.deepEqual(await later(), { version: 7, stores: ["copies", "head", "pieces", "records"] });
});
