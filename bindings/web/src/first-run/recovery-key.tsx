// A new account's recovery key, which is shown until somebody has it on paper, and kept nowhere after.

import { useSignal } from "@preact/signals";
import type { Created } from "@medipeps/client";
import { Notice, TextField } from "@medipeps/ui";

import { confirmRecoveryKey } from "../session.ts";
import { texts } from "../texts.ts";

/** How many letters are asked for, to see that it was written down. */
const ASKED = 4;

export function RecoveryKey({ created: { address, recoveryKey } }: { created: Created }) {
  const said = texts().recovery;
  const typed = useSignal("");
  const wrong = useSignal(false);
  if (recoveryKey === "") {
    return (
      <>
        <h1>{said.title}</h1>
        <Notice problem>{said.gone}</Notice>
        <button type="button" class="mp-first" onClick={() => void confirmRecoveryKey()}>
          {said.goOn}
        </button>
      </>
    );
  }
  const confirm = (event: Event) => {
    event.preventDefault();
    wrong.value = typed.value.replace(/\s/g, "").toUpperCase() !== recoveryKey.slice(-ASKED);
    if (!wrong.value) {
      void confirmRecoveryKey();
    }
  };
  return (
    <form class="narrow" onSubmit={confirm}>
      <h1>{said.title}</h1>
      <p>{said.intro}</p>
      <section class="sheet" aria-label={said.title}>
        <p>{address}</p>
        <p class="key">
          {(recoveryKey.match(/.{1,4}/g) ?? []).map((part, index) => (
            <span key={index}>{part} </span>
          ))}
        </p>
        <p class="mp-quiet">{said.sheet}</p>
      </section>
      <div class="mp-row">
        <button type="button" onClick={() => window.print()}>
          {said.print}
        </button>
      </div>
      <TextField label={said.confirm(ASKED)} hint={said.confirmHint} value={typed.value} onInput={(value) => (typed.value = value)} required />
      {wrong.value && <Notice problem>{said.wrong}</Notice>}
      <button type="submit" class="mp-first">
        {said.goOn}
      </button>
    </form>
  );
}
