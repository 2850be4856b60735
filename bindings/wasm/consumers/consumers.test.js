// Projects as others have them: built from the packed package, and run in Chromium under the strict policy against the real server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";

import { DOMAIN, Place } from "../tests/place.js";

const { MEDIPEPS_MODULES: PROJECTS, MEDIPEPS_PACKAGE: PACKAGE } = process.env;

for (const project of ["vite", "webpack", "esm"]) {
  test(`${project}: two accounts talk`, async () => {
    const place = await Place.open({ shortCertificate: true, folders: [join(PROJECTS, project, "dist")] });
    try {
      for (const transports of [["webtransport", "websocket"], ["websocket"]]) {
        const person = await place.person();
        const page = (person.page = await person.tab("/index.html", () => window.write !== undefined));
        const people = ["claire", "david"].map((name) => {
          return { address: `${name}-${transports.length}@${DOMAIN}`, invitation: place.invite() };
        });
        const options = { transports, certificateHashes: [place.certificateHash] };
        const text = await page.evaluate((task) => window.write(task), { server: place.server, people, options });
        assert.equal(text, "6.1 mmol/l");
        assert.deepEqual(person.complaints, []);
      }
    } finally {
      await place.close();
    }
  });
}

test("node: the package is imported, and says that it has no account there", () => {
  const said = JSON.parse(execFileSync(process.execPath, [join(PROJECTS, "node/main.js")], { encoding: "utf8" }));
  assert.deepEqual({ ...said, message: undefined }, { typed: true, name: "MedipepsError", code: "engine", reason: "no_browser", message: undefined });
  assert.match(said.message, /browser/);
});

test("the package is within its budget", () => {
  const budget = JSON.parse(readFileSync(new URL("../size.json", import.meta.url)));
  const wasm = readFileSync(join(PACKAGE, "medipeps_wasm_bg.wasm"));
  const sizes = { raw: wasm.length, gzip: gzipSync(wasm, { level: 9 }).length, brotli: brotliCompressSync(wasm).length };
  console.log(`# medipeps_wasm_bg.wasm: ${Object.entries(sizes).map(([kind, size]) => `${size} bytes ${kind}`).join(", ")}`);
  for (const [kind, most] of Object.entries(budget)) {
    assert.ok(sizes[kind] <= most, `${kind}: ${sizes[kind]} bytes, the budget is ${most}`);
    // A budget that nothing comes near says nothing.
    assert.ok(sizes[kind] >= most / 2, `${kind}: ${sizes[kind]} bytes, far below the budget of ${most}`);
  }
  // Names of functions are for whoever reads stack traces of development.
  assert.deepEqual(WebAssembly.Module.customSections(new WebAssembly.Module(wasm), "name"), []);
});
