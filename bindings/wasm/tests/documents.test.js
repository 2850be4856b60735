// Documents and long texts: sealed into the database, sent part by part, fetched and verified to the last byte.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Place } from "./place.js";

const MB = 1_000_000;
/** What is to be found in no database. */
const SECRET = "The potassium is 6.1 mmol/l";

let place;
before(async () => {
  place = await Place.open();
});
after(async () => {
  await place?.close();
});

/** People with an account each. */
async function people(...names) {
  const all = [];
  for (const name of names) {
    const person = await place.person();
    await person.look();
    await person.register(name);
    all.push(person);
  }
  return all;
}

/** Calls a function of `page.js`; an error comes as a call's does. */
async function inPage(person, name, ...values) {
  const { result, error } = await person.page.evaluate(
    async ([name, values]) => {
      try {
        return { result: await window[name](...values) };
      } catch ({ code, reason, message }) {
        return { error: { code, reason, message } };
      }
    },
    [name, values],
  );
  if (error !== undefined) {
    throw Object.assign(new Error(`${error.code}: ${error.message}`), error);
  }
  return result;
}

/** Sends a mail with a document for each length; its bytes follow from its number. Gives what was queued and the digests. */
function send(person, to, subject, ...lengths) {
  return inPage(person, "send_documents", { to: [to.address], subject, text: SECRET }, lengths);
}

/** Fetches the documents of a mail: `{ size, type, digest }` of each. */
function fetched(person, id, count) {
  return inPage(person, "fetch_documents", id, count);
}

/** Waits until a transfer that way has begun, and gives how far it was. */
function underway(person, direction) {
  return inPage(person, "transfer_underway", direction);
}

async function only(person) {
  const messages = await person.call("messages");
  assert.equal(messages.length, 1);
  return messages[0];
}

test("a document of 25 MB goes and comes whole, and both see how far it is", async () => {
  const [anna, bruno] = await people("anna", "bruno");
  await bruno.call("startReceiving");
  await anna.call("startReceiving");
  const { queued, digests } = await send(anna, bruno, "Image", 25 * MB, 700);
  assert.equal(queued.problem, undefined);
  const { id } = await bruno.event("message");
  const mail = await bruno.call("read", id);
  assert.equal(mail.text, SECRET);
  assert.deepEqual(
    mail.attachments.map(({ name, mediaType, length, inside }) => [name, mediaType, length, inside]),
    [
      ["document 0", "image/jpeg", 25 * MB, false],
      ["document 1", "image/jpeg", 700, true],
    ],
  );
  assert.deepEqual(
    await fetched(bruno, id, 2),
    digests.map((digest, index) => ({ size: mail.attachments[index].length, type: "image/jpeg", digest })),
  );
  for (const [person, direction] of [[anna, "upload"], [bruno, "download"]]) {
    const transfers = await person.page.evaluate(() => window.transfers);
    assert.ok(transfers.length > 10, `${transfers.length} reports`);
    for (const [index, transfer] of transfers.entries()) {
      assert.equal(transfer.direction, direction);
      assert.equal(transfer.name, "document 0");
      assert.ok(transfer.done >= (transfers[index - 1]?.done ?? 0), "it only grows");
    }
    const { done, total } = transfers.at(-1);
    assert.equal(done, total);
  }
  // What was sent is kept no longer; what is sealed says nothing.
  assert.deepEqual((await inPage(anna, "copies_kept")).map(({ standing }) => standing), []);
  assert.equal(await inPage(anna, "databases_include", SECRET), false);
  assert.deepEqual([await anna.violations(), await bruno.violations()], [[], []]);
});

test("a long text is read as any other, by both, also after a reload", async () => {
  const [chloe, denis] = await people("chloe", "denis");
  const text = `${SECRET}. `.repeat(12_000);
  await chloe.call("send", { to: [denis.address], subject: "Course", text });
  await chloe.call("sync");
  await denis.call("sync");
  for (const person of [chloe, denis]) {
    for (const look of [async () => {}, () => person.reload()]) {
      await look();
      const mail = await person.call("read", (await only(person)).id);
      assert.equal(mail.missing, undefined);
      assert.equal(mail.whole, true);
      assert.equal(mail.text, text);
    }
    assert.equal(await inPage(person, "databases_include", SECRET), false);
  }
});

test("as many documents as the protocol allows go, and one more is refused", async () => {
  const [elif, farid] = await people("elif", "farid");
  const lengths = Array.from({ length: 64 }, (_, index) => 3000 + index);
  await assert.rejects(send(elif, farid, "Too many", ...lengths, 1), { code: "argument", message: /at most 64 attachments/ });
  assert.deepEqual(await elif.call("messages"), []);
  assert.deepEqual(await inPage(elif, "copies_kept"), []);
  const { digests } = await send(elif, farid, "Folder", ...lengths);
  await elif.call("sync");
  await farid.call("sync");
  const { id, attachments } = await only(farid);
  assert.equal(attachments, 64);
  assert.deepEqual((await fetched(farid, id, 64)).map(({ digest }) => digest), digests);
  await assert.rejects(fetched(farid, id, 65), { code: "not_found" });
});

