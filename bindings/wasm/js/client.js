// What a page imports: an account that lives in a Worker of its own.

/** Why something was not done. `code` is for programs: see `client.d.ts`. */
export class MedipepsError extends Error {
  constructor({ code, message }) {
    super(message);
    this.name = "MedipepsError";
    this.code = code;
  }
}

/** An account of this browser. */
export class Client {
  #worker;
  #calls = new Map();
  #number = 0;

  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data: { number, result, error } }) => {
      const { resolve, reject } = this.#calls.get(number);
      this.#calls.delete(number);
      if (error === undefined) {
        resolve(result);
      } else {
        reject(new MedipepsError(error));
      }
    };
    worker.onerror = (event) => {
      const error = new MedipepsError({ code: "internal", message: event.message ?? "the Worker cannot be loaded" });
      this.#calls.forEach(({ reject }) => reject(error));
      this.#calls.clear();
    };
  }

  static async open(name = "account") {
    // Written so that bundlers see the Worker.
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    const client = new Client(worker);
    try {
      await client.#call("open", name);
    } catch (error) {
      worker.terminate();
      throw error;
    }
    return client;
  }

  create({ server, invitation, address, name }) {
    return this.#call("create", server, invitation, address, name);
  }

  address() {
    return this.#call("address");
  }

  send({ to, subject, text }) {
    return this.#call("send", to, subject, text);
  }

  sync(milliseconds = 0) {
    return this.#call("sync", milliseconds);
  }

  messages() {
    return this.#call("messages");
  }

  read(id) {
    return this.#call("read", id);
  }

  async close() {
    await this.#call("close");
    this.#worker.terminate();
  }

  #call(method, ...values) {
    const number = this.#number++;
    return new Promise((resolve, reject) => {
      this.#calls.set(number, { resolve, reject });
      this.#worker.postMessage({ number, method, values });
    });
  }
}
