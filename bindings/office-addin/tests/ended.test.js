// Outlook ends the pane's runtime whenever it likes: nothing is lost, nothing is sent twice, and what is kept in between is sealed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Place, scene } from "./place.js";
import { stub } from "./stubs.js";

const SECRETS = ["Ferritin", "12 microgram", "claire@clinic"];
const MAIL = { subject: "Ferritin", text: "12 microgram/l." };

/** @type {Place} */
let place;
before(async () => {
  place = await Place.open("claire", "david");
});
after(async () => {
  await place?.close();
});
const scenes = (name, work) => test(name, scene(() => place, work));

/** Everything in a page's databases and other stores, as one text of bytes. */
function stored(page) {
  return page.evaluate(async () => {
    const answered = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const bytes = (value) => {
      if (value instanceof CryptoKey || value === null) {
        return "";
      }
      if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
        return Array.from(new Uint8Array(value.buffer ?? value), (byte) => String.fromCharCode(byte)).join("");
      }
      return typeof value === "object" ? Object.values(value ?? {}).map(bytes).join("") : String(value);
    };
    let all = JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie;
    for (const { name } of await indexedDB.databases()) {
      const database = await answered(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        const objects = database.transaction(store).objectStore(store);
        all += `${name} ${store} ${(await answered(objects.getAllKeys())).map(String).join("\n")}`;
        all += (await answered(objects.getAll())).map(bytes).join("\n");
      }
      database.close();
    }
    return all;
  });
}

scenes("a draft is there when the pane opens again, and can be read nowhere else", async () => {
  const { claire, david } = place;
  const { item, pane } = await claire.write({ to: [david.address] });
  await pane.getByLabel("Subject").fill(MAIL.subject);
  // The pane ends while somebody types.
  await pane.getByLabel("Text").pressSequentially(MAIL.text);
  await pane.getByText("Kept encrypted in this Outlook").waitFor();
  const kept = await stored(pane);
  await pane.close();
  assert.ok(kept.includes("medipeps outlook drafts") && kept.length > 1000);
  SECRETS.forEach((secret) => assert.ok(!kept.includes(secret), `${secret} can be read`));

  const again = await claire.pane(item);
  await again.getByRole("heading", { name: "Protected mail" }).waitFor();
  assert.equal(await again.getByLabel("Subject").inputValue(), MAIL.subject);
  assert.equal(await again.getByLabel("Text").inputValue(), MAIL.text);
  await claire.send({ item, pane: again });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("12 microgram/l.").waitFor();
  place.clean(SECRETS.slice(0, 2));
});

for (const [what, seals, stage] of [
  ["before Medipeps has the mail", 1, "Protected mail"],
  ["when Medipeps has the mail and the pane has not heard of it", 2, /^Medipeps (has sent|is sending) this mail$/],
]) {
  scenes(`a pane that ends ${what} has sent once`, async () => {
    const { claire, david } = place;
    const before = await david.received();
    const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
    await pane.getByText(`${david.address}, has a key`).waitFor();
    await pane.getByText("Kept encrypted in this Outlook").waitFor();
    // Two records are sealed while a mail is sent: that it is being sent, and that it was. The page stops for good at one of them.
    await pane.evaluate((stop) => {
      const encrypt = crypto.subtle.encrypt.bind(crypto.subtle);
      let calls = 0;
      crypto.subtle.encrypt = (...values) => {
        calls += 1;
        window.stopped = calls === stop;
        return calls < stop ? encrypt(...values) : new Promise(() => {});
      };
    }, seals);
    await pane.getByRole("button", { name: "Send protected" }).click();
    await pane.waitForFunction(() => window.stopped);
    await pane.close();
    assert.equal((await claire.outlook.send(item)).sent, false);

    const again = await claire.pane(item);
    await again.getByRole("heading", { name: stage }).waitFor();
    if (seals === 1) {
      assert.equal(await again.getByLabel("Text").inputValue(), MAIL.text);
      await again.getByRole("button", { name: "Send protected" }).click();
    }
    await again.getByText("Now press Send in Outlook").waitFor();
    assert.deepEqual(await claire.outlook.send(item), { sent: true });
    await again.close();
    const reading = await david.pane(david.outlook.inbox[0]);
    await reading.getByText("12 microgram/l.").waitFor();
    await reading.close();
    assert.equal(await david.received(), before + 1);
    place.clean(SECRETS.slice(0, 2));
  });
}

