// What a page does beside mail: it stays connected, compares keys, talks in groups, and links another browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { DOMAIN, Place } from "./place.js";

let place;
before(async () => {
  place = await Place.open();
});
after(async () => {
  await place?.close();
});

/** People with an account each who stay connected. */
async function people(...names) {
  const all = [];
  for (const name of names) {
    const person = await place.person();
    await person.look();
    await person.register(name);
    await person.call("startReceiving");
    await person.event("ready");
    all.push(person);
  }
  return all;
}

test("a page that stays connected hears of mail, and calls go on beside", async () => {
  const [anna, bruno] = await people("anna", "bruno");
  const { id } = await anna.call("send", { to: [bruno.address], subject: "Beds", text: "Two are free." });
  const came = await bruno.event("message");
  assert.equal((await bruno.call("read", came.id)).text, "Two are free.");
  // The other way, while both are connected; the thread is kept.
  await bruno.call("send", { to: [anna.address], subject: "Re: Beds", text: "One for me.", inReplyTo: came.id });
  const answer = await anna.call("read", (await anna.event("message")).id);
  const [, { messageId }] = await anna.call("messages");
  assert.equal(answer.inReplyTo, messageId);
  const sent = (await anna.call("messages")).find((mail) => mail.id === id);
  assert.deepEqual(
    sent.recipients.map(({ address, copy }) => ({ address, copy })),
    [{ address: bruno.address, copy: false }],
  );
  assert.notEqual(sent.recipients[0].state, "failed");

  await bruno.call("stopReceiving");
  assert.deepEqual(await bruno.event("stopped"), { type: "stopped", code: "asked", message: "the page asked for it" });
  await anna.call("send", { to: [bruno.address], subject: "Later", text: "..." });
  await bruno.call("startReceiving");
  await bruno.event("message");
});

test("many calls at once are done in their order, while mail comes", async () => {
  const [chloe, denis] = await people("chloe", "denis");
  await chloe.page.evaluate(async (to) => {
    const mails = Array.from({ length: 12 }, (_, number) => `Mail ${number}`);
    await Promise.all(mails.map((subject) => window.client.send({ to: [to], subject, text: subject })));
  }, denis.address);
  await denis.page.evaluate(async (to) => {
    const mails = Array.from({ length: 12 }, (_, number) => `Answer ${number}`);
    await Promise.all(mails.map((subject) => window.client.send({ to: [to], subject, text: subject })));
  }, chloe.address);
  for (const [person, word] of [[denis, "Mail"], [chloe, "Answer"]]) {
    for (let count = 0; count < 12; count += 1) {
      await person.event("message");
    }
    const came = (await person.call("messages")).filter(({ sent }) => !sent).map(({ subject }) => subject);
    assert.deepEqual(came.sort(), Array.from({ length: 12 }, (_, number) => `${word} ${number}`).sort());
    // All of it is kept.
    await person.reload();
    assert.equal((await person.call("messages")).length, 24);
  }
});

test("a server that goes away is told, and what comes later is heard", async () => {
  const [emile, flora] = await people("emile", "flora");
  await place.stop();
  await flora.event("offline");
  const { problem } = await emile.call("send", { to: [flora.address], subject: "Night", text: "Quiet." });
  assert.notEqual(problem, undefined);
  await place.start();
  await flora.event("message");
});

test("keys are compared by digits and by code", async () => {
  const [gaelle, hugo] = await people("gaelle", "hugo");
  await assert.rejects(gaelle.call("addContact", `nobody@${DOMAIN}`), { code: "contact", reason: "unknown_account" });
  const ofHugo = await gaelle.call("addContact", hugo.address);
  const ofGaelle = await hugo.call("addContact", gaelle.address);
  assert.equal(ofHugo.key, "pinned");
  assert.equal(ofHugo.safetyNumber, ofGaelle.safetyNumber);
  assert.equal(await gaelle.call("verifyContact", hugo.address, ofGaelle.verificationCode), true);
  assert.equal(await hugo.call("verifyContact", gaelle.address, ofHugo.safetyNumber), true);
  assert.deepEqual((await gaelle.call("contacts")).map(({ key }) => key), ["verified"]);
  await assert.rejects(gaelle.call("verifyContact", hugo.address, "medipeps-verify:AAAA"), { code: "argument" });
  await gaelle.call("send", { to: [hugo.address], subject: "Checked", text: "." });
  const { id } = await hugo.event("message");
  const { summary } = await hugo.call("read", id);
  assert.deepEqual([summary.verified, summary.senderCheck, summary.request], [true, "checked", false]);
  assert.equal(await gaelle.call("forgetVerification", hugo.address), true);

  await hugo.call("block", gaelle.address, true);
  assert.equal((await hugo.call("contacts"))[0].blocked, true);
});

