// Both manifests as built: the unified one by Microsoft's validator, the XML one by what Microsoft documents of it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import vm from "node:vm";

import { deployment } from "../manifest/source.js";
import { unifiedManifest } from "../manifest/unified.js";
import { xmlManifest } from "../manifest/xml.js";
import { ADDIN as FOLDER, modules } from "./modules.js";
import { office } from "./office/runtime.js";

const { DOMParser } = modules("@xmldom/xmldom");
/** As `npm run build-office-addin` of `bindings/package.json` says. */
const HOST = "https://addin.example";
const BT = "http://schemas.microsoft.com/office/officeappbasictypes/1.0";
const V1_1 = "http://schemas.microsoft.com/office/mailappversionoverrides/1.1";

const unified = JSON.parse(readFileSync(join(FOLDER, "manifest.json"), "utf8"));
const xml = new DOMParser({ onError: (level, message) => assert.fail(`${level}: ${message}`) }).parseFromString(
  readFileSync(join(FOLDER, "manifest.xml"), "utf8"),
  "text/xml",
);
const all = (name, namespace = "*", within = xml) => [...within.getElementsByTagNameNS(namespace, name)];
const [overrides] = all("VersionOverrides", V1_1);

/** The names that launchevent.js associates, by running it. */
async function associated() {
  const { makeOffice } = office;
  const names = [];
  const { Office } = makeOffice({ mode: "none", mailbox: "", language: "en", platform: "PC" }, () => Promise.resolve());
  Office.actions.associate = (name) => names.push(name);
  vm.runInNewContext(readFileSync(join(FOLDER, "launchevent.js"), "utf8"), { Office });
  return new Set(names);
}

