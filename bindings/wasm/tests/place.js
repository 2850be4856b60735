// A real server, the static server of a practice's web client, and browsers.

import { execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";

const { MEDIPEPS_SERVER: SERVER, MEDIPEPS_PACKAGE: PACKAGE, MEDIPEPS_MODULES: MODULES } = process.env;
const { chromium } = createRequire(join(MODULES, "index.js"))("playwright-core");

const KINDS = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const WORKERS = ["worker-without-webtransport", "without-webtransport", "worker-that-tells", "telling"];
const OWN = new Set(["/page.html", "/page.js", ...WORKERS.map((name) => `/${name}.js`)]);

/** The path of the package's module for networks: its folder has a name that wasm-bindgen makes. */
export function networkModule() {
  const [folder] = readdirSync(join(PACKAGE, "snippets"));
  return `/snippets/${folder}/js/network.js`;
}

/** How long anything is waited for, in milliseconds. Longer than a connection takes to be given up, and than a machine that builds something else. */
const PATIENCE = 120_000;

/** The domain of the server's accounts. */
export const DOMAIN = "clinic.example";

/** What a browser needs here, and what makes it take the server's own certificate over WebSocket: who it is, its key shows. */
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
const ANY_CERTIFICATE = "--ignore-certificate-errors";

/** Everything that a test needs. `close` ends it. */
export class Place {
  /** Other addresses that pages may connect to. */
  others = [];

  /**
   * - `transport`: lines for that section of the server's configuration.
   * - `folders`: what is served beside the tests' own pages, instead of the package.
   * - `shortCertificate`: the server's certificate is of the kind that a page may name by its hash, `place.certificateHash`.
   * - `anyCertificate`: whether the browser takes any certificate over WebSocket.
   */
  static async open({ transport = "", folders = [PACKAGE], shortCertificate = false, anyCertificate = true } = {}) {
    const place = new Place();
    place.folder = mkdtempSync(join(tmpdir(), "medipeps-pages-"));
    place.transport = transport;
    place.folders = folders;
    place.certificate = shortCertificate ? place.#certify() : "";
    await place.#serve();
    await place.start();
    place.browser = await chromium.launch({
      executablePath: process.env.MEDIPEPS_CHROMIUM ?? "/usr/bin/chromium",
      args: anyCertificate ? [...FLAGS, ANY_CERTIFICATE] : FLAGS,
    });
    return place;
  }

  /** Makes a certificate of P-256 for less than two weeks, and gives the lines of the configuration that name it. */
  #certify() {
    const [certificate, key] = ["certificate.pem", "key.pem"].map((name) => join(this.folder, name));
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "13"];
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    execFileSync("openssl", ["req", "-x509", ...kind, ...names, "-keyout", key, "-out", certificate], { stdio: "ignore" });
    this.certificateHash = new X509Certificate(readFileSync(certificate)).fingerprint256;
    return `certificate = "${certificate}"\nprivate_key = "${key}"\n`;
  }

  async #serve() {
    this.web = createServer((request, response) => {
      const path = new URL(request.url, "http://localhost").pathname;
      let body;
      try {
        const found = this.folders.map((folder) => join(folder, path)).find((file) => existsSync(file));
        body = readFileSync(OWN.has(path) ? new URL(`.${path}`, import.meta.url) : found);
      } catch {
        response.writeHead(404).end();
        return;
      }
      const policy = [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        `connect-src 'self' ${this.reached().flatMap((address) => [`https://${address}`, `wss://${address}`]).join(" ")}`,
        "worker-src 'self'",
      ];
      response.writeHead(200, {
        "content-type": KINDS[extname(path)] ?? "application/octet-stream",
        "content-security-policy": policy.join("; "),
      });
      // What a test lets happen in somebody's Worker beforehand.
      const prelude = /(?:^|; )prelude=([^;]*)/.exec(request.headers.cookie ?? "")?.[1];
      if (path === "/worker.js" && prelude !== undefined) {
        body = `${decodeURIComponent(prelude)}\n${body}`;
      }
      response.end(body);
    });
    await new Promise((resolve) => this.web.listen(0, "127.0.0.1", resolve));
    this.origin = `http://127.0.0.1:${this.web.address().port}`;
  }

  /** Starts the server, at the address that it had before if it had one. */
  async start() {
    this.config = join(this.folder, "server.toml");
    writeFileSync(
      this.config,
      `domain = "${DOMAIN}"\nlisten = "${this.server ?? "127.0.0.1:0"}"\ndata_dir = "${join(this.folder, "data")}"\n` +
        `${this.certificate}[transport]\nallowed_origins = ["${this.origin}"]\n${this.transport}\n`,
    );
    this.process = spawn(SERVER, ["run", "--config", this.config], { stdio: ["ignore", "pipe", "ignore"] });
    const lines = createInterface({ input: this.process.stdout });
    const said = await new Promise((resolve, reject) => {
      lines.once("line", resolve);
      this.process.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    this.server = /^listening on ([^,]+)/.exec(said)[1];
  }

  /** Where pages may connect to. */
  reached() {
    return [this.server, ...this.others];
  }

  /** Kills the server. */
  async stop() {
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
  }

  /** The code of a new invitation. */
  invite() {
    const words = ["admin", "invite", "--org", "Intensive care", "--config", this.config];
    return execFileSync(SERVER, words, { encoding: "utf8" }).trimEnd().split("\n").at(-1);
  }

  /** Somebody with a browser profile of his own, whose page opens the account with these options. */
  async person(options) {
    const context = await this.browser.newContext();
    context.setDefaultTimeout(PATIENCE);
    return new Person(this, context, options);
  }

  async close() {
    await this.browser?.close();
    this.process?.kill();
    this.web?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A person, and the page that he looks at. */
class Person {
  /** What the browser has complained of. */
  complaints = [];

  constructor(place, context, options) {
    this.place = place;
    this.context = context;
    this.options = options;
  }

  /** Another tab. */
  async tab(path = "/page.html", ready = () => window.ready) {
    const page = await this.context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" && message.text().includes("Content Security Policy")) {
        this.complaints.push(message.text());
      }
    });
    await page.goto(`${this.place.origin}${path}`);
    await page.waitForFunction(ready);
    return page;
  }

  async look() {
    this.page = await this.tab();
    await this.open();
  }

  async reload() {
    await this.page.reload();
    await this.page.waitForFunction(() => window.ready);
    await this.open();
  }

  open() {
    return this.page.evaluate((options) => window.open_account(options), this.options);
  }

  async register(local) {
    this.address = `${local}@${DOMAIN}`;
    const server = this.server ?? this.place.server;
    const created = await this.call("create", { server, invitation: this.place.invite(), address: this.address, name: local });
    this.recoveryKey = created.recoveryKey;
    return created;
  }

  /** Calls the account. An error comes back with its `code` and `reason`. */
  async call(method, ...values) {
    const { result, error } = await this.page.evaluate(
      async ([method, values]) => {
        try {
          return { result: await window.client[method](...values) };
        } catch ({ code, reason, message }) {
          return { error: { code, reason, message } };
        }
      },
      [method, values],
    );
    if (error !== undefined) {
      const { code, reason, message } = error;
      throw Object.assign(new Error(`${code}: ${message}`), { code, reason });
    }
    return result;
  }

  /** Waits until the account has told of such an event; every one counts once. Gives it back. */
  async event(type, details = {}) {
    const wanted = { type, ...details };
    const found = await this.page.waitForFunction(
      (wanted) => {
        const place = window.events.findIndex((event) =>
          Object.entries(wanted).every(([name, value]) => event[name] === value),
        );
        return place < 0 ? undefined : window.events.splice(place, 1)[0];
      },
      wanted,
      { timeout: PATIENCE, polling: 50 },
    );
    return found.jsonValue();
  }

  /** What was refused by the policy so far. */
  async violations() {
    return [...this.complaints, ...(await this.page.evaluate(() => window.violations))];
  }
}