test("a group talks", async () => {
  const [irene, jules, karima] = await people("irene", "jules", "karima");
  const made = await irene.call("createGroup", { name: "Ward 3", members: [jules.address] });
  await jules.event("group", { group: made.id });
  const said = await irene.call("say", made.id, { text: "Bed 4 is free" });
  const heard = await jules.event("group_message", { group: made.id });
  // Both watch the log now.
  await irene.call("typeInGroup", made.id, true);
  assert.deepEqual(await jules.event("typing"), { type: "typing", group: made.id, by: irene.address, active: true });
  const [message] = await jules.call("groupMessages", made.id);
  assert.deepEqual([message.number, message.body, message.id], [heard.number, { kind: "text", text: "Bed 4 is free" }, said.id]);
  await jules.call("react", made.id, message.id, "\u{1f44d}");
  await irene.event("group_message", { group: made.id });
  assert.deepEqual((await irene.call("groupMessages", made.id)).at(-1).body, {
    kind: "reaction",
    message: said.id,
    emoji: "\u{1f44d}",
  });
  // What nobody has marked here counts, one's own too.
  const newest = (await jules.call("groupMessages", made.id)).at(-1);
  assert.equal((await jules.call("groups"))[0].unread, newest.number + 1);
  await jules.call("markGroupDisplayed", made.id, newest.number);
  assert.equal((await jules.call("groups"))[0].unread, 0);

  await jules.call("muteGroup", made.id, true);
  assert.equal((await jules.call("groups"))[0].muted, true);
  await irene.call("say", made.id, { text: "Quietly" });
  assert.equal((await jules.event("group_message", { group: made.id })).muted, true);

  const larger = await irene.call("addToGroup", made.id, [karima.address]);
  assert.deepEqual(larger.members.map(({ address, role }) => `${address} ${role}`).sort(), [
    `${irene.address} owner`,
    `${jules.address} member`,
    `${karima.address} member`,
  ]);
  await karima.event("group", { group: made.id });
  await karima.call("say", made.id, { text: "Thank you", inReplyTo: said.id });
  await irene.event("group_message", { group: made.id });
  assert.equal((await irene.call("groupMessages", made.id)).at(-1).inReplyTo, said.id);
  const smaller = await irene.call("removeFromGroup", made.id, [jules.address]);
  assert.equal(smaller.members.length, 2);
  await assert.rejects(irene.call("leaveGroup", made.id), { code: "engine" });
  // Somebody who stays takes him out.
  assert.match((await karima.call("leaveGroup", made.id)).state, /^(leaving|left)$/);
  await assert.rejects(irene.call("groupMessages", "00"), { code: "argument" });
});

test("another browser is linked, renamed and taken off", async () => {
  const [lea, marc] = await people("lea", "marc");
  const tablet = await place.person();
  await tablet.look();
  let state = await tablet.call("becomeDevice", { address: lea.address, server: place.server, name: "Tablet" });
  for (let round = 0; state.state !== "show_code" && round < 60; round += 1) {
    state = await tablet.call("continueLinking");
  }
  assert.match(state.code, /^MEDIPEPS-LINK:/);
  let granting = await lea.call("linkDevice", state.code);
  let digits;
  for (let round = 0; round < 120 && !(state.state === "linked"); round += 1) {
    // Both people answer once.
    granting = await lea.call("continueLinking", granting.state === "compare" ? true : undefined);
    state = await tablet.call("continueLinking", state.state === "compare" ? true : undefined);
    if (state.state === "compare") {
      ({ digits } = state);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.match(digits, /^[0-9]{4} [0-9]{4}$/);
  assert.equal(state.state, "linked");
  assert.equal((await tablet.call("account")).primary, false);
  await tablet.call("startReceiving");
  await tablet.event("ready");

  await marc.call("send", { to: [lea.address], subject: "For both", text: "." });
  await lea.event("message");
  await tablet.event("message");
  const second = (await lea.call("devices")).find(({ thisDevice }) => !thisDevice);
  await lea.call("renameDevice", second.id, "Ward tablet");
  assert.equal((await lea.call("devices")).find(({ id }) => id === second.id).name, "Ward tablet");
  await lea.call("revokeDevice", second.id);
  assert.equal((await lea.call("devices")).length, 1);
  const { code } = await tablet.event("stopped");
  assert.equal(code, "engine");
});

test("an account is taken over with its recovery key", async () => {
  const [olga, pierre] = await people("olga", "pierre");
  await pierre.call("addContact", olga.address);
  const browser = await place.person();
  await browser.look();
  const account = { server: place.server, address: olga.address, name: "Olga" };
  await assert.rejects(browser.call("recover", { ...account, recoveryKey: "A".repeat(52) }), {
    code: "refused",
    reason: "wrong_recovery_key",
  });
  await assert.rejects(browser.call("recover", { ...account, recoveryKey: "A" }), { code: "argument" });
  assert.equal(await browser.call("address"), undefined);
  const typed = olga.recoveryKey.toLowerCase().replace(/(.{4})/g, "$1 ");
  const { recoveryKey } = await browser.call("recover", { ...account, recoveryKey: typed });
  assert.match(recoveryKey, /^[A-Z2-7]{52}$/);
  assert.notEqual(recoveryKey, olga.recoveryKey);
  await browser.call("startReceiving");
  await browser.event("ready");
  // The former browser is no device of it any more.
  await olga.event("stopped");
  await browser.call("send", { to: [pierre.address], subject: "It is me", text: "." });
  await pierre.event("message");
});

test("after close nothing is done", async () => {
  const [nora] = await people("nora");
  await nora.call("close");
  await assert.rejects(nora.call("messages"), { code: "closed" });
  // Another page may have it now.
  await nora.page.evaluate(() => window.open_account());
  assert.equal(await nora.call("address"), nora.address);
});
