// Outlook and the Exchange behind it, as far as an add-in sees them. Exchange writes down every state of every item that reaches it:
// at every call that changes one, at every save, and whenever Outlook saves by itself.

import { randomUUID } from "node:crypto";

import { textOf } from "./html.js";

/** How often Outlook saves by itself here, in milliseconds: often, so that nothing slips through in between. */
const AUTOSAVE = 25;

/**
 * @typedef {{ id: string, name: string, content: string, isInline: boolean }} Attached `content` in base64.
 * @typedef {{ subject: string, html: string, to: string[], cc: string[], bcc: string[], attachments: Attached[], headers: Record<string, string>, custom: Record<string, unknown>, session: Record<string, unknown> }} State
 * @typedef {{ decrypted?: { html: string, attachments: { name: string, content: string }[], contextData: unknown } }} View
 */

/** What Microsoft has. */
export class Exchange {
  /** @type {{ cause: string, what: string }[]} */
  kept = [];
  /** @type {Map<string, Outlook>} */
  mailboxes = new Map();

  /** @param {string} cause @param {unknown} what */
  keep(cause, what) {
    const text = JSON.stringify(what);
    if (this.kept.at(-1)?.what !== text) {
      this.kept.push({ cause, what: text });
    }
  }

  /** Where some words lie, in the clear or in base64. @param {readonly string[]} words */
  find(words) {
    const found = [];
    for (const { cause, what } of this.kept) {
      // Whatever looks like base64 may be a file.
      const files = what.match(/[A-Za-z0-9+/]{24,}={0,2}/g) ?? [];
      const all = [what, ...files.map((file) => Buffer.from(file, "base64").toString("utf8"))].join("\n").toLowerCase();
      found.push(...words.filter((word) => all.includes(word.toLowerCase())).map((word) => `${word}: ${cause}`));
    }
    return found;
  }
}

/** An item in somebody's Outlook. */
export class Item {
  /** By Exchange; not there before the first save. @type {string | undefined} */
  id;
  /** What the last save gave Exchange. @type {State | undefined} */
  saved;
  open = true;
  /** @type {View} */
  view = {};

  /** @param {"compose" | "read"} mode @param {State} state @param {{ composeType?: string, from?: string, contextData?: unknown }} more */
  constructor(mode, state, { composeType = "newMail", from = "", contextData } = {}) {
    this.mode = mode;
    this.state = state;
    this.composeType = composeType;
    this.from = from;
    this.contextData = contextData;
  }
}

/** Somebody's Outlook. */
export class Outlook {
  /** @type {Item[]} */
  items = [];
  /** What the add-in keeps in the mailbox, readable there. @type {Record<string, unknown>} */
  roaming = {};
  /** Runs one of the add-in's handlers for an item. Set by whoever has the add-in. @type {(name: string, item: Item) => Promise<any>} */
  handle = () => Promise.reject(new Error("the add-in could not be loaded"));
  /** Tells the panes of an item that its recipients have changed. @type {(item: Item, fields: Record<string, boolean>) => void} */
  recipientsChanged = () => {};

