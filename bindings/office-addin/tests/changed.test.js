// Items that somebody changes in Outlook's window, before and after Medipeps has sent the mail.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Place, scene, until } from "./place.js";
import { stub } from "./stubs.js";

const SECRETS = ["Creatinine", "142 micromol"];
const MAIL = { subject: "Creatinine", text: "142 micromol/l." };

/** @type {Place} */
let place;
before(async () => {
  place = await Place.open("claire", "david", "emma");
});
after(async () => {
  await place?.close();
});
const scenes = (name, work) => test(name, scene(() => place, work));

/** A mail that Medipeps has sent, its item still in Outlook. */
async function stamped() {
  const { claire, david } = place;
  const writing = await claire.write({ ...MAIL, to: [david.address] });
  await writing.pane.getByRole("button", { name: "Send protected" }).click();
  await writing.pane.getByText("Now press Send in Outlook").waitFor();
  return writing;
}

scenes("an item that is edited after it was stamped stays, and the pane puts it right", async () => {
  const { claire, david } = place;
  const { item, pane } = await stamped();
  claire.outlook.edit(item, (state) => {
    state.html += "<p>Kind regards</p>";
    state.subject = "About the patient";
    state.attachments = [{ id: "1", name: "photo.jpg", content: "AAAA", isInline: false }];
    state.bcc = ["gil@elsewhere.example"];
  });
  assert.equal((await claire.outlook.send(item)).sent, false);
  await pane.getByText("Outlook will not send this item as it is now").waitFor();
  await claire.look(pane, "put-right");
  await pane.getByRole("button", { name: "Put the item right" }).click();
  await pane.getByText("Now press Send in Outlook").waitFor();
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  const { state } = david.outlook.inbox[0];
  assert.deepEqual([state.subject, state.attachments], [stub.SUBJECT, []]);
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("142 micromol/l.").waitFor();
  place.clean(SECRETS);
});

scenes("somebody added after the mail was sent gets a forward, not the stub", async () => {
  const { claire, david, emma } = place;
  const { item, pane } = await stamped();
  claire.outlook.edit(item, (state) => state.cc.push(emma.address));
  const answer = await claire.outlook.send(item);
  assert.equal(answer.sent, false);
  assert.match(answer.message, /the recipients are not those/);
  assert.match(answer.command, /^Medipeps/);
  await pane.getByText(`The mail has not gone to ${emma.address}`).waitFor();
  await pane.getByRole("button", { name: `Forward to ${emma.address} in a new mail` }).click();
  await until(() => claire.outlook.items.at(-1) !== item);
  const forward = claire.outlook.items.at(-1);
  assert.deepEqual(forward.state.to, [emma.address]);
  await pane.getByRole("button", { name: "Put the item right" }).click();
  await pane.getByText("Now press Send in Outlook").waitFor();
  assert.deepEqual(item.state.cc, []);
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  await claire.send({ item: forward, pane: await claire.pane(forward) });

  const reading = await emma.pane(emma.outlook.inbox[0]);
  await reading.getByText("142 micromol/l.").waitFor();
  const first = await david.pane(david.outlook.inbox[0]);
  await first.getByText("142 micromol/l.").waitFor();
  place.clean(SECRETS);
});

scenes("somebody removed after the mail was sent is put back: he has it", async () => {
  const { claire, david } = place;
  const { item, pane } = await stamped();
  claire.outlook.edit(item, (state) => (state.to = []));
  assert.equal((await claire.outlook.send(item)).sent, false);
  await pane.getByText(`The mail has gone to ${david.address} already`).waitFor();
  await pane.getByRole("button", { name: "Put the item right" }).click();
  await pane.getByText("Now press Send in Outlook").waitFor();
  assert.deepEqual(item.state.to, [david.address]);
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  place.clean(SECRETS);
});

