// Builds the add-in for one place: `npm run build -- --host https://outlook.clinic.example [--server mail.clinic.example:4433] [--no-decrypt] [--plain-mail]`.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { build } from "vite";

import { deployment, places } from "./manifest/source.js";
import { frenchTexts, unifiedManifest } from "./manifest/unified.js";
import { xmlManifest } from "./manifest/xml.js";
import { handler, pages } from "./vite.config.js";

const HERE = fileURLToPath(new URL(".", import.meta.url));

const { values } = parseArgs({
  options: {
    host: { type: "string" },
    /** What the pane proposes when an account is made or linked. */
    server: { type: "string", default: "" },
    version: { type: "string", default: "1.0.0" },
    /** Leaves `OnMessageDecrypt` out of the manifests: decrypted mail is shown in the pane alone. */
    "no-decrypt": { type: "boolean", default: false },
    /** Lets a person send mail that Medipeps does not protect, by two clicks in the pane; without it nothing but a stub leaves. */
    "plain-mail": { type: "boolean", default: false },
    out: { type: "string", default: "dist" },
  },
});
if (values.host === undefined) {
  console.error("error: --host https://… says where the add-in will be served");
  process.exit(2);
}
const place = deployment(values.host, values.version ?? "", values["no-decrypt"] !== true);
const out = resolve(values.out ?? "dist");

const plainMail = values["plain-mail"] === true;
await build(pages(HERE, out, { server: values.server ?? "", plainMail }));
await build(handler(HERE, out, { plainMail }));
writeFileSync(join(out, "manifest.xml"), xmlManifest(place));
writeFileSync(join(out, "manifest.json"), `${JSON.stringify(unifiedManifest(place), null, 2)}\n`);
writeFileSync(join(out, "manifest.fr.json"), `${JSON.stringify(frenchTexts(), null, 2)}\n`);
// Scripts that Outlook's handler runtimes may fetch from the host with the person's standing: only the handler itself.
mkdirSync(join(out, ".well-known"), { recursive: true });
writeFileSync(join(out, ".well-known/microsoft-officeaddins-allowed.json"), `${JSON.stringify({ allowed: [places(place).script] })}\n`);
writeFileSync(join(out, "hashes.txt"), hashes(out));

/** SHA-256 of every file, in the form that `sha256sum --check` reads. @param {string} folder */
function hashes(folder) {
  const all = files(folder).filter((file) => file !== "hashes.txt").sort();
  return all.map((file) => `${createHash("sha256").update(readFileSync(join(folder, file))).digest("hex")}  ${file}\n`).join("");
}

/** @param {string} folder @returns {string[]} */
function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)).map((file) => join(entry.name, file)) : [entry.name],
  );
}
