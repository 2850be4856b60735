// Groups, and the one that is open.

import { useSignal } from "@preact/signals";
import { RecipientField, Directory, TextField } from "@medipeps/ui";
import { useMemo } from "preact/hooks";

import { Problem, useAction } from "../action.tsx";
import { groups, knownAddresses, reloadGroups } from "../lists.ts";
import { goTo, hrefTo, route } from "../route.ts";
import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { Conversation } from "./conversation.tsx";

export function GroupsView() {
  const said = texts().groups;
  const open = route.value.rest[0];
  const group = groups.value.find(({ id }) => id === open);
  return (
    <div class={open === undefined ? "split" : "split open"}>
      <section class="list">
        <div class="mp-row">
          <h2>{said.title}</h2>
          <a class="mp-button" href={hrefTo("groups", "new")}>
            {said.create}
          </a>
        </div>
        {groups.value.length === 0 && <p class="mp-quiet">{said.none}</p>}
        <ul class="rows">
          {groups.value.map(({ id, name, state, unread, muted, members }) => (
            <li key={id}>
              <a href={hrefTo("groups", id)} aria-current={id === open ? "true" : undefined} class={unread > 0 ? "unread" : undefined}>
                <span class="line">
                  <span class="first">{name}</span>
                  {unread > 0 && (
                    <span class="count">
                      {unread}
                      <span class="mp-unseen"> {texts().unread}</span>
                    </span>
                  )}
                </span>
                <span class="marks">
                  <span class="mp-quiet">{said.memberCount(members.length)}</span>
                  {muted && <span class="mark">{said.muted}</span>}
                  {state !== "active" && <span class="mark warn">{said.states[state]}</span>}
                </span>
              </a>
            </li>
          ))}
        </ul>
      </section>
      <section class="detail" aria-label={group?.name ?? said.title}>
        {open === "new" ? (
          <NewGroup />
        ) : group !== undefined ? (
          <Conversation key={group.id} group={group} />
        ) : (
          <p class="mp-quiet empty">{open === undefined ? said.choose : said.gone}</p>
        )}
      </section>
    </div>
  );
}

function NewGroup() {
  const said = texts().groups;
  const action = useAction();
  const name = useSignal("");
  const description = useSignal("");
  const members = useSignal<readonly string[]>([]);
  const directory = useDirectory();
  const create = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      const made = await medipeps().createGroup({ name: name.value.trim(), members: members.value, description: description.value.trim() });
      await reloadGroups();
      goTo("groups", made.id);
    });
  };
  return (
    <form onSubmit={create}>
      <a class="back" href={hrefTo("groups")}>
        {texts().back}
      </a>
      <h2 class="title">{said.create}</h2>
      <TextField label={said.name} value={name.value} onInput={(value) => (name.value = value)} required />
      <TextField label={said.description} value={description.value} onInput={(value) => (description.value = value)} />
      <RecipientField label={said.members} addresses={members.value} onChange={(next) => (members.value = next)} directory={directory} suggestions={knownAddresses.value} required />
      <Problem action={action} />
      <button
        type="submit"
        class="mp-first"
        disabled={action.busy.value || name.value.trim() === "" || members.value.length === 0 || !directory.allWritable(members.value)}
      >
        {action.busy.value ? said.creating : said.create}
      </button>
    </form>
  );
}

/** Looks people up for one form. */
export function useDirectory(): Directory {
  return useMemo(() => new Directory((address, acceptNewKey) => medipeps().addContact(address, { acceptNewKey })), []);
}