test("whoever reloads in mid-upload sends it to its end, once", async () => {
  const [gil, hana] = await people("gil", "hana");
  await gil.call("startReceiving");
  const { queued, digests } = await send(gil, hana, "Film", 30 * MB);
  const { done, total } = await underway(gil, "upload");
  await gil.reload();
  assert.ok(done < total / 2, "it was not over");
  assert.equal((await gil.call("messages"))[0].recipients[0].state, "queued");
  await gil.call("sync");
  assert.equal((await only(gil)).id, queued.id);
  await hana.call("sync");
  assert.deepEqual((await fetched(hana, (await only(hana)).id, 1)).map(({ digest }) => digest), digests);
  assert.deepEqual(await inPage(gil, "copies_kept"), []);
});

test("a server that is killed in mid-upload gets the rest when it is back", async () => {
  const [ines, jean] = await people("ines", "jean");
  await ines.call("startReceiving");
  const { digests } = await send(ines, jean, "Film", 20 * MB);
  await underway(ines, "upload");
  await place.stop();
  await place.start();
  await ines.event("message_state", { state: "accepted" });
  await jean.call("sync");
  assert.deepEqual((await fetched(jean, (await only(jean)).id, 1)).map(({ digest }) => digest), digests);
});

test("a page that is closed in mid-download gives nothing half, and all of it the next time", async () => {
  const [kofi, lea] = await people("kofi", "lea");
  const { digests } = await send(kofi, lea, "Film", 20 * MB);
  await kofi.call("sync");
  await lea.call("sync");
  const { id } = await only(lea);
  const half = fetched(lea, id, 1).then(
    () => "whole",
    () => "closed",
  );
  await underway(lea, "download");
  await lea.page.close();
  assert.equal(await half, "closed");
  await lea.look();
  assert.deepEqual((await fetched(lea, id, 1)).map(({ digest }) => digest), digests);
});

test("where the browser gives no more room nothing is queued, and nothing stays", async () => {
  const [noor] = await people("noor");
  const mira = await place.person();
  mira.page = await mira.tab();
  const session = await mira.context.newCDPSession(mira.page);
  const quota = (size) => session.send("Storage.overrideQuotaForOrigin", { origin: place.origin, quotaSize: size });
  // Before the first write: Chromium remembers for half a minute how much room there is.
  await quota(20 * MB);
  await mira.reload();
  await mira.register("mira");
  await assert.rejects(send(mira, noor, "Film", 5 * MB, 40 * MB), { code: "quota" });
  assert.deepEqual(await mira.call("messages"), []);
  await inPage(mira, "copies_gone");
  // What fits goes, and with more room all of it.
  await mira.call("send", { to: [noor.address], subject: "Small", text: "It fits." });
  await quota(undefined);
  await send(mira, noor, "Film", 5 * MB, 40 * MB);
  await mira.call("sync");
  await noor.call("sync");
  assert.deepEqual((await noor.call("messages")).map(({ subject }) => subject).sort(), ["Film", "Small"]);
});

test("files go in a group, and only those who are in it have them", async () => {
  const [quim, rosa, silke] = await people("quim", "rosa", "silke");
  const everybody = [quim, rosa, silke];
  for (const person of everybody) {
    await person.call("startReceiving");
    await person.event("ready");
  }
  const members = [rosa.address, silke.address];
  const { id } = await quim.call("createGroup", { name: "Ward 3", members });
  for (const person of [rosa, silke]) {
    await person.page.waitForFunction(
      async (id) => (await window.client.groups()).some((group) => group.id === id && group.state === "active"),
      id,
      { timeout: 30_000, polling: 200 },
    );
  }
  const { said, digests } = await inPage(quim, "say_documents", id, SECRET, [5 * MB, 900]);
  assert.equal(said.state, "waiting");
  for (const person of [rosa, silke]) {
    const { number } = await person.event("group_message", { group: id });
    const [message] = (await person.call("groupMessages", id)).filter((message) => message.number === number);
    assert.deepEqual(message.body, { kind: "text", text: SECRET });
    assert.deepEqual(message.attachments.map(({ length, inside }) => [length, inside]), [[5 * MB, false], [900, true]]);
    const files = await inPage(person, "fetch_group_documents", id, number, 2);
    assert.deepEqual(files.map(({ digest }) => digest), digests);
    assert.equal(await inPage(person, "databases_include", SECRET), false);
  }
  assert.deepEqual(await inPage(quim, "copies_kept"), []);
});

test("a document that cannot be had says why", async () => {
  const [olga, paul] = await people("olga", "paul");
  await assert.rejects(inPage(olga, "send_given", { to: [paul.address], subject: "s", text: "t" }, [{ name: "a" }]), {
    code: "argument",
  });
  await assert.rejects(
    inPage(olga, "send_given", { to: [paul.address], subject: "s", text: "t" }, [{ name: "a", mediaType: "b/c", data: "d" }]),
    { code: "argument" },
  );
  await send(olga, paul, "Film", 5 * MB);
  await olga.call("sync");
  await paul.call("sync");
  await place.stop();
  const { id } = await only(paul);
  await assert.rejects(fetched(paul, id, 1), { code: "document", reason: "stalled" });
  await place.start();
  assert.equal((await fetched(paul, id, 1))[0].size, 5 * MB);
});
