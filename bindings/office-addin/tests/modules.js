// Where this suite's modules are: `cargo xtask test office-addin` installs them outside the tree.

import { createRequire } from "node:module";
import { join } from "node:path";

import { MODULES } from "../../ui/tests/stage.js";

export const modules = createRequire(join(MODULES, "office-addin/package.json"));
/** Where the built add-in is. */
export const ADDIN = join(MODULES, "office-addin/dist");
