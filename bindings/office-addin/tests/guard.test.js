// What leaves Outlook and what does not: the built handler in the runtime of classic Outlook on Windows, and under the pane's Outlook.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import * as html from "./office/html.js";
import { Exchange, Outlook } from "./office/outlook.js";
import { runBare } from "./office/runtime.js";
import { ADDIN, modules } from "./modules.js";
import { stub } from "./stubs.js";

const { SUBJECT, HEADER, PLAIN_HEADER, stubHtml, headerOf, recipientsDigest } = stub;
const SCRIPT = readFileSync(join(ADDIN, "launchevent.js"), "utf8");
const { parse } = modules("acorn");
const ID = "00112233445566778899aabbccddeeff";
const TO = ["claire@clinic.example", "David@clinic.example"];
const SECRET = "potassium 6.1";

/** Closed at the end. @type {Outlook[]} */
const opened = [];
after(() => opened.forEach((outlook) => outlook.close()));

/** An Outlook whose add-in is the built script. */
function outlook(flavour = html.classic, { language = "en-US", script = SCRIPT } = {}) {
  const exchange = new Exchange();
  const own = new Outlook(exchange, "emma@clinic.example", { flavour, signature: "Dr Emma", sendMode: "Block" });
  own.handle = (name, item) => {
    const start = { mode: item.mode, mailbox: own.address, language, platform: flavour.platform, subject: item.state.subject };
    return runBare(script, name, start, (call, values) => own.call(item, call, values, { handler: true }));
  };
  opened.push(own);
  return own;
}

/** An item as the pane leaves it when Medipeps has sent the mail. */
function stamped(own, change = (state) => state) {
  const header = headerOf({ state: "sent", id: ID, recipients: recipientsDigest(ID, TO) });
  const state = { subject: SUBJECT, html: stubHtml(ID), to: [TO[0]], cc: [TO[1]], headers: { [HEADER]: header } };
  return own.compose(change(state) ?? state);
}

for (const [name, flavour] of Object.entries(html)) {
  if (typeof flavour === "function") {
    continue;
  }
  test(`a stub that Medipeps has sent goes: ${name}`, async () => {
    const own = outlook(flavour);
    assert.deepEqual(await own.send(stamped(own)), { sent: true });
  });

  /** What is done to a stamped item, and how the message begins that stops it. */
  const changes = {
    "text above the stub": [(state) => (state.html = `<p>${SECRET}</p>${state.html}`), /text was added/],
    "text below the stub": [(state) => (state.html += `<p>Best regards</p>`), /text was added/],
    "a signature": [(state) => (state.html += `<table><tr><td></td></tr></table>`), /text was added/],
    "a picture": [(state) => (state.html += `<p><img src="cid:image001.png@01DC1DD9"></p>`), /text was added/],
    "a picture behind the text": [(state) => (state.html += `<p style="background:url(data:image/png;base64,AAAA)"></p>`), /text was added/],
    "a link": [(state) => (state.html += `<a href="https://example.org/${SECRET}"></a>`), /text was added/],
    "a title": [(state) => (state.html += `<p title="${SECRET}"></p>`), /text was added/],
    "a comment": [(state) => (state.html += `<!-- ${SECRET} -->`), /text was added/],
    "hidden text": [(state) => (state.html += `<p style="display:none">${SECRET}</p>`), /text was added/],
    "another stub's id": [(state) => (state.html = stubHtml(ID.replace("00", "11"))), /text was added/],
    "an empty body": [(state) => (state.html = ""), /text was added/],
    "a subject": [(state) => (state.subject = SECRET), /the subject was changed/],
    "a subject with a prefix": [(state) => (state.subject = `${SUBJECT} ${SECRET}`), /the subject was changed/],
    "a file": [(state) => (state.attachments = [{ id: "1", name: "ecg.pdf", content: "AAAA", isInline: false }]), /files attached/],
    "another recipient": [(state) => state.to.push("gil@elsewhere.example"), /the recipients are not those/],
    "a recipient less": [(state) => (state.cc = []), /the recipients are not those/],
    "a blind copy": [(state) => (state.bcc = ["gil@clinic.example"]), /no blind copies/],
    "a header of nobody's": [(state) => (state.headers[HEADER] = "v=2; id=1"), /has not sent this mail yet/],
    "a draft's header": [(state) => (state.headers[HEADER] = headerOf({ state: "draft", id: ID })), /has not sent this mail yet/],
    "an answer's header": [(state) => (state.headers[HEADER] = headerOf({ state: "answer", id: ID, to: "reply" })), /has not sent this mail yet/],
    "no header": [(state) => delete state.headers[HEADER], /has not sent this mail yet/],
    "no header but the mark of a plain mail": [(state) => (state.headers = { [PLAIN_HEADER]: "v=1" }), /comes from a protected one/],
  };
  for (const [what, [change, message]] of Object.entries(changes)) {
    test(`${what} stops it: ${name}`, async () => {
      const own = outlook(flavour);
      const answer = await own.send(stamped(own, (state) => void change(state)));
      assert.equal(answer.sent, false);
      assert.match(answer.message, message);
      // What Outlook shows of it.
      assert.ok(answer.message.length <= 250);
      assert.equal(answer.command, "MedipepsComposeButton");
    });
  }
}

