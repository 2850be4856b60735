// An account whose devices are all lost, by its recovery key.

import { useSignal } from "@preact/signals";
import { Notice, TextField, isAddress } from "@medipeps/ui";

import { Problem, useAction } from "../action.tsx";
import { medipeps, settings, showRecoveryKey } from "../session.ts";
import { texts } from "../texts.ts";
import { Buttons, ServerField } from "./fields.tsx";

export function RecoverAccount({ onBack }: { onBack: () => void }) {
  const said = texts().firstRun;
  const action = useAction();
  const server = useSignal(settings.value.server ?? "");
  const address = useSignal("");
  const name = useSignal("");
  const key = useSignal("");
  const submit = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      await navigator.storage?.persist?.();
      const recovered = await medipeps().recover({
        server: server.value.trim(),
        address: address.value.trim().toLowerCase(),
        name: name.value.trim(),
        recoveryKey: key.value.trim(),
      });
      key.value = "";
      await showRecoveryKey(recovered);
    });
  };
  return (
    <form class="narrow" onSubmit={submit}>
      <h1>{said.ways.recover.title}</h1>
      <Notice>{said.recoverWarning}</Notice>
      <ServerField value={server.value} onInput={(value) => (server.value = value)} />
      <TextField label={said.address} hint={said.addressHint} value={address.value} onInput={(value) => (address.value = value)} required />
      <TextField label={said.name} hint={said.nameHint} value={name.value} onInput={(value) => (name.value = value)} required autocomplete="name" />
      <TextField label={said.recoveryKey} hint={said.recoveryKeyHint} value={key.value} onInput={(value) => (key.value = value)} required />
      <Problem action={action} />
      <Buttons go={action.busy.value ? said.recovering : said.ways.recover.go} busy={action.busy.value} ready={isAddress(address.value.trim())} onBack={onBack} />
    </form>
  );
}
