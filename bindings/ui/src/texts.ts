// The texts that the pages share.

import { catalogue } from "./language.ts";
import { en } from "./texts/en.ts";
import { fr } from "./texts/fr.ts";

export const texts = catalogue(en, fr);
