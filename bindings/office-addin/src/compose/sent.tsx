// Medipeps has the mail; the item that tells of it waits for Outlook's Send.

import type { MailSummary } from "@medipeps/client";
import { AttachmentList, Notice, reasonText } from "@medipeps/ui";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { refusal } from "../launchevent/verdict.ts";
import { Failed, Loading, Title } from "../pane/app.tsx";
import { useLoad, useTask } from "../pane/task.ts";
import { answerDraft, openItem } from "../read/answer.ts";
import { findMail, readMail } from "../read/find.ts";
import type { StubId } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";
import { peopleOf, peopleOfMail, standing } from "./item.ts";
import type { StageProps } from "./view.tsx";

/** How often delivery states are looked at, and how often what waits is sent again, in milliseconds. */
const LOOK = 1_000;
const SEND = 5_000;

export function SentView(props: StageProps & { stub: StubId }) {
  const { pane, written, stub } = props;
  const said = texts().sent;
  const task = useTask();
  const summary = useSignal<MailSummary | null | undefined>(undefined);
  const look = async () => void (summary.value = (await findMail(pane.account, stub)) ?? null);
  useLoad(task, look, [stub]);
  useEffect(() => {
    const again = every(LOOK, async () => {
      const id = summary.value?.id;
      const found = (await pane.account.use((client) => client.messages())).find((mail) => mail.id === id);
      if (found !== undefined && JSON.stringify(found) !== JSON.stringify(summary.value)) {
        summary.value = found;
      }
    });
    const due = every(SEND, () => pane.account.use((client) => client.sync()));
    return () => [again, due].forEach((stop) => stop());
  }, [stub]);
  if (summary.value === undefined) {
    return task.error.value === undefined ? <Loading /> : <Failed task={task} again={look} />;
  }
  if (summary.value === null) {
    return <Notice problem>{said.elsewhere}</Notice>;
  }
  const stamped = standing(written.value);
  const waits = summary.value.recipients.some(({ state }) => state === "queued");
  return (
    <>
      {stamped.is === "stub" && stamped.stub.state === "sent" ? (
        <Stamped {...props} summary={summary.value} waits={waits} />
      ) : (
        <Leaving {...props} summary={summary.value} waits={waits} />
      )}
      <h3>{said.to}</h3>
      <ul class="states">
        {summary.value.recipients.map(({ address, state, reason }) => (
          <li key={address}>
            {said.state(address, said.states[state])} {reason !== undefined && (reasonText(reason) ?? reason)}
          </li>
        ))}
      </ul>
    </>
  );
}

type MailProps = StageProps & { stub: StubId; summary: MailSummary; waits: boolean };

/**
 * Medipeps has the mail, the server does not: with Outlook's Send this window would close, and the mail wait for the next pane. So the
 * item is stamped when the server has it, or when a person says so.
 */
function Leaving({ pane, item, refresh, stub, summary, waits }: MailProps) {
  const said = texts().sent;
  const task = useTask();
  const stamp = async () => {
    await item.stampSent(stub, peopleOfMail(summary));
    await refresh();
  };
  useEffect(() => {
    if (!waits) {
      task.run(stamp);
    }
  }, [waits]);
  const uploads = [...pane.transfers.value].map(([name, transfer]) => ({ key: name, name, length: transfer.total, transfer }));
  return (
    <>
      <Title>{said.leaving}</Title>
      <Notice>
        <p>{said.keepOpen}</p>
        <p>{said.queued}</p>
      </Notice>
      <AttachmentList items={uploads} />
      <Failed task={task} again={stamp} />
      <div class="choice">
        <button type="button" disabled={task.running.value} onClick={() => task.run(stamp)}>
          {said.letGo}
        </button>
        <p class="mp-hint">{said.letGoHint}</p>
      </div>
    </>
  );
}

/** The item may go, unless it was changed since. */
function Stamped(props: MailProps) {
  const said = texts().sent;
  return (
    <>
      <Title>{said.title}</Title>
      {props.waits && <Notice>{said.queued}</Notice>}
      {refusal(props.written.value) === undefined ? <Notice>{said.press}</Notice> : <Wrong {...props} />}
    </>
  );
}

/** Does something again and again, one after the other, whatever becomes of it. */
function every(milliseconds: number, work: () => Promise<void>): () => void {
  let running = false;
  const timer = setInterval(() => {
    if (!running) {
      running = true;
      void work()
        .catch(() => {})
        .finally(() => (running = false));
    }
  }, milliseconds);
  return () => clearInterval(timer);
}

/** The item was changed after it was stamped: Outlook would stop it. */
function Wrong({ pane, item, written, refresh, stub, summary }: MailProps) {
  const said = texts().sent;
  const task = useTask();
  const now = peopleOf(written.value);
  const inItem = [...now.to, ...now.cc];
  const got = summary.recipients.map(({ address }) => address);
  const added = inItem.filter((address) => !got.includes(address));
  const removed = got.filter((address) => !inItem.includes(address));
  const restore = async () => {
    const people = peopleOfMail(summary);
    await item.setPeople(people);
    await item.clearBlindCopies();
    await item.stampSent(stub, people);
    await refresh();
  };
  const forward = async () => {
    const mail = await readMail(pane.account, summary);
    await openItem(pane.mailbox, await answerDraft(pane.account, pane.drafts, mail, "forward"), { to: added, cc: [] });
  };
  return (
    <Notice problem>
      <p>{said.wrong}</p>
      {added.length > 0 && <p>{said.added(added.join(", "))}</p>}
      {removed.length > 0 && <p>{said.removed(removed.join(", "))}</p>}
      <p>{said.restoreHint}</p>
      <Failed task={task} />
      <div class="mp-row">
        <button type="button" class="mp-small" disabled={task.running.value} onClick={() => task.run(restore)}>
          {said.restore}
        </button>
        {added.length > 0 && (
          <button type="button" class="mp-small" disabled={task.running.value} onClick={() => task.run(forward)}>
            {said.forwardTo(added.join(", "))}
          </button>
        )}
      </div>
    </Notice>
  );
}
