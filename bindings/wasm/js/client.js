// What a page imports: an account that lives in a Worker of its own.

/** Why something was not done. `code` is for programs: see `client.d.ts`. */
export class MedipepsError extends Error {
  constructor({ code, reason, message }) {
    super(message);
    this.name = "MedipepsError";
    this.code = code;
    this.reason = reason;
  }
}

/** Of this package. The Worker and the WebAssembly must be of the same one. */
const VERSION = "0.1.0";
/** What a page may take, in the order in which it is tried. */
const TRANSPORTS = ["webtransport", "websocket"];

/** An account of this browser. */
export class Client extends EventTarget {
  #worker;
  #calls = new Map();
  #number = 0;
  #ended;

  constructor(worker) {
    super();
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#hear(data);
    worker.onerror = (event) => {
      this.#end({ code: "internal", message: event.message ?? "the Worker cannot be loaded" });
    };
  }

  static async open(name = "account", { transports = TRANSPORTS, certificateHashes = [], worker: place, wasm } = {}) {
    if (typeof Worker === "undefined") {
      const message = "an account lives in a page of a browser, and there is no Worker here: open it where the page runs";
      throw new MedipepsError({ code: "engine", reason: "no_browser", message });
    }
    const worker =
      place === undefined
        ? // Written so that bundlers see the Worker.
          new Worker(new URL("./worker.js", import.meta.url), { type: "module" })
        : new Worker(place, { type: "module" });
    const client = new Client(worker);
    try {
      // The Worker lies elsewhere than the page.
      const absolute = wasm === undefined ? undefined : new URL(wasm, location.href).href;
      const version = await client.#call("open", name, { version: VERSION, transports, certificateHashes, wasm: absolute });
      if (version !== VERSION) {
        // A Worker of before this was asked for does not look.
        const message = `the page is of version ${VERSION}, its Worker of another one: load the page again`;
        throw new MedipepsError({ code: "engine", reason: "version", message });
      }
    } catch (error) {
      worker.terminate();
      throw error;
    }
    return client;
  }

  create({ server, invitation, address, name }) {
    return this.#call("create", server, invitation, address, name);
  }

  recover({ server, address, name, recoveryKey }) {
    return this.#call("recover", server, address, name, recoveryKey);
  }

  account() {
    return this.#call("account");
  }

  async address() {
    return (await this.account())?.address;
  }

  sync(milliseconds = 0) {
    return this.#call("sync", milliseconds);
  }

  startReceiving() {
    return this.#call("startReceiving");
  }

  stopReceiving() {
    return this.#call("stopReceiving");
  }

  async send({ attachments = [], ...draft }) {
    return this.#call("send", draft, attachments.map(enclosed));
  }

  messages() {
    return this.#call("messages");
  }

  read(id) {
    return this.#call("read", id);
  }

  attachment(id, index) {
    return this.#call("attachment", id, index);
  }

  contacts() {
    return this.#call("contacts");
  }

  addContact(address, { acceptNewKey = false } = {}) {
    return this.#call("addContact", address, acceptNewKey);
  }

  verifyContact(address, digitsOrCode) {
    return this.#call("verifyContact", address, digitsOrCode);
  }

  forgetVerification(address) {
    return this.#call("forgetVerification", address);
  }

  block(address, blocked) {
    return this.#call("block", address, blocked);
  }

  accept(address) {
    return this.#call("accept", address);
  }

  groups() {
    return this.#call("groups");
  }

  createGroup(group) {
    return this.#call("createGroup", group);
  }

  addToGroup(group, members) {
    return this.#call("addToGroup", group, members);
  }

  removeFromGroup(group, members) {
    return this.#call("removeFromGroup", group, members);
  }

  renameGroup(group, name) {
    return this.#call("renameGroup", group, name);
  }

  leaveGroup(group) {
    return this.#call("leaveGroup", group);
  }

  async say(group, { attachments = [], ...draft }) {
    return this.#call("say", group, draft, attachments.map(enclosed));
  }

  react(group, message, emoji) {
    return this.#call("react", group, message, emoji);
  }

  groupMessages(group, limit = 100) {
    return this.#call("groupMessages", group, limit);
  }

  groupAttachment(group, number, index) {
    return this.#call("groupAttachment", group, number, index);
  }

  markGroupDisplayed(group, number) {
    return this.#call("markGroupDisplayed", group, number);
  }

  muteGroup(group, muted) {
    return this.#call("muteGroup", group, muted);
  }

  typeInGroup(group, active) {
    return this.#call("typeInGroup", group, active);
  }

  devices() {
    return this.#call("devices");
  }

  becomeDevice({ address, server, name, anew = false }) {
    return this.#call("becomeDevice", address, server, name, anew);
  }

  linkDevice(code, { makePrimary = false } = {}) {
    return this.#call("linkDevice", code, makePrimary);
  }

  continueLinking(agreed) {
    return this.#call("continueLinking", agreed);
  }

  revokeDevice(id) {
    return this.#call("revokeDevice", id);
  }

  renameDevice(id, name) {
    return this.#call("renameDevice", id, name);
  }

  connection() {
    return this.#call("connection");
  }

  async close() {
    await this.#call("close");
    this.#end({ code: "closed", message: "the account was closed" });
  }

  #hear({ number, result, error, event, transfer, defect }) {
    if (defect !== undefined) {
      this.#end({ code: "internal", message: `a defect at ${defect}; the page must be loaded again` });
      return;
    }
    if (transfer !== undefined) {
      this.dispatchEvent(new CustomEvent("transfer", { detail: transfer }));
      return;
    }
    if (event !== undefined) {
      this.dispatchEvent(new CustomEvent("event", { detail: event }));
      return;
    }
    const { resolve, reject } = this.#calls.get(number);
    this.#calls.delete(number);
    if (error === undefined) {
      resolve(result);
    } else {
      reject(new MedipepsError(error));
    }
  }

  /** There is no Worker any more. */
  #end(error) {
    if (this.#ended === undefined && error.code === "internal") {
      this.dispatchEvent(new CustomEvent("event", { detail: { type: "stopped", ...error } }));
    }
    this.#ended ??= error;
    this.#worker.terminate();
    this.#calls.forEach(({ reject }) => reject(new MedipepsError(error)));
    this.#calls.clear();
  }

  #call(method, ...values) {
    if (this.#ended !== undefined) {
      return Promise.reject(new MedipepsError(this.#ended));
    }
    const number = this.#number++;
    return new Promise((resolve, reject) => {
      this.#calls.set(number, { resolve, reject });
      this.#worker.postMessage({ number, method, values });
    });
  }
}

/** An attachment as the Worker takes it: what it holds goes there as a `Blob`, which is not copied. */
function enclosed({ name, mediaType, data }) {
  return { name, mediaType, data: data instanceof Uint8Array ? new Blob([data]) : data };
}
