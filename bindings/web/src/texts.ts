// The texts of the web client.

import { catalogue } from "@medipeps/ui";

import { en } from "./texts/en.ts";
import { fr } from "./texts/fr.ts";

export const texts = catalogue(en, fr);
