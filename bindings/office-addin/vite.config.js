// Two builds: the pages (modules of ES2022) and the handler (one script of ES2016, for a runtime that is not a browser).

import { join } from "node:path";

/**
 * taskpane.html and launchevent.html.
 * @param {string} root
 * @param {string} out
 * @param {{ server: string, plainMail: boolean }} settings
 * @returns {import("vite").InlineConfig}
 */
export function pages(root, out, { server, plainMail }) {
  const packaged = process.env["MEDIPEPS_PACKAGE"];
  return {
    configFile: false,
    root,
    // The add-in may be served from a folder of a host.
    base: "./",
    logLevel: "warn",
    define: { __SERVER__: JSON.stringify(server), __PLAIN_MAIL__: JSON.stringify(plainMail) },
    resolve: packaged === undefined ? {} : { alias: { "@medipeps/client": join(packaged, "client.js") } },
    worker: { format: "es" },
    build: {
      outDir: out,
      emptyOutDir: true,
      target: "es2022",
      // The policy lets no data: addresses be loaded.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rollupOptions: { input: { taskpane: join(root, "taskpane.html"), launchevent: join(root, "launchevent.html") } },
    },
  };
}

/**
 * launchevent.js.
 * @param {string} root
 * @param {string} out
 * @param {{ plainMail: boolean }} settings
 * @returns {import("vite").InlineConfig}
 */
export function handler(root, out, { plainMail }) {
  return {
    configFile: false,
    root,
    logLevel: "warn",
    publicDir: false,
    define: { __PLAIN_MAIL__: JSON.stringify(plainMail) },
    // Whatever character set the runtime reads it in.
    esbuild: { charset: "ascii" },
    build: {
      outDir: out,
      emptyOutDir: false,
      target: "es2016",
      lib: { entry: join(root, "src/launchevent/main.ts"), formats: ["iife"], name: "medipepsEvents", fileName: () => "launchevent.js" },
    },
  };
}
