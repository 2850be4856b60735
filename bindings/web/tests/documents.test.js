// Files, by mail and in groups.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { House } from "./house.js";

let house;
before(async () => {
  house = await House.open();
});
after(async () => {
  await house?.close();
});

test("a file goes with a mail, its progress is seen at both ends, and it is forwarded", async () => {
  const [anne, bilal, cora] = [await house.colleague("anne"), await house.colleague("bilal"), await house.colleague("cora")];
  const ecg = file("ecg.bin", 8_000_000);
  await sawProgress(anne.page);
  await anne.go("Write");
  await anne.recipients("To", [bilal.address]);
  await anne.page.getByLabel("Subject").fill("ECG");
  await drop(anne.page, [ecg]);
  await drop(anne.page, [file("wrong.txt", 3)]);
  await anne.page.getByRole("button", { name: "Remove wrong.txt" }).click();
  await anne.page.getByText("8 MB").waitFor();
  await anne.page.getByText("has a key").waitFor({ state: "attached" });
  await anne.inspect("write-files");
  await anne.page.getByRole("button", { name: "Send", exact: true }).click();
  await anne.page.locator(".delivery .mark", { hasText: "delivered" }).waitFor();
  assert.equal(await anne.page.evaluate(() => window.progress), true);

  await bilal.open("ECG");
  await sawProgress(bilal.page);
  assert.equal(digest(await saved(bilal.page, "ecg.bin")), digest(ecg.buffer));
  assert.equal(await bilal.page.evaluate(() => window.progress), true);
  await bilal.inspect("mail-files");

  await bilal.page.getByRole("button", { name: "Forward" }).click();
  await bilal.recipients("To", [cora.address]);
  await bilal.page.getByText("ecg.bin").waitFor();
  await bilal.page.getByRole("button", { name: "Send", exact: true }).click();
  await cora.row("Fwd: ECG").waitFor();
  await cora.open("Fwd: ECG");
  assert.equal(digest(await saved(cora.page, "ecg.bin")), digest(ecg.buffer));
});

test("a page that is loaded again in the middle of an upload goes on with it", async () => {
  const [uma, vera] = [await house.colleague("uma"), await house.colleague("vera")];
  const scan = file("scan.bin", 24_000_000);
  await uma.write({ to: [vera.address], subject: "A large file", text: "A scan.", files: [scan] });
  await uma.page.locator("progress").first().waitFor();
  await uma.page.reload();
  await uma.ready();
  await vera.row("A large file").waitFor();
  assert.equal(await vera.row("A large file").count(), 1);
  await vera.open("A large file");
  assert.equal(digest(await saved(vera.page, "scan.bin")), digest(scan.buffer));
});

test("a file in a group", async () => {
  const [dora, emil] = [await house.colleague("dora"), await house.colleague("emil")];
  await dora.go("Groups");
  await dora.page.getByRole("link", { name: "New group" }).click();
  await dora.page.getByLabel("Name", { exact: true }).fill("Lists");
  await dora.recipients("Members", [emil.address]);
  await dora.page.getByRole("button", { name: "New group" }).click();
  const box = dora.page.getByRole("textbox", { name: "Message" });
  await box.waitFor();
  const list = file("list.txt", 100_000);
  await drop(dora.page, [list]);
  await box.fill("The list.");
  await box.press("Enter");
  await emil.go("Groups");
  await emil.page.locator(".rows a", { hasText: "Lists" }).click();
  await emil.page.locator(".message .body", { hasText: "The list." }).waitFor();
  assert.equal(digest(await saved(emil.page, "list.txt")), digest(list.buffer));
  await emil.inspect("group-file");
});

function file(name, length) {
  return { name, mimeType: "application/octet-stream", buffer: randomBytes(length) };
}

function digest(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Drops files where files go. */
async function drop(page, files) {
  // An event cannot carry megabytes to the page; the chooser can.
  const [large, small] = [files.filter(({ buffer }) => buffer.length > 1_000_000), files.filter(({ buffer }) => buffer.length <= 1_000_000)];
  if (large.length > 0) {
    await page.locator("input[type=file]").setInputFiles(large);
  }
  if (small.length > 0) {
    const given = small.map(({ name, buffer }) => ({ name, bytes: buffer.toString("base64") }));
    const dataTransfer = await page.evaluateHandle((given) => {
      const transfer = new DataTransfer();
      for (const { name, bytes } of given) {
        transfer.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
      }
      return transfer;
    }, given);
    await page.locator(".mp-drop").dispatchEvent("drop", { dataTransfer });
  }
}

/** Saves a file that came, as its button does. */
async function saved(page, name) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: `Save ${name}` }).click()]);
  assert.equal(download.suggestedFilename(), name);
  return readFileSync(await download.path());
}

/** Notes in `window.progress` whether a bar of progress is ever shown. */
function sawProgress(page) {
  return page.evaluate(() => {
    window.progress = false;
    new MutationObserver(() => {
      window.progress ||= document.querySelector("progress") !== null;
    }).observe(document.body, { childList: true, subtree: true });
  });
}
