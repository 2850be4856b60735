// This browser becomes a further device of an account: a code that another device reads, and digits that are compared.

import { useSignal } from "@preact/signals";
import { Notice, TextField, isAddress } from "@medipeps/ui";

import { LinkingSteps, useLinking } from "../devices/linking.tsx";
import { medipeps, run, settings } from "../session.ts";
import { texts } from "../texts.ts";
import { Buttons, ServerField } from "./fields.tsx";

export function BecomeDevice({ anew, onBack }: { anew: boolean; onBack: () => void }) {
  const said = texts().firstRun;
  const server = useSignal(settings.value.server ?? "");
  const address = useSignal("");
  const name = useSignal(said.thisBrowser);
  const linking = useLinking(() => void run());
  const begin = (again: boolean) =>
    linking.begin(async () => {
      await navigator.storage?.persist?.();
      return medipeps().becomeDevice({
        address: address.value.trim().toLowerCase(),
        server: server.value.trim(),
        name: name.value.trim(),
        ...(again ? { anew: true } : {}),
      });
    });
  if (linking.state.value !== undefined) {
    return (
      <div class="narrow">
        <h1>{said.ways.link.title}</h1>
        <LinkingSteps linking={linking} />
      </div>
    );
  }
  return (
    <form
      class="narrow"
      onSubmit={(event) => {
        event.preventDefault();
        // What a linking that ended has left behind must not be gone on with.
        void begin(anew || linking.problem.value !== undefined);
      }}
    >
      <h1>{said.ways.link.title}</h1>
      <p>{said.linkHow}</p>
      <ServerField value={server.value} onInput={(value) => (server.value = value)} />
      <TextField label={said.address} hint={said.addressHint} value={address.value} onInput={(value) => (address.value = value)} required />
      <TextField label={said.deviceName} hint={said.deviceNameHint} value={name.value} onInput={(value) => (name.value = value)} required />
      {linking.problem.value !== undefined && <Notice problem>{linking.problem.value}</Notice>}
      <Buttons go={said.showCode} busy={linking.busy.value} ready={isAddress(address.value.trim())} onBack={onBack} />
    </form>
  );
}
