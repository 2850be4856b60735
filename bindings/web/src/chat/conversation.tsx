// One group: what was said, who has read it, and saying something.

import { useSignal } from "@preact/signals";
import type { Group, GroupMessage } from "@medipeps/client";
import { AttachmentList, Notice, formatTime, saveFile } from "@medipeps/ui";
import { useEffect, useRef } from "preact/hooks";

import { Problem, useAction } from "../action.tsx";
import { typing } from "../events.ts";
import { groupChanges, reloadGroups } from "../lists.ts";
import { hrefTo } from "../route.ts";
import { account, medipeps, noteFailure } from "../session.ts";
import { texts } from "../texts.ts";
import { transferOf } from "../transfers.ts";
import { Members } from "./members.tsx";
import { type Said, standing } from "./messages.ts";
import { SayForm } from "./say.tsx";

/** As many entries as are read at first, and more with each "earlier". */
const PAGE = 100;
const EMOJIS: readonly string[] = ["👍", "✅", "❤️", "👀", "❗"];

export function Conversation({ group }: { group: Group }) {
  const said = texts().groups;
  const entries = useSignal<readonly GroupMessage[]>([]);
  const limit = useSignal(PAGE);
  const answering = useSignal<Said | undefined>(undefined);
  const members = useSignal(false);
  const log = useRef<HTMLOListElement>(null);
  const changes = groupChanges.value.get(group.id) ?? 0;
  useEffect(() => {
    let current = true;
    void readEntries(group.id, limit.value).then((read) => {
      if (current && read !== undefined) {
        entries.value = read;
      }
    });
    return () => {
      current = false;
    };
  }, [changes, limit.value]);
  const last = entries.value.reduce((most, { number }) => Math.max(most, number), 0);
  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [last, entries.value.length === 0]);
  useDisplayed(group, entries.value);
  const all = standing(entries.value);
  const active = group.state === "active";
  return (
    <div class="conversation">
      <header>
        <a class="back" href={hrefTo("groups")}>
          {texts().back}
        </a>
        <div class="mp-row">
          <h2 class="title">{group.name}</h2>
          <button type="button" aria-expanded={members.value} onClick={() => (members.value = !members.value)}>
            {said.memberCount(group.members.length)}
          </button>
        </div>
        {group.description !== "" && <p class="mp-quiet">{group.description}</p>}
        {!active && <Notice problem={group.state === "broken"}>{group.problem ?? said.states[group.state]}</Notice>}
      </header>
      {members.value && <Members group={group} onClose={() => (members.value = false)} />}
      <ol class="messages" ref={log} tabIndex={0} aria-label={said.log}>
        {entries.value.length >= limit.value && (
          <li>
            <button type="button" onClick={() => (limit.value += PAGE)}>
              {said.earlier}
            </button>
          </li>
        )}
        {all.map((one) => (
          <Entry key={one.message.id} group={group} said={one} all={all} onAnswer={() => (answering.value = one)} />
        ))}
      </ol>
      <Typing group={group.id} />
      {active && <SayForm group={group} answering={answering} />}
    </div>
  );
}

async function readEntries(group: string, limit: number): Promise<readonly GroupMessage[] | undefined> {
  try {
    return await medipeps().groupMessages(group, limit);
  } catch (error) {
    noteFailure(error);
    return undefined;
  }
}

/** What is on the screen of somebody who looks at it has been displayed. */
function useDisplayed(group: Group, entries: readonly GroupMessage[]): void {
  const newest = entries.filter(({ state }) => state === "logged").reduce((most, { number }) => Math.max(most, number), 0);
  useEffect(() => {
    const tell = async () => {
      if (newest > 0 && group.unread > 0 && document.visibilityState === "visible") {
        try {
          await medipeps().markGroupDisplayed(group.id, newest);
          await reloadGroups();
        } catch (error) {
          noteFailure(error);
        }
      }
    };
    const seen = () => void tell();
    seen();
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, [newest, group.unread > 0]);
}

function Entry({ group, said, all, onAnswer }: { group: Group; said: Said; all: readonly Said[]; onAnswer: () => void }) {
  const texted = texts().groups;
  const action = useAction();
  const { message, text, edited, deleted, reactions } = said;
  const mine = message.sender === account.value?.address;
  const about = all.find((other) => other.message.id === message.inReplyTo);
  const readers = mine ? group.members.filter(({ address, readUpTo = 0 }) => address !== message.sender && readUpTo >= message.number) : [];
  const saving = useSignal<number | undefined>(undefined);
  const save = (index: number, name: string) =>
    void action.run(async () => {
      saving.value = index;
      saveFile(await medipeps().groupAttachment(group.id, message.number, index), name);
    });
  const react = (emoji: string) => {
    const given = reactions.get(emoji)?.includes(account.value?.address ?? "") === true;
    void action.run(async () => void (await medipeps().react(group.id, message.id, given ? undefined : emoji)));
  };
  return (
    <li class={mine ? "message mine" : "message"}>
      <div class="line">
        <strong>{mine ? texted.me : message.senderName || message.sender}</strong>
        <time class="mp-quiet" dateTime={new Date(message.time).toISOString()}>
          {formatTime(message.time)}
        </time>
      </div>
      {about !== undefined && <blockquote>{about.deleted ? texted.deleted : about.text}</blockquote>}
      <div class="body">{deleted ? <em>{texted.deleted}</em> : text}</div>
      {edited && !deleted && <span class="mp-quiet">{texted.edited}</span>}
      {!deleted && (
        <AttachmentList
          items={message.attachments.map(({ name, length }, index) => ({
            key: String(index),
            name,
            length,
            ...(message.state === "waiting" ? transferOf("upload", name) : saving.value === index ? transferOf("download", name) : {}),
          }))}
          onSave={({ key, name }) => save(Number(key), name)}
        />
      )}
      <div class="mp-row reactions">
        {[...reactions].map(([emoji, people]) => (
          <button key={emoji} type="button" class="mp-small" aria-label={texted.reacted(emoji, people.length, people.join(", "))} title={people.join(", ")} onClick={() => react(emoji)}>
            {emoji} {people.length}
          </button>
        ))}
        {message.state === "waiting" && <span class="mp-quiet">{texted.waiting}</span>}
        {message.state === "failed" && <span class="mp-problem">{texted.failed(message.reason ?? "")}</span>}
        {readers.length > 0 && <span class="mp-quiet">{texted.readBy(readers.length)}</span>}
        {!deleted && group.state === "active" && message.state === "logged" && (
          <details class="more">
            <summary class="mp-small">{texted.more}</summary>
            <div class="mp-row">
              <button type="button" class="mp-small" onClick={onAnswer}>
                {texted.answer}
              </button>
              {EMOJIS.map((emoji) => (
                <button key={emoji} type="button" class="mp-small" aria-label={texted.react(emoji)} onClick={() => react(emoji)}>
                  {emoji}
                </button>
              ))}
            </div>
          </details>
        )}
      </div>
      <Problem action={action} />
    </li>
  );
}

function Typing({ group }: { group: string }) {
  const people = [...(typing.value.get(group) ?? [])].filter((address) => address !== account.value?.address);
  return (
    <p class="typing mp-quiet" role="status">
      {people.length > 0 ? texts().groups.typing(people.join(", ")) : "\u00a0"}
    </p>
  );
}
