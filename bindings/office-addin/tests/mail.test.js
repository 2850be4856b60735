// Mail between people with an Outlook each, from the first click to the text that the other reads.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Place, scene, until } from "./place.js";
import { stub } from "./stubs.js";

const { SUBJECT, isStub, stubIdIn } = stub;
const SECRETS = ["Potassium", "6.1 mmol", "on my way"];
const MAIL = { subject: "Potassium of this morning", text: "6.1 mmol/l.\nPlease look at it." };

/** @type {Place} */
let place;
before(async () => {
  place = await Place.open("claire", "david", "emma");
});
after(async () => {
  await place?.close();
});
const scenes = (name, work) => test(name, scene(() => place, work));

scenes("a mail is written, sent, read and answered; Exchange has stubs alone", async () => {
  const { claire, david } = place;
  await david.fresh({ flavour: "classic" });
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  await pane.getByText(`${david.address}, has a key`).waitFor();
  assert.equal(item.state.subject, SUBJECT);
  assert.ok(isStub(item.state.html, stubIdIn(item.state.html)));
  const early = await claire.outlook.send(item);
  assert.equal(early.sent, false);
  assert.match(early.message, /has not sent this mail yet/);
  await claire.look(pane, "write");
  await pane.getByRole("button", { name: "Send protected" }).click();
  await pane.getByText("Now press Send in Outlook").waitFor();
  await claire.look(pane, "sent");
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  await pane.close();

  const [received] = david.outlook.inbox;
  assert.equal(received.state.subject, SUBJECT);
  const reading = await david.pane(received);
  await reading.getByText("6.1 mmol/l.").waitFor();
  await reading.getByRole("heading", { name: MAIL.subject }).waitFor();
  await david.look(reading, "read");

  await reading.getByRole("button", { name: "Reply", exact: true }).click();
  await reading.getByText("A new window has opened").waitFor();
  const answer = david.outlook.items.at(-1);
  assert.deepEqual(answer.state.to, [claire.address]);
  assert.ok(isStub(answer.state.html, stubIdIn(answer.state.html)), "the signature is gone");
  // The reading pane stays open, and gives the account to the other.
  const writing = await david.pane(answer);
  assert.equal(await writing.getByLabel("Subject").inputValue(), `Re: ${MAIL.subject}`);
  assert.match(await writing.getByLabel("Text").inputValue(), /claire\S* wrote .*\n> 6\.1 mmol\/l\.\n> Please look at it\.$/s);
  await writing.getByLabel("Text").fill("On my way.");
  await david.send({ item: answer, pane: writing });

  const back = await claire.pane(claire.outlook.inbox[0]);
  await back.getByText("On my way.").waitFor();
  place.clean(SECRETS);
});

scenes("Outlook's own reply to a mail that it shows decrypted is a stub, and the pane writes the answer", async () => {
  const { claire, david } = place;
  await claire.send(await claire.write({ ...MAIL, to: [david.address] }));
  const [received] = david.outlook.inbox;
  const shown = await david.outlook.show(received);
  assert.equal(shown.allowEvent, true);
  assert.match(shown.emailBody.content, /6\.1 mmol/);
  assert.match(shown.emailBody.content, /Potassium of this morning/);

  const item = await david.outlook.answer(received, "reply");
  const pane = await david.pane(item);
  assert.equal(await pane.getByLabel("Subject").inputValue(), `Re: ${MAIL.subject}`);
  assert.match(await pane.getByLabel("Text").inputValue(), /> 6\.1 mmol/);
  await pane.getByLabel("Text").fill("On my way.");
  await david.send({ item, pane });
  const back = await claire.pane(claire.outlook.inbox[0]);
  await back.getByText("On my way.").waitFor();
  place.clean(SECRETS);
});

scenes("a reply to all with one person outside goes nowhere until somebody has decided about him", async () => {
  const { claire, david } = place;
  const outside = "ines@elsewhere.example";
  await claire.send(await claire.write({ ...MAIL, to: [david.address] }));
  // In Outlook the item goes to somebody without Medipeps as well: her copy of the stub names him.
  const [received] = david.outlook.inbox;
  received.state.cc.push(outside);
  const item = await david.outlook.answer(received, "replyAll");
  assert.deepEqual(item.state.to, [claire.address, outside]);
  const pane = await david.pane(item);
  const instead = pane.getByRole("group", { name: `Instead of writing to ${outside}` });
  await instead.waitFor();
  await david.look(pane, "reply-all-outside");
  await pane.getByLabel("Text").fill("On my way.");
  await pane.getByRole("button", { name: "Send protected" }).click();
  await pane.getByText("Somebody cannot be written to").waitFor();
  assert.equal((await david.outlook.send(item)).sent, false);

  // A plain mail is another item, empty, and says what it is before it goes.
  await instead.getByRole("button", { name: "Write without protection in a new mail" }).click();
  await assert.doesNotReject(until(() => david.outlook.items.at(-1) !== item));
  const plain = david.outlook.items.at(-1);
  assert.deepEqual(plain.state.to, [outside]);
  assert.equal((await david.outlook.send(plain)).sent, false);
  const deciding = await david.pane(plain);
  await deciding.getByRole("heading", { name: "How does this mail go?" }).waitFor();
  await david.look(deciding, "start");
  await deciding.getByRole("button", { name: "Without protection" }).click();
  await deciding.getByText("Really send this mail unprotected?").waitFor();
  await deciding.getByRole("button", { name: "Yes, without protection" }).click();
  await deciding.getByText("This mail goes without protection").waitFor();
  david.outlook.edit(plain, (state) => (state.html = "<p>Please telephone.</p>"));
  assert.deepEqual(await david.outlook.send(plain), { sent: true });
  await deciding.close();

  await instead.getByRole("button", { name: `Remove ${outside}` }).click();
  await until(() => !item.state.to.includes(outside));
  await david.send({ item, pane });
  const back = await claire.pane(claire.outlook.inbox[0]);
  await back.getByText("On my way.").waitFor();
  place.clean(SECRETS);
});

