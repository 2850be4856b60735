// Which view the pane shows.

import { LanguageSwitch, Notice, errorText } from "@medipeps/ui";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { ComposeView } from "../compose/view.tsx";
import { ReadView } from "../read/view.tsx";
import { texts } from "../texts/texts.ts";
import { FirstRun } from "./first-run.tsx";
import type { Pane } from "./state.ts";
import { type Task, useLoad, useTask } from "./task.ts";

export function App({ pane }: { pane: Pane }) {
  const task = useTask();
  const look = () => pane.lookAtAccount();
  useLoad(task, look, []);
  return (
    <>
      <header class="pane-header mp-row">
        <h1>{texts().name}</h1>
        <LanguageSwitch />
      </header>
      <main>
        <Failed task={task} again={look} />
        {pane.me.value === undefined ? task.running.value && <Loading /> : pane.me.value === null ? <FirstRun pane={pane} /> : <ItemView pane={pane} />}
      </main>
    </>
  );
}

function ItemView({ pane }: { pane: Pane }) {
  const selected = pane.item.value;
  switch (selected.mode) {
    case "compose":
      return <ComposeView key={selected.item} pane={pane} item={selected.item} />;
    case "read":
      return <ReadView key={selected.item} pane={pane} item={selected.item} />;
    case "none":
      return <p>{texts().nothingOpen}</p>;
  }
}

/** The heading of a view that has taken another's place: the focus goes there, and a screen reader says it. */
export function Title({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <h2 ref={heading} tabIndex={-1}>
      {children}
    </h2>
  );
}

export function Loading({ children }: { children?: ComponentChildren }) {
  return (
    <p role="status" class="mp-quiet">
      {children ?? texts().loading}
    </p>
  );
}

/** Why a task failed, and a way to do it again. */
export function Failed({ task, again }: { task: Task; again?: () => Promise<void> }) {
  if (task.error.value === undefined) {
    return null;
  }
  return (
    <Notice problem>
      <p>{errorText(task.error.value)}</p>
      {again !== undefined && (
        <button type="button" class="mp-small" onClick={() => task.run(again)}>
          {texts().again}
        </button>
      )}
    </Notice>
  );
}
