// src/stub in Node: the format of the stub as the add-in has it, so that no test repeats it.

import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { MODULES } from "../../ui/tests/stage.js";
import { modules } from "./modules.js";

const { buildSync } = modules("esbuild");
const { outputFiles } = buildSync({
  entryPoints: [fileURLToPath(new URL("../src/stub/index.ts", import.meta.url))],
  bundle: true,
  write: false,
  format: "esm",
  nodePaths: [join(MODULES, "node_modules")],
});

/** @type {typeof import("../src/stub/index.ts")} */
export const stub = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
