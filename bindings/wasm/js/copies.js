// The sealed copies of an account: long texts, and documents until they are sent. `spec/storage-client.md`.
//
// What a copy is called is in one object store, its bytes are in another, so that it gets its name in one transaction.

const COPIES = "copies";
const PIECES = "pieces";
const NAME = "name";

const PARTIAL = 0;
const STAGED = 1;
const ADOPTED = 2;

/** The result of a request of IndexedDB. */
export function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The end of a transaction: everything of it is kept, or nothing is. */
export function ended(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("the transaction was aborted"));
  });
}

/** All keys of the pieces of a copy. */
function piecesOf(id) {
  return IDBKeyRange.bound([id, 0], [id, Infinity]);
}

/** The sealed copies in an account's database. */
export class Copies {
  #database;
  #left;

  constructor(database, left) {
    this.#database = database;
    this.#left = left;
  }

  /** Makes the object stores. */
  static make(database) {
    database.createObjectStore(COPIES, { autoIncrement: true }).createIndex(NAME, NAME);
    database.createObjectStore(PIECES);
  }

  /** Of a database that this Worker has just opened: what is in it now, others have left. */
  static async of(database) {
    const cursor = await answered(database.transaction(COPIES).objectStore(COPIES).openKeyCursor(null, "prev"));
    return new Copies(database, cursor?.primaryKey ?? 0);
  }

  /** Begins a copy, and gives its number. */
  create(name) {
    return this.#write(async ({ copies }) => answered(copies.add({ name, standing: PARTIAL, length: 0 })));
  }

  /** Adds a piece. */
  put(id, index, bytes) {
    return this.#write(async ({ pieces }) => {
      pieces.put(bytes, [id, index]);
    });
  }

  /** The copy is whole, and takes the place of any other of its name. */
  async finish(id, staged, length) {
    await this.#write(async ({ copies, pieces }) => {
      const { name } = await answered(copies.get(id));
      for (const other of await answered(copies.index(NAME).getAllKeys(name))) {
        if (other !== id) {
          copies.delete(other);
          pieces.delete(piecesOf(other));
        }
      }
      copies.put({ name, standing: staged ? STAGED : ADOPTED, length }, id);
    });
  }

  /** The whole copy of a name, which it has from now on: `{ id, length }`; `undefined` if there is none. */
  adopt(name) {
    return this.#write(async ({ copies }) => {
      for (const id of await answered(copies.index(NAME).getAllKeys(name))) {
        const copy = await answered(copies.get(id));
        if (copy.standing === STAGED) {
          copies.put({ ...copy, standing: ADOPTED }, id);
        }
        if (copy.standing !== PARTIAL) {
          return { id, length: copy.length };
        }
      }
      return undefined;
    });
  }

  /** Pieces of a copy, the last one included. */
  async read(id, first, last) {
    const pieces = this.#database.transaction(PIECES).objectStore(PIECES);
    return answered(pieces.getAll(IDBKeyRange.bound([id, first], [id, last])));
  }

  /** Removes a copy by its number, whole or not. */
  drop(id) {
    return this.#write(async ({ copies, pieces }) => {
      copies.delete(id);
      pieces.delete(piecesOf(id));
    });
  }

  /** Removes the whole copies of a name. */
  remove(name) {
    return this.#write(async ({ copies, pieces }) => {
      for (const id of await answered(copies.index(NAME).getAllKeys(name))) {
        const { standing } = await answered(copies.get(id));
        if (standing !== PARTIAL) {
          copies.delete(id);
          pieces.delete(piecesOf(id));
        }
      }
    });
  }

  /** Removes what Workers that ended have left behind: what is not whole, and what is staged and not among these names. */
  sweep(needed) {
    const hex = (name) => Array.from(name, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const names = new Set(needed.map(hex));
    return this.#write(async ({ copies, pieces }) => {
      const left = IDBKeyRange.upperBound(this.#left);
      const [ids, found] = await Promise.all([answered(copies.getAllKeys(left)), answered(copies.getAll(left))]);
      found.forEach(({ name, standing }, index) => {
        if (standing === PARTIAL || (standing === STAGED && !names.has(hex(name)))) {
          copies.delete(ids[index]);
          pieces.delete(piecesOf(ids[index]));
        }
      });
    });
  }

  /** Does something in one transaction, and waits until it is kept. */
  async #write(work) {
    const transaction = this.#database.transaction([COPIES, PIECES], "readwrite", { durability: "strict" });
    const end = ended(transaction);
    // It is waited for below; what fails before must not count as unseen.
    end.catch(() => {});
    const stores = { copies: transaction.objectStore(COPIES), pieces: transaction.objectStore(PIECES) };
    let result;
    try {
      result = await work(stores);
    } catch (error) {
      if (transaction.error === null) {
        transaction.abort();
      }
      throw error;
    }
    await end;
    return result;
  }
}
