// What the forms of a first run have in common.

import { TextField } from "@medipeps/ui";

import { texts } from "../texts.ts";

/** Where the server is; usually the practice has set it. */
export function ServerField({ value, onInput }: { value: string; onInput: (value: string) => void }) {
  const said = texts().firstRun;
  return <TextField label={said.server} hint={said.serverHint} value={value} onInput={onInput} required />;
}

/** The one that goes on, and the one that goes back. */
export function Buttons({ go, busy, ready, onBack }: { go: string; busy: boolean; ready: boolean; onBack: () => void }) {
  return (
    <div class="mp-row">
      <button type="submit" class="mp-first" disabled={busy || !ready}>
        {go}
      </button>
      <button type="button" onClick={onBack} disabled={busy}>
        {texts().firstRun.back}
      </button>
    </div>
  );
}
