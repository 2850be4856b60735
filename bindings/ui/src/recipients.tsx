// A field for the people whom a mail goes to, each looked up by itself.

import { signal } from "@preact/signals";
import { useId, useMemo, useRef } from "preact/hooks";

import { type Directory, type RecipientStatus, parseAddresses } from "./directory.ts";
import { texts } from "./texts.ts";

/** Something else that can be done about somebody who cannot be written to. */
export interface Alternative {
  readonly text: string;
  readonly run: () => void;
}

export interface RecipientFieldProps {
  readonly label: string;
  readonly addresses: readonly string[];
  readonly onChange: (addresses: readonly string[]) => void;
  readonly directory: Directory;
  /** Addresses offered while somebody types. */
  readonly suggestions?: readonly string[];
  /** Beside removing somebody, looking again and accepting a new key. */
  readonly alternatives?: (address: string, status: RecipientStatus) => readonly Alternative[];
  readonly required?: boolean;
}

/** Chips with a state each, and a box to type in. All of it works by keyboard: Backspace in the empty box removes the last. */
export function RecipientField(field: RecipientFieldProps) {
  const id = useId();
  const box = useRef<HTMLInputElement>(null);
  const typed = useMemo(() => signal(""), []);
  const said = texts().recipients;
  const take = () => {
    const added = parseAddresses(typed.value).filter((address) => !field.addresses.includes(address));
    typed.value = "";
    if (added.length > 0) {
      field.onChange([...field.addresses, ...added]);
    }
  };
  const remove = (address: string) => {
    field.onChange(field.addresses.filter((other) => other !== address));
    box.current?.focus();
  };
  return (
    <div class="mp-field">
      <label for={id}>{field.label}</label>
      <div class="mp-chips">
        {field.addresses.length > 0 && (
          <ul aria-label={field.label}>
            {field.addresses.map((address) => (
              <Chip key={address} address={address} status={field.directory.status(address).value} onRemove={() => remove(address)} />
            ))}
          </ul>
        )}
        <input
          ref={box}
          id={id}
          type="text"
          inputMode="email"
          autocomplete="off"
          spellcheck={false}
          list={`${id}-known`}
          value={typed}
          aria-describedby={`${id}-hint`}
          aria-required={field.required === true}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
            if (/[\s,;]$/.test(typed.value) && !typed.value.includes("<")) {
              take();
            }
          }}
          onBlur={take}
          onKeyDown={(event) => {
            const last = field.addresses.at(-1);
            if (event.key === "Enter" && typed.value !== "") {
              event.preventDefault();
              take();
            } else if (event.key === "Backspace" && typed.value === "" && last !== undefined) {
              remove(last);
            }
          }}
        />
        <datalist id={`${id}-known`}>
          {field.suggestions?.filter((known) => !field.addresses.includes(known)).map((known) => <option key={known} value={known} />)}
        </datalist>
      </div>
      <p id={`${id}-hint`} class="mp-hint">
        {said.hint}
      </p>
      <div role="status" class="mp-said">
        {field.addresses.map((address) => (
          <Trouble key={address} field={field} address={address} status={field.directory.status(address).value} onRemove={() => remove(address)} />
        ))}
      </div>
    </div>
  );
}

/** What a state is called. */
export function statusText(status: RecipientStatus): string {
  const said = texts().recipients;
  return status.state === "ready" ? (status.verified ? said.verified : said.ready) : said[status.state];
}

function Chip({ address, status, onRemove }: { address: string; status: RecipientStatus; onRemove: () => void }) {
  const verified = status.state === "ready" && status.verified;
  const sign = verified ? "✓✓" : { looking: "…", malformed: "!", ready: "✓", later: "○", unreachable: "!" }[status.state];
  return (
    <li class={`mp-chip mp-${status.state}`} title={texts().recipients.said(address, statusText(status))}>
      <span aria-hidden="true">{sign}</span> {address}
      <span class="mp-unseen">, {statusText(status)}</span>
      <button type="button" aria-label={texts().recipients.remove(address)} onClick={onRemove}>
        ×
      </button>
    </li>
  );
}

/** Why somebody cannot be written to, and what can be done instead. */
function Trouble({ field, address, status, onRemove }: { field: RecipientFieldProps; address: string; status: RecipientStatus; onRemove: () => void }) {
  if (status.state === "ready" || status.state === "looking") {
    return null;
  }
  const said = texts().recipients;
  const why = status.state === "unreachable" ? `${address}: ${status.text}` : said.said(address, statusText(status));
  const again = () => void field.directory.again(address);
  const accept = () => void field.directory.again(address, true);
  return (
    <div class={status.state === "later" ? "mp-notice" : "mp-notice mp-problem"}>
      <p>{why}</p>
      <div class="mp-row" role="group" aria-label={said.instead(address)}>
        <button type="button" class="mp-small" onClick={onRemove}>
          {said.remove(address)}
        </button>
        {status.state === "unreachable" && status.failure?.reason === "key_changed" && (
          <button type="button" class="mp-small" onClick={accept}>
            {said.acceptKey}
          </button>
        )}
        {status.state !== "malformed" && (
          <button type="button" class="mp-small" onClick={again}>
            {said.again}
          </button>
        )}
        {field.alternatives?.(address, status).map(({ text, run }) => (
          <button key={text} type="button" class="mp-small" onClick={run}>
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}
