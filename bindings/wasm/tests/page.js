// What the tests call.

import { Client } from "/client.js";

window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  window.violations.push(`${violatedDirective} ${blockedURI}`);
});
window.events = [];
window.transfers = [];
// What a Worker of the tests tells of the connections that it begins.
window.begun = [];
new BroadcastChannel("begun").onmessage = ({ data }) => window.begun.push(data);
window.open_account = async (options) => {
  window.client = await Client.open("account", options);
  window.client.addEventListener("event", ({ detail }) => window.events.push(detail));
  window.client.addEventListener("transfer", ({ detail }) => window.transfers.push(detail));
};

/** Bytes that follow from a number. */
function bytes_of(number, length) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = number + 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

async function digest_of(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

window.send_given = (mail, attachments) => window.client.send({ ...mail, attachments });

/** Documents of these lengths, and their digests. */
async function documents_of(lengths) {
  const documents = lengths.map((length, number) => bytes_of(number, length));
  // Every other one as bytes, the others as files are given.
  const attachments = documents.map((bytes, number) => ({
    name: `document ${number}`,
    mediaType: "image/jpeg",
    data: number % 2 === 0 ? new Blob([bytes]) : bytes,
  }));
  return { attachments, digests: await Promise.all(documents.map(digest_of)) };
}

window.send_documents = async (mail, lengths) => {
  const { attachments, digests } = await documents_of(lengths);
  return { queued: await window.client.send({ ...mail, attachments }), digests };
};

window.say_documents = async (group, text, lengths) => {
  const { attachments, digests } = await documents_of(lengths);
  return { said: await window.client.say(group, { text, attachments }), digests };
};

function all_fetched(count, fetch) {
  const fetched = async (_, index) => {
    const blob = await fetch(index);
    return { size: blob.size, type: blob.type, digest: await digest_of(await blob.arrayBuffer()) };
  };
  return Promise.all(Array.from({ length: count }, fetched));
}

window.fetch_documents = (id, count) => all_fetched(count, (index) => window.client.attachment(id, index));
window.fetch_group_documents = (group, number, count) =>
  all_fetched(count, (index) => window.client.groupAttachment(group, number, index));

/** Waits for a report that says so, those that have come included. */
function transfer_that(is_wanted) {
  return new Promise((resolve) => {
    const look = (transfer) => {
      if (is_wanted(transfer)) {
        window.client.removeEventListener("transfer", hear);
        resolve(transfer);
      }
    };
    const hear = ({ detail }) => look(detail);
    window.client.addEventListener("transfer", hear);
    window.transfers.slice(-1).forEach(look);
  });
}

window.transfer_underway = (direction) =>
  transfer_that((transfer) => transfer.direction === direction && transfer.done > 0 && transfer.done < transfer.total);

function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Whether a text is readable anywhere in what this browser keeps of the account. */
window.databases_include = async (text) => {
  const database = await answered(indexedDB.open("medipeps account"));
  const includes = (value) =>
    value instanceof Uint8Array
      ? new TextDecoder("latin1").decode(value).includes(text)
      : typeof value === "object" && value !== null && Object.values(value).some(includes);
  let found = false;
  for (const store of database.objectStoreNames) {
    found ||= (await answered(database.transaction(store).objectStore(store).getAll())).some(includes);
  }
  database.close();
  return found;
};

/** The sealed copies that are kept. */
window.copies_kept = async () => {
  const database = await answered(indexedDB.open("medipeps account"));
  const transaction = database.transaction(["copies", "pieces"]);
  const copies = await answered(transaction.objectStore("copies").getAll());
  const pieces = await answered(transaction.objectStore("pieces").count());
  database.close();
  if (copies.length === 0 && pieces !== 0) {
    throw new Error(`${pieces} pieces are of no copy`);
  }
  return copies;
};

/** Waits until none is kept. */
window.copies_gone = async () => {
  while ((await window.copies_kept().catch(() => [""])).length !== 0) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
};
window.ready = true;
