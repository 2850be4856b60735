// One person: safety number, comparing it, blocking.

import { useSignal } from "@preact/signals";
import type { Contact } from "@medipeps/client";
import { Notice, QrCode } from "@medipeps/ui";

import { Problem, useAction } from "../action.tsx";
import { startMailTo } from "../mail/draft.ts";
import { reloadContacts, reloadMails } from "../lists.ts";
import { hrefTo } from "../route.ts";
import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { KeyMark } from "./contacts.tsx";
import { Scanner } from "./scanner.tsx";

export function ContactPage({ contact }: { contact: Contact }) {
  const said = texts().contacts;
  const action = useAction();
  const { address, blocked, devices } = contact;
  const change = (work: () => Promise<unknown>) =>
    void action.run(async () => {
      await work();
      await Promise.all([reloadContacts(), reloadMails()]);
    });
  return (
    <>
      <a class="back" href={hrefTo("contacts")}>
        {texts().back}
      </a>
      <h2 class="title">{address}</h2>
      <div class="mp-row">
        <KeyMark contact={contact} />
        <span class="mp-quiet">{said.devices(devices)}</span>
      </div>
      {contact.key === "changed" && (
        <Notice problem>
          <p>{said.changed}</p>
          <button type="button" disabled={action.busy.value} onClick={() => change(() => medipeps().addContact(address, { acceptNewKey: true }))}>
            {said.acceptKey}
          </button>
        </Notice>
      )}
      {contact.key === "replaced" && <Notice>{said.replaced}</Notice>}
      <Problem action={action} />
      <div class="mp-row actions">
        <button type="button" class="mp-first" disabled={blocked} onClick={() => startMailTo(address)}>
          {said.write}
        </button>
        <button type="button" class={blocked ? "" : "mp-danger"} disabled={action.busy.value} onClick={() => change(() => medipeps().block(address, !blocked))}>
          {blocked ? said.unblock : said.block}
        </button>
      </div>
      <Verification contact={contact} />
    </>
  );
}

function Verification({ contact: { address, key, safetyNumber, verificationCode } }: { contact: Contact }) {
  const said = texts().contacts;
  const action = useAction();
  const typed = useSignal("");
  const differs = useSignal(false);
  const compare = (text: string) =>
    void action.run(async () => {
      differs.value = false;
      const same = await medipeps().verifyContact(address, text.trim());
      differs.value = !same;
      if (same) {
        typed.value = "";
      }
      await reloadContacts();
    });
  const forget = () =>
    void action.run(async () => {
      await medipeps().forgetVerification(address);
      await reloadContacts();
    });
  return (
    <section aria-labelledby="verification">
      <h3 id="verification">{said.verification}</h3>
      <p>{said.howToVerify}</p>
      <div class="verification">
        <QrCode text={verificationCode} label={said.qrLabel(address)} />
        <div>
          <h4>{said.safetyNumber}</h4>
          <p class="digits small">
            {(safetyNumber.replace(/\D/g, "").match(/.{1,5}/g) ?? []).map((five, index) => (
              <span key={index}>{five} </span>
            ))}
          </p>
          <label class="mp-field">
            {said.code}
            <textarea class="code" readOnly rows={3} value={verificationCode} />
          </label>
        </div>
      </div>
      {key === "verified" ? (
        <Notice>
          <p>{said.verified}</p>
          <button type="button" class="mp-small" disabled={action.busy.value} onClick={forget}>
            {said.forget}
          </button>
        </Notice>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            compare(typed.value);
          }}
        >
          <Scanner onText={compare} />
          <label class="mp-field">
            {said.theirs}
            <textarea class="code" rows={3} required value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
            <span class="mp-hint">{said.theirsHint}</span>
          </label>
          <button type="submit" class="mp-first" disabled={action.busy.value || typed.value.trim() === ""}>
            {said.compare}
          </button>
        </form>
      )}
      {differs.value && <Notice problem>{said.differs}</Notice>}
      <Problem action={action} />
    </section>
  );
}
