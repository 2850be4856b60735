// Small things that every page has.

import { useEffect, useId, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

import { type Language, LANGUAGES, language, setLanguage } from "./language.ts";
import { texts } from "./texts.ts";

/** Which language the page speaks. `onChange` is told, so that the host can keep it. */
export function LanguageSwitch({ onChange }: { onChange?: (to: Language) => void }) {
  return (
    <label class="mp-language">
      <span class="mp-unseen">{texts().language}</span>
      <select
        value={language()}
        onChange={(event) => {
          const to = event.currentTarget.value as Language;
          setLanguage(to);
          onChange?.(to);
        }}
      >
        {Object.entries(LANGUAGES).map(([tag, name]) => (
          <option key={tag} value={tag} lang={tag}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Something to read at once. A problem interrupts a screen reader, anything else waits for its turn. */
export function Notice({ problem = false, children }: { problem?: boolean; children: ComponentChildren }) {
  return (
    <div class={problem ? "mp-notice mp-problem" : "mp-notice"} role={problem ? "alert" : "status"}>
      {children}
    </div>
  );
}

/** A dialog over the page, which keeps the focus in itself. Escape closes it as its button does. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} class="mp-dialog" aria-label={title} onClose={onClose}>
      <header class="mp-row">
        <h2>{title}</h2>
        <button type="button" class="mp-small" onClick={() => dialog.current?.close()}>
          {texts().close}
        </button>
      </header>
      {children}
    </dialog>
  );
}

/** A text box with its label above. */
export function TextField(field: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: string;
  required?: boolean;
  readOnly?: boolean;
  autocomplete?: string;
}) {
  const id = useId();
  return (
    <div class="mp-field">
      <label for={id}>{field.label}</label>
      <input
        id={id}
        type="text"
        value={field.value}
        required={field.required ?? false}
        readOnly={field.readOnly ?? false}
        autocomplete={field.autocomplete ?? "off"}
        spellcheck={false}
        aria-describedby={field.hint === undefined ? undefined : `${id}-hint`}
        onInput={(event) => field.onInput(event.currentTarget.value)}
      />
      {field.hint !== undefined && (
        <p id={`${id}-hint`} class="mp-hint">
          {field.hint}
        </p>
      )}
    </div>
  );
}
