// Writing a mail.

import { AttachmentList, FileDrop, Notice, RecipientField, TextField } from "@medipeps/ui";
import type { MailSummary } from "@medipeps/client";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { Problem, useAction } from "../action.tsx";
import { knownAddresses, reloadContacts, reloadMails } from "../lists.ts";
import { goTo, route } from "../route.ts";
import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { transferOf } from "../transfers.ts";
import { addFiles, change, directory, discard, draft, found, isWritten, keepAsHandedOver, outgoing } from "./draft.ts";
import { folder } from "./mail.tsx";

const URGENCIES: readonly MailSummary["urgency"][] = ["routine", "urgent", "vital"];

export function ComposeView() {
  const said = texts().write;
  const action = useAction();
  const { to, cc, subject, text, files, urgency, askDisplayed, inReplyTo } = draft.value;
  const copies = useSignal(cc.length > 0);
  useEffect(warnBeforeLosing, []);
  const everybody = [...to, ...cc];
  const ready = everybody.length > 0 && directory.value.allWritable(everybody);
  const send = () =>
    action.run(async () => {
      await keepAsHandedOver();
      const { id } = await medipeps().send(outgoing(draft.value));
      discard();
      folder.value = "sent";
      await Promise.all([reloadMails(), reloadContacts()]);
      // Not away from what the person looks at meanwhile.
      if (route.peek().area === "write") {
        goTo("mail", id);
      }
    });
  const busy = action.busy.value;
  return (
    <section class="page">
      <form
        class="compose"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && ready) {
            event.preventDefault();
            void send();
          }
        }}
      >
        <h2>{inReplyTo === undefined ? said.title : said.answer}</h2>
        {found.value?.handedOver === true && <Notice problem>{said.maybeSent}</Notice>}
        {(found.value?.fileNames.length ?? 0) > 0 && <Notice>{said.filesGone(found.value?.fileNames.join(", ") ?? "")}</Notice>}
        <RecipientField label={said.to} addresses={to} onChange={(next) => change({ to: next })} directory={directory.value} suggestions={knownAddresses.value} required />
        {copies.value ? (
          <RecipientField label={said.cc} addresses={cc} onChange={(next) => change({ cc: next })} directory={directory.value} suggestions={knownAddresses.value} />
        ) : (
          <button type="button" class="mp-small cc" onClick={() => (copies.value = true)}>
            {said.addCc}
          </button>
        )}
        <TextField label={said.subject} value={subject} onInput={(value) => change({ subject: value })} />
        <label class="mp-field">
          {said.text}
          <textarea class="text" value={text} onInput={(event) => change({ text: event.currentTarget.value })} />
        </label>
        <FileDrop onFiles={addFiles}>
          <AttachmentList
            items={files.map(({ key, name, data }) => ({ key, name, length: data.size, ...(busy ? transferOf("upload", name) : {}) }))}
            {...(busy ? {} : { onRemove: ({ key }) => change({ files: files.filter((file) => file.key !== key) }) })}
          />
        </FileDrop>
        <div class="mp-row options">
          <label class="mp-row">
            {said.urgency}
            <select value={urgency} onChange={(event) => change({ urgency: event.currentTarget.value as MailSummary["urgency"] })}>
              {URGENCIES.map((one) => (
                <option key={one} value={one}>
                  {said.urgencies[one]}
                </option>
              ))}
            </select>
          </label>
          <label class="mp-check">
            <input type="checkbox" checked={askDisplayed} onChange={(event) => change({ askDisplayed: event.currentTarget.checked })} /> {said.askDisplayed}
          </label>
        </div>
        <Problem action={action} />
        {busy && <Notice>{said.sending}</Notice>}
        <div class="mp-row">
          <button type="submit" class="mp-first" disabled={busy || !ready}>
            {said.send}
          </button>
          <button
            type="button"
            disabled={busy}
            onClick={() => {
              if (!isWritten.value || confirm(said.loseDraft)) {
                discard();
                copies.value = false;
                goTo("mail");
              }
            }}
          >
            {said.discard}
          </button>
          <span class="mp-hint">{said.shortcut}</span>
        </div>
      </form>
    </section>
  );
}

/** A draft's files are in this page alone. */
function warnBeforeLosing(): () => void {
  const warn = (event: BeforeUnloadEvent) => {
    if (draft.peek().files.length > 0) {
      event.preventDefault();
    }
  };
  addEventListener("beforeunload", warn);
  return () => removeEventListener("beforeunload", warn);
}
