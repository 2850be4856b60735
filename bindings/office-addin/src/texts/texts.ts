// The texts of the add-in alone; what it shares with the web client is in @medipeps/ui.

import { catalogue } from "@medipeps/ui";

import { en } from "./en.ts";
import { fr } from "./fr.ts";

export const texts = catalogue(en, fr);