/** The calls of Office.js's at which the pane ends while it sends, by how often they have come since Send was pressed. */
const ENDS = ["body.set", "headers.set"];
for (const [what, times] of [["before", 0], ...ENDS.map((name) => [name, 1]), ["save", 2]]) {
  scenes(`a pane that ends while it sends (${what} ${times}) has sent once`, async () => {
    const { claire, david } = place;
    const before = await david.received();
    const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
    await pane.getByText(`${david.address}, has a key`).waitFor();
    let left = times;
    const call = claire.outlook.call;
    const ended = new Promise((resolve) => {
      claire.outlook.call = (...values) => {
        if (values[1] === what && --left === 0) {
          resolve();
          // It never comes back to a page that is gone.
          return new Promise(() => {});
        }
        return call.call(claire.outlook, ...values);
      };
    });
    await pane.getByRole("button", { name: "Send protected" }).click();
    if (times > 0) {
      await ended;
    }
    await pane.close();
    claire.outlook.call = call;

    const again = await claire.pane(item);
    const stage = again.getByRole("heading", { level: 2 });
    await stage.waitFor();
    if ((await stage.innerText()) === "Protected mail") {
      // It ended before Medipeps had the mail: the draft is whole, and it is sent now.
      assert.equal(await again.getByLabel("Text").inputValue(), MAIL.text);
      await again.getByRole("button", { name: "Send protected" }).click();
    }
    await again.getByText("Now press Send in Outlook").waitFor();
    assert.deepEqual(await claire.outlook.send(item), { sent: true });
    await again.close();
    const reading = await david.pane(david.outlook.inbox[0]);
    await reading.getByText("12 microgram/l.").waitFor();
    await reading.close();
    assert.equal(await david.received(), before + 1);
    place.clean(SECRETS.slice(0, 2));
  });
}

scenes("a mail waits in the outbox while the server is away, and a pane that opens later sends it", async () => {
  const { claire, david } = place;
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  await pane.getByText(`${david.address}, has a key`).waitFor();
  await place.stop();
  await pane.getByRole("button", { name: "Send protected" }).click();
  await pane.getByText("Keep this window open").waitFor();
  await claire.look(pane, "queued");
  assert.match((await claire.outlook.send(item)).message, /has not sent this mail yet/);
  // Who will not wait says so. The stub may go then: the mail will.
  await pane.getByRole("button", { name: "Let the notice go now" }).click();
  await pane.getByText("Now press Send in Outlook").waitFor();
  await pane.close();
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  await place.start();
  const later = await claire.pane(claire.outlook.compose());
  await later.getByRole("heading", { name: "How does this mail go?" }).waitFor();
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("12 microgram/l.").waitFor({ timeout: 30_000 });
  place.clean(SECRETS.slice(0, 2));
});

scenes("drafts whose item is lost are offered in another, and can be deleted", async () => {
  const { claire, david } = place;
  const first = await claire.write({ ...MAIL, to: [david.address] });
  await first.pane.getByText("Kept encrypted in this Outlook").waitFor();
  await first.pane.close();
  const second = await claire.write({ subject: "Useless", text: "x" });
  await second.pane.getByText("Kept encrypted in this Outlook").waitFor();
  await second.pane.close();
  const item = claire.outlook.compose({ to: [david.address] });
  const pane = await claire.pane(item);
  await pane.getByRole("button", { name: "Delete the draft “Useless”" }).click();
  await pane.getByRole("button", { name: "Delete the draft “Useless”" }).waitFor({ state: "detached" });
  await claire.look(pane, "drafts");
  await pane.getByRole("button", { name: `Continue “${MAIL.subject}” in this mail` }).click();
  await pane.getByRole("heading", { name: "Protected mail" }).waitFor();
  assert.equal(await pane.getByLabel("Text").inputValue(), MAIL.text);
  await claire.send({ item, pane });
  place.clean(SECRETS.slice(0, 2));
});

scenes("an Outlook whose storage is gone or another says so, and links again; one without storage says that", async () => {
  const { claire } = place;
  // Evicted, partitioned, another computer: the mailbox knows of an account, the browser does not.
  const elsewhere = await place.person("claire-elsewhere", { address: claire.address });
  elsewhere.outlook.roaming = claire.outlook.roaming;
  const gone = await elsewhere.pane(elsewhere.outlook.compose());
  await gone.getByText("This Outlook has no Medipeps account any more").waitFor();
  await gone.getByRole("button", { name: "Link with my other device" }).waitFor();
  await elsewhere.look(gone, "first-run-gone");
  // A private window lets frames of other sites keep nothing.
  const none = await claire.framed(claire.outlook.compose());
  await none.getByText("This browser lets Medipeps keep nothing here").waitFor();
  place.clean([]);
});

scenes("a draft whose text is in another browser says so, and begins anew", async () => {
  const { claire, david } = place;
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  await pane.getByText("Kept encrypted in this Outlook").waitFor();
  // As if it had been written on another computer.
  await pane.close();
  const away = stub.stubIdIn(item.state.html);
  item.state.html = stub.stubHtml(away.split("").reverse().join(""));
  item.state.headers[stub.HEADER] = stub.headerOf({ state: "draft", id: away.split("").reverse().join("") });
  const missing = await claire.pane(item);
  await missing.getByText("The text of this draft is not here").waitFor();
  await missing.getByRole("button", { name: "Begin an empty draft" }).click();
  await missing.getByLabel("Text").fill(MAIL.text);
  await claire.send({ item, pane: missing });
  place.clean(SECRETS.slice(0, 2));
});
