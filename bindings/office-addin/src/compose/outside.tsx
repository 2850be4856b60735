// What stands in Outlook's window beside the stub, where it is not protected, and ways to get it out of there.

import { Notice } from "@medipeps/ui";

import type { Editor } from "../draft/editor.ts";
import { asked } from "../launchevent/item.ts";
import type { Written } from "../launchevent/item.ts";
import { Failed } from "../pane/app.tsx";
import { useTask } from "../pane/task.ts";
import { SUBJECT, type StubId, collapsed, isStub, stubText } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";
import type { StageProps } from "./view.tsx";

export type Outside = "body" | "subject" | "attachments" | "bcc";

/** What is in an item that belongs to a stub with this id. */
export function outside({ subject, html, attachments, bcc }: Written, id: StubId): Outside[] {
  const found: [Outside, boolean][] = [
    ["body", !isStub(html, id)],
    ["subject", subject !== SUBJECT],
    ["attachments", attachments.length > 0],
    ["bcc", bcc.length > 0],
  ];
  return found.flatMap(([what, is]) => (is ? [what] : []));
}

/** While a draft is being written: it can be moved into the pane, or thrown away. */
export function OutsideNotice({ item, written, refresh, editor }: StageProps & { editor: Editor }) {
  const said = texts().outside;
  const task = useTask();
  const { id } = editor.draft.value;
  const found = outside(written.value, id);
  if (found.length === 0) {
    return <Failed task={task} />;
  }
  const clean = async () => {
    await item.clearBlindCopies();
    await item.stamp({ state: "draft", id });
    await refresh();
  };
  const take = async () => {
    const now = await item.written();
    const files = await item.files(now);
    const text = await asked<string>((callback) => item.item.body.getAsync(Office.CoercionType.Text, callback));
    const own = withoutStub(text, id);
    const { subject, text: kept } = editor.draft.value;
    editor.edit({ subject: now.subject === SUBJECT || subject !== "" ? subject : now.subject, text: own === "" ? kept : `${kept}\n${own}`.trimStart() });
    if (files.length > 0) {
      editor.addFiles(files);
    }
    await editor.flush();
    await clean();
  };
  return (
    <Notice problem>
      {found.map((what) => (
        <p key={what}>{said[what]}</p>
      ))}
      <Failed task={task} />
      <div class="mp-row">
        {found.some((what) => what !== "bcc") && (
          <button type="button" class="mp-small" disabled={task.running.value} onClick={() => task.run(take)}>
            {said.take}
          </button>
        )}
        <button type="button" class="mp-small" disabled={task.running.value} onClick={() => task.run(clean)}>
          {said.remove}
        </button>
      </div>
    </Notice>
  );
}

/** The lines that are not the stub's own. */
export function withoutStub(text: string, id: StubId): string {
  const lines = text.split(/\r?\n/).filter((line) => collapsed(line) === "" || !stubText(id).includes(collapsed(line)));
  return lines.join("\n").replaceAll("\u00a0", " ").trim();
}
