// From a browser without an account to one with it, and what becomes of it: other tabs, other devices, a database that is gone.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { MODULES, browser } from "../../ui/tests/stage.js";
import { House, databases } from "./house.js";

let house;
before(async () => {
  house = await House.open();
});
after(async () => {
  await house?.close();
});

test("an account is made, and its recovery key shown once", async () => {
  const claire = await house.person();
  await claire.look();
  const { page } = claire;
  await page.getByRole("heading", { name: "Welcome" }).waitFor();
  await claire.inspect("first-run");
  await page.getByRole("button", { name: "Create the account" }).click();
  assert.equal(await page.getByLabel("Server", { exact: true }).inputValue(), house.place.server);
  await claire.inspect("create");
  await claire.fillIn("claire", "not-an-invitation");
  await page.getByRole("alert").waitFor();
  await claire.inspect("create-refused");
  await claire.fillIn("claire");
  const key = (await page.locator(".key").innerText()).replace(/\s/g, "");
  assert.match(key, /^[A-Z2-7]{52}$/);
  await claire.inspect("recovery-key");
  // On paper there is the key and nothing else.
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.getByRole("button", { name: "Print" }).isVisible(), false);
  assert.equal(await page.locator(".sheet").isVisible(), true);
  await page.emulateMedia({ media: null });
  const last = page.getByLabel("The last 4 letters of the key");
  await last.fill("0000");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("These are not the last letters.").waitFor();
  await last.fill(key.slice(-4).toLowerCase());
  await page.getByRole("button", { name: "Go on" }).click();
  await claire.ready();
  await claire.inspect("mail-empty");
  assert.equal((await page.content()).includes(key), false);

  await page.reload();
  await claire.ready();
  await page.getByText(claire.address).first().waitFor();

  const other = await house.person();
  await other.look();
  await other.page.getByRole("button", { name: "Create the account" }).click();
  await other.fillIn("claire");
  await other.page.getByText("The address belongs to somebody else.").waitFor();
});

test("a recovery key that nobody has confirmed is shown again, and is nowhere after", async () => {
  const bea = await house.person();
  await bea.look();
  const { page } = bea;
  await page.getByRole("button", { name: "Create the account" }).click();
  await bea.fillIn("bea");
  const shown = async () => (await page.locator(".key").innerText()).replace(/\s/g, "");
  const key = await shown();
  await page.reload();
  assert.equal(await shown(), key);
  assert.equal((await databases(page)).includes(key), false);
  await page.getByLabel("The last 4 letters of the key").fill(key.slice(-4));
  await page.getByRole("button", { name: "Go on" }).click();
  await bea.ready();
  await page.reload();
  await bea.ready();
  assert.equal((await page.content()).includes(key.slice(0, 4)), false);
});

test("every area in French, in the dark", async () => {
  const fatou = await house.person("fr-FR", { colorScheme: "dark" });
  await fatou.look();
  await fatou.register("fatou");
  const { page } = fatou;
  assert.equal(await page.evaluate(() => document.documentElement.lang), "fr");
  assert.match(await page.title(), /^Messages – Medipeps$/);
  for (const area of ["Messages", "Écrire", "Groupes", "Contacts", "Appareils", "Réglages"]) {
    await fatou.go(area);
    await page.locator("#main h2").first().waitFor();
    await fatou.inspect(`french-${area.toLowerCase()}`);
  }
  // The other language is kept over a reload.
  await page.getByRole("banner").getByRole("combobox", { name: "Langue" }).selectOption("en");
  await page.getByRole("navigation").getByRole("link", { name: "Devices" }).waitFor();
  await page.reload();
  await page.getByRole("navigation").getByRole("link", { name: "Devices" }).waitFor();
});

test("one tab at a time, and it can be handed over", async () => {
  const emma = await house.colleague("emma");
  const second = await emma.tab();
  await second.getByRole("heading", { name: "Open in another tab" }).waitFor();
  const first = emma.page;
  emma.page = second;
  await emma.inspect("busy");
  await second.getByRole("button", { name: "Use it here" }).click();
  await emma.ready();
  await first.getByText("Another tab or window has taken over your account.").waitFor();
  await first.getByRole("button", { name: "Use it here" }).click();
  await first.getByRole("navigation").waitFor();
  await second.getByRole("heading", { name: "Open in another tab" }).waitFor();
});

