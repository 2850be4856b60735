// A group that talks live.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { House } from "./house.js";

let house;
before(async () => {
  house = await House.open();
});
after(async () => {
  await house?.close();
});

/** Says something in the group that is open. */
async function say(person, text) {
  await person.page.getByRole("textbox", { name: "Message" }).fill(text);
  await person.page.getByRole("textbox", { name: "Message" }).press("Enter");
  await person.page.locator(".message .body", { hasText: text }).waitFor();
}

/** Goes on typing, a letter a second. */
async function typesUntil(person, seen) {
  let over = false;
  seen.catch(() => {}).finally(() => { over = true; });
  while (!over) {
    await person.page.getByRole("textbox", { name: "Message" }).press("o");
    await person.page.waitForTimeout(1000);
  }
}

/** A message as somebody sees it. */
const message = (person, text) => person.page.locator(".message", { has: person.page.locator(".body", { hasText: text }) });

test("a group is made, and what is said is there at once", async () => {
  const [nadia, omar, pia] = [await house.colleague("nadia"), await house.colleague("omar"), await house.colleague("pia")];
  await nadia.go("Groups");
  await nadia.inspect("groups-empty");
  await nadia.page.getByRole("link", { name: "New group" }).click();
  await nadia.page.getByLabel("Name", { exact: true }).fill("Ward 3");
  await nadia.page.getByLabel("Description").fill("Night shift");
  await nadia.recipients("Members", [omar.address, pia.address]);
  await nadia.page.locator(".mp-chip.mp-ready").nth(1).waitFor();
  await nadia.inspect("group-new");
  await nadia.page.getByRole("button", { name: "New group" }).click();
  await nadia.page.getByRole("heading", { name: "Ward 3" }).waitFor();
  for (const person of [omar, pia]) {
    await person.go("Groups");
    await person.page.locator(".rows a", { hasText: "Ward 3" }).click();
    await person.page.getByRole("textbox", { name: "Message" }).waitFor();
  }
  await say(nadia, "Bed 12 needs a look.");
  await message(omar, "Bed 12 needs a look.").waitFor();
  await message(pia, "Bed 12 needs a look.").waitFor();
  await nadia.page.getByText("read by 2").waitFor();

  // Typing is seen while it lasts. One signal may be lost: nobody keeps it for who is not there at that moment.
  const seen = nadia.page.getByText("omar@clinic.example is typing …").waitFor();
  await Promise.all([seen, typesUntil(omar, seen)]);
  await say(omar, "On my way.");
  await message(nadia, "On my way.").waitFor();
  await nadia.page.getByText("is typing …").waitFor({ state: "detached" });

  // A reply, and a reaction that is taken back.
  await message(pia, "On my way.").getByText("More").click();
  await message(pia, "On my way.").getByRole("button", { name: "React with ✅" }).click();
  await message(omar, "On my way.").getByRole("button", { name: /^✅ 1/ }).waitFor();
  await message(pia, "On my way.").getByRole("button", { name: /^✅ 1/ }).click();
  await message(omar, "On my way.").getByRole("button", { name: /^✅ 1/ }).waitFor({ state: "detached" });
  await message(pia, "On my way.").getByRole("button", { name: "Reply" }).click();
  await say(pia, "Thank you.");
  await message(omar, "Thank you.").locator("blockquote", { hasText: "On my way." }).waitFor();
  await nadia.inspect("group");

  // Who looks elsewhere sees that there is something to read.
  await omar.go("Mail");
  await say(nadia, "Still there?");
  await omar.page.waitForFunction(() => document.title.startsWith("(1) "));
  await omar.go("Groups");
  await omar.page.locator(".rows a.unread", { hasText: "Ward 3" }).click();
  await message(omar, "Still there?").waitFor();
  await omar.page.waitForFunction(() => !document.title.startsWith("("));

  // One's own quiet.
  await omar.page.getByRole("button", { name: "3 members" }).click();
  await omar.page.getByLabel("Do not notify me of this group").check();
  await omar.page.getByRole("button", { name: "Close" }).click();
  await omar.page.locator(".rows .mark", { hasText: "muted" }).waitFor();

  // Members come and go.
  const quin = await house.colleague("quin");
  await nadia.page.getByRole("button", { name: "3 members" }).click();
  await nadia.page.getByRole("button", { name: `Remove ${pia.address}` }).click();
  await nadia.page.getByRole("button", { name: `Remove ${pia.address}` }).waitFor({ state: "detached" });
  await nadia.recipients("Add members", [quin.address]);
  await nadia.inspect("group-members");
  await nadia.page.getByRole("button", { name: "Add", exact: true }).click();
  await nadia.page.getByRole("button", { name: `Remove ${quin.address}` }).first().waitFor();
  await nadia.page.getByRole("button", { name: "Close" }).click();
  await pia.page.getByText("you were removed").first().waitFor();
  await quin.go("Groups");
  await quin.page.locator(".rows a", { hasText: "Ward 3" }).click();
  await quin.page.getByRole("textbox", { name: "Message" }).waitFor();
  await say(nadia, "Welcome.");
  await message(quin, "Welcome.").waitFor();
  assert.equal(await message(pia, "Welcome.").count(), 0);
});
