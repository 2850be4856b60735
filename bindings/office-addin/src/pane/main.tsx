// The task pane: what Outlook opens beside a mail.

import "@medipeps/ui/ui.css";
import "./pane.css";

import { bestLanguage, setLanguage } from "@medipeps/ui";
import { render } from "preact";

import { App } from "./app.tsx";
import { Pane } from "./state.ts";

await Office.onReady();
setLanguage(bestLanguage([Office.context.displayLanguage]));
const pane = await Pane.open(Office.context.mailbox);
render(<App pane={pane} />, document.getElementById("pane")!);
