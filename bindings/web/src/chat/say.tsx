// What somebody is about to say in a group.

import { type Signal, useSignal } from "@preact/signals";
import type { Group } from "@medipeps/client";
import { AttachmentList, FileDrop } from "@medipeps/ui";
import { useEffect, useRef } from "preact/hooks";

import { Problem, useAction } from "../action.tsx";
import { compareClock } from "../clock.ts";
import { noteGroupChange } from "../lists.ts";
import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { transferOf } from "../transfers.ts";
import type { Said } from "./messages.ts";

/** Others are told again after so long, and that it is over after so long without a key, both in milliseconds. */
const TELL_AGAIN = 4_000;
const SILENT = 6_000;

export function SayForm({ group, answering }: { group: Group; answering: Signal<Said | undefined> }) {
  const said = texts().groups;
  const action = useAction();
  const text = useSignal("");
  const files = useSignal<readonly File[]>([]);
  const box = useRef<HTMLTextAreaElement>(null);
  const typed = useTyping(group.id);
  const about = answering.value;
  useEffect(() => {
    if (about !== undefined) {
      box.current?.focus();
    }
  }, [about]);
  const empty = text.value.trim() === "" && files.value.length === 0;
  const say = () => {
    if (empty) {
      return;
    }
    void action.run(async () => {
      const message = await medipeps().say(group.id, {
        text: text.value,
        attachments: files.value.map((file) => ({ name: file.name, mediaType: file.type || "application/octet-stream", data: file })),
        ...(about === undefined ? {} : { inReplyTo: about.message.id }),
      });
      if (message.state === "logged") {
        // The server has just dated it.
        compareClock(message.time, true);
      }
      text.value = "";
      files.value = [];
      answering.value = undefined;
      typed(false);
      noteGroupChange(group.id);
    });
  };
  return (
    <form
      class="say"
      onSubmit={(event) => {
        event.preventDefault();
        say();
      }}
    >
      {about !== undefined && (
        <div class="mp-row answering">
          <span class="mp-quiet">{said.answering(about.text.slice(0, 80))}</span>
          <button type="button" class="mp-small" onClick={() => (answering.value = undefined)}>
            {texts().cancel}
          </button>
        </div>
      )}
      <FileDrop onFiles={(more) => (files.value = [...files.value, ...more])}>
        <label class="mp-field">
          <span class="mp-unseen">{said.message}</span>
          <textarea
            ref={box}
            rows={2}
            placeholder={said.message}
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value;
              typed(text.value !== "");
            }}
            onKeyDown={(event) => {
              if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
                event.preventDefault();
                say();
              }
            }}
          />
        </label>
        <AttachmentList
          items={files.value.map((file, index) => ({
            key: String(index),
            name: file.name,
            length: file.size,
            ...(action.busy.value ? transferOf("upload", file.name) : {}),
          }))}
          {...(action.busy.value ? {} : { onRemove: ({ key }) => (files.value = files.value.filter((_, index) => String(index) !== key)) })}
        />
      </FileDrop>
      <Problem action={action} />
      <div class="mp-row">
        <button type="submit" class="mp-first" disabled={action.busy.value || empty}>
          {said.say}
        </button>
        <span class="mp-hint">{said.sayHint}</span>
      </div>
    </form>
  );
}

/** Tells the group that somebody types, not with every key, and that he has stopped. */
function useTyping(group: string): (active: boolean) => void {
  const told = useRef(0);
  const silence = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const tell = (active: boolean) => {
    // Only a courtesy: whether it arrives does not matter.
    medipeps().typeInGroup(group, active).catch(() => {});
  };
  const stop = () => {
    clearTimeout(silence.current);
    if (told.current > 0) {
      told.current = 0;
      tell(false);
    }
  };
  useEffect(() => stop, []);
  return (active) => {
    if (!active) {
      stop();
      return;
    }
    clearTimeout(silence.current);
    silence.current = setTimeout(stop, SILENT);
    if (Date.now() - told.current > TELL_AGAIN) {
      told.current = Date.now();
      tell(true);
    }
  };
}
