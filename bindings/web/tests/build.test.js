// What `npm run build` has made, as whoever deploys it finds it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { MODULES } from "../../ui/tests/stage.js";

const DIST = join(MODULES, "web/dist");

test("hashes.txt has every file, and the files are what it says", () => {
  const lines = readFileSync(join(DIST, "hashes.txt"), "utf8").trimEnd().split("\n");
  const hashed = lines.map((line) => line.split("  ")[1]).sort();
  const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(DIST.length + 1));
  assert.deepEqual(hashed, files.filter((file) => !["hashes.txt", "settings.json"].includes(file)).sort());
  for (const line of lines) {
    const [hash, file] = line.split("  ");
    assert.equal(createHash("sha256").update(readFileSync(join(DIST, file))).digest("hex"), hash, file);
  }
});

test("names of what is cached have the content's hash in them, and nothing is inline", () => {
  const index = readFileSync(join(DIST, "index.html"), "utf8");
  assert.doesNotMatch(index, /<script>|<style|style=|onload=/);
  assert.match(index, /http-equiv="content-security-policy" content="default-src 'none'; script-src 'self' 'wasm-unsafe-eval'/);
  for (const [, file] of index.matchAll(/(?:src|href)="\.\/([^"]+)"/g)) {
    assert.ok(file === "icon.svg" || /^assets\/.+-[\w-]{8}\.(js|css)$/.test(file), file);
  }
  const assets = readdirSync(join(DIST, "assets"));
  assert.equal(assets.filter((file) => file.endsWith(".wasm")).length, 1);
  assert.ok(assets.every((file) => /-[\w-]{8}\.\w+$/.test(file)));
});
