// An item that nobody has decided about, and one that goes without protection.

import { Notice } from "@medipeps/ui";
import { useSignal } from "@preact/signals";

import type { Draft } from "../draft/drafts.ts";
import { asked } from "../launchevent/item.ts";
import { Failed } from "../pane/app.tsx";
import { useLoad, useTask } from "../pane/task.ts";
import { SUBJECT, speaksOfStub } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";
import { UnreadableFile } from "./item.ts";
import type { StageProps } from "./view.tsx";
import { PLAIN_MAIL } from "../stub/plain-mail.ts";

export function StartView(props: StageProps & { empty: boolean }) {
  const { pane, item, written, go, empty } = props;
  const said = texts().start;
  const task = useTask();
  const sure = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  const quotes = speaksOfStub(written.value.subject, written.value.html);
  const protect = () =>
    task.run(async () => {
      problem.value = undefined;
      try {
        go({ is: "write", draft: await takenOver(props) });
      } catch (error) {
        if (!(error instanceof UnreadableFile)) {
          throw error;
        }
        problem.value = texts().start.unreadableFile(error.message);
      }
    });
  const plain = () =>
    task.run(async () => {
      await item.markPlain();
      go({ is: "plain" });
    });
  return (
    <>
      <h2>{said.title}</h2>
      {quotes && <Notice>{said.quotes}</Notice>}
      <Failed task={task} />
      {problem.value !== undefined && <Notice problem>{problem.value}</Notice>}
      <div class="choice">
        <button type="button" class="mp-first" disabled={task.running.value} onClick={protect}>
          {said.protect}
        </button>
        <p class="mp-hint">{said.protectHint}</p>
        {!empty && <p class="mp-hint">{said.already}</p>}
      </div>
      {PLAIN_MAIL && !quotes && (
        <div class="choice">
          {sure.value ? (
            <Notice problem>
              <p>{said.plainSure}</p>
              <div class="mp-row">
                <button type="button" class="mp-danger" onClick={plain}>
                  {said.plainYes}
                </button>
                <button type="button" onClick={() => (sure.value = false)}>
                  {texts().back}
                </button>
              </div>
            </Notice>
          ) : (
            <button type="button" onClick={() => (sure.value = true)}>
              {said.plain}
            </button>
          )}
          <p class="mp-hint">{said.plainHint}</p>
        </div>
      )}
      <KeptDrafts {...props} />
      {pane.me.value !== null && <p class="mp-quiet">{pane.me.value?.address}</p>}
    </>
  );
}

/** What was written in Outlook's window moves into a draft, and the stub takes its place. */
async function takenOver({ pane, item, refresh }: StageProps): Promise<Draft> {
  const written = await item.written();
  const files = await item.files(written);
  const text = await asked<string>((callback) => item.item.body.getAsync(Office.CoercionType.Text, callback));
  const subject = speaksOfStub(written.subject, "") ? written.subject.replace(SUBJECT, "").trim() : written.subject;
  const own = text.replaceAll("\r\n", "\n").replaceAll("\u00a0", " ").trim();
  // Without a subject it is the signature that Outlook has put there, most often.
  const room = subject === "" && own !== "" ? "\n\n" : "";
  const draft = await pane.drafts.create({ subject, text: room + own }, files);
  await item.stamp({ state: "draft", id: draft.id });
  await refresh();
  return draft;
}

/** Drafts whose item in Outlook is lost, or open elsewhere. */
function KeptDrafts({ pane, item, refresh, go }: StageProps) {
  const said = texts().start;
  const task = useTask();
  const drafts = useSignal<readonly Draft[]>([]);
  const load = async () => void (drafts.value = await pane.drafts.unsent());
  useLoad(task, load, []);
  if (drafts.value.length === 0) {
    return null;
  }
  const resume = async (draft: Draft) => {
    await item.stamp({ state: "draft", id: draft.id });
    await refresh();
    go({ is: "write", draft });
  };
  const remove = async (draft: Draft) => {
    await pane.drafts.delete(draft.id);
    await load();
  };
  return (
    <section aria-label={said.drafts}>
      <h3>{said.drafts}</h3>
      <Failed task={task} />
      <ul class="plain-list">
        {drafts.value.map((draft) => (
          <li key={draft.id}>
            <button type="button" class="mp-small" onClick={() => task.run(() => resume(draft))}>
              {said.continueDraft(draft.subject || said.noSubject)}
            </button>
            <button type="button" class="mp-small" aria-label={said.deleteDraft(draft.subject || said.noSubject)} onClick={() => task.run(() => remove(draft))}>
              ×
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function PlainView({ item, go }: StageProps) {
  const task = useTask();
  const said = texts().start;
  const back = () =>
    task.run(async () => {
      await item.unmarkPlain();
      go({ is: "open", empty: false });
    });
  return (
    <>
      <Notice problem>{said.isPlain}</Notice>
      <Failed task={task} />
      <button type="button" onClick={back}>
        {said.protectAfterAll}
      </button>
    </>
  );
}
