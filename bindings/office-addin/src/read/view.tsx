// A mail that came, or lies among what was sent.

import type { Mail, MailSummary } from "@medipeps/client";
import { AttachmentList, MailFrame, Notice, errorText, formatTime, reasonText, saveFile } from "@medipeps/ui";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { Failed, Loading } from "../pane/app.tsx";
import type { Pane } from "../pane/state.ts";
import { useLoad, useTask } from "../pane/task.ts";
import { texts } from "../texts/texts.ts";
import { type Answer, answerDraft, answerPeople, openItem } from "./answer.ts";
import { type ReceivedStub, findMail, readMail, stubOf } from "./find.ts";

/** How often a mail that has not come is looked for, in milliseconds. */
const INTERVAL = 10_000;

type Found = { is: "none" } | { is: "mail"; mail: Mail } | { is: "missing"; stub: ReceivedStub };

export function ReadView({ pane, item }: { pane: Pane; item: Office.MessageRead }) {
  const task = useTask();
  const found = useSignal<Found | undefined>(undefined);
  const look = async () => {
    const stub = await stubOf(item, pane.mailbox.userProfile.emailAddress);
    if (stub === undefined) {
      found.value = { is: "none" };
      return;
    }
    const summary = await findMail(pane.account, stub.id);
    found.value = summary === undefined ? { is: "missing", stub } : { is: "mail", mail: await readMail(pane.account, summary) };
  };
  useLoad(task, look, [item]);
  if (found.value === undefined) {
    return task.error.value === undefined ? <Loading>{texts().read.looking}</Loading> : <Failed task={task} again={look} />;
  }
  switch (found.value.is) {
    case "none":
      return (
        <>
          <p>{texts().read.unprotected}</p>
          <p class="mp-hint">{texts().reading}</p>
        </>
      );
    case "missing":
      return (
        <>
          <Failed task={task} />
          <MissingMail pane={pane} stub={found.value.stub} looking={task.running.value} onLook={() => task.run(look)} />
        </>
      );
    case "mail":
      return <MailView pane={pane} mail={found.value.mail} onChange={(mail) => (found.value = { is: "mail", mail })} />;
  }
}

/** A stub without a mail: it is on its way, or it was never sent to this person. */
function MissingMail({ pane, stub, looking, onLook }: { pane: Pane; stub: ReceivedStub; looking: boolean; onLook: () => void }) {
  const said = texts().read;
  const mine = stub.genuine && stub.toMe;
  useEffect(() => {
    const timer = mine ? setInterval(onLook, INTERVAL) : undefined;
    return () => clearInterval(timer);
  }, [mine]);
  return (
    <>
      {mine ? (
        <Notice>
          <p>{said.onItsWay}</p>
          <p>{said.sentBefore}</p>
        </Notice>
      ) : (
        <Notice problem>
          <p>{said.noRights(pane.me.value?.address ?? pane.mailbox.userProfile.emailAddress)}</p>
          <p>{said.whatToDo(stub.from)}</p>
        </Notice>
      )}
      <button type="button" disabled={looking} onClick={onLook}>
        {said.refresh}
      </button>
    </>
  );
}

function MailView({ pane, mail, onChange }: { pane: Pane; mail: Mail; onChange: (mail: Mail) => void }) {
  const said = texts().read;
  const { summary } = mail;
  useEffect(() => {
    // The rest of a long text comes by itself.
    const again = async () => {
      await pane.account.use((client) => client.sync());
      onChange(await readMail(pane.account, summary));
    };
    const timer = mail.whole ? undefined : setInterval(() => void again().catch(() => {}), INTERVAL);
    return () => clearInterval(timer);
  }, [mail]);
  return (
    <article>
      <h2>{summary.subject}</h2>
      <div class="mail-head">
        <p>{said.from(summary.senderName === summary.sender ? summary.sender : `${summary.senderName}, ${summary.sender}`)}</p>
        <p class="mp-quiet">{said.to(mail.to.join(", "))}</p>
        {mail.cc.length > 0 && <p class="mp-quiet">{said.cc(mail.cc.join(", "))}</p>}
        <p class="mp-quiet">
          {formatTime(summary.created)} · {check(summary)}
        </p>
      </div>
      {summary.senderCheck === "impostor" && <Notice problem>{said.impostor}</Notice>}
      {summary.request && <Notice>{said.request}</Notice>}
      {!mail.whole && <Notice>{said.missing(reasonText(mail.missing) ?? mail.missing ?? "…")}</Notice>}
      {mail.html === undefined ? <p class="plain-text">{mail.text}</p> : <MailFrame html={mail.html} subject={summary.subject} />}
      <Files pane={pane} mail={mail} />
      <Answers pane={pane} mail={mail} />
    </article>
  );
}

function check({ verified, senderCheck }: MailSummary): string {
  const said = texts().read;
  return verified ? said.verified : senderCheck === "unchecked" ? said.unchecked : said.checked;
}

function Files({ pane, mail: { attachments, summary } }: { pane: Pane; mail: Mail }) {
  const problems = useSignal<ReadonlyMap<number, string>>(new Map());
  const items = attachments.map(({ name, length }, at) => {
    const transfer = pane.transfers.value.get(name);
    const problem = problems.value.get(at);
    return { key: String(at), name, length, ...(transfer === undefined ? {} : { transfer }), ...(problem === undefined ? {} : { problem }) };
  });
  const save = async (at: number, name: string) => {
    try {
      saveFile(await pane.account.use((client) => client.attachment(summary.id, at)), name);
    } catch (error) {
      problems.value = new Map(problems.value).set(at, errorText(error));
    }
  };
  return <AttachmentList items={items} onSave={({ key, name }) => void save(Number(key), name)} />;
}

function Answers({ pane, mail }: { pane: Pane; mail: Mail }) {
  const said = texts().read;
  const task = useTask();
  const opened = useSignal(false);
  const answer = (kind: Answer) =>
    task.run(async () => {
      const draft = await answerDraft(pane.account, pane.drafts, mail, kind);
      await openItem(pane.mailbox, draft, answerPeople(mail, kind, pane.me.value?.address ?? ""));
      opened.value = true;
    });
  return (
    <>
      <div class="mp-row">
        {(["reply", "replyAll", "forward"] as const).map((kind) => (
          <button key={kind} type="button" disabled={task.running.value || !mail.whole} onClick={() => answer(kind)}>
            {said[kind]}
          </button>
        ))}
      </div>
      <Failed task={task} />
      {opened.value && <Notice>{said.opened}</Notice>}
    </>
  );
}