  /**
   * @param {Exchange} exchange
   * @param {string} address
   * @param {{ flavour: typeof import("./html.js").web, signature?: string, sendMode: string }} settings `sendMode` is the manifest's.
   */
  constructor(exchange, address, { flavour, signature = "", sendMode }) {
    this.exchange = exchange;
    this.address = address;
    this.flavour = flavour;
    this.signature = signature;
    this.sendMode = sendMode;
    // A second Outlook of somebody gets what is put into it.
    if (!exchange.mailboxes.has(address)) {
      exchange.mailboxes.set(address, this);
    }
    this.timer = setInterval(() => this.items.filter(({ open, mode }) => open && mode === "compose").forEach((item) => this.#save(item, "autosave")), AUTOSAVE);
  }

  close() {
    clearInterval(this.timer);
  }

  /** A new mail, as by the button; the window has the signature in it. @param {Partial<State>} state */
  compose(state = {}, composeType = "newMail") {
    const item = new Item("compose", { ...empty(), html: `<p>${this.signature}</p>`, ...state }, { composeType });
    this.items.push(item);
    return item;
  }

  /**
   * Outlook's own button: quotes what it shows, decrypted if it is. Runs the handler as the manifest says, then saves by itself.
   * @param {Item} received
   * @param {"reply" | "replyAll" | "forward"} how
   */
  async answer(received, how) {
    const { state, view } = received;
    const quoted = `<p></p><div><p>De : ${received.from}</p>${view.decrypted?.html ?? state.html}</div>`;
    const files = view.decrypted?.attachments ?? state.attachments;
    const others = [...state.to, ...state.cc].filter((address) => address !== this.address);
    const to = how === "forward" ? [] : how === "reply" ? [received.from] : [received.from, ...others];
    const attachments = how === "forward" ? files.map(({ name, content }) => ({ id: randomUUID(), name, content, isInline: false })) : [];
    const subject = `${how === "forward" ? "TR" : "RE"} : ${state.subject}`;
    const item = new Item(
      "compose",
      { ...empty(), subject, html: quoted, to, attachments },
      { composeType: how === "forward" ? "forward" : "reply", contextData: view.decrypted?.contextData },
    );
    // Outlook runs the handlers of a new item before it saves it the first time; a real one may be faster.
    await this.handle("onNewMessageCompose", item).catch(() => {});
    this.items.push(item);
    return item;
  }

  /** Somebody opens a received item: where the manifest's header is, the add-in decrypts it in place. @param {Item} received */
  async show(received) {
    const answer = await this.handle("onMessageDecrypt", received);
    if (answer.allowEvent) {
      const html = answer.emailBody?.content ?? "";
      received.view.decrypted = { html, attachments: answer.attachments ?? [], contextData: answer.contextData };
    }
    return answer;
  }

  /** The Send button. @param {Item} item @returns {Promise<{ sent: boolean, message?: string, command?: string, failed?: string }>} */
  async send(item) {
    this.#save(item, "send");
    let answer;
    try {
      answer = await this.handle("onMessageSend", item);
    } catch (error) {
      // `Block`: what the add-in did not pass stays. `SoftBlock` would let it go.
      return this.sendMode === "Block" ? { sent: false, failed: String(error) } : this.#deliver(item);
    }
    return answer.allowEvent === true ? this.#deliver(item) : { sent: false, message: answer.errorMessage, command: answer.commandId };
  }

  /** What somebody does in Outlook's own window. @param {Item} item @param {(state: State) => void} change */
  edit(item, change) {
    const people = () => JSON.stringify([item.state.to, item.state.cc, item.state.bcc]);
    const before = people();
    change(item.state);
    this.exchange.keep("edited in Outlook", item.state);
    if (people() !== before) {
      this.recipientsChanged(item, { to: true, cc: true, bcc: true });
    }
  }

  /** The mails that came. */
  get inbox() {
    return this.items.filter(({ mode }) => mode === "read");
  }

  /**
   * One call of Office.js's. A handler sees what was saved, a pane what is there.
   * @param {Item | undefined} item
   * @param {string} name
   * @param {any[]} values
   * @param {{ handler?: boolean }} from
   * @returns {Promise<unknown>}
   */
  async call(item, name, values, { handler = false } = {}) {
    if (name === "displayNewMessageForm") {
      return this.#newMessageForm(values[0]);
    }
    if (name === "roaming.set") {
      this.roaming[values[0]] = values[1];
      this.exchange.keep(name, this.roaming);
      return undefined;
    }
    if (name === "roaming.save") {
      return undefined;
    }
    if (item === undefined || !item.open) {
      throw new Error("the item is closed");
    }
    if (name === "headers.get") {
      const headers = (handler ? item.saved : item.state)?.headers ?? {};
      return Object.fromEntries(values[0].filter((/** @type {string} */ name) => name in headers).map((/** @type {string} */ name) => [name, headers[name]]));
    }
    const changed = await this.#itemCall(item, name, values);
    if (item.mode === "compose" && this.items.includes(item) && /set|add|remove/.test(name)) {
      this.exchange.keep(name, item.state);
    }
    return changed;
  }

  /** @param {Item} item @param {string} name @param {any[]} values */
  async #itemCall(item, name, [first, second]) {
    const { state } = item;
    const [field, verb] = name.split(".");
    switch (field) {
      case "body":
        return verb === "set" ? void (state.html = first) : this.#body(item, first);
      case "subject":
        return verb === "set" ? void (state.subject = first) : state.subject;
      case "to":
      case "cc":
      case "bcc":
        return this.#recipients(item, field, verb ?? "", first);
      case "headers":
        return this.#headers(item, verb ?? "", first);
      case "attachments":
        return attachmentCall(state, verb ?? "", first);
      case "session":
        return verb === "set" ? void (state.session[first] = second) : state.session[first];
      case "customProperties":
        return { get: () => undefined };
      case "save":
        return this.#save(item, "saveAsync");
      case "composeType":
        return { composeType: item.composeType, coercionType: "html" };
      case "initializationContext":
        return item.contextData;
      case "disableSignature":
        return undefined;
      default:
        throw new Error(`${name} is not known here`);
    }
  }

  /** @param {Item} item @param {string} type */
  #body(item, type) {
    const html = item.mode === "read" && item.view.decrypted !== undefined ? item.view.decrypted.html : item.state.html;
    const wrapped = this.flavour.wrap(html);
    return type === "text" ? textOf(wrapped) : wrapped;
  }

