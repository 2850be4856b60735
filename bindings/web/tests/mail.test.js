// Mail between people who see nothing but their pages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Caller, House, databases } from "./house.js";

const SUBJECT = "Potassium of this morning";
const TEXT = "Please look at the potassium: 6.1 mmol/l.\n— Clémence";

let house;
before(async () => {
  house = await House.open();
});
after(async () => {
  await house?.close();
});

test("a mail goes, and both see how far it has got", async () => {
  const clemence = await house.colleague("clemence");
  const david = await house.colleague("david");
  await clemence.go("Write");
  await clemence.recipients("To", [david.address]);
  await clemence.page.getByLabel("Subject").fill(SUBJECT);
  await clemence.page.getByRole("textbox", { name: "Text" }).fill(TEXT);
  await clemence.page.getByLabel("Urgency").selectOption("urgent");
  await clemence.page.getByLabel("Ask to be told when it has been displayed").check();
  await clemence.page.getByText("has a key").waitFor({ state: "attached" });
  await clemence.inspect("write");
  await clemence.page.getByRole("button", { name: "Send", exact: true }).click();
  await clemence.page.getByRole("heading", { name: SUBJECT }).waitFor();
  await clemence.page.locator(".delivery .mark", { hasText: "delivered" }).waitFor();

  await david.page.waitForFunction(() => document.title.startsWith("(1) "));
  await david.inspect("mail-list");
  await david.open(SUBJECT);
  assert.equal(await david.page.locator(".body").innerText(), TEXT);
  await david.page.waitForFunction(() => !document.title.startsWith("("));
  await david.inspect("mail-read");
  // The sender sees it without doing anything.
  await clemence.page.locator(".delivery .mark", { hasText: "displayed" }).waitFor();
  await clemence.inspect("mail-sent");
});

test("reply, reply to all, copies, forward", async () => {
  const [emma, farid, gil] = [await house.colleague("emma"), await house.colleague("farid"), await house.colleague("gil")];
  await emma.write({ to: [farid.address], cc: [gil.address], subject: "Bed 12", text: "Who can look?" });
  await emma.page.getByRole("heading", { name: "Bed 12" }).waitFor();
  await gil.open("Bed 12");
  await gil.page.getByRole("button", { name: "Reply to all" }).click();
  const chips = (label) => gil.page.getByRole("list", { name: label, exact: true }).getByRole("listitem").allInnerTexts();
  assert.match((await chips("To")).join(), /emma@.*farid@/s);
  assert.equal(await gil.page.getByLabel("Subject").inputValue(), "Re: Bed 12");
  assert.match(await gil.page.getByRole("textbox", { name: "Text" }).inputValue(), /Dr emma wrote \(.+\):\n> Who can look\?/);
  await gil.page.getByRole("button", { name: "Send", exact: true }).click();
  for (const person of [emma, farid]) {
    await person.go("Mail");
    await person.page.getByRole("button", { name: "Inbox" }).click();
    await person.open("Re: Bed 12");
    assert.match(await person.page.locator("dl.head").innerText(), /emma@clinic.example, farid@clinic.example/);
  }

  await farid.open("Bed 12");
  await farid.page.getByRole("button", { name: "Forward" }).click();
  const hana = await house.colleague("hana");
  await farid.recipients("To", [hana.address]);
  await farid.page.getByRole("button", { name: "Send", exact: true }).click();
  await farid.page.getByRole("heading", { name: "Fwd: Bed 12" }).waitFor();
  await hana.open("Fwd: Bed 12");
  await hana.page.getByText("From: emma@clinic.example").waitFor();
});

