// What a dedicated Worker has of a machine: a database, a lock and a clock. The Rust of this package decides; this does.

import { answered, Copies, ended } from "./copies.js";

/** Of the database. */
const FORMAT = 2;
const RECORDS = "records";
const HEAD = "head";
const LOCK = "lock";
const TRANSPORT = "transport";

/** An account's database, which one page at a time has. */
export class Database {
  #database;
  #copies;
  #release;

  constructor(database, copies, release) {
    this.#database = database;
    this.#copies = copies;
    this.#release = release;
  }

  /** Its sealed copies. */
  get copies() {
    return this.#copies;
  }

  /** Takes the lock, and opens the database; it is made if there is none. `undefined` if another page has the lock. */
  static async open(name) {
    const release = await locked(`medipeps ${name}`);
    if (release === undefined) {
      return undefined;
    }
    try {
      const request = indexedDB.open(`medipeps ${name}`, FORMAT);
      request.onupgradeneeded = ({ oldVersion }) => {
        if (oldVersion < 1) {
          request.result.createObjectStore(RECORDS);
          request.result.createObjectStore(HEAD);
        }
        if (oldVersion < 2) {
          Copies.make(request.result);
        }
      };
      const database = await answered(request).catch(async (error) => {
        throw error.name === "VersionError" ? { known: FORMAT, found: await format(name) } : error;
      });
      return new Database(database, await Copies.of(database), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * The 32 bytes that lock the store. They lie in the database sealed by a key of the browser's that no script can read; it is made
   * with them.
   */
  async platformKey() {
    let kept = await answered(this.#database.transaction(HEAD).objectStore(HEAD).get(LOCK));
    if (kept === undefined) {
      const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const secret = crypto.getRandomValues(new Uint8Array(32));
      const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, secret));
      secret.fill(0);
      kept = { key, iv, sealed };
      const transaction = this.#database.transaction(HEAD, "readwrite", { durability: "strict" });
      transaction.objectStore(HEAD).add(kept, LOCK);
      await ended(transaction);
    }
    const { key, iv, sealed } = kept;
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed));
  }

  /** Everything: `{ generation, tag, header, keys, values }`; the generation is 0 if nothing was committed yet. */
  async load() {
    const transaction = this.#database.transaction([RECORDS, HEAD]);
    const records = transaction.objectStore(RECORDS);
    const [head, keys, values] = await Promise.all([
      answered(transaction.objectStore(HEAD).get(HEAD)),
      answered(records.getAllKeys()),
      answered(records.getAll()),
    ]);
    const { generation = 0, tag, header } = head ?? {};
    return { generation, tag, header, keys: keys.map((key) => new Uint8Array(key)), values };
  }

  /** Which transport was taken last and since when, or `undefined`. */
  transport() {
    return answered(this.#database.transaction(HEAD).objectStore(HEAD).get(TRANSPORT));
  }

  /** Keeps that, sooner or later. */
  async keepTransport(name, since) {
    const transaction = this.#database.transaction(HEAD, "readwrite");
    transaction.objectStore(HEAD).put({ name, since }, TRANSPORT);
    await ended(transaction);
  }

  /** Keeps a commit in one transaction, if `expected` is the generation that is kept. */
  async commit(expected, head, deletes, keys, values) {
    const transaction = this.#database.transaction([RECORDS, HEAD], "readwrite", { durability: "strict" });
    const end = ended(transaction);
    // It is waited for below; what fails before must not count as unseen.
    end.catch(() => {});
    const heads = transaction.objectStore(HEAD);
    const records = transaction.objectStore(RECORDS);
    const found = (await answered(heads.get(HEAD)))?.generation ?? 0;
    if (found !== expected) {
      transaction.abort();
      throw new Error(`the database is at generation ${found}, not ${expected}`);
    }
    for (const key of deletes) {
      records.delete(key);
    }
    keys.forEach((key, index) => records.put(values[index], key));
    heads.put(head, HEAD);
    await end;
  }

  /** Lets go of database and lock. */
  close() {
    this.#database.close();
    this.#release();
  }
}

/** The format of a database that is there. */
async function format(name) {
  const database = await answered(indexedDB.open(`medipeps ${name}`));
  database.close();
  return database.version;
}

/** Takes a lock, and gives back what releases it. A page that ends releases it too. */
function locked(name) {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (lock === null) {
          resolve(undefined);
          return undefined;
        }
        return new Promise((release) => resolve(release));
      })
      .catch(reject);
  });
}

/** Something happened that must not: what is in memory is not to be trusted any more, and the page ends the Worker. */
export function defect(place) {
  self.postMessage({ defect: place });
}

/** Milliseconds of a clock that never goes back. */
export function monotonic() {
  return performance.now();
}

/** Milliseconds since 1970. */
export function wall() {
  return Date.now();
}

/** Waits so many milliseconds. */
export function sleep(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
