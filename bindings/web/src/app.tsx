// What stands around every view: who one is, where one can go, and whether the server is reached.

import { useSignalEffect } from "@preact/signals";
import { LanguageSwitch, Notice } from "@medipeps/ui";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { clockIsWrong } from "./clock.ts";
import { ContactsView } from "./contacts/contacts.tsx";
import { GroupsView } from "./chat/groups.tsx";
import { DevicesView } from "./devices/devices.tsx";
import { undecryptable } from "./events.ts";
import { FirstRun } from "./first-run/first-run.tsx";
import { RecoveryKey } from "./first-run/recovery-key.tsx";
import { listProblem, mails, unreadInGroups, unreadMails } from "./lists.ts";
import { ComposeView } from "./mail/compose.tsx";
import { MailView } from "./mail/mail.tsx";
import { type Area, hrefTo, route } from "./route.ts";
import { type Phase, account, connection, phase, takeOver } from "./session.ts";
import { SettingsView } from "./settings-view.tsx";
import { keepLanguage } from "./settings.ts";
import { texts } from "./texts.ts";

export function App() {
  const now = phase.value;
  useSignalEffect(() => {
    const unread = phase.value.at === "running" ? unreadMails.value + unreadInGroups.value : 0;
    const where = phase.value.at === "running" ? `${texts().areas[route.value.area]} – ` : "";
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${where}${texts().brand}`;
  });
  return now.at === "running" ? <Running /> : <Outside phase={now} />;
}

/** Before there is an account in this tab, or when there is none any more. */
function Outside({ phase }: { phase: Exclude<Phase, { at: "running" }> }) {
  return (
    <div class="outside">
      <header class="top">
        <span class="brand">{texts().brand}</span>
        <LanguageSwitch onChange={keepLanguage} />
      </header>
      <main>{outsideView(phase)}</main>
    </div>
  );
}

function outsideView(phase: Exclude<Phase, { at: "running" }>): ComponentChildren {
  const said = texts().outside;
  switch (phase.at) {
    case "opening":
      return <p role="status">{said.opening}</p>;
    case "busy":
      return (
        <>
          <h1>{said.busyTitle}</h1>
          <Notice>{phase.gaveWay ? said.gaveWay : said.busy}</Notice>
          <button type="button" class="mp-first" onClick={() => void takeOver()}>
            {said.useHere}
          </button>
        </>
      );
    case "first_run":
      return <FirstRun lost={phase.lost} />;
    case "recovery":
      return <RecoveryKey created={phase.created} />;
    case "ended":
      return (
        <>
          <h1>{said.endedTitle}</h1>
          <Notice problem>{phase.revoked ? said.revoked : phase.text}</Notice>
          <button type="button" class="mp-first" onClick={() => location.reload()}>
            {said.reload}
          </button>
        </>
      );
  }
}

function Running() {
  const main = useRef<HTMLElement>(null);
  const { area, rest } = route.value;
  const first = useRef(true);
  // With the view itself, not after it: whoever types at once would lose the box.
  useLayoutEffect(() => {
    // As after the load of a page; the first one puts the focus where the browser does.
    if (!first.current) {
      main.current?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [area, rest.join("/")]);
  return (
    <div class="running">
      <a class="skip" href="#main" onClick={(event) => {
          // The part after # is the view's.
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {texts().skip}
      </a>
      <header class="top">
        <span class="brand">{texts().brand}</span>
        <span class="who">{account.value?.address}</span>
        <LanguageSwitch onChange={keepLanguage} />
      </header>
      <Navigation area={area} />
      <main id="main" ref={main} tabIndex={-1}>
        <h1 class="mp-unseen">{texts().areas[area]}</h1>
        <Banners />
        {view(area)}
      </main>
    </div>
  );
}

function view(area: Area): ComponentChildren {
  switch (area) {
    case "mail":
      return <MailView />;
    case "write":
      return <ComposeView />;
    case "groups":
      return <GroupsView />;
    case "contacts":
      return <ContactsView />;
    case "devices":
      return <DevicesView />;
    case "settings":
      return <SettingsView />;
  }
}

function Navigation({ area }: { area: Area }) {
  const unread: Partial<Record<Area, number>> = { mail: unreadMails.value, groups: unreadInGroups.value };
  const areas: readonly Area[] = ["write", "mail", "groups", "contacts", "devices", "settings"];
  return (
    <nav class="areas" aria-label={texts().navigation}>
      <ul>
        {areas.map((to) => (
          <li key={to}>
            <a href={hrefTo(to)} aria-current={to === area ? "page" : undefined} class={to === "write" ? "write" : undefined}>
              {texts().areas[to]}
              {(unread[to] ?? 0) > 0 && (
                <span class="count">
                  {unread[to]}
                  <span class="mp-unseen"> {texts().unread}</span>
                </span>
              )}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** How it stands with the server, and what nobody could open. */
function Banners() {
  const said = texts().banners;
  const waiting = mails.value.filter(({ sent, recipients }) => sent && recipients.some(({ state }) => state === "queued")).length;
  return (
    <>
      {connection.value.state === "offline" && (
        <Notice>
          <strong>{said.offline}</strong> {waiting > 0 ? said.waiting(waiting) : said.nothingWaits}
        </Notice>
      )}
      {clockIsWrong.value && <Notice>{said.clock}</Notice>}
      {listProblem.value !== undefined && <Notice problem>{listProblem.value}</Notice>}
      {undecryptable.value > 0 && <Notice problem>{said.undecryptable(undecryptable.value)}</Notice>}
    </>
  );
}

