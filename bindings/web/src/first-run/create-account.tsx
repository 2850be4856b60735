// A new account, by an invitation.

import { useSignal } from "@preact/signals";
import { TextField, isAddress } from "@medipeps/ui";

import { Problem, useAction } from "../action.tsx";
import { medipeps, settings, showRecoveryKey } from "../session.ts";
import { texts } from "../texts.ts";
import { Buttons, ServerField } from "./fields.tsx";

export function CreateAccount({ onBack }: { onBack: () => void }) {
  const said = texts().firstRun;
  const action = useAction();
  const server = useSignal(settings.value.server ?? "");
  const invitation = useSignal("");
  const address = useSignal("");
  const name = useSignal("");
  const submit = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      // Else a browser that needs room may delete the account.
      await navigator.storage?.persist?.();
      const created = await medipeps().create({
        server: server.value.trim(),
        invitation: invitation.value.trim(),
        address: address.value.trim().toLowerCase(),
        name: name.value.trim(),
      });
      await showRecoveryKey(created);
    });
  };
  return (
    <form class="narrow" onSubmit={submit}>
      <h1>{said.ways.create.title}</h1>
      <ServerField value={server.value} onInput={(value) => (server.value = value)} />
      <TextField label={said.invitation} hint={said.invitationHint} value={invitation.value} onInput={(value) => (invitation.value = value)} required />
      <TextField label={said.address} hint={said.addressHint} value={address.value} onInput={(value) => (address.value = value)} required />
      <TextField label={said.name} hint={said.nameHint} value={name.value} onInput={(value) => (name.value = value)} required autocomplete="name" />
      <Problem action={action} />
      <Buttons go={action.busy.value ? said.creating : said.ways.create.go} busy={action.busy.value} ready={isAddress(address.value.trim())} onBack={onBack} />
    </form>
  );
}
