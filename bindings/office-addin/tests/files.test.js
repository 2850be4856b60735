// Files: a few, very many, a large one that is pasted; and what Exchange sees of them.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { Place, scene } from "./place.js";

const SECRETS = ["Haemoglobin", "ecg-of-monday", "leads V1 to V6"];
const MAIL = { subject: "Haemoglobin", text: "See the files." };

/** @type {Place} */
let place;
before(async () => {
  place = await Place.open("claire", "david");
});
after(async () => {
  await place?.close();
});
const scenes = (name, work) => test(name, scene(() => place, work));

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Saves a file by its button, as a person does. */
async function saved(pane, name) {
  const [download] = await Promise.all([pane.waitForEvent("download"), pane.getByRole("button", { name: `Save ${name}` }).click()]);
  assert.equal(download.suggestedFilename(), name);
  return readFileSync(await download.path());
}

/** Chooses files in the pane. */
async function choose(pane, files) {
  await pane.locator("input[type=file]").setInputFiles(files);
  await pane.getByRole("button", { name: `Remove ${files.at(-1).name}` }).waitFor();
}

scenes("files go with a mail, are saved, shown by Outlook where it decrypts, and go on with a forward", async () => {
  const { claire, david } = place;
  const ecg = Buffer.from("An ECG, leads V1 to V6");
  const scan = randomBytes(300_000);
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  await choose(pane, [
    { name: "ecg-of-monday.txt", mimeType: "text/plain", buffer: ecg },
    { name: "scan.bin", mimeType: "application/octet-stream", buffer: scan },
  ]);
  // The pane ends: the files are drafts too.
  await pane.getByText("Kept encrypted in this Outlook").waitFor();
  await pane.close();
  const again = await claire.pane(item);
  await again.getByRole("button", { name: "Remove scan.bin" }).waitFor();
  await claire.look(again, "write-files");
  await claire.send({ item, pane: again });

  const [received] = david.outlook.inbox;
  const reading = await david.pane(received);
  await reading.getByText("scan.bin").waitFor();
  await david.look(reading, "read-files");
  assert.equal(hash(await saved(reading, "ecg-of-monday.txt")), hash(ecg));
  assert.equal(hash(await saved(reading, "scan.bin")), hash(scan));

  await reading.getByRole("button", { name: "Forward" }).click();
  await reading.getByText("A new window has opened").waitFor();
  const forward = david.outlook.items.at(-1);
  david.outlook.edit(forward, (state) => state.to.push(claire.address));
  const writing = await david.pane(forward);
  await writing.getByRole("button", { name: "Remove scan.bin" }).waitFor();
  await david.send({ item: forward, pane: writing });
  const back = await claire.pane(claire.outlook.inbox[0]);
  await back.getByText("scan.bin").waitFor();
  assert.equal(hash(await saved(back, "scan.bin")), hash(scan));
  await reading.close();

  const shown = await david.outlook.show(received);
  assert.deepEqual(shown.attachments.map(({ name, content }) => [name, hash(Buffer.from(content, "base64"))]), [
    ["ecg-of-monday.txt", hash(ecg)],
    ["scan.bin", hash(scan)],
  ]);
  // Outlook's own forward would take them to Exchange.
  const own = await david.outlook.answer(received, "forward");
  assert.deepEqual(own.state.attachments, []);
  place.clean(SECRETS);
});

scenes("150 files are too many for a mail, and go as one archive", async () => {
  const { claire, david } = place;
  const files = Array.from({ length: 150 }, (_, at) => ({ name: `ecg-of-monday-${at % 149}.txt`, mimeType: "text/plain", buffer: Buffer.from(`File ${at}, leads V1 to V6`) }));
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  await pane.locator("input[type=file]").setInputFiles(files);
  await pane.getByText("At most 64 files go in one mail.").first().waitFor();
  assert.equal(await pane.getByRole("button", { name: /^Remove ecg/ }).count(), 150);
  await pane.getByRole("button", { name: "Send protected" }).click();
  await pane.getByRole("alert").filter({ hasText: "At most 64 files" }).first().waitFor();
  assert.equal((await claire.outlook.send(item)).sent, false);
  await pane.getByRole("button", { name: "Pack all files into one archive" }).click();
  await pane.getByRole("button", { name: "Remove files.zip" }).waitFor();
  assert.equal(await pane.getByRole("button", { name: /^Remove .*\.(txt|zip)$/ }).count(), 1);
  await claire.send({ item, pane });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("files.zip").waitFor();
  const archive = await saved(reading, "files.zip");
  // By the archive's own directory: the end record counts the entries.
  const end = archive.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  assert.equal(archive.readUInt16LE(end + 10), 150);
  for (const text of ["File 0, leads", "File 149, leads", "ecg-of-monday-0 (2).txt"]) {
    assert.ok(archive.includes(text), text);
  }
  place.clean(SECRETS);
});

scenes("a picture of 25 MB that is pasted becomes a file of the mail", async () => {
  const { claire, david } = place;
  const size = 25 << 20;
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  const sum = await pane.getByLabel("Text").evaluate(async (box, size) => {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536) {
      crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, size)));
    }
    bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], "ecg-of-monday.png", { type: "image/png" }));
    box.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }, size);
  await pane.getByRole("button", { name: "Remove ecg-of-monday.png" }).waitFor();
  assert.equal(await pane.getByLabel("Text").inputValue(), MAIL.text);
  await pane.getByRole("button", { name: "Send protected" }).click();
  await pane.getByText("Now press Send in Outlook").waitFor({ timeout: 60_000 });
  assert.deepEqual(await claire.outlook.send(item), { sent: true });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText("ecg-of-monday.png").waitFor({ timeout: 60_000 });
  reading.setDefaultTimeout(60_000);
  assert.equal(hash(await saved(reading, "ecg-of-monday.png")), sum);
  place.clean(SECRETS);
});

scenes("a long name is shortened before it is sent, its ending kept", async () => {
  const { claire, david } = place;
  const name = `${"é".repeat(120)}.txt`;
  const { item, pane } = await claire.write({ ...MAIL, to: [david.address] });
  const long = `${"é".repeat(200)}.txt`;
  await pane.locator("input[type=file]").evaluate((input, long) => {
    const chosen = new DataTransfer();
    chosen.items.add(new File(["leads V1 to V6"], long, { type: "text/plain" }));
    input.files = chosen.files;
    input.dispatchEvent(new Event("change"));
  }, long);
  const remove = pane.getByRole("button", { name: /^Remove é/ });
  await remove.waitFor();
  const shown = (await remove.getAttribute("aria-label")).replace("Remove ", "");
  assert.ok(Buffer.byteLength(shown) <= 255 && shown.endsWith(".txt") && shown.startsWith(name.slice(0, 100)));
  await claire.send({ item, pane });
  const reading = await david.pane(david.outlook.inbox[0]);
  await reading.getByText(shown).waitFor();
  place.clean(SECRETS);
});