scenes("a forwarded stub says who may not read it, and what to do", async () => {
  const { claire, david, emma } = place;
  await claire.send(await claire.write({ ...MAIL, to: [david.address] }));
  // Forwarded in an Outlook without the add-in: the header is gone, the text is not.
  const [stubOfDavid] = david.outlook.inbox;
  const forwarded = structuredClone({ ...stubOfDavid.state, headers: {}, to: [emma.address] });
  const received = Object.assign(Object.create(Object.getPrototypeOf(stubOfDavid)), stubOfDavid, { state: forwarded, from: david.address });
  const pane = await emma.pane(received);
  await pane.getByText(`was not sent to you (${emma.address})`).waitFor();
  await pane.getByText(`Ask ${david.address} to forward the mail itself`).waitFor();
  await emma.look(pane, "no-rights");
  await pane.close();
  const shown = await emma.outlook.show(received);
  assert.equal(shown.allowEvent, false);

  // Forwarded as it should be.
  const reading = await david.pane(stubOfDavid);
  await reading.getByRole("button", { name: "Forward" }).click();
  await reading.getByText("A new window has opened").waitFor();
  const item = david.outlook.items.at(-1);
  const writing = await david.pane(item);
  await writing.getByLabel("To").fill(`${emma.address},`);
  await writing.getByText(`${emma.address}, has a key`).waitFor();
  await until(() => item.state.to.includes(emma.address));
  await david.send({ item, pane: writing });
  const may = await emma.pane(emma.outlook.inbox[0]);
  await may.getByText("6.1 mmol/l.").waitFor();
  place.clean(SECRETS);
});

scenes("a stub whose mail is still on its way waits for it", async () => {
  const { claire, david } = place;
  await claire.send(await claire.write({ ...MAIL, to: [david.address] }));
  const [received] = david.outlook.inbox;
  // Another mail's id, which is never sent: the item itself is as the sender's Outlook made it.
  const id = "0123456789abcdef0123456789abcdef";
  received.state.html = stub.stubHtml(id);
  received.state.headers[stub.HEADER] = stub.headerOf({ state: "sent", id, recipients: stub.recipientsDigest(id, [david.address]) });
  const pane = await david.pane(received);
  await pane.getByText("It may be on its way").waitFor();
  await david.look(pane, "on-its-way");
  place.clean(SECRETS);
});

scenes("a mail with html from another client is shown in a frame that can do nothing", async () => {
  const { claire, david } = place;
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  await pane.close();
  const account = await claire.account();
  const html = `<p>Please <b>look</b> at it.</p><img src="https://elsewhere.example/potassium"><script>window.ran = true</script>`;
  const messageId = await account.evaluate(
    async ([to, subject, html]) => {
      const { id } = await window.client.send({ to: [to], subject, text: "Please look at it.", html });
      return (await window.client.messages()).find((mail) => mail.id === id).messageId;
    },
    [david.address, MAIL.subject, html],
  );
  await account.close();
  const id = stub.stubIdOf(messageId);
  item.state.html = stub.stubHtml(id);
  item.state.headers[stub.HEADER] = stub.headerOf({ state: "sent", id, recipients: stub.recipientsDigest(id, [david.address]) });
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  const reading = await david.pane(david.outlook.inbox[0]);
  const frame = reading.frameLocator("iframe");
  await frame.locator("b").filter({ hasText: "look" }).waitFor();
  assert.equal(await frame.locator("img, script").count(), 0);
  place.clean(SECRETS);
});

scenes("everything is there in French, and goes by keyboard", async () => {
  const { claire, david } = place;
  await claire.fresh({ language: "fr-FR" });
  await david.fresh({ language: "fr-FR" });
  const item = claire.outlook.compose({ to: [david.address] });
  const pane = await claire.pane(item);
  await pane.getByRole("button", { name: "Protégé par Medipeps" }).waitFor();
  await claire.look(pane, "start-fr");
  const press = async (name, role = "button") => {
    const wanted = pane.getByRole(role, { name });
    await wanted.waitFor();
    for (let tries = 0; tries < 40 && !(await wanted.evaluate((element) => element === document.activeElement)); tries++) {
      await pane.keyboard.press("Tab");
    }
    assert.ok(await wanted.evaluate((element) => element === document.activeElement), `${name} is reached by Tab`);
  };
  await press("Protégé par Medipeps");
  await pane.keyboard.press("Enter");
  await press("Objet", "textbox");
  await pane.keyboard.type("Potassium de ce matin");
  await press(/^Texte/, "textbox");
  await pane.keyboard.type("6.1 mmol/l.");
  await pane.getByText(`${david.address}, a une clé`).waitFor();
  await claire.look(pane, "write-fr");
  await press("Envoyer protégé");
  await pane.keyboard.press("Enter");
  await pane.getByText("Appuyez maintenant sur Envoyer").waitFor();
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("6.1 mmol/l.").waitFor();
  await david.look(reading, "read-fr");
  assert.equal(await reading.getAttribute("html", "lang"), "fr");
  await reading.getByLabel("Langue").selectOption("en");
  await reading.getByRole("button", { name: "Reply to all" }).waitFor();
  place.clean(SECRETS);
});
