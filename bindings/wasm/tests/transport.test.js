// Which transport a page takes: over each alone, with both, and where something is in the way.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, before, test } from "node:test";

import { Place, networkModule } from "./place.js";

const HOUR = 3600_000;

let place;
before(async () => {
  place = await Place.open({ shortCertificate: true });
});
after(async () => {
  await place?.close();
});

/** Somebody with an account, whose page opens it with these options. */
async function member(place, local, options, server) {
  const person = await place.person({ certificateHashes: [place.certificateHash], ...options });
  person.server = server;
  await person.look();
  await person.register(local);
  return person;
}

/** One writes, the other reads. */
async function talk(one, other) {
  const sent = await one.call("send", { to: [other.address], subject: "Potassium", text: "6.1 mmol/l" });
  assert.equal(sent.problem, undefined);
  await other.call("sync");
  const [{ id, sender }] = await other.call("messages");
  assert.equal(sender, one.address);
  assert.equal((await other.call("read", id)).text, "6.1 mmol/l");
}

async function transport(person) {
  return (await person.call("connection")).transport;
}

/** What the page's database has about transports; with a value, puts it there. */
function remembered(person, value) {
  return person.page.evaluate(async (value) => {
    const answered = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await answered(indexedDB.open("medipeps account"));
    const heads = database.transaction("head", "readwrite").objectStore("head");
    if (value !== null) {
      await answered(heads.put(value, "transport"));
    }
    const kept = await answered(heads.get("transport"));
    database.close();
    return kept;
  }, value ?? null);
}

test("two pages talk over each transport, and by WebTransport where both are there", async () => {
  const hash = place.certificateHash;
  const [ada, ben] = [await member(place, "ada", { transports: ["webtransport"] }), await member(place, "ben", { transports: ["websocket"] })];
  assert.deepEqual([await transport(ada), await transport(ben)], ["webtransport", "websocket"]);
  await talk(ada, ben);
  await talk(ben, ada);
  const carl = await member(place, "carl", { certificateHashes: [Buffer.from(hash.replaceAll(":", ""), "hex").toString("base64url")] });
  await talk(carl, ada);
  assert.deepEqual(await carl.call("connection"), { transport: "webtransport", problem: undefined });
  assert.equal((await remembered(carl)).name, "webtransport");
  for (const person of [ada, ben, carl]) {
    assert.deepEqual(await person.violations(), []);
  }
});

test("a certificate with another hash is refused, and that is told", async () => {
  const wrong = { certificateHashes: ["00".repeat(32)] };
  const refused = await place.person({ ...wrong, transports: ["webtransport"] });
  await refused.look();
  await assert.rejects(refused.register("dora"), { code: "network", message: /webtransport: .*handshake/i });
  assert.match((await refused.call("connection")).problem, /^webtransport: /);
  const fallen = await member(place, "emil", wrong);
  const { transport, problem } = await fallen.call("connection");
  assert.equal(transport, "websocket");
  assert.match(problem, /^webtransport: /);
});

test("options that say nothing are refused", async () => {
  for (const options of [{ transports: [] }, { transports: ["quic"] }, { certificateHashes: ["00"] }, { certificateHashes: ["zz".repeat(32)] }]) {
    const person = await place.person(options);
    const code = await (await person.tab()).evaluate((options) => window.open_account(options).then(() => "opened", ({ code }) => code), options);
    assert.equal(code, "argument", JSON.stringify(options));
  }
});

test("a browser without WebTransport takes WebSocket", async () => {
  const fay = await member(place, "fay", { worker: "/worker-without-webtransport.js" });
  const { transport, problem } = await fay.call("connection");
  assert.equal(transport, "websocket");
  assert.match(problem, /^webtransport: .*none/);
});

test("the server is killed and comes back", async () => {
  const only = { transports: ["webtransport"] };
  const [gil, hana] = [await member(place, "gil", only), await member(place, "hana", only)];
  await place.stop();
  const sent = await gil.call("send", { to: [hana.address], subject: "Potassium", text: "6.1 mmol/l" });
  assert.match(sent.problem, /webtransport/);
  await assert.rejects(hana.call("sync"), { code: "network" });
  await place.start();
  // It is not asked again for a second or two.
  await gil.call("sync", 5_000);
  await hana.call("sync");
  assert.equal((await hana.call("messages")).length, 1);
});

test("a server that falls silent is given up over either transport, and found again", async () => {
  const [ines, jon] = [await member(place, "ines", { transports: ["webtransport"] }), await member(place, "jon", { transports: ["websocket"] })];
  const both = (what) => Promise.all([ines, jon].map(what));
  await both((person) => person.call("startReceiving"));
  await both((person) => person.event("ready"));
  // It runs no more, and nothing says so: connections are as they were.
  place.process.kill("SIGSTOP");
  try {
    const told = await both((person) => person.event("offline"));
    assert.ok(told.every(({ message }) => message.length > 0));
  } finally {
    place.process.kill("SIGCONT");
  }
  await both((person) => person.event("ready"));
  await ines.call("send", { to: [jon.address], subject: "Potassium", text: "6.1 mmol/l" });
  await jon.event("message");
});

