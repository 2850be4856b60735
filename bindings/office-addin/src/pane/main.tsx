// The task pane: what Outlook opens beside a mail.

import "@medipeps/ui/ui.css";
import "./pane.css";

import { Notice, bestLanguage, setLanguage } from "@medipeps/ui";
import { render } from "preact";

import { texts } from "../texts/texts.ts";
import { App } from "./app.tsx";
import { Pane } from "./state.ts";

await Office.onReady();
setLanguage(bestLanguage([Office.context.displayLanguage]));
const root = document.getElementById("pane")!;
try {
  render(<App pane={await Pane.open(Office.context.mailbox)} />, root);
} catch (error) {
  // A private window, or a browser that lets frames of other sites keep nothing.
  console.warn("no storage:", error);
  render(<Notice problem>{texts().noStorage}</Notice>, root);
}
