// People whose keys are known here.

import { useSignal } from "@preact/signals";
import type { Contact } from "@medipeps/client";
import { TextField, isAddress } from "@medipeps/ui";

import { Problem, useAction } from "../action.tsx";
import { contacts, reloadContacts } from "../lists.ts";
import { goTo, hrefTo, route } from "../route.ts";
import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { ContactPage } from "./contact.tsx";

export function ContactsView() {
  const said = texts().contacts;
  const open = route.value.rest[0];
  const contact = contacts.value.find(({ address }) => address === open);
  return (
    <div class={open === undefined ? "split" : "split open"}>
      <section class="list">
        <h2>{said.title}</h2>
        <AddContact />
        {contacts.value.length === 0 && <p class="mp-quiet">{said.none}</p>}
        <ul class="rows">
          {contacts.value.map((one) => (
            <li key={one.address}>
              <a href={hrefTo("contacts", one.address)} aria-current={one.address === open ? "true" : undefined}>
                <span class="first">{one.address}</span>
                <KeyMark contact={one} />
              </a>
            </li>
          ))}
        </ul>
      </section>
      <section class="detail" aria-label={open ?? said.title}>
        {open === undefined ? <p class="mp-quiet empty">{said.choose}</p> : contact === undefined ? <p class="empty">{said.gone}</p> : <ContactPage key={open} contact={contact} />}
      </section>
    </div>
  );
}

/** How far somebody's key can be trusted. */
export function KeyMark({ contact: { key, blocked } }: { contact: Contact }) {
  const said = texts().contacts;
  return (
    <span class="marks">
      <span class={`mark ${key === "verified" ? "good" : key === "changed" ? "bad" : ""}`}>{said.keys[key]}</span>
      {blocked && <span class="mark bad">{said.blocked}</span>}
    </span>
  );
}

function AddContact() {
  const said = texts().contacts;
  const action = useAction();
  const address = useSignal("");
  const add = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      const added = await medipeps().addContact(address.value.trim().toLowerCase());
      await reloadContacts();
      address.value = "";
      goTo("contacts", added.address);
    });
  };
  return (
    <form onSubmit={add}>
      <TextField label={said.add} value={address.value} onInput={(value) => (address.value = value)} required />
      <Problem action={action} />
      <button type="submit" disabled={action.busy.value || !isAddress(address.value.trim())}>
        {action.busy.value ? said.looking : said.lookUp}
      </button>
    </form>
  );
}
