// An Outlook without an account: it becomes a further device of one, or makes one with an invitation.

import { Notice, TextField } from "@medipeps/ui";
import { useSignal } from "@preact/signals";

import { canonical } from "../stub/index.ts";
import { texts } from "../texts/texts.ts";
import { Failed } from "./app.tsx";
import { BecomeDevice } from "./become-device.tsx";
import { type Pane, hadAccount } from "./state.ts";
import { useLoad, useTask } from "./task.ts";

/** What the two ways ask for. */
export interface Asked {
  readonly server: string;
  readonly address: string;
}

export function FirstRun({ pane }: { pane: Pane }) {
  const said = texts().first;
  const way = useSignal<"choose" | "link" | "create">("choose");
  const asked = useSignal<Asked>({ server: __SERVER__, address: canonical(pane.mailbox.userProfile.emailAddress) });
  const kept = useSignal<string | undefined>(undefined);
  // A key that was made, but that nobody has written down before the pane ended.
  useLoad(useTask(), async () => void (kept.value = await pane.recoveryKey.get()), []);
  if (kept.value !== undefined) {
    return <RecoveryKey pane={pane} recoveryKey={kept.value} />;
  }
  const back = (
    <button type="button" onClick={() => (way.value = "choose")}>
      {texts().back}
    </button>
  );
  return (
    <>
      <h2>{said.title}</h2>
      {way.value === "choose" && (
        <>
          {hadAccount() ? <Notice>{said.gone}</Notice> : <p>{said.intro}</p>}
          <div class="choice">
            <button type="button" class="mp-first" onClick={() => (way.value = "link")}>
              {said.link}
            </button>
            <p class="mp-hint">{said.linkHint}</p>
          </div>
          <div class="choice">
            <button type="button" onClick={() => (way.value = "create")}>
              {said.create}
            </button>
          </div>
        </>
      )}
      {way.value === "link" && <BecomeDevice pane={pane} asked={asked.value} onAsked={(value) => (asked.value = value)} back={back} />}
      {way.value === "create" && <Create pane={pane} asked={asked.value} onAsked={(value) => (asked.value = value)} back={back} onKey={(key) => (kept.value = key)} />}
    </>
  );
}

export interface WayProps {
  readonly pane: Pane;
  readonly asked: Asked;
  readonly onAsked: (asked: Asked) => void;
  readonly back: preact.JSX.Element;
}

/** Server and address. */
export function Fields({ asked, onAsked }: Pick<WayProps, "asked" | "onAsked">) {
  const said = texts().first;
  return (
    <>
      <TextField label={said.server} hint={said.serverHint} value={asked.server} required onInput={(server) => onAsked({ ...asked, server })} />
      <TextField label={said.address} value={asked.address} required onInput={(address) => onAsked({ ...asked, address })} />
    </>
  );
}

function Create({ pane, asked, onAsked, back, onKey }: WayProps & { onKey: (key: string) => void }) {
  const said = texts().first;
  const task = useTask();
  const invitation = useSignal("");
  const name = useSignal(pane.mailbox.userProfile.displayName);
  const create = async () => {
    await navigator.storage?.persist?.();
    const account = { server: asked.server.trim(), address: canonical(asked.address), invitation: invitation.value.trim(), name: name.value.trim() };
    const { recoveryKey } = await pane.account.use((client) => client.create(account));
    if (recoveryKey === "") {
      await pane.lookAtAccount();
      return;
    }
    await pane.recoveryKey.put(recoveryKey);
    onKey(recoveryKey);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        task.run(create);
      }}
    >
      <Fields asked={asked} onAsked={onAsked} />
      <TextField label={said.invitation} value={invitation.value} required onInput={(value) => (invitation.value = value)} />
      <TextField label={said.yourName} value={name.value} required autocomplete="name" onInput={(value) => (name.value = value)} />
      <Failed task={task} />
      <div class="mp-row">
        <button type="submit" class="mp-first" disabled={task.running.value}>
          {said.createNow}
        </button>
        {back}
      </div>
    </form>
  );
}

/** Shown until somebody says that it is written down. */
function RecoveryKey({ pane, recoveryKey }: { pane: Pane; recoveryKey: string }) {
  const said = texts().first;
  const task = useTask();
  const written = useSignal(false);
  return (
    <>
      <h2>{said.recovery}</h2>
      <p>{said.recoveryHint}</p>
      <p class="code">{recoveryKey.match(/.{1,4}/g)?.join(" ")}</p>
      <p>
        <label>
          <input type="checkbox" checked={written.value} onChange={(event) => (written.value = event.currentTarget.checked)} /> {said.kept}
        </label>
      </p>
      <Failed task={task} />
      <button
        type="button"
        class="mp-first"
        disabled={!written.value || task.running.value}
        onClick={() =>
          task.run(async () => {
            await pane.recoveryKey.forget();
            await pane.lookAtAccount();
          })
        }
      >
        {said.go}
      </button>
    </>
  );
}
