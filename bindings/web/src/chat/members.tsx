// Who is in a group, and changing that.

import { useSignal } from "@preact/signals";
import type { Group } from "@medipeps/client";
import { Dialog, RecipientField, TextField } from "@medipeps/ui";

import { Problem, useAction } from "../action.tsx";
import { knownAddresses, reloadGroups } from "../lists.ts";
import { account, medipeps } from "../session.ts";
import { texts } from "../texts.ts";
import { useDirectory } from "./groups.tsx";

export function Members({ group, onClose }: { group: Group; onClose: () => void }) {
  const said = texts().groups;
  const action = useAction();
  /** What was chosen, until the account has it. */
  const muting = useSignal<boolean | undefined>(undefined);
  const added = useSignal<readonly string[]>([]);
  const name = useSignal(group.name);
  const directory = useDirectory();
  const me = account.value?.address;
  const owner = group.members.some(({ address, role }) => address === me && role === "owner");
  const change = (work: () => Promise<unknown>) =>
    action.run(async () => {
      await work();
      await reloadGroups();
    });
  const active = group.state === "active";
  return (
    <Dialog title={said.about(group.name)} onClose={onClose}>
      <ul class="delivery">
        {group.members.map(({ address, role }) => (
          <li key={address}>
            <span>
              {address} {role !== "member" && <span class="mark">{said.roles[role]}</span>}
            </span>
            {owner && active && address !== me && (
              <button
                type="button"
                class="mp-small mp-danger"
                aria-label={said.removeOne(address)}
                disabled={action.busy.value}
                onClick={() => void change(() => medipeps().removeFromGroup(group.id, [address]))}
              >
                {said.remove}
              </button>
            )}
          </li>
        ))}
      </ul>
      <label class="mp-check">
        <input
          type="checkbox"
          checked={muting.value ?? group.muted}
          disabled={action.busy.value}
          onChange={async (event) => {
            const muted = event.currentTarget.checked;
            muting.value = muted;
            await change(() => medipeps().muteGroup(group.id, muted));
            muting.value = undefined;
          }}
        />{" "}
        {said.mute}
      </label>
      <p class="mp-quiet">{said.kept(group.retentionDays)}</p>
      <Problem action={action} />
      {owner && active && (
        <>
          <form
            onSubmit={async (event) => {
              event.preventDefault();
              if (await change(() => medipeps().addToGroup(group.id, added.value))) {
                added.value = [];
              }
            }}
          >
            <RecipientField label={said.addMembers} addresses={added.value} onChange={(next) => (added.value = next)} directory={directory} suggestions={knownAddresses.value} />
            <button type="submit" disabled={action.busy.value || added.value.length === 0 || !directory.allWritable(added.value)}>
              {said.add}
            </button>
          </form>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void change(() => medipeps().renameGroup(group.id, name.value.trim()));
            }}
          >
            <TextField label={said.name} value={name.value} onInput={(value) => (name.value = value)} required />
            <button type="submit" disabled={action.busy.value || name.value.trim() === "" || name.value.trim() === group.name}>
              {said.rename}
            </button>
          </form>
        </>
      )}
      {active && (
        <button type="button" class="mp-danger" disabled={action.busy.value} onClick={() => confirm(said.leaveWarning) && void change(() => medipeps().leaveGroup(group.id))}>
          {said.leave}
        </button>
      )}
    </Dialog>
  );
}