test("a second browser becomes a device, gets mail, is renamed and removed", async () => {
  const karim = await house.colleague("karim");
  const lea = await house.colleague("lea");
  const laptop = await house.person();
  await laptop.look();
  await laptop.page.getByRole("button", { name: "Link this browser" }).click();
  await laptop.page.getByLabel("Address", { exact: true }).fill(karim.address);
  await laptop.page.getByLabel("What to call this browser").fill("Laptop");
  await laptop.page.getByRole("button", { name: "Show the code" }).click();
  const code = await laptop.page.getByLabel("The same as text").inputValue();
  assert.match(code, /^MEDIPEPS-LINK:[A-Z2-7]+$/);
  await laptop.inspect("link-code");

  await karim.go("Devices");
  await karim.page.getByRole("button", { name: "Link another device" }).click();
  // The picture on the laptop's screen, as a camera would see it.
  const picture = await laptop.page.locator("svg.mp-qr").screenshot();
  await karim.inspect("link-dialog");
  await karim.page.getByLabel("From a picture").setInputFiles({ name: "code.png", mimeType: "image/png", buffer: picture });
  const digits = (person) => person.page.locator(".digits").innerText();
  assert.equal(await digits(karim), await digits(laptop));
  assert.match(await digits(karim), /^\d{4} \d{4}$/);
  await karim.inspect("link-digits");
  await karim.page.getByText("“Laptop” must show the same eight digits.").waitFor();
  await karim.page.getByRole("button", { name: "They are the same" }).click();
  await laptop.page.getByRole("button", { name: "They are the same" }).click();
  await laptop.ready();
  await karim.page.getByText("The devices are linked.").waitFor();
  await karim.page.getByRole("button", { name: "Close" }).click();

  await lea.write({ to: [karim.address], subject: "On both", text: "Both of your browsers read this." });
  for (const browser of [karim, laptop]) {
    await browser.go("Mail");
    await browser.open("On both");
    await browser.page.getByText("Both of your browsers read this.").waitFor();
  }

  await karim.go("Devices");
  const cards = karim.page.locator(".card");
  assert.equal(await cards.count(), 2);
  await karim.page.getByRole("button", { name: "Rename Laptop" }).click();
  await karim.page.getByLabel("Name", { exact: true }).fill("Old laptop");
  await karim.page.getByRole("button", { name: "Rename", exact: true }).click();
  await karim.page.getByRole("heading", { name: "Old laptop", exact: true }).waitFor();
  await karim.inspect("devices");
  await karim.page.getByRole("button", { name: "Remove Old laptop" }).click();
  await karim.page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
  await karim.page.getByRole("heading", { name: "Old laptop", exact: true }).waitFor({ state: "detached" });
  assert.equal(await cards.count(), 1);
  await laptop.page.getByText("This browser is not one of the account's devices any more").waitFor();
  await laptop.inspect("revoked");
});

