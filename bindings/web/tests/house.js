// A practice with its server and its web client, and the people who use it by what they see.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { MODULES, accessible, complaints, serve } from "../../ui/tests/stage.js";
import { DOMAIN, Place } from "../../wasm/tests/place.js";

export { DOMAIN };

const { MEDIPEPS_PACKAGE: PACKAGE } = process.env;
/** Pages of the package's own tests, for people who send what the web client never would. */
const PACKAGE_PAGES = new URL("../../wasm/tests/", import.meta.url);
const SCREENSHOTS = new URL("../../../target/screenshots/web/", import.meta.url).pathname;
/** How long anything is waited for, in milliseconds. */
const PATIENCE = 120_000;
/** A practice's screen, and a narrow window. */
const WIDTHS = [1280, 400];

/** `close` ends it, and fails if a page has complained of anything. */
export class House {
  /** By page. */
  complaints = [];

  /** `settings`: more of `settings.json`, by the place. `options`: those of the package's tests. */
  static async open(settings = () => ({ transports: ["websocket"] }), options = {}) {
    const house = new House();
    house.place = await Place.open(options);
    house.settings = settings;
    house.site = await serve(
      join(MODULES, "web/dist"),
      () => ({ "content-security-policy": house.policy(), "permissions-policy": "camera=(self)", "x-content-type-options": "nosniff" }),
      (path) => house.#other(path),
    );
    // The server lets pages of this origin in, rather than those of the package's tests.
    await house.place.stop();
    house.place.origin = house.site.origin;
    await house.place.start();
    return house;
  }