test("a mail is written and sent by keyboard alone", async () => {
  const ines = await house.colleague("ines");
  const jean = await house.colleague("jean");
  const { keyboard } = ines.page;
  const tabTo = async (name) => {
    for (let steps = 0; steps < 40; steps += 1) {
      await keyboard.press("Tab");
      if (await ines.page.evaluate((name) => (document.activeElement.innerText || document.activeElement.labels?.[0]?.innerText || "").trim() === name, name)) {
        return;
      }
    }
    assert.fail(`${name} is not reached by the keyboard`);
  };
  await tabTo("Write");
  await keyboard.press("Enter");
  await tabTo("To");
  await keyboard.type(`${jean.address}\n`);
  await tabTo("Subject");
  await keyboard.type("By keyboard");
  await tabTo("Text");
  await keyboard.type("No mouse was used.");
  const outline = await ines.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "the focus is seen");
  await ines.page.getByText("has a key").waitFor({ state: "attached" });
  await tabTo("Send");
  await keyboard.press("Enter");
  await ines.page.getByRole("heading", { name: "By keyboard" }).waitFor();
  await jean.open("By keyboard");
});

test("who cannot be written to is shown before anything is sent", async () => {
  const kofi = await house.colleague("kofi");
  const lea = await house.colleague("lea");
  await kofi.go("Write");
  await kofi.recipients("To", [lea.address, "nobody@clinic.example"]);
  await kofi.page.getByText("nobody@clinic.example: There is no account with this address.").waitFor();
  const send = kofi.page.getByRole("button", { name: "Send", exact: true });
  assert.equal(await send.isDisabled(), true);
  await kofi.inspect("write-unreachable");
  await kofi.page.getByRole("button", { name: "Remove nobody@clinic.example" }).last().click();
  await kofi.page.getByText("has a key").waitFor({ state: "attached" });
  assert.equal(await send.isDisabled(), false);
  // A draft is not lost by looking at something else, nor with the page; and nobody reads it in the browser's files.
  await kofi.page.getByLabel("Subject").fill("Half a mail");
  await kofi.go("Contacts");
  await kofi.go("Write");
  assert.equal(await kofi.page.getByLabel("Subject").inputValue(), "Half a mail");
  await kofi.page.waitForFunction(async () => (await indexedDB.databases()).some(({ name }) => name === "medipeps web"));
  await kofi.page.waitForTimeout(1_000);
  const kept = await databases(kofi.page);
  assert.ok(kept.length > 1_000);
  assert.equal(/Half a mail|lea@/.test(kept), false);
  await kofi.page.reload();
  await kofi.ready();
  assert.equal(await kofi.page.getByLabel("Subject").inputValue(), "Half a mail");
  await kofi.page.getByRole("list", { name: "To" }).getByText(lea.address).waitFor();
});

test("a stranger's mail is marked until he is accepted", async () => {
  const noah = await house.colleague("noah");
  // Strangers are told apart as soon as the server has heard whom Noah wants to hear from, which a new account tells by and by.
  let mia;
  for (let tries = 0; tries < 6; tries += 1) {
    mia = await house.colleague(`mia${tries}`);
    await mia.write({ to: [noah.address], subject: "Hello", text: "We have not met." });
    await noah.row("Hello").nth(tries).waitFor();
    if ((await noah.page.locator(".rows .mark", { hasText: "stranger" }).count()) > 0) {
      break;
    }
    await noah.page.waitForTimeout(2_000);
  }
  const hello = noah.row("Hello");
  await noah.page.getByRole("button", { name: "Requests 1" }).click();
  assert.equal(await hello.count(), 1);
  await noah.open("Hello");
  await noah.inspect("mail-request");
  await noah.page.getByRole("button", { name: "Accept this person" }).click();
  await noah.page.getByText("You have not been in contact").waitFor({ state: "detached" });
  assert.equal(await hello.count(), 0);
  await noah.page.getByRole("button", { name: "Inbox" }).click();
  const search = noah.page.getByLabel("Search subjects and people");
  await search.fill("mia0 nothing");
  await noah.page.getByText("Nothing found in this folder.").waitFor();
  await search.fill(`hel ${mia.address.slice(0, 5)}`);
  await noah.page.waitForFunction(() => document.querySelectorAll(".rows a").length === 1);
});

