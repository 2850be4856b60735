// The shared parts in Chromium, under the policy that the pages have.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { MODULES, accessible, browser, complaints, serve } from "./stage.js";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'";

let site;
let chromium;
before(async () => {
  site = await serve(join(MODULES, "ui/dist"), () => ({ "content-security-policy": POLICY }));
  chromium = await browser();
});
after(async () => {
  await chromium?.close();
  site?.close();
});

/** The gallery, in a language of the browser's. */
async function gallery(locale = "en-GB") {
  const context = await chromium.newContext({ locale });
  const page = await context.newPage();
  page.complaints = complaints(page);
  await page.goto(`${site.origin}/`);
  await page.getByRole("heading", { name: "Gallery" }).waitFor();
  return page;
}

test("a hostile mail runs nothing and asks nobody", async () => {
  const page = await gallery();
  const before = site.asked.length;
  await page.evaluate((origin) => {
    window.ran = [];
    addEventListener("message", ({ data }) => window.ran.push(data));
    const tell = "parent.ran.push(1);parent.postMessage(1,'*')";
    // As if nothing had been sanitised.
    window.show(`
      <head><meta http-equiv="refresh" content="0;url=${origin}/refresh"><base href="${origin}/base/" target="_top"></head>
      <meta http-equiv="refresh" content="0;url=${origin}/refresh2">
      <script>${tell}</script><script src="${origin}/script.js"></script>
      <img src="${origin}/pixel.gif" onerror="${tell}"><img src="x" onerror="${tell}">
      <svg onload="${tell}"><script>${tell}</script><image href="${origin}/svg.png"/></svg>
      <link rel="stylesheet" href="${origin}/style.css"><link rel="prefetch" href="${origin}/prefetch">
      <style>@import url(${origin}/import.css); body { background: url(${origin}/background.png) } @font-face { font-family: f; src: url(${origin}/font.woff) } p { font-family: f }</style>
      <p style="background:url(${origin}/inline.png)">The potassium is 6.1.</p>
      <form id="f" action="${origin}/form"><input name="password" autofocus onfocus="${tell}"><button id="submit">Go on</button></form>
      <iframe src="${origin}/frame"></iframe><iframe srcdoc="<script>${tell}</script>"></iframe>
      <object data="${origin}/object"></object><embed src="${origin}/embed">
      <video src="${origin}/video" poster="${origin}/poster"></video><audio src="${origin}/audio" autoplay></audio>
      <a id="script" href="javascript:${tell}">go on</a> <a id="top" href="${origin}/top" target="_top">top</a>
      <details open ontoggle="${tell}"><summary>More</summary></details>`);
  }, site.origin);
  const mail = page.frameLocator("iframe.mp-mail-frame");
  await mail.getByText("The potassium is 6.1.").waitFor();
  await mail.locator("#submit").click();
  const opened = [];
  page.context().on("page", (other) => opened.push(other));
  await mail.locator("#script").click();
  await page.waitForTimeout(300);
  assert.deepEqual(site.asked.slice(before), []);
  assert.deepEqual(await page.evaluate(() => window.ran), []);
  assert.equal(page.url(), `${site.origin}/`);
  for (const other of opened) {
    assert.equal(await other.evaluate(() => window.opener), null);
  }

  // An honest link goes to a page of its own that has no way back.
  const [other] = await Promise.all([page.context().waitForEvent("page"), mail.locator("#top").click()]);
  assert.equal(await other.evaluate(() => window.opener), null);
  assert.equal(page.url(), `${site.origin}/`);
  assert.equal(await mail.locator("#top").getAttribute("title"), `${site.origin}/top`);
});

test("the frame is as high as the mail", async () => {
  const page = await gallery();
  const frame = page.locator("iframe.mp-mail-frame");
  await page.evaluate(() => window.show("<p>A line.</p>".repeat(40)));
  await page.waitForFunction(() => document.querySelector("iframe.mp-mail-frame").clientHeight > 800);
  await page.evaluate(() => window.show("<p>A line.</p>"));
  await page.waitForFunction(() => document.querySelector("iframe.mp-mail-frame").clientHeight < 120);
  assert.equal(await frame.getAttribute("title"), "Text of the mail “Potassium”");
  assert.deepEqual(page.complaints, []);
});