/** Runs Microsoft's validator on a manifest. @returns {{ valid: boolean, said: string }} */
function validated(manifest) {
  const folder = mkdtempSync(join(tmpdir(), "medipeps-manifest-"));
  try {
    const file = join(folder, "manifest.json");
    writeFileSync(file, JSON.stringify(manifest));
    const program = join(modules.resolve("office-addin-manifest/package.json"), "../cli.js");
    return { valid: true, said: execFileSync(process.execPath, [program, "validate", file], { encoding: "utf8", stdio: "pipe" }) };
  } catch (error) {
    return { valid: false, said: `${error.stdout}${error.stderr}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("Microsoft's validator takes the unified manifest, and would say what is wrong", () => {
  const { valid, said } = validated(unified);
  assert.ok(valid, said);
  const wrong = structuredClone(unified);
  wrong.extensions[0].autoRunEvents[0].events[0].options.sendMode = "sometimes";
  assert.equal(validated(wrong).valid, false);
  const older = { ...structuredClone(unified), manifestVersion: "1.22" };
  assert.equal(validated(older).valid, false);
});

test("the unified manifest blocks, decrypts by the header, and names what there is", async () => {
  const [extension] = unified.extensions;
  const [{ events }] = extension.autoRunEvents;
  assert.deepEqual(events.find(({ type }) => type === "messageSending").options, { sendMode: "block" });
  assert.deepEqual(events.find(({ type }) => type === "messageDecrypt").options, { headerName: "x-medipeps" });
  const actions = extension.runtimes.flatMap(({ actions }) => actions.map(({ id }) => id));
  const handlers = await associated();
  for (const { actionId } of events) {
    assert.ok(actions.includes(actionId) && handlers.has(actionId), actionId);
  }
  const urls = JSON.stringify(unified.extensions).match(/https:\/\/[^"]+/g);
  urls.forEach(served);
  for (const icon of Object.values(unified.icons)) {
    isPng(join(FOLDER, icon), icon.includes("outline") ? 32 : 192);
  }
  for (const { file } of unified.localizationInfo.additionalLanguages) {
    const { $schema, ...texts } = JSON.parse(readFileSync(join(FOLDER, file), "utf8"));
    assert.match($schema, /Localization/);
    for (const path of Object.keys(texts)) {
      assert.equal(typeof path.split(/[.[\]]+/).reduce((at, key) => at[key], unified), "string", path);
      assert.ok(texts[path].length > 0);
    }
  }
});

test("both manifests are one add-in", () => {
  assert.equal(text("Id"), unified.id);
  assert.match(unified.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(text("Version"), `${unified.version}.0`);
  const commands = (unified.extensions[0].ribbons ?? []).flatMap(({ tabs }) => tabs.flatMap(({ groups }) => groups.flatMap(({ controls }) => controls.map(({ id }) => id))));
  assert.deepEqual(all("Control", V1_1).map((control) => control.getAttribute("id")), commands);
  // The dialog of a stopped item opens the pane by this name.
  assert.ok(readFileSync(join(FOLDER, "launchevent.js"), "utf8").includes(`"${commands[0]}"`));
});

test("the XML manifest has what Outlook wants, and its parts in their order", () => {
  assert.equal(xml.documentElement.getAttribute("xsi:type"), "MailApp");
  assert.match(text("Version"), /^[1-9]\d*\.\d+\.\d+\.\d+$/);
  assert.deepEqual(
    [...xml.documentElement.childNodes].filter(({ nodeType }) => nodeType === 1).map(({ localName }) => localName),
    [
      ...["Id", "Version", "ProviderName", "DefaultLocale", "DisplayName", "Description", "IconUrl", "HighResolutionIconUrl", "SupportUrl", "AppDomains"],
      ...["Hosts", "Requirements", "FormSettings", "Permissions", "Rule", "DisableEntityHighlighting", "VersionOverrides"],
    ],
  );
  assert.equal(text("Permissions"), "ReadWriteItem");
  assert.ok(Number(all("Set")[0].getAttribute("MinVersion").split(".")[1]) >= 12);
  const [sets] = all("Sets", BT, overrides);
  assert.ok(Number(sets.getAttribute("DefaultMinVersion").split(".")[1]) >= 12);
  assert.deepEqual(all("AppDomain").map(({ textContent }) => textContent), [new URL(HOST).origin]);
  assert.equal(overrides.getAttribute("xsi:type"), "VersionOverridesV1_1");
  assert.equal(overrides.parentNode.getAttribute("xsi:type"), "VersionOverridesV1_0");
  const [runtime] = all("Runtime", V1_1);
  assert.equal(all("Override", V1_1, runtime)[0].getAttribute("type"), "javascript");
  // Of the page for the events, and nothing else.
  const [events] = all("ExtensionPoint", V1_1).filter((point) => point.getAttribute("xsi:type") === "LaunchEvent");
  assert.equal(all("SourceLocation", V1_1, events)[0].getAttribute("resid"), runtime.getAttribute("resid"));
});

test("the XML manifest blocks, and its handlers exist", async () => {
  const handlers = await associated();
  const events = Object.fromEntries(all("LaunchEvent", V1_1).map((event) => [event.getAttribute("Type"), event]));
  assert.deepEqual(Object.keys(events).sort(), ["OnMessageDecrypt", "OnMessageSend", "OnNewMessageCompose"]);
  assert.equal(events.OnMessageSend.getAttribute("SendMode"), "Block");
  assert.equal(events.OnMessageDecrypt.getAttribute("HeaderName"), "x-medipeps");
  Object.values(events).forEach((event) => assert.ok(handlers.has(event.getAttribute("FunctionName"))));
});

test("every id of the XML manifest is there once, every reference leads somewhere, every file is served", () => {
  const resources = ["Image", "Url", "String"].flatMap((kind) => all(kind, BT, overrides)).filter((resource) => resource.hasAttribute("id"));
  const ids = resources.map((resource) => resource.getAttribute("id"));
  assert.equal(new Set(ids).size, ids.length);
  const references = all("*", "*", overrides).filter((element) => element.hasAttribute("resid"));
  const used = new Set(references.map((element) => element.getAttribute("resid")));
  references.forEach((element) => assert.ok(ids.includes(element.getAttribute("resid")) && element.getAttribute("resid").length <= 32));
  const spare = ids.filter((id) => !used.has(id) && !id.startsWith("Icon."));
  assert.deepEqual(spare, []);
  const controls = ["Control", "Group"].flatMap((kind) => all(kind, V1_1)).map((element) => element.getAttribute("id"));
  assert.equal(new Set(controls).size, controls.length);

  const urls = all("*").flatMap((element) => [element.getAttribute("DefaultValue")]).filter((value) => /^https?:/.test(value ?? ""));
  assert.ok(urls.length > 8);
  urls.forEach(served);
  for (const image of [...all("Image", BT, overrides).filter((image) => image.hasAttribute("id")), ...all("IconUrl"), ...all("HighResolutionIconUrl")]) {
    const [, size] = /icon-(\d+)\.png$/.exec(image.getAttribute("DefaultValue"));
    isPng(join(FOLDER, `icons/icon-${size}.png`), Number(size));
  }
});

test("texts of the XML manifest are in both languages, and no longer than Outlook takes", () => {
  const strings = [...all("String", BT, overrides), ...all("DisplayName"), ...all("Description").filter((text) => text.hasAttribute("DefaultValue"))];
  for (const string of strings) {
    const french = all("Override", "*", string).find((override) => override.getAttribute("Locale") === "fr-FR");
    const most = string.parentNode.localName === "LongStrings" || string.localName === "Description" ? 250 : 125;
    [string.getAttribute("DefaultValue"), french.getAttribute("Value")].forEach((value) => assert.ok(value.length > 0 && value.length <= most, value));
  }
});

test("who wants decrypted mail in the pane alone gets manifests without the event, and the guard stays", () => {
  const place = deployment(HOST, "1.0.0", false);
  const without = unifiedManifest(place);
  assert.ok(validated(without).valid);
  for (const manifest of [JSON.stringify(without), xmlManifest(place)]) {
    assert.doesNotMatch(manifest, /decrypt/i);
    assert.match(manifest, /onMessageSend/);
  }
});

test("a place that Outlook would refuse is refused here", () => {
  assert.deepEqual(deployment("https://x.example/addin/", "1.2.3", true), { host: "https://x.example/addin", version: "1.2.3", decrypt: true });
  for (const [host, version] of [["http://x.example", "1.0.0"], ["https://x.example?a", "1.0.0"], ["x.example", "1.0.0"], ["https://x.example", "0.9.0"]]) {
    assert.throws(() => deployment(host, version, true));
  }
});

function text(name) {
  return all(name)[0].textContent;
}

/** Fails unless a URL is of our host and a file of the build. */
function served(url) {
  assert.ok(url.startsWith(`${HOST}/`), url);
  assert.ok(existsSync(join(FOLDER, url.slice(HOST.length))), url);
}

/** Fails unless a file is a PNG of this width and height. */
function isPng(file, size) {
  const bytes = readFileSync(file);
  assert.equal(bytes.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n", file);
  assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [size, size], file);
}
