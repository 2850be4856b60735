// What tests of built pages stand on: a static server with a policy, Chromium, and axe.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";

/** Where `npm ci` was, and where the pages are built: a copy of `bindings` in the target folder, or `bindings` itself. */
export const MODULES = process.env.MEDIPEPS_MODULES ?? new URL("../..", import.meta.url).pathname;
const modules = createRequire(join(MODULES, "package.json"));
const { chromium } = modules("playwright-core");

const KINDS = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".json": "application/json",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};

/**
 * Serves a folder over loopback, as any static server would. `headers` is asked for each answer, `other(path)` for what is not to come
 * from the folder. `asked` are the paths that were requested, in order.
 */
export async function serve(folder, headers, other = () => undefined) {
  const asked = [];
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    asked.push(path);
    let body;
    try {
      body = other(path) ?? readFileSync(join(folder, path.endsWith("/") ? `${path}index.html` : path));
    } catch {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": KINDS[extname(path)] ?? "text/html; charset=utf-8", ...headers() }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, asked, close: () => server.close() };
}

/** Debian's Chromium. */
export function browser(...more) {
  return chromium.launch({
    executablePath: process.env.MEDIPEPS_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", ...more],
  });
}

/** Everything that a page complains of: what the policy refused, errors of scripts. It grows; look at it at the end. */
export function complaints(page) {
  const all = [];
  page.on("console", (message) => {
    if (message.type() === "error" && message.text().includes("Content Security Policy")) {
      all.push(message.text());
    }
  });
  page.on("pageerror", (error) => all.push(String(error)));
  return all;
}

const AXE = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

/** Fails with what axe finds on a page: WCAG 2.2 A and AA, and its best practices. */
export async function accessible(page, what) {
  // The debugger may do what the page's policy forbids to the page.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], iframes: false }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html }) => `    ${html}`).join("\n")}`);
  assert.deepEqual(found, [], `axe: ${what}`);
}
