// A mail that is being written: which of its stages the pane shows.

import { Notice } from "@medipeps/ui";
import { type Signal, useSignal } from "@preact/signals";

import type { Draft } from "../draft/drafts.ts";
import type { Written } from "../launchevent/item.ts";
import { Failed, Loading } from "../pane/app.tsx";
import type { Pane } from "../pane/state.ts";
import { useLoad, useTask } from "../pane/task.ts";
import { answerDraft } from "../read/answer.ts";
import { findMail, readMail } from "../read/find.ts";
import type { AnswerKind, StubId } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";
import { type ComposeItem, standing } from "./item.ts";
import { recover } from "./send.ts";
import { SentView } from "./sent.tsx";
import { PlainView, StartView } from "./start.tsx";
import { useWritten } from "./written.ts";
import { WriteView } from "./write.tsx";

/** Where a mail that is being written is. */
export type Stage =
  | { readonly is: "open"; readonly empty: boolean }
  | { readonly is: "plain" }
  | { readonly is: "write"; readonly draft: Draft; readonly note?: "interrupted" | "answered" }
  /** The stub of a draft whose text is not in this browser. */
  | { readonly is: "missing" }
  | { readonly is: "sent"; readonly stub: StubId };

export interface StageProps {
  readonly pane: Pane;
  readonly item: ComposeItem;
  readonly written: Signal<Written>;
  /** Looks at Outlook's item again. */
  readonly refresh: () => Promise<void>;
  readonly go: (stage: Stage) => void;
}

export function ComposeView({ pane, item }: { pane: Pane; item: ComposeItem }) {
  const task = useTask();
  const stage = useSignal<Stage | undefined>(undefined);
  const [written, refresh] = useWritten(item);
  const load = async () => {
    const next = await stageOf(pane, item);
    await refresh();
    stage.value = next;
  };
  useLoad(task, load, [item]);
  if (stage.value === undefined || written.value === undefined) {
    return task.error.value === undefined ? <Loading /> : <Failed task={task} again={load} />;
  }
  const props: StageProps = { pane, item, written: written as Signal<Written>, refresh, go: (next) => (stage.value = next) };
  switch (stage.value.is) {
    case "open":
      return <StartView {...props} empty={stage.value.empty} />;
    case "plain":
      return <PlainView {...props} />;
    case "write":
      return <WriteView key={stage.value.draft.id} {...props} draft={stage.value.draft} note={stage.value.note} />;
    case "missing":
      return <MissingView {...props} />;
    case "sent":
      return <SentView {...props} stub={stage.value.stub} />;
  }
}

/** Takes up what is in the item, and goes on with what was interrupted. */
async function stageOf(pane: Pane, item: ComposeItem): Promise<Stage> {
  const written = await item.written();
  const now = standing(written);
  if (now.is !== "stub") {
    return now;
  }
  switch (now.stub.state) {
    case "sent":
      return { is: "sent", stub: now.stub.id };
    case "answer":
      return answered(pane, item, now.stub);
    case "draft": {
      const kept = await pane.drafts.get(now.stub.id);
      if (kept === undefined) {
        return { is: "missing" };
      }
      const draft = await recover(pane.account, pane.drafts, kept);
      if (draft.progress.state === "sent") {
        return { is: "sent", stub: draft.progress.stub };
      }
      return kept.progress.state === "sending" ? { is: "write", draft, note: "interrupted" } : { is: "write", draft };
    }
  }
}

/** Outlook's own reply or forward of a protected mail: the draft of one is put in its place. */
async function answered(pane: Pane, item: ComposeItem, { id, to }: { id: StubId; to: AnswerKind }): Promise<Stage> {
  const summary = await findMail(pane.account, id);
  const draft =
    summary === undefined
      ? await pane.drafts.create({})
      : await answerDraft(pane.account, pane.drafts, await readMail(pane.account, summary), to);
  await item.stamp({ state: "draft", id: draft.id });
  return summary === undefined ? { is: "write", draft, note: "answered" } : { is: "write", draft };
}

function MissingView({ pane, item, refresh, go }: StageProps) {
  const task = useTask();
  const anew = async () => {
    const draft = await pane.drafts.create({});
    await item.stamp({ state: "draft", id: draft.id });
    await refresh();
    go({ is: "write", draft });
  };
  return (
    <>
      <Notice problem>{texts().write.missing}</Notice>
      <Failed task={task} />
      <button type="button" onClick={() => task.run(anew)}>
        {texts().write.startAnew}
      </button>
    </>
  );
}
