// A real server, the built add-in on a static server, and people: each with an Outlook of `office/outlook.js` and a browser profile in
// which panes and handlers run.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { accessible, complaints, serve } from "../../ui/tests/stage.js";
import { ADDIN, modules } from "./modules.js";
import * as flavours from "./office/html.js";
import { Exchange, Outlook } from "./office/outlook.js";
import { bounded, officeScript, runBare } from "./office/runtime.js";

const { MEDIPEPS_SERVER: SERVER, MEDIPEPS_PACKAGE: PACKAGE } = process.env;
const SCREENSHOTS = new URL("../../../target/screenshots/office-addin/", import.meta.url).pathname;
const { chromium } = modules("playwright-core");
/** The server's certificate is its own; who it is, its key shows. */
const LAUNCH = {
  executablePath: process.env.MEDIPEPS_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--ignore-certificate-errors"],
};
const CDN = "https://appsforoffice.microsoft.com/**";
/** What README.md tells whoever deploys the add-in to send beside the pages' own policy. */
const HEADERS = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" };
/** Outlook's narrowest pane. */
const PANE = { width: 320, height: 720 };

export const DOMAIN = "clinic.example";

/** Everything that a test needs. `close` ends it. */
export class Place {
  /** @type {Person[]} */
  people = [];
  exchange = new Exchange();
  /** Web addresses that pages asked for, other than the add-in's own files. @type {string[]} */
  asked = [];

  /** With people who have accounts, by the first parts of their addresses. */
  static async open(...names) {
    const place = new Place();
    place.folder = mkdtempSync(join(tmpdir(), "medipeps-addin-"));
    place.web = await serve(ADDIN, () => HEADERS, (path) => {
      // The package by itself, in the add-in's origin: tests look at an account past the pane.
      if (path === "/package/") {
        return "<!doctype html><title>Account</title>";
      }
      if (path === "/outlook/") {
        return `<!doctype html><title>Outlook</title><iframe src="${place.web.origin}/taskpane.html" width="320" height="700"></iframe>`;
      }
      return path.startsWith("/package/") ? readFileSync(join(PACKAGE, path.slice("/package/".length))) : undefined;
    });
    place.office = officeScript();
    await place.start();
    place.browser = await chromium.launch(LAUNCH);
    for (const name of names) {
      place[name] = await place.person(name);
      await place[name].register();
    }
    return place;
  }

