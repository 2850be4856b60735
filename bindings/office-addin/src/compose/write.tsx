// Writing a protected mail: recipients, subject, text, files.

import { type Alternative, AttachmentList, type Directory, FileDrop, Notice, RecipientField, TextField, number } from "@medipeps/ui";
import { effect, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import type { Draft } from "../draft/drafts.ts";
import { Editor } from "../draft/editor.ts";
import { asked } from "../launchevent/item.ts";
import { Failed, Loading, Title } from "../pane/app.tsx";
import { useLoad, useTask } from "../pane/task.ts";
import { texts } from "../texts/texts.ts";
import { archive } from "./archive.ts";
import { type People, peopleOf } from "./item.ts";
import { OutsideNotice, outside } from "./outside.tsx";
import { send } from "./send.ts";
import type { StageProps } from "./view.tsx";
import { PLAIN_MAIL } from "../stub/plain-mail.ts";

/** What one mail takes (spec/content.md). */
const FILES_MAX = 64;
const PEOPLE_MAX = 64;
const SUBJECT_MAX = 998;

export function WriteView(props: StageProps & { draft: Draft; note: "interrupted" | "answered" | undefined }) {
  const { pane, item, written, refresh, go, note } = props;
  const said = texts().write;
  const editor = useMemo(() => new Editor(pane.drafts, props.draft), []);
  const sending = useTask();
  const problem = useSignal<string | undefined>(undefined);
  const box = useRef<HTMLTextAreaElement>(null);
  // Above what is quoted.
  useEffect(() => box.current?.setSelectionRange(0, 0), []);
  const { subject, text } = editor.draft.value;
  const people = peopleOf(written.value);
  const submit = () =>
    sending.run(async () => {
      await editor.flush();
      // What the window holds now, not what it held when the pane last looked.
      await refresh();
      const to = peopleOf(written.value);
      await lookedUp(pane.directory, [...to.to, ...to.cc]);
      problem.value = hindrance(props, editor.draft.value, to);
      if (problem.value !== undefined) {
        return;
      }
      const { progress } = await send(pane.account, pane.drafts, editor.draft.value, to);
      if (progress.state === "sent") {
        go({ is: "sent", stub: progress.stub });
      }
    });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <Title>{said.title}</Title>
      {note !== undefined && <Notice problem={note === "interrupted"}>{said[note]}</Notice>}
      <OutsideNotice {...props} editor={editor} />
      <PeopleFields {...props} people={people} onPeople={(next) => void item.setPeople(next).then(refresh)} />
      <fieldset class="bare" disabled={sending.running.value}>
        <TextField label={said.subject} value={subject} onInput={(value) => editor.edit({ subject: value.replace(/\p{Cc}/gu, " ") })} />
        <label class="mp-field">
          {said.text}
          <textarea
            ref={box}
            value={text}
            rows={10}
            onInput={(event) => editor.edit({ text: event.currentTarget.value })}
            onPaste={(event) => {
              const pasted = [...(event.clipboardData?.files ?? [])];
              if (pasted.length > 0) {
                event.preventDefault();
                editor.addFiles(pasted);
              }
            }}
          />
          <span class="mp-hint">{said.pasted}</span>
        </label>
        <Files editor={editor} pane={pane} />
      </fieldset>
      {editor.error.value !== undefined && <Failed task={{ ...sending, error: editor.error }} />}
      <Failed task={sending} />
      {problem.value !== undefined && <Notice problem>{problem.value}</Notice>}
      <div class="send-row mp-row">
        <button type="submit" class="mp-first" disabled={sending.running.value}>
          {said.send}
        </button>
      </div>
      {sending.running.value ? <Loading>{said.sending}</Loading> : <p class="mp-hint">{editor.saving.value ? said.saving : said.saved}</p>}
    </form>
  );
}

/** Outlook's own fields, each of them looked up. What is changed here changes there. */
function PeopleFields({ pane, people, onPeople }: StageProps & { people: People; onPeople: (people: People) => void }) {
  const said = texts().write;
  const contacts = useSignal<readonly string[]>([]);
  useLoad(useTask(), async () => void (contacts.value = (await pane.account.use((client) => client.contacts())).map(({ address }) => address)), []);
  /** A new mail in Outlook, which is not protected and says so when it is sent. */
  const plainMail = (address: string, subject: string, htmlBody: string) => {
    const form = { toRecipients: [address], subject, htmlBody } as unknown as Office.MessageForm;
    void asked<void>((callback) => pane.mailbox.displayNewMessageFormAsync(form, callback));
  };
  // Both are mail that Medipeps does not protect.
  const alternatives = (address: string): readonly Alternative[] =>
    PLAIN_MAIL
      ? [
          { text: said.invite, run: () => plainMail(address, said.inviteSubject, `<p>${said.inviteText}</p>`) },
          { text: said.plainInstead, run: () => plainMail(address, "", "") },
        ]
      : [];
  const addresses = [...people.to, ...people.cc];
  const unreachable = addresses.some((address) => ["unreachable", "malformed"].includes(pane.directory.status(address).value.state));
  const field = (name: "to" | "cc") => (
    <RecipientField
      label={said[name]}
      addresses={people[name]}
      directory={pane.directory}
      suggestions={contacts.value}
      alternatives={alternatives}
      required={name === "to"}
      onChange={(next) => onPeople({ ...people, [name]: next })}
    />
  );
  return (
    <div class="people">
      {field("to")}
      {field("cc")}
      {unreachable && <p class="mp-hint">{said.otherWay}</p>}
      <p class="mp-hint">{said.visible}</p>
    </div>
  );
}

function Files({ editor, pane }: { editor: Editor; pane: StageProps["pane"] }) {
  const said = texts().write;
  const { files } = editor.draft.value;
  const items = files.map((file) => {
    const transfer = pane.transfers.value.get(file.name);
    return { ...file, ...(transfer === undefined ? {} : { transfer }) };
  });
  return (
    <FileDrop onFiles={(added) => editor.addFiles(added)}>
      <AttachmentList items={items} onRemove={({ key }) => editor.removeFile(key)} />
      {files.length > FILES_MAX && (
        <Notice problem>
          <p>{said.tooManyFiles(number(FILES_MAX))}</p>
          <button type="button" class="mp-small" onClick={() => editor.replaceFiles((read) => archive(said.archive, files, read))}>
            {said.pack}
          </button>
        </Notice>
      )}
    </FileDrop>
  );
}

/** Waits for what is being asked of the server. */
function lookedUp(directory: Directory, addresses: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (addresses.every((address) => directory.status(address).value.state !== "looking")) {
        resolve();
        queueMicrotask(() => stop());
      }
    });
  });
}

/** Why a draft cannot go now. */
function hindrance({ pane, written }: StageProps, { id, subject, text, files }: Draft, { to, cc }: People): string | undefined {
  const said = texts().write;
  const [first] = outside(written.value, id);
  if (first !== undefined) {
    return texts().outside[first];
  }
  if (to.length === 0) {
    return said.noRecipients;
  }
  if (to.length + cc.length > PEOPLE_MAX) {
    return said.tooManyPeople(number(PEOPLE_MAX));
  }
  if (!pane.directory.allWritable([...to, ...cc])) {
    return said.notReady;
  }
  if (new TextEncoder().encode(subject).length > SUBJECT_MAX) {
    return said.longSubject;
  }
  if (files.length > FILES_MAX) {
    return said.tooManyFiles(number(FILES_MAX));
  }
  return text.trim() === "" && files.length === 0 ? said.empty : undefined;
}
