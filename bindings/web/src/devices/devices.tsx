// The account's devices: what they are called, which can go, and a further one.

import { useSignal } from "@preact/signals";
import type { Device } from "@medipeps/client";
import { Dialog, Notice, TextField, formatTime } from "@medipeps/ui";
import { useEffect } from "preact/hooks";

import { Problem, useAction } from "../action.tsx";
import { Scanner } from "../contacts/scanner.tsx";
import { devices, reloadDevices } from "../lists.ts";
import { medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { LinkingSteps, useLinking } from "./linking.tsx";

export function DevicesView() {
  const said = texts().devices;
  const linking = useSignal(false);
  useEffect(() => void reloadDevices(), []);
  return (
    <section class="page">
      <div class="mp-row">
        <h2>{said.title}</h2>
        <button type="button" class="mp-first" onClick={() => (linking.value = true)}>
          {said.link}
        </button>
      </div>
      <ul class="cards">
        {devices.value.map((device) => (
          <DeviceCard key={device.id} device={device} />
        ))}
      </ul>
      {linking.value && <LinkDialog onClose={() => (linking.value = false)} />}
    </section>
  );
}

function DeviceCard({ device }: { device: Device }) {
  const said = texts().devices;
  const action = useAction();
  const name = useSignal<string | undefined>(undefined);
  const revoking = useSignal(false);
  const called = device.name ?? said.nameless(device.id);
  const rename = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      await medipeps().renameDevice(device.id, (name.value ?? "").trim());
      await reloadDevices();
      name.value = undefined;
    });
  };
  const revoke = async () => {
    const done = await action.run(async () => {
      await medipeps().revokeDevice(device.id);
      await reloadDevices();
    });
    if (done) {
      revoking.value = false;
    }
  };
  return (
    <li class="card">
      <div class="mp-row">
        <h3>{called}</h3>
        {device.thisDevice && <span class="mark">{said.here}</span>}
        {device.primary && <span class="mark">{said.primary}</span>}
      </div>
      <p class="mp-quiet">{said.since(formatTime(device.since))}</p>
      {name.value === undefined ? (
        <div class="mp-row">
          <button type="button" aria-label={said.renameOne(called)} onClick={() => (name.value = device.name ?? "")}>
            {said.rename}
          </button>
          {!device.thisDevice && (
            <button type="button" class="mp-danger" aria-label={said.revokeOne(called)} onClick={() => (revoking.value = true)}>
              {said.revoke}
            </button>
          )}
        </div>
      ) : (
        <form onSubmit={rename}>
          <TextField label={said.name} value={name.value} onInput={(value) => (name.value = value)} required />
          <div class="mp-row">
            <button type="submit" class="mp-first" disabled={action.busy.value || name.value.trim() === ""}>
              {said.rename}
            </button>
            <button type="button" onClick={() => (name.value = undefined)}>
              {texts().cancel}
            </button>
          </div>
        </form>
      )}
      {!revoking.value && <Problem action={action} />}
      {revoking.value && (
        <Dialog title={said.revokeOne(called)} onClose={() => (revoking.value = false)}>
          <p>{said.revokeWarning}</p>
          <Problem action={action} />
          <button type="button" class="mp-danger" disabled={action.busy.value} onClick={() => void revoke()}>
            {said.revoke}
          </button>
        </Dialog>
      )}
    </li>
  );
}

/** On a device that has the account key: takes the code of the new one. */
function LinkDialog({ onClose }: { onClose: () => void }) {
  const said = texts().devices;
  const code = useSignal("");
  const primary = useSignal(false);
  const linking = useLinking(() => void reloadDevices());
  const begin = (text: string) => void linking.begin(() => medipeps().linkDevice(text.trim(), primary.value ? { makePrimary: true } : {}));
  return (
    <Dialog title={said.link} onClose={onClose}>
      {linking.state.value === undefined ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            begin(code.value);
          }}
        >
          <p>{said.linkHow}</p>
          <Scanner
            onText={(text) => {
              code.value = text;
              begin(text);
            }}
          />
          <label class="mp-field">
            {said.code}
            <textarea class="code" rows={4} required value={code.value} onInput={(event) => (code.value = event.currentTarget.value)} />
          </label>
          <label class="mp-check">
            <input type="checkbox" checked={primary.value} onChange={(event) => (primary.value = event.currentTarget.checked)} /> {said.makePrimary}
          </label>
          {linking.problem.value !== undefined && <Notice problem>{linking.problem.value}</Notice>}
          <button type="submit" class="mp-first" disabled={linking.busy.value || code.value.trim() === ""}>
            {said.goOn}
          </button>
        </form>
      ) : (
        <LinkingSteps linking={linking} />
      )}
    </Dialog>
  );
}