test("where UDP is blocked WebSocket wins, and has the head start for an hour", async () => {
  // Nobody answers here, and nobody says so either.
  const silence = createSocket("udp4");
  silence.bind(0, "127.0.0.1");
  await once(silence, "listening");
  const address = `127.0.0.1:${silence.address().port}`;
  const blocked = await Place.open({ shortCertificate: true, transport: `websocket_listen = "${address}"` });
  blocked.others = [address];
  try {
    const ivo = await member(blocked, "ivo", { worker: "/worker-that-tells.js" }, address);
    const begun = () => ivo.page.evaluate(() => window.begun);
    assert.equal(await transport(ivo), "websocket");
    assert.deepEqual((await begun()).slice(0, 2), ["WebTransport", "WebSocket"]);
    const first = await remembered(ivo);
    assert.equal(first.name, "websocket");

    await ivo.reload();
    await ivo.call("sync");
    assert.equal((await begun())[0], "WebSocket");
    assert.deepEqual(await remembered(ivo), first);

    for (const since of [Date.now() - 2 * HOUR, Date.now() + 2 * HOUR]) {
      await remembered(ivo, { name: "websocket", since });
      await ivo.reload();
      await ivo.call("sync");
      assert.equal(await transport(ivo), "websocket");
      assert.equal((await begun())[0], "WebTransport");
      assert.ok(Math.abs((await remembered(ivo)).since - Date.now()) < HOUR, "it counts anew");
    }
    assert.deepEqual(await ivo.violations(), []);
  } finally {
    await blocked.close();
    silence.close();
  }
});

test("a server without WebSocket, and a browser that trusts nobody", async () => {
  const bare = await Place.open({ shortCertificate: true, anyCertificate: false, transport: "websocket = false" });
  try {
    const jan = await member(bare, "jan", {});
    assert.equal(await transport(jan), "webtransport");
    // What won once has no hold on what is not there.
    await remembered(jan, { name: "websocket", since: Date.now() });
    await jan.reload();
    await jan.call("sync");
    assert.equal(await transport(jan), "webtransport");
    assert.equal((await remembered(jan)).name, "webtransport");

    const karl = await bare.person();
    await karl.look();
    await assert.rejects(karl.register("karl"), { code: "network", message: /webtransport: .*; websocket: / });
  } finally {
    await bare.close();
  }
});

test("a self-made certificate that nobody has named is refused over both", async () => {
  const strict = await Place.open({ shortCertificate: true, anyCertificate: false });
  try {
    const lea = await strict.person();
    await lea.look();
    await assert.rejects(lea.register("lea"), { code: "network", message: /webtransport: .*; websocket: / });
    // The page goes on with one that is named.
    const max = await member(strict, "max", {});
    assert.equal(await transport(max), "webtransport");
  } finally {
    await strict.close();
  }
});

test("streams of a session: more than may be open wait, large ones are refused with an answer, and an end is told", async () => {
  const person = await place.person();
  const page = (person.page = await person.tab());
  const hash = [...Buffer.from(place.certificateHash.replaceAll(":", ""), "hex")];
  await page.evaluate(
    async ([module, url, hash]) => {
      const { Session } = await import(module);
      window.session = new Session(url, [new Uint8Array(hash)]);
      await session.opened();
      window.ask = async (bytes) => {
        const stream = session.stream(bytes);
        let length = 0;
        for (let part = await stream.next(); part !== undefined; part = await stream.next()) {
          length += part.length;
        }
        stream.letGo();
        return length;
      };
    },
    [networkModule(), `https://${place.server}/medipeps/1`, hash],
  );
  // Whatever is asked before Hello has an answer, that it is too early: here a request without a kind.
  const answers = await page.evaluate(() => Promise.all(Array.from({ length: 60 }, () => ask(new Uint8Array(4)))));
  assert.ok(answers.every((length) => length > 4), "every stream had its turn");
  const tooLarge = await page.evaluate(() => ask(new Uint8Array(8 << 20).fill(0xff)));
  assert.ok(tooLarge > 4, "the answer says why the request was not read");
  // A stream that nobody wants any more leaves its place to others.
  const dropped = await page.evaluate(async () => {
    Array.from({ length: 40 }, () => session.stream(new Uint8Array(1 << 20)).letGo());
    return ask(new Uint8Array(4));
  });
  assert.ok(dropped > 4);
  const signs = await page.evaluate(async () => {
    const before = session.signs();
    await session.ask();
    return session.signs() - before;
  });
  assert.ok(signs > 0, "the server gives a sign of life");

  const ended = page.evaluate(() => session.closed());
  const gone = once(place.process, "exit");
  place.process.kill("SIGTERM");
  assert.match(await ended, /code 1 /);
  await gone;
  await place.start();
  assert.deepEqual(await person.violations(), []);
});