scenes("what was written in Outlook before moves into the pane, and the pane says where it has been", async () => {
  const { claire, david } = place;
  place.exchange.kept = [];
  const attachments = [{ id: "1", name: "letter.txt", content: Buffer.from("142 micromol/l, in a file").toString("base64"), isInline: false }];
  const item = claire.outlook.compose({ to: [david.address], subject: MAIL.subject, html: `<p>${MAIL.text}</p>`, attachments });
  const pane = await claire.pane(item);
  await pane.getByText("Outlook may have saved it to Microsoft’s servers already").waitFor();
  await pane.getByRole("button", { name: "Protected by Medipeps" }).click();
  await pane.getByRole("heading", { name: "Protected mail" }).waitFor();
  // Outlook had saved it, and what it has saved the record shows: this is what the search finds, in the clear and in files.
  const found = place.exchange.find(SECRETS);
  assert.ok(found.some((what) => what.startsWith("Creatinine: ")) && found.some((what) => what.startsWith("142 micromol: ")));
  place.exchange.kept = [];
  assert.equal(await pane.getByLabel("Subject").inputValue(), MAIL.subject);
  assert.equal(await pane.getByLabel("Text").inputValue(), MAIL.text);
  await pane.getByText("letter.txt").waitFor();
  assert.deepEqual([item.state.subject, item.state.attachments], [stub.SUBJECT, []]);
  assert.ok(stub.isStub(item.state.html, stub.stubIdIn(item.state.html)));
  await pane.getByRole("button", { name: "Remove letter.txt" }).click();
  await claire.send({ item, pane });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("142 micromol/l.").waitFor();
  place.clean(SECRETS);
});

scenes("what is typed in Outlook beside a draft is seen before it is sent, and can be moved", async () => {
  const { claire, david } = place;
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  claire.outlook.edit(item, (state) => {
    state.html += "<p>Second line</p>";
    state.bcc = ["gil@elsewhere.example"];
  });
  await pane.getByRole("button", { name: "Send protected" }).click();
  await pane.getByText("There is text in Outlook’s window").first().waitFor();
  await claire.look(pane, "outside");
  await pane.getByRole("button", { name: "Move it into this pane" }).click();
  await until(() => item.state.bcc.length === 0 && stub.isStub(item.state.html, stub.stubIdIn(item.state.html)));
  assert.equal(await pane.getByLabel("Text").inputValue(), `${MAIL.text}\nSecond line`);
  await claire.send({ item, pane });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("Second line").waitFor();
  place.clean(SECRETS);
});

scenes("a file that a filter has emptied is not sent as an empty one", async () => {
  const { claire, david } = place;
  const call = claire.outlook.call;
  claire.outlook.call = (item, name, ...rest) => (name === "attachments.content" ? Promise.resolve({ content: "", format: "base64" }) : call.call(claire.outlook, item, name, ...rest));
  const attachments = [{ id: "1", name: "letter.txt", content: "AAAA", isInline: false }];
  const item = claire.outlook.compose({ to: [david.address], attachments });
  const pane = await claire.pane(item);
  await pane.getByRole("button", { name: "Protected by Medipeps" }).click();
  await pane.getByText("Outlook does not hand over “letter.txt”").waitFor();
  claire.outlook.call = call;
  assert.equal((await claire.outlook.send(item)).sent, false);
  place.clean(SECRETS);
});

scenes("a pinned pane follows Outlook to another item", async () => {
  const { claire, david } = place;
  await claire.send(await claire.write({ ...MAIL, to: [david.address] }));
  const lunch = david.outlook.compose({ subject: "Lunch", html: "<p>At one?</p>" });
  lunch.mode = "read";
  const pane = await david.pane(lunch);
  await pane.getByText("This mail is not protected by Medipeps").waitFor();
  await david.select(pane, david.outlook.inbox[0]);
  await pane.getByText("142 micromol/l.").waitFor();
  await david.select(pane, undefined);
  await pane.getByText("Select a mail").waitFor();
  place.clean(SECRETS);
});