test("safety numbers are compared by digits and by code", async () => {
  const olga = await house.colleague("olga");
  const paul = await house.colleague("paul");
  for (const [one, other] of [[olga, paul], [paul, olga]]) {
    await one.go("Contacts");
    await one.page.getByLabel("Full address").fill(other.address);
    await one.page.getByRole("button", { name: "Look up" }).click();
    await one.page.getByRole("heading", { name: other.address }).waitFor();
  }
  const digits = await paul.page.locator(".digits").innerText();
  assert.equal(digits.replace(/\s/g, "").length, 60);
  assert.equal(await olga.page.locator(".digits").innerText(), digits);
  await olga.inspect("contact");

  const wrong = digits.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10));
  await olga.page.getByLabel("The other's digits or code").fill(wrong);
  await olga.page.getByRole("button", { name: "Compare" }).click();
  await olga.page.getByText("They do not match.").waitFor();
  await olga.inspect("contact-differs");
  await olga.page.getByLabel("The other's digits or code").fill(digits);
  await olga.page.getByRole("button", { name: "Compare" }).click();
  await olga.page.getByText("You have compared the key of this person.").waitFor();
  await olga.inspect("contact-verified");

  // The code of the other's screen, as a picture and as the text beside it.
  const picture = await olga.page.locator("svg.mp-qr").screenshot();
  await paul.page.getByLabel("From a picture").setInputFiles({ name: "code.png", mimeType: "image/png", buffer: picture });
  await paul.page.getByText("You have compared the key of this person.").waitFor();
  await paul.page.getByRole("button", { name: "Forget that I compared it" }).click();
  const code = await olga.page.getByLabel("Your code as text").inputValue();
  await paul.page.getByLabel("The other's digits or code").fill(code);
  await paul.page.getByRole("button", { name: "Compare" }).click();
  await paul.page.getByText("You have compared the key of this person.").waitFor();
  // From here on it is shown with every mail.
  await olga.write({ to: [paul.address], subject: "Verified", text: "It is me." });
  await paul.go("Mail");
  await paul.open("Verified");
  await paul.page.locator("article .mark", { hasText: "verified" }).waitFor();

  await paul.go("Contacts");
  await paul.page.locator(".rows a", { hasText: olga.address }).click();
  await paul.page.getByRole("button", { name: "Block" }).click();
  await paul.page.getByRole("button", { name: "Unblock" }).waitFor();
});

test("a hostile mail runs nothing and asks nobody", async () => {
  const mallory = new Caller(house, await house.place.browser.newContext(), "en-GB");
  await mallory.look();
  await mallory.register("mallory");
  const rosa = await house.colleague("rosa");
  const at = house.site.origin;
  const tell = "parent.ran=1;window.ran=1";
  const html = `<meta http-equiv="refresh" content="0;url=${at}/refresh"><base href="${at}/base/">
    <script>${tell}</script><img src="${at}/pixel.gif" onerror="${tell}"><svg onload="${tell}"></svg>
    <style>body{background:url(${at}/css.png)}</style><p style="background:url(${at}/inline.png)">The potassium is 6.1.</p>
    <form action="${at}/form"><input name="password"><button>Go on</button></form><iframe src="${at}/frame"></iframe>
    <a href="javascript:${tell}">run</a> <a href="https://elsewhere.example/page">elsewhere</a>`;
  await mallory.call("send", { to: [rosa.address], subject: "<img src=x onerror=window.ran=1>", text: "The potassium is 6.1.", html });
  const before = house.site.asked.length;
  await rosa.open("<img src=x onerror=window.ran=1>");
  const frame = rosa.page.frameLocator("iframe.mp-mail-frame");
  await frame.getByText("The potassium is 6.1.").waitFor();
  await rosa.inspect("mail-html");
  // The browser asks for the page's own sign when the title changes.
  assert.deepEqual(house.site.asked.slice(before).filter((path) => path !== "/icon.svg"), []);
  assert.equal(await rosa.page.evaluate(() => window.ran), undefined);
  assert.equal(await frame.getByText("elsewhere").getAttribute("rel"), "noopener noreferrer");
  assert.equal(await frame.locator("form, script, iframe, img, style").count(), 0);
});