test("recipients are looked up one by one, by keyboard", async () => {
  const page = await gallery();
  const box = page.getByRole("combobox", { name: "To" });
  await box.focus();
  await page.keyboard.type("Verified@clinic.example, karim@clinic.example; nobody@clinic.example changed@clinic.example offline@clinic.example nonsense ");
  const chips = page.getByRole("list", { name: "To" }).getByRole("listitem");
  assert.equal(await chips.count(), 6);
  await page.getByText("nobody@clinic.example: There is no account with this address.").waitFor();
  const said = (await chips.allTextContents()).join("\n");
  assert.match(said, /verified@clinic.example, has a verified key/);
  assert.match(said, /karim@clinic.example, has a key/);
  assert.match(said, /offline@clinic.example, cannot be looked up now/);
  assert.match(said, /nonsense, is not a full address/);
  await accessible(page, "recipients");
  assert.equal(await page.locator("#writable").textContent(), "false");

  await page.keyboard.press("Backspace");
  assert.equal(await chips.count(), 5);
  await page.getByRole("button", { name: "Invite nobody@clinic.example" }).press("Enter");
  await page.getByRole("button", { name: "Remove nobody@clinic.example" }).last().press("Enter");
  await page.getByRole("button", { name: "Accept the new key" }).press("Enter");
  await page.waitForFunction(() => document.querySelector("#writable").textContent === "true");
  const events = await page.evaluate(() => window.events);
  assert.ok(events.includes("invite nobody@clinic.example"));
  assert.equal(events.filter((event) => event.startsWith("looked up changed")).length, 2);
  assert.equal(events.at(-1), "looked up changed@clinic.example, new key accepted");
  assert.deepEqual(page.complaints, []);
});

test("files are chosen, dropped, shown and taken out", async () => {
  const page = await gallery();
  await page.getByLabel("Add files").last().setInputFiles([{ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("abc") }]);
  const transfer = await page.evaluateHandle(() => {
    const files = new DataTransfer();
    files.items.add(new File(["<script>"], "b & c.html"));
    return files;
  });
  await page.locator(".mp-drop").dispatchEvent("drop", { dataTransfer: transfer });
  await page.getByText("b & c.html").waitFor();
  assert.equal(await page.getByRole("progressbar", { name: "Progress of a.txt" }).evaluate((bar) => bar.position.toFixed(2)), "0.33");
  await page.getByText("33%").first().waitFor();
  await accessible(page, "files");
  await page.getByRole("button", { name: "Remove a.txt" }).click();
  assert.equal(await page.getByText("a.txt").count(), 0);
  await page.getByText("3.4 MB").waitFor();
  await page.getByText("The file is not at the server any more.").waitFor();
  await page.getByRole("button", { name: "Save ecg.pdf" }).click();
  assert.deepEqual(await page.evaluate(() => window.events), ["save ecg.pdf"]);
  assert.deepEqual(page.complaints, []);
});

test("the browser's language, and another one", async () => {
  const page = await gallery("fr-CA");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "fr");
  await page.getByText("Le serveur est injoignable.").waitFor();
  await page.getByText("3,4 Mo").waitFor();
  await accessible(page, "French");
  await page.getByRole("combobox", { name: "Langue" }).selectOption("en");
  await page.getByText("The server cannot be reached.").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  // What has no text of its own is said all the same.
  await page.getByText("The server refuses this (SomethingNew).").waitFor();
  const other = await gallery("de-DE");
  await other.getByText("The server cannot be reached.").waitFor();
});

test("a dialog keeps the focus and gives it back", async () => {
  const page = await gallery();
  const opener = page.getByRole("button", { name: "Open dialog" });
  await opener.press("Enter");
  const dialog = page.getByRole("dialog", { name: "A dialog" });
  await dialog.waitFor();
  await accessible(page, "dialog");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal(await opener.evaluate((button) => button === document.activeElement), true);
});

test("nothing is cut off at the width of a pane, in the dark as well", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const context = await chromium.newContext({ locale: "fr", colorScheme, viewport: { width: 320, height: 700 } });
    const page = await context.newPage();
    await page.goto(`${site.origin}/`);
    await page.getByLabel("To").first().fill("somebody.with.a.very.long.name@a-hospital-with-a-long-name.clinic.example ");
    await page.getByText("a une clé").waitFor({ state: "attached" });
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
    await accessible(page, colorScheme);
  }
});