test("a code is read by camera", async () => {
  const folder = mkdtempSync(join(tmpdir(), "medipeps-camera-"));
  const film = join(folder, "camera.y4m");
  const camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${film}`];
  const chromium = await browser("--ignore-certificate-errors", ...camera);
  try {
    const lina = await house.person("en-GB", {}, chromium);
    await lina.look();
    await lina.register("lina");
    const tablet = await house.person();
    await tablet.look();
    const code = await showCode(tablet, lina.address);
    await writeFilm(film, code);
    await lina.go("Devices");
    await lina.page.getByRole("button", { name: "Link another device" }).click();
    await lina.page.getByRole("button", { name: "Scan by camera" }).click();
    await compared(tablet, lina);
  } finally {
    await chromium.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("other digits end a linking, and nothing has changed", async () => {
  const ines = await house.colleague("ines");
  const phone = await house.person();
  await phone.look();
  const code = await showCode(phone, ines.address);
  await ines.go("Devices");
  await ines.page.getByRole("button", { name: "Link another device" }).click();
  await ines.page.getByLabel("Code of the new device").fill(code);
  await ines.page.getByRole("button", { name: "Go on" }).click();
  await ines.page.getByRole("button", { name: "They are different" }).click();
  await ines.page.getByRole("alert").waitFor();
  await ines.page.getByRole("button", { name: "Close" }).click();
  assert.equal(await ines.page.locator(".card").count(), 1);
});

test("a database that the browser has deleted is told, and the browser linked anew", async () => {
  const jean = await house.colleague("jean");
  const desk = await house.person();
  await desk.look();
  await linked(desk, jean);
  const session = await desk.context.newCDPSession(desk.page);
  await desk.page.goto("about:blank");
  // As Chromium does when it needs room.
  await session.send("Storage.clearDataForOrigin", { origin: house.site.origin, storageTypes: "indexeddb" });
  await desk.page.goto(house.site.origin);
  await desk.page.getByRole("heading", { name: "The account is gone from this browser" }).waitFor();
  await desk.inspect("lost");
  await linked(desk, jean);
  await jean.go("Devices");
  // The one that is lost is still listed, until somebody removes it.
  await jean.page.waitForFunction(() => document.querySelectorAll(".card").length === 3);
});

test("an account whose only browser is lost comes back with its recovery key", async () => {
  const nora = await house.person();
  await nora.look();
  const key = await nora.register("nora");
  const [friend, other] = [await house.colleague("friend"), await house.person()];
  await friend.write({ to: [nora.address], subject: "Before", text: "To the one that is lost." });
  await nora.row("Before").waitFor();
  await nora.context.close();
  await other.look();
  await other.page.getByRole("button", { name: "Use the recovery key" }).click();
  await other.page.getByLabel("Address", { exact: true }).fill(nora.address);
  await other.page.getByLabel("Your name").fill("Dr nora");
  const typed = other.page.getByLabel("Recovery key", { exact: true });
  await typed.fill(`${key.startsWith("A") ? "B" : "A"}${key.slice(1)}`);
  await other.page.getByRole("button", { name: "Use the recovery key" }).click();
  await other.page.getByText("This is not the recovery key of this account.").waitFor();
  await other.inspect("recover");
  await typed.fill(key.replace(/(.{4})/g, "$1 ").toLowerCase());
  await other.page.getByRole("button", { name: "Use the recovery key" }).click();
  const next = (await other.page.locator(".key").innerText()).replace(/\s/g, "");
  assert.match(next, /^[A-Z2-7]{52}$/);
  assert.notEqual(next, key);
  await other.page.getByLabel("The last 4 letters of the key").fill(next.slice(-4));
  await other.page.getByRole("button", { name: "Go on" }).click();
  await other.ready();
  await other.go("Devices");
  await other.page.locator(".card").waitFor();
  assert.equal(await other.page.locator(".card").count(), 1);
});

/** A browser without an account shows its code. Gives it as text. */
async function showCode(device, address) {
  await device.page.getByRole("button", { name: "Link this browser" }).click();
  await device.page.getByLabel("Address", { exact: true }).fill(address);
  await device.page.getByRole("button", { name: "Show the code" }).click();
  return device.page.getByLabel("The same as text").inputValue();
}

/** Both have the digits, and agree. */
async function compared(device, owner) {
  const digits = (person) => person.page.locator(".digits").innerText();
  assert.equal(await digits(owner), await digits(device));
  await owner.page.getByRole("button", { name: "They are the same" }).click();
  await device.page.getByRole("button", { name: "They are the same" }).click();
  await device.ready();
  await owner.page.getByText("The devices are linked.").waitFor();
  await owner.page.getByRole("button", { name: "Close" }).click();
}

/** Makes a browser another device of somebody's. */
async function linked(device, owner) {
  const code = await showCode(device, owner.address);
  await owner.go("Devices");
  await owner.page.getByRole("button", { name: "Link another device" }).click();
  await owner.page.getByLabel("Code of the new device").fill(code);
  await owner.page.getByRole("button", { name: "Go on" }).click();
  await compared(device, owner);
}

/** A film of one picture, as a camera sees a screen: a QR code, grey around it. */
async function writeFilm(file, text) {
  const { default: encodeQR } = await import(join(MODULES, "node_modules/qr/index.js"));
  const [width, height, scale] = [640, 480, 6];
  const rows = encodeQR(text, "raw", { border: 4 });
  const luma = Buffer.alloc(width * height, 160);
  const [left, top] = [width, height].map((side) => Math.floor((side - rows.length * scale) / 2));
  rows.forEach((row, y) =>
    row.forEach((dark, x) => {
      for (let line = 0; line < scale; line += 1) {
        const start = (top + y * scale + line) * width + left + x * scale;
        luma.fill(dark ? 24 : 230, start, start + scale);
      }
    }),
  );
  const frame = [Buffer.from("FRAME\n"), luma, Buffer.alloc((width * height) / 2, 128)];
  writeFileSync(file, Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`), ...frame, ...frame]));
}
