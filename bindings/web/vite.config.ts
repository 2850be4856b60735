// Builds dist/: hashed files, and dist/hashes.txt for whoever compares what a server serves with what was published.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { type Plugin, defineConfig } from "vite";

/** The npm package `@medipeps/client`, as `cargo xtask package npm` makes it. */
const CLIENT = resolve(process.env["MEDIPEPS_PACKAGE"] ?? join(import.meta.dirname ?? __dirname, "../../target/package/npm/package"));

/** `sha256sum --check hashes.txt` holds a copy to it. What the operator writes himself is not in it. */
function hashes(): Plugin {
  let folder: string;
  return {
    name: "medipeps-hashes",
    apply: "build",
    configResolved: ({ root, build }) => {
      folder = resolve(root, build.outDir);
    },
    closeBundle: () => {
      const files = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !["hashes.txt", "settings.json"].includes(entry.name))
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
        .sort();
      const lines = files.map((file) => `${createHash("sha256").update(readFileSync(join(folder, file))).digest("hex")}  ${file}\n`);
      writeFileSync(join(folder, "hashes.txt"), lines.join(""));
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [hashes()],
  resolve: { alias: { "@medipeps/client": join(CLIENT, "client.js") } },
  worker: { format: "es" },
  build: {
    target: "es2022",
    // No data: addresses, which the policy would have to allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
  },
});
