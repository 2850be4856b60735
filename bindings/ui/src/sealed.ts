// A small store for what is being written and no account has yet. Nothing in it can be read without a key that the browser keeps and gives to nobody, this
// page included: a copy of the profile's database alone opens nothing.

const KEYS = "key";
const RECORDS = "sealed";

interface Sealed {
  readonly iv: Uint8Array<ArrayBuffer>;
  readonly sealed: ArrayBuffer;
}

/** Records by name. The names are readable and must say nothing. */
export class SealedStore {
  private constructor(
    private readonly database: IDBDatabase,
    private readonly key: CryptoKey,
  ) {}

  /** Opens a database of the browser's, or makes it. */
  static async open(name: string): Promise<SealedStore> {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => [KEYS, RECORDS].forEach((name) => opening.result.createObjectStore(name));
    const database = await answered(opening);
    database.onversionchange = () => database.close();
    const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    // Whichever page is first: the others take its key.
    const transaction = database.transaction(KEYS, "readwrite", { durability: "strict" });
    const kept = (await answered(transaction.objectStore(KEYS).get(KEYS))) as CryptoKey | undefined;
    if (kept === undefined) {
      transaction.objectStore(KEYS).put(fresh, KEYS);
    }
    await done(transaction);
    return new SealedStore(database, kept ?? fresh);
  }

  /** Writes records in one transaction: all of them are there afterwards, or none. */
  async put(records: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Promise<void> {
    const sealed = await Promise.all([...records].map(async ([name, bytes]) => [name, await this.#seal(name, bytes)] as const));
    const transaction = this.database.transaction(RECORDS, "readwrite", { durability: "strict" });
    sealed.forEach(([name, record]) => transaction.objectStore(RECORDS).put(record, name));
    await done(transaction);
  }

  /** `undefined`: there is none. Fails if somebody has changed it. */
  async get(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const record = (await answered(this.database.transaction(RECORDS).objectStore(RECORDS).get(name))) as Sealed | undefined;
    return record === undefined ? undefined : new Uint8Array(await crypto.subtle.decrypt(this.#cipher(name, record.iv), this.key, record.sealed));
  }

  /** Names that begin so. */
  async names(prefix: string): Promise<string[]> {
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    return (await answered(this.database.transaction(RECORDS).objectStore(RECORDS).getAllKeys(range))) as string[];
  }

  /** Deletes what begins so. */
  async delete(prefix: string): Promise<void> {
    const transaction = this.database.transaction(RECORDS, "readwrite", { durability: "strict" });
    transaction.objectStore(RECORDS).delete(IDBKeyRange.bound(prefix, `${prefix}\uffff`));
    await done(transaction);
  }

  async #seal(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Sealed> {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    return { iv, sealed: await crypto.subtle.encrypt(this.#cipher(name, iv), this.key, bytes) };
  }

  /** The name is bound in: a record put in another's place does not open. */
  #cipher(name: string, iv: Uint8Array<ArrayBuffer>): AesGcmParams {
    return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(name) };
  }
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's database failed"));
  });
}

function done(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("the browser's database failed"));
  });
}
