// The mails that are here, and the one that is open.

import { computed, signal } from "@preact/signals";
import type { MailSummary } from "@medipeps/client";
import { TextField, formatTime } from "@medipeps/ui";

import { mails, requests } from "../lists.ts";
import { hrefTo, route } from "../route.ts";
import { texts } from "../texts.ts";
import { SenderMarks, UrgencyMark, overallState } from "./marks.tsx";
import { MailReader } from "./reader.tsx";

export type Folder = "inbox" | "requests" | "sent";
const FOLDERS: readonly Folder[] = ["inbox", "requests", "sent"];

export const folder = signal<Folder>("inbox");
const sought = signal("");
/** So many rows are shown at first, and more with each click. */
const PAGE = 200;
const limit = signal(PAGE);

const shown = computed(() => mails.value.filter((mail) => isIn(mail, folder.value) && matches(mail, sought.value)));

/** Mails of strangers are among the others, marked as what they are; `requests` has them alone. */
function isIn({ sent, request }: MailSummary, where: Folder): boolean {
  return where === "sent" ? sent : !sent && (where === "inbox" || request);
}

/** Every word that is sought is in the subject or in a name or address. */
function matches({ subject, sender, senderName, recipients }: MailSummary, words: string): boolean {
  const text = [subject, sender, senderName, ...recipients.map(({ address }) => address)].join("\n").toLocaleLowerCase();
  return words
    .toLocaleLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export function MailView() {
  const said = texts().mail;
  const open = route.value.rest[0];
  return (
    <div class={open === undefined ? "split" : "split open"}>
      <section class="list">
        <h2>{said.title}</h2>
        <div class="folders" role="group" aria-label={said.folders}>
          {FOLDERS.map((one) => (
            <button key={one} type="button" aria-pressed={one === folder.value} onClick={() => (folder.value = one)}>
              {said.folderNames[one]}
              {one === "requests" && requests.value > 0 && <> <span class="count">{requests.value}</span></>}
            </button>
          ))}
        </div>
        <TextField label={said.search} value={sought.value} onInput={(value) => (sought.value = value)} />
        <p class="mp-unseen" role="status">
          {said.shown(shown.value.length)}
        </p>
        {shown.value.length === 0 && <p class="mp-quiet">{sought.value === "" ? said.none : said.noneFound}</p>}
        <ul class="rows">
          {shown.value.slice(0, limit.value).map((mail) => (
            <Row key={mail.id} mail={mail} current={mail.id === open} />
          ))}
        </ul>
        {shown.value.length > limit.value && (
          <button type="button" onClick={() => (limit.value += PAGE)}>
            {said.more}
          </button>
        )}
      </section>
      <section class="detail" aria-label={said.reader}>
        {open === undefined ? <p class="mp-quiet empty">{said.choose}</p> : <MailReader key={open} id={open} />}
      </section>
    </div>
  );
}

function Row({ mail, current }: { mail: MailSummary; current: boolean }) {
  const said = texts().mail;
  const unread = !mail.sent && !mail.displayed;
  const people = mail.sent ? said.toPeople(mail.recipients.map(({ address }) => address).join(", ")) : mail.senderName || mail.sender;
  return (
    <li>
      <a href={hrefTo("mail", mail.id)} aria-current={current ? "true" : undefined} class={unread ? "unread" : undefined}>
        <span class="line">
          <span class="first">
            {unread && <span class="mp-unseen">{said.unread} </span>}
            {people}
          </span>
          <time class="mp-quiet" dateTime={new Date(mail.created).toISOString()}>
            {formatTime(mail.created)}
          </time>
        </span>
        <span class="subject">{mail.subject || said.noSubject}</span>
        <span class="marks">
          <UrgencyMark urgency={mail.urgency} />
          {mail.sent ? <span class="mark">{said.states[overallState(mail.recipients)]}</span> : <SenderMarks mail={mail} />}
          {mail.attachments > 0 && <span class="mark">{said.files(mail.attachments)}</span>}
        </span>
      </a>
    </li>
  );
}
