// Language, notifications, and what this browser keeps.

import { useSignal } from "@preact/signals";
import { LanguageSwitch, Notice, formatSize } from "@medipeps/ui";
import { useEffect } from "preact/hooks";

import { askForNotifications, canNotify } from "./notifications.ts";
import { account, connection, medipeps, noteFailure } from "./session.ts";
import { keepLanguage, notify, setNotify } from "./settings.ts";
import { texts } from "./texts.ts";

export function SettingsView() {
  const said = texts().settings;
  const refused = useSignal(false);
  const transport = useSignal<"webtransport" | "websocket" | undefined>(undefined);
  const { state } = connection.value;
  useEffect(() => {
    medipeps()
      .connection()
      .then((made) => {
        transport.value = state === "ready" ? made.transport : undefined;
      }, noteFailure);
  }, [state]);
  return (
    <section class="page">
      <h2>{said.title}</h2>
      <dl class="head">
        <dt>{said.address}</dt>
        <dd>{account.value?.address}</dd>
        <dt>{said.name}</dt>
        <dd>{account.value?.name}</dd>
        <dt>{said.server}</dt>
        <dd>{account.value?.server}</dd>
        <dt>{said.connection}</dt>
        <dd>{transport.value === undefined ? said.notConnected : said.transports[transport.value]}</dd>
      </dl>
      <h3>{said.language}</h3>
      <LanguageSwitch onChange={keepLanguage} />
      <h3>{said.notifications}</h3>
      <p>{said.notificationsHow}</p>
      {canNotify() ? (
        <label class="mp-check">
          <input
            type="checkbox"
            checked={notify.value}
            onChange={async (event) => {
              if (event.currentTarget.checked) {
                refused.value = !(await askForNotifications());
              } else {
                setNotify(false);
              }
            }}
          />{" "}
          {said.notify}
        </label>
      ) : (
        <p class="mp-quiet">{said.cannotNotify}</p>
      )}
      {refused.value && <Notice>{said.notifyRefused}</Notice>}
      <Storage />
    </section>
  );
}

/** Whether the browser may delete the account when it needs room. */
function Storage() {
  const said = texts().settings;
  const kept = useSignal<boolean | undefined>(undefined);
  const room = useSignal<StorageEstimate>({});
  const look = async () => {
    kept.value = await navigator.storage?.persisted?.();
    room.value = (await navigator.storage?.estimate?.()) ?? {};
  };
  useEffect(() => void look(), []);
  const { usage, quota } = room.value;
  return (
    <>
      <h3>{said.storage}</h3>
      <p>{kept.value === true ? said.kept : said.notKept}</p>
      {kept.value === false && (
        <button
          type="button"
          onClick={async () => {
            await navigator.storage.persist();
            await look();
          }}
        >
          {said.askToKeep}
        </button>
      )}
      {usage !== undefined && quota !== undefined && <p class="mp-quiet">{said.room(formatSize(usage), formatSize(quota))}</p>}
      <p>{said.advice}</p>
    </>
  );
}
