// An Outlook without an account.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { DOMAIN, Place, scene } from "./place.js";

/** @type {Place} */
let place;
before(async () => {
  place = await Place.open("claire", "david");
});
after(async () => {
  await place?.close();
});
const scenes = (name, work) => test(name, scene(() => place, work));

scenes("an account is made with an invitation, and its recovery key is shown until it is written down", async () => {
  const gil = await place.person("gil");
  const pane = await gil.pane(gil.outlook.compose());
  await pane.getByText("Microsoft sees who writes to whom and when, never what").waitFor();
  await gil.look(pane, "first-run");
  await pane.getByRole("button", { name: "I have an invitation" }).click();
  // What the build and Outlook know is there already.
  assert.equal(await pane.getByLabel("Server").inputValue(), "mail.clinic.example:4433");
  assert.equal(await pane.getByLabel("Address").inputValue(), gil.address);
  await pane.getByLabel("Server").fill(place.server);
  await pane.getByLabel("Invitation code").fill("medipeps-invite:nonsense");
  await pane.getByRole("button", { name: "Make the account" }).click();
  await pane.getByRole("alert").waitFor();
  await gil.look(pane, "first-run-refused");
  await pane.getByLabel("Invitation code").fill(place.invite());
  await pane.getByRole("button", { name: "Make the account" }).click();
  const key = pane.locator(".code");
  await key.waitFor();
  const shown = await key.innerText();
  assert.match(shown.replace(/\s/g, ""), /^[A-Z2-7]{52}$/);
  await gil.look(pane, "recovery-key");
  await pane.close();

  const again = await gil.pane(gil.outlook.compose());
  assert.equal(await again.locator(".code").innerText(), shown);
  assert.equal(await again.getByRole("button", { name: "Continue" }).isDisabled(), true);
  await again.getByRole("checkbox", { name: "I have written it down" }).check();
  await again.getByRole("button", { name: "Continue" }).click();
  await again.getByRole("heading", { name: "How does this mail go?" }).waitFor();
  await again.close();
  const later = await gil.pane(gil.outlook.compose());
  await later.getByRole("heading", { name: "How does this mail go?" }).waitFor();
  place.clean([shown, shown.replace(/\s/g, "")]);
});

scenes("an Outlook is linked with a device that there is, and reads what comes from then on", async () => {
  const { claire, david } = place;
  const second = await place.person("claire-second", { address: claire.address });
  const pane = await second.pane(second.outlook.compose());
  await pane.getByRole("button", { name: "Link with my other device" }).click();
  await pane.getByLabel("Server").fill(place.server);
  await pane.getByRole("button", { name: "Link with my other device" }).click();
  const code = pane.locator(".code");
  await code.waitFor();
  await pane.getByRole("img", { name: "Linking code" }).waitFor();
  await second.look(pane, "link-code");

  const other = await claire.account();
  const digits = await other.evaluate(async (code) => {
    window.state = await window.client.linkDevice(code);
    while (window.state.state !== "compare") {
      window.state = await window.client.continueLinking();
    }
    return window.state.digits;
  }, await code.innerText());
  await pane.locator(".digits").waitFor();
  assert.equal((await pane.locator(".digits").innerText()).replace(/\D/g, ""), digits.replace(/\D/g, ""));
  await second.look(pane, "link-digits");
  const agreed = other.evaluate(async () => {
    window.state = await window.client.continueLinking(true);
    while (window.state.state !== "granted") {
      window.state = await window.client.continueLinking();
    }
  });
  await pane.getByRole("button", { name: "Yes, the same" }).click();
  await agreed;
  await pane.getByRole("heading", { name: "How does this mail go?" }).waitFor();
  await other.close();

  second.outlook.items = [];
  place.exchange.mailboxes.set(claire.address, second.outlook);
  await david.send(await david.write({ to: [claire.address], subject: "Troponin", text: "34 ng/l." }));
  await second.select(pane, second.outlook.inbox[0]);
  await pane.getByText("34 ng/l.").waitFor();
  place.clean(["Troponin", "34 ng/l", digits]);
  place.exchange.mailboxes.set(claire.address, claire.outlook);
});

scenes("other digits end a linking, and nothing has changed", async () => {
  const { david } = place;
  const second = await place.person("david-second", { address: david.address });
  const pane = await second.pane(second.outlook.compose());
  await pane.getByRole("button", { name: "Link with my other device" }).click();
  await pane.getByLabel("Server").fill(place.server);
  await pane.getByRole("button", { name: "Link with my other device" }).click();
  const other = await david.account();
  await other.evaluate(async (code) => {
    let { state } = await window.client.linkDevice(code);
    while (state !== "compare") {
      ({ state } = await window.client.continueLinking());
    }
  }, await pane.locator(".code").innerText());
  await pane.getByRole("button", { name: "No", exact: true }).click();
  await pane.getByRole("alert").waitFor();
  await pane.getByRole("button", { name: "Link with my other device" }).waitFor();
  assert.equal((await other.evaluate(() => window.client.devices())).length, 1);
  await other.close();
  place.clean([]);
});

scenes("a pane that is a frame in a page of another site does everything", async () => {
  const { david } = place;
  const hana = await place.person("hana", { profile: true });
  const item = hana.outlook.compose({ to: [david.address] });
  const pane = await hana.framed(item);
  await pane.getByRole("button", { name: "I have an invitation" }).click();
  await pane.getByLabel("Server").fill(place.server);
  await pane.getByLabel("Invitation code").fill(place.invite());
  await pane.getByRole("button", { name: "Make the account" }).click();
  await pane.getByRole("checkbox").check();
  await pane.getByRole("button", { name: "Continue" }).click();
  await pane.getByRole("button", { name: "Protected by Medipeps" }).click();
  await pane.getByLabel("Text").fill("Troponin 34 ng/l.");
  await pane.getByRole("button", { name: "Send protected" }).click();
  await pane.getByText("Now press Send in Outlook").waitFor();
  assert.deepEqual(await hana.outlook.send(item), { sent: true });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("Troponin 34 ng/l.").waitFor();
  place.clean(["Troponin", "34 ng/l"]);
});

scenes("a server that is not reached is told, and the way back is open", async () => {
  const ines = await place.person("ines");
  const pane = await ines.pane(ines.outlook.compose());
  await pane.getByRole("button", { name: "I have an invitation" }).click();
  await pane.getByLabel("Server").fill(place.server);
  await pane.getByLabel("Invitation code").fill(place.invite());
  await place.stop();
  await pane.getByRole("button", { name: "Make the account" }).click();
  await pane.getByRole("alert").waitFor();
  await place.start();
  await pane.getByRole("button", { name: "Make the account" }).click();
  await pane.locator(".code").waitFor();
  assert.equal(ines.address, `ines@${DOMAIN}`);
});