  /** Starts the server, at the address that it had before if it had one. */
  async start() {
    this.config = join(this.folder, "server.toml");
    writeFileSync(
      this.config,
      `domain = "${DOMAIN}"\nlisten = "${this.server ?? "127.0.0.1:0"}"\ndata_dir = "${join(this.folder, "data")}"\n` +
        `[transport]\nallowed_origins = ["${this.web.origin}"]\n`,
    );
    this.process = spawn(SERVER, ["run", "--config", this.config], { stdio: ["ignore", "pipe", "ignore"] });
    const lines = createInterface({ input: this.process.stdout });
    const said = await new Promise((resolve, reject) => {
      lines.once("line", resolve);
      this.process.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    this.server = /^listening on ([^,]+)/.exec(said)[1];
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

  /**
   * Somebody with a mailbox at Exchange, and no account yet. `address` if it is a second Outlook of somebody's. In a `profile` on the
   * disk frames of other sites have storage, as usual; else the window is private, and they have none.
   */
  async person(local, { address = `${local}@${DOMAIN}`, profile = false } = {}) {
    if (profile) {
      // As Chromium is where third parties may keep things.
      mkdirSync(join(this.folder, local, "Default"), { recursive: true });
      writeFileSync(join(this.folder, local, "Default/Preferences"), JSON.stringify({ profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }));
    }
    const context = profile
      ? await chromium.launchPersistentContext(join(this.folder, local), { ...LAUNCH, viewport: PANE })
      : await this.browser.newContext({ viewport: PANE });
    context.setDefaultTimeout(60_000);
    const person = new Person(this, address, context, `Dr ${local}`);
    await person.open();
    this.people.push(person);
    return person;
  }

  /** Fails with what Exchange or anybody else was given of these words, and with what the pages' policy refused. */
  clean(words) {
    assert.deepEqual(this.exchange.find(words), []);
    const asked = this.asked.join("\n").toLowerCase();
    assert.deepEqual(words.filter((word) => asked.includes(word.toLowerCase())), []);
    assert.deepEqual(this.people.flatMap(({ complaints }) => complaints.flat()), []);
  }

  async close() {
    this.people.forEach(({ outlook }) => outlook.close());
    await Promise.all(this.people.map(({ context }) => context.close()));
    await this.browser?.close();
    this.process?.kill();
    this.web?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A test that begins with empty mailboxes and no pane, and shows what every pane showed if it fails. @param {() => Place} place @param {() => Promise<void>} work */
export function scene(place, work) {
  return async () => {
    try {
      await Promise.all(place().people.map((person) => person.fresh()));
      await work();
    } catch (error) {
      for (const { context, address } of place().people) {
        for (const page of context.pages()) {
          console.log(`# ${address} sees: ${await page.innerText("body").catch(String)}`);
        }
      }
      throw error;
    }
  };
}

/** Somebody at a computer. */
class Person {
  /** What pages complained of, by page. @type {string[][]} */
  complaints = [];
  /** What runs for which item, and whether it is a handler. @type {Map<import("playwright-core").Page, { item: any, handler: boolean }>} */
  #runtimes = new Map();

  language = "en-US";
  flavour = flavours.web;

  constructor(place, address, context, signature) {
    this.place = place;
    this.address = address;
    this.context = context;
    const sendMode = /Type="OnMessageSend"[^>]* SendMode="(\w+)"/.exec(readFileSync(join(ADDIN, "manifest.xml"), "utf8"))[1];
    this.outlook = new Outlook(place.exchange, address, { flavour: this.flavour, signature, sendMode });
    this.outlook.handle = (name, item) => this.#handle(name, item);
    this.outlook.recipientsChanged = (item, changedRecipientFields) => {
      for (const [page, runtime] of this.#runtimes) {
        if (runtime.item === item && !runtime.handler) {
          page.evaluate((fields) => window.outlookRuntime?.fire("olkRecipientsChanged", { changedRecipientFields: fields }), changedRecipientFields).catch(() => {});
        }
      }
    };
  }

  async open() {
    await this.context.exposeBinding("outlookCall", ({ page }, name, values) => {
      const runtime = this.#runtimes.get(page);
      return this.outlook.call(runtime?.item, name, values, { handler: runtime?.handler ?? false });
    });
    await this.context.route(CDN, (route) => {
      const item = this.#runtimes.get(route.request().frame().page())?.item;
      const start = JSON.stringify(this.start(item));
      const glue = `window.outlookRuntime = officeMock.makeOffice(${start}, (name, values) => window.outlookCall(name, values)); window.Office = window.outlookRuntime.Office;`;
      return route.fulfill({ contentType: "text/javascript", body: `${this.place.office}\n${glue}` });
    });
    this.context.on("request", (request) => {
      if (!request.url().startsWith(this.place.web.origin)) {
        this.place.asked.push(`${request.url()} ${request.postData() ?? ""}`);
      }
    });
  }

  /** What a runtime is told of an item. */
  start(item) {
    const { state, mode = "none", from = "", id = "" } = item ?? {};
    return { mode, itemId: id, subject: state?.subject, from, to: state?.to, cc: state?.cc, mailbox: this.address, language: this.language, platform: this.flavour.platform, roaming: this.outlook.roaming };
  }

  /** A page of the add-in for an item. */
  async #page(name, item, handler) {
    const page = await this.context.newPage();
    this.complaints.push(complaints(page));
    this.#runtimes.set(page, { item, handler });
    page.once("close", () => this.#runtimes.delete(page));
    await page.goto(`${this.place.web.origin}/${name}`);
    return page;
  }

  /** The pane beside an item. */
  pane(item) {
    return this.#page("taskpane.html", item, false);
  }

  /** The pane as Outlook on the web has it: a frame in a page of another site. */
  async framed(item) {
    const page = await this.context.newPage();
    this.complaints.push(complaints(page));
    this.#runtimes.set(page, { item, handler: false });
    await page.goto(`${this.place.web.origin.replace("127.0.0.1", "localhost")}/outlook/`);
    return page.frameLocator("iframe");
  }

  /** Outlook shows another item, or none, beside a pinned pane. */
  async select(pane, item) {
    this.#runtimes.set(pane, { item, handler: false });
    await pane.evaluate((start) => window.outlookRuntime.select(officeMock.makeOffice(start, (name, values) => window.outlookCall(name, values))), this.start(item));
  }

  /** Runs a handler where this Outlook does: bare, or in a page of its own that is closed afterwards. */
  async #handle(name, item) {
    if (this.flavour === flavours.classic) {
      const script = readFileSync(join(ADDIN, "launchevent.js"), "utf8");
      return runBare(script, name, this.start(item), (call, values) => this.outlook.call(item, call, values, { handler: true }));
    }
    const page = await this.#page("launchevent.html", item, true);
    try {
      return await bounded(page.evaluate((handler) => window.outlookRuntime.run(handler), name), `${name} did not complete its event`);
    } finally {
      await page.close();
    }
  }

  /** No pane, no item, new Outlook in English. @param {{ language?: string, flavour?: keyof typeof flavours }} settings */
  async fresh({ language = "en-US", flavour = "web" } = {}) {
    await Promise.all(this.context.pages().map((page) => page.close()));
    this.outlook.items = [];
    this.language = language;
    this.flavour = flavours[flavour];
    this.outlook.flavour = this.flavour;
  }

  /** Makes an account in the pane, as a person does. */
  async register() {
    const pane = await this.pane(this.outlook.compose());
    await pane.getByRole("button", { name: "I have an invitation" }).click();
    await pane.getByLabel("Server").fill(this.place.server);
    await pane.getByLabel("Invitation code").fill(this.place.invite());
    await pane.getByRole("button", { name: "Make the account" }).click();
    await pane.getByRole("checkbox").check();
    await pane.getByRole("button", { name: "Continue" }).click();
    await pane.getByRole("heading", { name: "How does this mail go?" }).waitFor();
    await this.fresh();
  }

  /** A new item whose pane writes a protected mail. `{ item, pane }` */
  async write({ to = [], cc = [], subject = "", text = "", state = {} } = {}) {
    const item = this.outlook.compose({ to, cc, ...state });
    const pane = await this.pane(item);
    await pane.getByRole("button", { name: "Protected by Medipeps" }).click();
    await pane.getByRole("heading", { name: "Protected mail" }).waitFor();
    await pane.getByLabel("Subject").fill(subject);
    await pane.getByLabel("Text").fill(text);
    return { item, pane };
  }

  /** A page of the add-in's origin with the account as `client` and nothing of the pane's, while no pane has it. */
  async account() {
    const page = await this.context.newPage();
    await page.goto(`${this.place.web.origin}/package/`);
    await page.evaluate(async () => {
      const { Client } = await import("/package/client.js");
      window.client = await Client.open();
    });
    return page;
  }

  /** How many mails this account has received. */
  async received() {
    const page = await this.account();
    const count = await page.evaluate(async () => {
      await window.client.sync();
      return (await window.client.messages()).filter(({ sent }) => !sent).length;
    });
    await page.close();
    return count;
  }

  /** Sends what is written in a pane, in Medipeps and then in Outlook. */
  async send({ item, pane }) {
    await pane.getByRole("button", { name: "Send protected" }).click();
    await pane.getByText("Now press Send in Outlook").waitFor();
    assert.deepEqual(await this.outlook.send(item), { sent: true });
    await pane.close();
  }

  /** Keeps a picture of a pane, and holds it against axe. */
  async look(pane, name) {
    await accessible(pane, name);
    mkdirSync(SCREENSHOTS, { recursive: true });
    await pane.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  }
}

/** Waits for something of Outlook's. */
export async function until(condition) {
  for (let tries = 0; tries < 200; tries++) {
    if (condition()) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`it never came true: ${condition}`);
}
