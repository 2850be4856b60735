// One mail, and what can be done with it.

import { useSignal } from "@preact/signals";
import type { Mail, MailSummary, Recipient } from "@medipeps/client";
import { AttachmentList, MailFrame, Notice, errorText, formatTime, reasonText, saveFile } from "@medipeps/ui";
import { useEffect } from "preact/hooks";

import { Problem, useAction } from "../action.tsx";
import { bodies } from "../events.ts";
import { mails, reloadContacts, reloadMails } from "../lists.ts";
import { hrefTo } from "../route.ts";
import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { transferOf } from "../transfers.ts";
import { startForward, startReply } from "./draft.ts";
import { SenderMarks, UrgencyMark } from "./marks.tsx";

export function MailReader({ id }: { id: string }) {
  const said = texts().mail;
  const mail = useSignal<Mail | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    let current = true;
    medipeps()
      .read(id)
      .then(
        async (read) => {
          if (current) {
            mail.value = read;
            // It counts as displayed from now on.
            await reloadMails();
          }
        },
        (error: unknown) => {
          if (current) {
            problem.value = errorText(error);
          }
        },
      );
    return () => {
      current = false;
    };
  }, [id, bodies.value]);
  return (
    <>
      <a class="back" href={hrefTo("mail")}>
        {texts().back}
      </a>
      {problem.value !== undefined && <Notice problem>{problem.value}</Notice>}
      {mail.value === undefined && problem.value === undefined && <p role="status">{said.loading}</p>}
      {mail.value !== undefined && <Whole mail={mail.value} summary={mails.value.find((one) => one.id === id) ?? mail.value.summary} />}
    </>
  );
}

/** `summary` is the newest one: states change while the mail is open. */
function Whole({ mail, summary }: { mail: Mail; summary: MailSummary }) {
  const said = texts().mail;
  return (
    <article>
      <h2 class="title">{summary.subject || said.noSubject}</h2>
      <div class="marks">
        <UrgencyMark urgency={summary.urgency} />
        {!summary.sent && <SenderMarks mail={summary} />}
      </div>
      {!summary.sent && <SenderNotice summary={summary} />}
      <dl class="head">
        <dt>{said.from}</dt>
        <dd>
          {summary.senderName !== "" && `${summary.senderName} `}
          <span class="mp-quiet">{summary.sender}</span>
        </dd>
        <dt>{said.to}</dt>
        <dd>{mail.to.join(", ")}</dd>
        {mail.cc.length > 0 && (
          <>
            <dt>{said.cc}</dt>
            <dd>{mail.cc.join(", ")}</dd>
          </>
        )}
        <dt>{said.time}</dt>
        <dd>
          <time dateTime={new Date(summary.created).toISOString()}>{formatTime(summary.created)}</time>
        </dd>
      </dl>
      <Answers mail={mail} />
      {!mail.whole && <Notice>{mail.missing === undefined ? said.coming : said.missing(reasonText(mail.missing) ?? mail.missing)}</Notice>}
      {mail.html === undefined ? <div class="body">{mail.text}</div> : <MailFrame html={mail.html} subject={summary.subject} />}
      <Files mail={mail} summary={summary} />
      {summary.sent && <Delivery recipients={summary.recipients} />}
    </article>
  );
}

/** A stranger, or somebody whose name does not fit his key. */
function SenderNotice({ summary: { sender, senderCheck, request } }: { summary: MailSummary }) {
  const said = texts().mail;
  const action = useAction();
  const decide = (work: () => Promise<void>) =>
    void action.run(async () => {
      await work();
      await Promise.all([reloadMails(), reloadContacts()]);
    });
  return (
    <>
      {senderCheck === "impostor" && <Notice problem>{said.impostorWarning(sender)}</Notice>}
      {senderCheck === "unchecked" && <Notice>{said.uncheckedWarning}</Notice>}
      {request && (
        <Notice>
          <p>{said.requestNotice(sender)}</p>
          <div class="mp-row">
            <button type="button" class="mp-small" disabled={action.busy.value} onClick={() => decide(() => medipeps().accept(sender))}>
              {said.accept}
            </button>
            <button type="button" class="mp-small mp-danger" disabled={action.busy.value} onClick={() => decide(() => medipeps().block(sender, true))}>
              {said.block}
            </button>
          </div>
        </Notice>
      )}
      <Problem action={action} />
    </>
  );
}

function Answers({ mail }: { mail: Mail }) {
  const said = texts().mail;
  const action = useAction();
  return (
    <>
      <div class="mp-row actions">
        <button type="button" class="mp-first" onClick={() => startReply(mail, false)}>
          {said.reply}
        </button>
        {mail.to.length + mail.cc.length > 1 && (
          <button type="button" onClick={() => startReply(mail, true)}>
            {said.replyAll}
          </button>
        )}
        <button type="button" disabled={action.busy.value} onClick={() => void action.run(() => startForward(mail))}>
          {said.forward}
        </button>
      </div>
      <Problem action={action} />
    </>
  );
}

function Files({ mail: { attachments }, summary: { id, recipients } }: { mail: Mail; summary: MailSummary }) {
  const action = useAction();
  const saving = useSignal<number | undefined>(undefined);
  const leaving = recipients.some(({ state }) => state === "queued");
  const save = (index: number) =>
    void action.run(async () => {
      const file = attachments[index];
      if (file !== undefined) {
        saving.value = index;
        saveFile(await medipeps().attachment(id, index), file.name);
      }
    });
  return (
    <>
      <AttachmentList
        items={attachments.map(({ name, length }, index) => ({
          key: String(index),
          name,
          length,
          ...(leaving ? transferOf("upload", name) : saving.value === index ? transferOf("download", name) : {}),
        }))}
        onSave={({ key }) => save(Number(key))}
      />
      <Problem action={action} />
    </>
  );
}

/** How far it got with each. */
function Delivery({ recipients }: { recipients: readonly Recipient[] }) {
  const said = texts().mail;
  return (
    <section aria-labelledby="delivery">
      <h3 id="delivery">{said.delivery}</h3>
      <ul class="delivery">
        {recipients.map(({ address, copy, state, reason }) => (
          <li key={`${address} ${copy}`} class={state}>
            <span>
              {address} {copy && <span class="mp-quiet">({said.copy})</span>}
            </span>
            <span class={`mark ${state === "failed" ? "bad" : state === "displayed" || state === "delivered" ? "good" : ""}`}>{said.states[state]}</span>
            {reason !== undefined && <span class="mp-problem">{reasonText(reason) ?? reason}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
