// What happens when something is away: the server, the network, the page itself.

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

test("whoever types as soon as a view is there keeps the box", async () => {
  const quick = await house.colleague("quick");
  const kept = await quick.page.evaluate(async () => {
    const there = new Promise((resolve) => {
      new MutationObserver((_, observer) => {
        const box = document.querySelector(".compose input");
        if (box !== null) {
          observer.disconnect();
          box.focus();
          resolve(box);
        }
      }).observe(document.body, { childList: true, subtree: true });
    });
    location.hash = "#/write";
    const box = await there;
    // Longer than what comes after a view waits.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return document.activeElement === box;
  });
  assert.ok(kept);
});

test("what is sent without a server waits, survives a reload, and goes out by itself", async () => {
  const sara = await house.colleague("sara");
  const tim = await house.colleague("tim");
  // They know each other: a key is needed to seal.
  await sara.write({ to: [tim.address], subject: "First", text: "Hello." });
  await sara.page.locator(".delivery .mark", { hasText: "delivered" }).waitFor();
  await house.place.stop();
  try {
    await sara.page.getByText("The server cannot be reached.").waitFor();
    await sara.write({ to: [tim.address], subject: "Without a server", text: "It waits." });
    await sara.page.getByRole("heading", { name: "Without a server" }).waitFor();
    await sara.page.locator(".delivery .mark", { hasText: "waits here" }).waitFor();
    await sara.page.getByText("1 mail waits here").waitFor();
    await sara.inspect("offline");
    await sara.page.reload();
    await sara.ready();
    await sara.page.locator(".delivery .mark", { hasText: "waits here" }).waitFor();
  } finally {
    await house.place.start();
  }
  await sara.page.locator(".delivery .mark", { hasText: "delivered" }).waitFor();
  await sara.page.getByText("The server cannot be reached.").waitFor({ state: "detached" });
  await tim.row("Without a server").waitFor();
  assert.equal(await tim.row("Without a server").count(), 1);
});

test("a clock that is slow is told", async () => {
  const [yara, zoe] = [await house.colleague("yara"), await house.colleague("zoe")];
  await zoe.page.clock.setFixedTime(Date.now() - 20 * 60_000);
  await yara.write({ to: [zoe.address], subject: "What time is it?", text: "By the server's clock." });
  await zoe.page.getByText("The clock of this computer is wrong").waitFor();
  await zoe.inspect("clock");
  assert.equal(await yara.page.getByText("The clock of this computer is wrong").count(), 0);
});

test("settings: notifications only after a click, and nothing in them", async () => {
  const wim = await house.person("en-GB", { permissions: ["notifications"] });
  await wim.context.addInitScript(() => {
    window.shown = [];
    window.Notification = class {
      static permission = "granted";
      static asked = 0;
      static async requestPermission() {
        window.Notification.asked += 1;
        return "granted";
      }
      constructor(...words) {
        window.shown.push(JSON.stringify(words));
      }
      close() {}
    };
    // Nobody looks at this page.
    document.hasFocus = () => false;
  });
  await wim.look();
  await wim.register("wim");
  const xena = await house.colleague("xena");
  await xena.write({ to: [wim.address], subject: "Secret one", text: "Secret text." });
  await wim.row("Secret one").waitFor();
  assert.equal(await wim.page.evaluate(() => window.Notification.asked), 0);
  assert.deepEqual(await wim.page.evaluate(() => window.shown), []);
  await wim.go("Settings");
  await wim.inspect("settings");
  await wim.page.getByLabel("Tell me of new messages").check();
  assert.equal(await wim.page.evaluate(() => window.Notification.asked), 1);
  await xena.write({ to: [wim.address], subject: "Secret two", text: "Secret text." });
  await wim.page.waitForFunction(() => window.shown.length > 0);
  const shown = (await wim.page.evaluate(() => window.shown)).join();
  assert.match(shown, /New message/);
  assert.doesNotMatch(shown, /Secret|xena/);
});
