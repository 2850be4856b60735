// The page: a language, the account, and the view of it.

import "@medipeps/ui/ui.css";
import "./web.css";

import { render } from "preact";

import { App } from "./app.tsx";
import { keepDrafts } from "./mail/draft.ts";
import { openAccount } from "./session.ts";
import { startLanguage } from "./settings.ts";

startLanguage();
keepDrafts();
// A file that is dropped beside where files go would take the page's place.
for (const type of ["dragover", "drop"]) {
  addEventListener(type, (event) => event.preventDefault());
}
const page = document.getElementById("page");
if (page !== null) {
  render(<App />, page);
  void openAccount();
}