test("who the recipients are counts, not how they are written or where they stand", async () => {
  const own = outlook();
  const moved = stamped(own, (state) => {
    state.to = [` ${TO[1].toUpperCase()} `];
    state.cc = [TO[0], TO[1]];
  });
  assert.deepEqual(await own.send(moved), { sent: true });
});

test("an item that nobody has decided about stays", async () => {
  const own = outlook();
  const answer = await own.send(own.compose({ subject: "Lunch", html: "<p>At one?</p>", to: TO }));
  assert.equal(answer.sent, false);
  assert.match(answer.message, /choose in the Medipeps pane/);
});

test("what was marked as unprotected goes, unless it comes from a protected mail", async () => {
  const own = outlook();
  const headers = { [PLAIN_HEADER]: "v=1" };
  assert.deepEqual(await own.send(own.compose({ subject: "Lunch", html: "<p>At one?</p>", to: TO, headers })), { sent: true });
  for (const state of [
    { subject: `RE : ${SUBJECT}`, html: "<p>6.1</p>" },
    { subject: "Lunch", html: `<p>At one?</p>${stubHtml(ID)}` },
  ]) {
    const answer = await own.send(own.compose({ ...state, to: TO, headers }));
    assert.equal(answer.sent, false);
    assert.match(answer.message, /comes from a protected one/);
  }
});

test("a build without plain mail lets nothing but stubs go", async () => {
  const script = readFileSync(join(ADDIN, "../dist-strict/launchevent.js"), "utf8");
  const own = outlook(html.classic, { script });
  assert.deepEqual(await own.send(stamped(own)), { sent: true });
  const marked = own.compose({ subject: "Lunch", html: "<p>At one?</p>", to: TO, headers: { [PLAIN_HEADER]: "v=1" } });
  const answer = await own.send(marked);
  assert.equal(answer.sent, false);
  assert.match(answer.message, /choose in the Medipeps pane/);
});

test("Outlook's own reply and forward hold the stub alone, whatever they would quote", async () => {
  for (const decrypted of [undefined, { html: `<p>${SECRET}</p>`, attachments: [{ name: "ecg.pdf", content: Buffer.from(SECRET).toString("base64") }], contextData: JSON.stringify({ medipeps: ID }) }]) {
    for (const how of ["reply", "replyAll", "forward"]) {
      const own = outlook();
      await own.send(stamped(own, (state) => void (state.to = [own.address, ...TO].slice(0, 1))));
      const received = stamped(own);
      received.mode = "read";
      received.from = TO[0];
      received.view.decrypted = decrypted;
      own.exchange.kept = [];
      const item = await own.answer(received, how);
      await new Promise((resolve) => setTimeout(resolve, 60));
      assert.ok(own.exchange.kept.length > 0);
      assert.deepEqual(own.exchange.find([SECRET, "ecg.pdf"]), []);
      assert.equal(item.state.html, stubHtml(ID));
      assert.equal(item.state.subject, SUBJECT);
      assert.deepEqual(item.state.attachments, []);
      assert.equal(item.state.headers[HEADER], `v=1; id=${ID}; state=answer; to=${how === "forward" ? "forward" : "reply"}`);
      const answer = await own.send(item);
      assert.equal(answer.sent, false);
      assert.match(answer.message, /has not sent this mail yet/);
    }
  }
});

test("other items are none of the handler's business", async () => {
  const own = outlook();
  const lunch = own.compose({ subject: "Lunch", html: "<p>At one?</p>" });
  lunch.mode = "read";
  lunch.from = TO[0];
  const before = (await own.answer(lunch, "reply")).state.html;
  assert.match(before, /At one\?/);
});

test("a failing or missing add-in lets nothing go", async () => {
  const own = outlook();
  const { call } = own;
  own.call = (item, name, ...rest) => (name === "to.get" ? Promise.reject(new Error("9020")) : call.call(own, item, name, ...rest));
  const answer = await own.send(stamped(own));
  assert.equal(answer.sent, false);
  assert.match(answer.message, /did not let Medipeps check/);

  for (const script of ["throw new Error('half loaded')", "", "Office.actions.associate('onMessageSend', () => { throw new Error('no'); })"]) {
    const broken = outlook(html.web, { script });
    const { sent, failed } = await broken.send(stamped(broken));
    assert.equal(sent, false);
    assert.notEqual(failed, undefined);
  }
});

test("classic Outlook on Windows sends to the pane for reading", async () => {
  const own = outlook();
  const received = stamped(own);
  received.mode = "read";
  const answer = await own.show(received);
  assert.deepEqual(answer, { allowEvent: false, errorMessage: "To read this message, open the Medipeps pane." });
});

test("the dialog speaks Outlook's language", async () => {
  const own = outlook(html.web, { language: "fr-FR" });
  const answer = await own.send(own.compose({ subject: "Déjeuner", html: "<p>À une heure ?</p>", to: TO }));
  assert.match(answer.message, /^Non envoyé : choisissez/);
});

test("the script is ES2016 in ASCII, and imports nothing", () => {
  parse(SCRIPT, { ecmaVersion: 2016, sourceType: "script" });
  assert.match(SCRIPT, /^[\x20-\x7e\s]*$/);
  assert.doesNotMatch(SCRIPT, /\b(import|localStorage|sessionStorage|indexedDB|fetch|XMLHttpRequest|eval|Function\()\b/);
});
