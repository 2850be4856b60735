// A browser whose clock is wrong.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Place } from "./place.js";

const DAY = 24 * 3600 * 1000;

let place;
before(async () => {
  place = await Place.open();
});
after(async () => {
  await place?.close();
});

/** Somebody whose Worker takes the time to be so much later than it is. */
async function ahead(milliseconds) {
  const person = await place.person();
  await person.context.addCookies([prelude(milliseconds)]);
  return person;
}

function prelude(milliseconds) {
  const value = encodeURIComponent(`const now = Date.now; Date.now = () => now() + ${milliseconds};`);
  return { name: "prelude", value, url: place.origin };
}

/** Somebody who stays connected. */
async function staying(person, local) {
  await person.look();
  await person.register(local);
  await person.call("startReceiving");
  await person.event("ready");
  return person;
}

for (const [name, shift] of [
  ["three years slow", -3 * 365 * DAY],
  ["a year fast", 365 * DAY],
]) {
  const local = name.replaceAll(" ", ".");

  test(`with a clock that is ${name} an account is made, and goes on when it is put right`, async () => {
    const right = await staying(await place.person(), `right.${local}`);
    const wrong = await staying(await ahead(shift), `wrong.${local}`);
    await wrong.call("send", { to: [right.address], subject: "From a wrong time", text: "." });
    const { id } = await right.event("message");
    const came = (await right.call("messages")).find((mail) => mail.id === id);
    // The sender's word is kept apart from the server's.
    assert.ok(Math.abs(came.created - came.received - shift) < DAY, `${came.created} ${came.received}`);
    await right.call("send", { to: [wrong.address], subject: "The answer", text: ".", inReplyTo: id });
    await wrong.event("message");

    await wrong.context.clearCookies();
    await wrong.reload();
    await wrong.call("startReceiving");
    await wrong.event("ready");
    assert.deepEqual((await wrong.call("messages")).map(({ subject }) => subject).sort(), ["From a wrong time", "The answer"]);
    await wrong.call("send", { to: [right.address], subject: "On time", text: "." });
    await right.event("message");
  });

  test(`a clock that becomes ${name} keeps nobody from talking, in a group neither`, async () => {
    const right = await staying(await place.person(), `steady.${local}`);
    const wrong = await staying(await place.person(), `shaken.${local}`);
    const group = await right.call("createGroup", { name: "Ward", members: [wrong.address] });
    await wrong.event("group", { group: group.id });
    for (const cookies of [[prelude(shift)], []]) {
      await wrong.context.clearCookies();
      await wrong.context.addCookies(cookies);
      await wrong.reload();
      await wrong.call("startReceiving");
      await wrong.event("ready");
      await wrong.call("say", group.id, { text: "What time is it?" });
      await right.event("group_message", { group: group.id });
      await right.call("say", group.id, { text: "Late" });
      await wrong.event("group_message", { group: group.id });
      await wrong.call("send", { to: [right.address], subject: "Time", text: "." });
      await right.event("message");
      await right.call("send", { to: [wrong.address], subject: "Time", text: "." });
      await wrong.event("message");
    }
    assert.equal((await wrong.call("groupMessages", group.id)).length, 4);
  });
}