  /** @param {Item} item @param {"to" | "cc" | "bcc"} field @param {string} verb @param {any[]} people */
  #recipients(item, field, verb, people) {
    const addresses = (people ?? []).map((person) => (typeof person === "string" ? person : person.emailAddress));
    if (verb === "get") {
      return item.state[field].map((emailAddress) => ({ emailAddress, displayName: emailAddress, recipientType: "externalUser" }));
    }
    item.state[field] = verb === "add" ? [...item.state[field], ...addresses] : addresses;
    this.recipientsChanged(item, { [field]: true });
    return undefined;
  }

  /** @param {Item} item @param {string} verb @param {any} what */
  #headers(item, verb, what) {
    if (verb === "all") {
      return Object.entries(item.state.headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    }
    if (verb === "remove") {
      what.forEach((/** @type {string} */ name) => delete item.state.headers[name]);
    } else if (item.id !== undefined) {
      // Before the first save there is nothing to keep them in: they are lost, and nobody is told.
      Object.assign(item.state.headers, what);
    }
    return undefined;
  }

  /** @param {Item} item @param {string} cause */
  #save(item, cause) {
    item.id ??= randomUUID();
    item.saved = structuredClone(item.state);
    this.exchange.keep(cause, item.saved);
    return item.id;
  }

  /** @param {{ toRecipients?: string[], ccRecipients?: string[], subject?: string, htmlBody?: string }} form */
  async #newMessageForm({ toRecipients = [], ccRecipients = [], subject = "", htmlBody = "" }) {
    const html = `${htmlBody}<p>${this.signature}</p>`;
    const item = new Item("compose", { ...empty(), to: toRecipients, cc: ccRecipients, subject, html });
    this.items.push(item);
    this.#save(item, "displayNewMessageForm");
    await this.handle("onNewMessageCompose", item).catch(() => {});
  }

  /** @param {Item} item */
  #deliver(item) {
    this.#save(item, "sent");
    item.open = false;
    for (const address of new Set([...item.state.to, ...item.state.cc, ...item.state.bcc])) {
      const outlook = this.exchange.mailboxes.get(address);
      const received = new Item("read", { ...structuredClone(item.state), bcc: [] }, { from: this.address });
      received.id = randomUUID();
      outlook?.items.push(received);
    }
    return { sent: true };
  }
}

/** @returns {State} */
function empty() {
  return { subject: "", html: "", to: [], cc: [], bcc: [], attachments: [], headers: {}, custom: {}, session: {} };
}

/** @param {State} state @param {string} verb @param {string} id */
function attachmentCall(state, verb, id) {
  if (verb === "list") {
    return state.attachments.map(({ id, name, content, isInline }) => ({ id, name, isInline, size: Buffer.from(content, "base64").length, attachmentType: "file" }));
  }
  const found = state.attachments.find((attachment) => attachment.id === id);
  if (found === undefined) {
    throw new Error("there is no such attachment");
  }
  if (verb === "content") {
    return { content: found.content, format: "base64" };
  }
  state.attachments = state.attachments.filter((attachment) => attachment !== found);
  return undefined;
}
