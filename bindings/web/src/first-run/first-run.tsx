// A browser without an account: make one by an invitation, or become a further device of one.

import { useSignal } from "@preact/signals";
import { Notice, TextField, isAddress } from "@medipeps/ui";

import { Problem, useAction } from "../action.tsx";
import { medipeps, settings, showRecoveryKey } from "../session.ts";
import { texts } from "../texts.ts";
import { BecomeDevice } from "./become-device.tsx";

export function FirstRun({ lost }: { lost: boolean }) {
  const way = useSignal<"ask" | "create" | "link">("ask");
  const said = texts().firstRun;
  const back = () => {
    way.value = "ask";
  };
  if (way.value === "create") {
    return <CreateAccount onBack={back} />;
  }
  if (way.value === "link") {
    return <BecomeDevice anew={lost} onBack={back} />;
  }
  return (
    <>
      <h1>{lost ? said.lostTitle : said.title}</h1>
      {lost ? <Notice problem>{said.lost}</Notice> : <p>{said.intro}</p>}
      <ul class="ways">
        <li>
          <h2>{said.linkTitle}</h2>
          <p>{said.linkIntro}</p>
          <button type="button" class={lost ? "mp-first" : ""} onClick={() => (way.value = "link")}>
            {said.link}
          </button>
        </li>
        <li>
          <h2>{said.createTitle}</h2>
          <p>{said.createIntro}</p>
          <button type="button" class={lost ? "" : "mp-first"} onClick={() => (way.value = "create")}>
            {said.create}
          </button>
        </li>
      </ul>
    </>
  );
}

function CreateAccount({ onBack }: { onBack: () => void }) {
  const said = texts().firstRun;
  const action = useAction();
  const server = useSignal(settings.value.server ?? "");
  const invitation = useSignal("");
  const address = useSignal("");
  const name = useSignal("");
  const submit = async (event: Event) => {
    event.preventDefault();
    await action.run(async () => {
      // Else a browser that needs room may delete the account.
      await navigator.storage?.persist?.();
      const created = await medipeps().create({
        server: server.value.trim(),
        invitation: invitation.value.trim(),
        address: address.value.trim().toLowerCase(),
        name: name.value.trim(),
      });
      showRecoveryKey(created);
    });
  };
  return (
    <form class="narrow" onSubmit={submit}>
      <h1>{said.createTitle}</h1>
      <ServerField value={server.value} onInput={(value) => (server.value = value)} />
      <TextField label={said.invitation} hint={said.invitationHint} value={invitation.value} onInput={(value) => (invitation.value = value)} required />
      <TextField label={said.address} hint={said.addressHint} value={address.value} onInput={(value) => (address.value = value)} required />
      <TextField label={said.name} hint={said.nameHint} value={name.value} onInput={(value) => (name.value = value)} required autocomplete="name" />
      <Problem action={action} />
      <div class="mp-row">
        <button type="submit" class="mp-first" disabled={action.busy.value || !isAddress(address.value.trim())}>
          {action.busy.value ? said.creating : said.create}
        </button>
        <button type="button" onClick={onBack} disabled={action.busy.value}>
          {said.back}
        </button>
      </div>
    </form>
  );
}

/** Where the server is; usually the practice has set it. */
export function ServerField({ value, onInput }: { value: string; onInput: (value: string) => void }) {
  const said = texts().firstRun;
  return <TextField label={said.server} hint={said.serverHint} value={value} onInput={onInput} required />;
}
