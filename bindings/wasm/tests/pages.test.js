// Two pages that talk, in Chromium, against the real server, under the policy that `place.js` sets.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { DOMAIN, Place } from "./place.js";

const SUBJECT = "Potassium of this morning";
const TEXT = "Please look at the potassium: 6.1 mmol/l.\n\u2014 Cl\u00e9mence";

let place;
before(async () => {
  place = await Place.open();
});
after(async () => {
  await place?.close();
});

/** Two people with an account each. */
async function pair(one, other) {
  const people = [await place.person(), await place.person()];
  for (const [person, local] of [[people[0], one], [people[1], other]]) {
    await person.look();
    const { address, recoveryKey } = await person.register(local);
    assert.equal(address, person.address);
    assert.match(recoveryKey, /^[A-Z2-7]{52}$/);
  }
  return people;
}

/** Everything in a page's databases, as one text of bytes. */
function databases(page) {
  return page.evaluate(async () => {
    const answered = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    let all = "";
    for (const { name } of await indexedDB.databases()) {
      const database = await answered(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        const values = await answered(database.transaction(store).objectStore(store).getAll());
        const bytes = (value) =>
          typeof value === "string"
            ? value
            : value instanceof Uint8Array
            ? Array.from(value, (byte) => String.fromCharCode(byte)).join("")
            : Object.values(value ?? {}).map((inner) => (inner instanceof CryptoKey ? "" : bytes(inner))).join("");
        all += values.map(bytes).join("\n");
      }
      database.close();
    }
    return all;
  });
}

test("two pages talk, and go on after a reload", async () => {
  const [clemence, david] = await pair("clemence", "david");
  const sent = await clemence.call("send", { to: [david.address], subject: SUBJECT, text: TEXT });
  assert.equal(sent.problem, undefined);
  await david.call("sync");
  const [came, ...others] = await david.call("messages");
  assert.deepEqual(others, []);
  assert.equal(came.subject, SUBJECT);
  assert.equal(came.sender, clemence.address);
  assert.equal(came.displayed, false);

  await clemence.reload();
  await david.reload();
  assert.equal(await clemence.call("address"), clemence.address);
  const [kept] = await david.call("messages");
  assert.equal(kept.id, came.id);
  const mail = await david.call("read", kept.id);
  assert.equal(mail.text, TEXT);
  assert.equal(mail.whole, true);
  assert.equal((await david.call("messages"))[0].displayed, true);

  const answer = await david.call("send", { to: [clemence.address], subject: `Re: ${SUBJECT}`, text: "On my way." });
  assert.equal(answer.problem, undefined);
  await clemence.call("sync");
  const [newest, first] = await clemence.call("messages");
  assert.equal(newest.subject, `Re: ${SUBJECT}`);
  assert.equal(first.id, sent.id);
  assert.equal((await clemence.call("read", newest.id)).text, "On my way.");
  // Nothing comes twice.
  await clemence.call("sync");
  assert.equal((await clemence.call("messages")).length, 2);

  for (const person of [clemence, david]) {
    assert.deepEqual(await person.violations(), []);
    const kept = await databases(person.page);
    assert.ok(kept.length > 1000, "the account is in a database");
    for (const secret of [SUBJECT, "potassium", "On my way", "clemence", "david"]) {
      assert.ok(!kept.includes(secret), `${secret} is readable in the database`);
    }
  }
});

test("one page at a time has an account", async () => {
  const person = await place.person();
  await person.look();
  const second = await person.tab();
  const code = () => second.evaluate(() => window.open_account().then(() => "opened", ({ code }) => code));
  assert.equal(await code(), "busy");
  await person.page.close();
  assert.equal(await code(), "opened");
});

test("what the database does not take is not sent", async () => {
  const [emma, fatou] = await pair("emma", "fatou");
  // Somebody has written behind the page's back, as a page without the lock would.
  await emma.page.evaluate(async () => {
    const answered = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await answered(indexedDB.open("medipeps account"));
    const heads = database.transaction("head", "readwrite").objectStore("head");
    const head = await answered(heads.get("head"));
    window.generation = head.generation;
    await answered(heads.put({ ...head, generation: head.generation + 1 }, "head"));
    database.close();
  });
  const mail = { to: [fatou.address], subject: SUBJECT, text: TEXT };
  await assert.rejects(emma.call("send", mail), { code: "store" });
  // Nor is anything else done with what only memory has.
  await assert.rejects(emma.call("sync"), { code: "store" });
  await fatou.call("sync");
  assert.deepEqual(await fatou.call("messages"), []);
});

test("a server that is away keeps a mail waiting", async () => {
  const [gil, hana] = await pair("gil", "hana");
  await place.stop();
  const sent = await gil.call("send", { to: [hana.address], subject: SUBJECT, text: TEXT });
  assert.notEqual(sent.problem, undefined);
  await assert.rejects(hana.call("sync"), { code: "network" });
  await gil.reload();
  await place.start();
  // It is not asked again for a second or two.
  await gil.call("sync", 5_000);
  await hana.call("sync");
  assert.deepEqual((await hana.call("messages")).map(({ subject }) => subject), [SUBJECT]);
});

test("a recovery key is not lost with a call that fails", async () => {
  const person = await place.person();
  await person.look();
  const account = { server: place.server, invitation: place.invite(), address: `farid@${DOMAIN}`, name: "Farid" };
  await place.stop();
  await assert.rejects(person.call("create", account), { code: "network" });
  await place.start();
  assert.match((await person.call("create", account)).recoveryKey, /^[A-Z2-7]{52}$/);
});

test("errors say what they are", async () => {
  const [ines] = await pair("ines", "jean");
  const mail = { to: [`jean@${DOMAIN}`], subject: SUBJECT, text: TEXT };
  await assert.rejects(ines.call("read", "00"), { code: "argument" });
  await assert.rejects(ines.call("read", "00".repeat(16)), { code: "not_found" });
  await assert.rejects(ines.call("send", { ...mail, to: ["nobody"] }), { code: "argument" });
  await assert.rejects(ines.call("send", { ...mail, to: ["nobody@elsewhere.example"] }), { code: "engine" });
  const taken = await place.person();
  await taken.look();
  await assert.rejects(taken.register("jean"), { code: "refused", reason: "AddressTaken" });
  // It did no harm.
  assert.equal((await ines.call("send", mail)).problem, undefined);
});

test("the policy is in force, and what it refuses is seen", async () => {
  const person = await place.person();
  await person.look();
  assert.deepEqual(await person.violations(), []);
  const ran = await person.page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.documentElement.append(script);
    // Beyond what the debugger may do.
    const evaluated = await new Promise((resolve) => {
      setTimeout(() => {
        try {
          resolve(new Function("return true")());
        } catch {
          resolve(false);
        }
      });
    });
    return window.ran || evaluated;
  });
  assert.equal(ran, false);
  const seen = (await person.violations()).join("\n");
  assert.match(seen, /script-src-elem inline/);
  assert.match(seen, /script-src eval/);
});