  /** As README.md tells operators to set it. */
  policy() {
    const { server } = this.place;
    return [
      "default-src 'none'",
      "script-src 'self' 'wasm-unsafe-eval'",
      "worker-src 'self'",
      "style-src 'self'",
      "img-src 'self' data: blob:",
      "media-src 'self' blob:",
      `connect-src 'self' https://${server} wss://${server}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join("; ");
  }

  #other(path) {
    if (path === "/settings.json") {
      return JSON.stringify({ server: this.place.server, ...this.settings(this.place) });
    }
    if (path.startsWith("/page.")) {
      return readFileSync(new URL(`.${path}`, PACKAGE_PAGES));
    }
    if (/^\/(client|worker|medipeps_wasm|medipeps_wasm_bg|snippets)\b/.test(path)) {
      return readFileSync(join(PACKAGE, path));
    }
    return undefined;
  }

  /** Somebody with a browser profile of his own. `browser`: another browser than the others', with a camera for instance. */
  async person(locale = "en-GB", more = {}, browser = this.place.browser) {
    const context = await browser.newContext({ locale, reducedMotion: "reduce", viewport: { width: WIDTHS[0], height: 800 }, ...more });
    return new Person(this, context, locale);
  }

  /** Somebody who has made an account, and whose recovery key is confirmed. */
  async colleague(local, locale) {
    const person = await this.person(locale);
    await person.look();
    await person.register(local);
    return person;
  }

  async close() {
    await this.place?.close();
    this.site?.close();
    assert.deepEqual(this.complaints.flat(), []);
  }
}

const WORDS = {
  "en-GB": {
    create: "Create the account",
    invitation: "Invitation",
    address: "Address",
    name: "Your name",
    last: "The last 4 letters of the key",
    goOn: "Go on",
    mail: "Mail",
  },
  "fr-FR": {
    create: "Créer le compte",
    invitation: "Invitation",
    address: "Adresse",
    name: "Votre nom",
    last: "Les 4 derniers caractères de la clé",
    goOn: "Continuer",
    mail: "Messages",
  },
};

/** A person and his page. */
export class Person {
  constructor(house, context, locale) {
    this.house = house;
    this.context = context;
    // Nothing here is about time, and a machine that builds something else at once is slow.
    context.setDefaultTimeout(PATIENCE);
    this.words = WORDS[locale];
  }

  /** Another tab of the browser. */
  async tab(view = "") {
    const page = await this.context.newPage();
    this.house.complaints.push(complaints(page));
    await page.goto(`${this.house.site.origin}/${view}`);
    return page;
  }

  async look(view) {
    this.page = await this.tab(view);
  }

  /** Fills in the form of a first run. */
  async fillIn(local, invitation = this.house.place.invite()) {
    this.address = `${local}@${DOMAIN}`;
    const { page, words } = this;
    await page.getByLabel(words.invitation, { exact: true }).fill(invitation);
    await page.getByLabel(words.address, { exact: true }).fill(this.address);
    await page.getByLabel(words.name, { exact: true }).fill(`Dr ${local}`);
    await page.getByRole("button", { name: words.create }).click();
  }

  /** Makes an account, and gives its recovery key. */
  async register(local) {
    const { page, words } = this;
    await page.getByRole("button", { name: words.create }).click();
    await this.fillIn(local);
    const key = (await page.locator(".key").innerText()).replace(/\s/g, "");
    await page.getByLabel(words.last).fill(key.slice(-4));
    await page.getByRole("button", { name: words.goOn }).click();
    await this.ready();
    return key;
  }

  /** The account is open. */
  async ready() {
    await this.page.getByRole("navigation").waitFor();
  }

  /** Goes where the navigation says. */
  async go(area) {
    await this.page.getByRole("navigation").getByRole("link", { name: area }).click();
  }

  /** Writes a mail, and sends it by its button. */
  async write({ to, cc = [], subject, text, files = [] }) {
    const { page } = this;
    await this.go("Write");
    await this.recipients("To", to);
    if (cc.length > 0) {
      await page.getByRole("button", { name: "Add copies" }).click();
      await this.recipients("Copy to", cc);
    }
    await page.getByLabel("Subject").fill(subject);
    await page.getByRole("textbox", { name: "Text" }).fill(text);
    if (files.length > 0) {
      await page.locator("input[type=file]").setInputFiles(files);
    }
    await page.getByRole("button", { name: "Send", exact: true }).click();
  }

  async recipients(label, addresses) {
    await this.page.getByRole("combobox", { name: label, exact: true }).pressSequentially(`${addresses.join(" ")} `);
  }

  /** The row of a mail in the list. */
  row(subject) {
    const { page } = this;
    return page.locator(".rows a", { has: page.locator(".subject").getByText(subject, { exact: true }) });
  }

  /** Waits for a mail, and opens it. */
  async open(subject) {
    await this.row(subject).first().click();
    await this.page.getByRole("heading", { name: subject, exact: true }).waitFor();
  }

  /** Pictures of a view at both widths, and what axe finds on it. */
  async inspect(name) {
    const { page } = this;
    mkdirSync(SCREENSHOTS, { recursive: true });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${width}.png`) });
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `${name} is cut off at ${width}`);
      await accessible(page, `${name} at ${width}`);
    }
    await page.setViewportSize({ width: WIDTHS[0], height: 800 });
  }
}

/** Everything in a page's databases but the keys that no script can read, as one text of bytes. */
export function databases(page) {
  return page.evaluate(async () => {
    const answered = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const text = (value) => {
      if (value instanceof ArrayBuffer || value instanceof Uint8Array) {
        return new TextDecoder("latin1").decode(value);
      }
      if (typeof value !== "object" || value === null || value instanceof CryptoKey) {
        return String(value);
      }
      return Object.values(value).map(text).join("\n");
    };
    let all = "";
    for (const { name } of await indexedDB.databases()) {
      const database = await answered(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        all += (await answered(database.transaction(store).objectStore(store).getAll())).map(text).join("\n");
      }
      database.close();
    }
    return all;
  });
}

/** Somebody who calls the package by himself. */
export class Caller extends Person {
  async look() {
    await super.look("page.html");
    await this.page.waitForFunction(() => window.ready);
    await this.page.evaluate(() => window.open_account());
  }

  async register(local) {
    this.address = `${local}@${DOMAIN}`;
    const { server } = this.house.place;
    await this.call("create", { server, invitation: this.house.place.invite(), address: this.address, name: local });
  }

  call(method, ...values) {
    return this.page.evaluate(([method, values]) => window.client[method](...values), [method, values]);
  }
}
