// The dedicated Worker that has an account. `client.js` starts it; one call after the other.

import init, { Account } from "./medipeps_wasm.js";

/** What a page may call, beside `open`. */
const CALLS = new Set(["create", "address", "send", "sync", "messages", "read", "close"]);

let account;
let last = Promise.resolve();

async function call(method, values) {
  if (method === "open") {
    // Written so that bundlers see the file.
    await init({ module_or_path: new URL("./medipeps_wasm_bg.wasm", import.meta.url) });
    account = await Account.open(...values);
    return undefined;
  }
  if (account === undefined || !CALLS.has(method)) {
    throw new Error(`there is no ${method}`);
  }
  const result = await account[method](...values);
  // What Rust gives lives in its memory; a page gets a copy.
  return result === undefined ? undefined : JSON.parse(JSON.stringify(result));
}

self.onmessage = ({ data: { number, method, values } }) => {
  last = last.then(async () => {
    try {
      self.postMessage({ number, result: await call(method, values) });
    } catch (error) {
      self.postMessage({ number, error: { code: error.code ?? "internal", message: String(error.message ?? error) } });
    }
  });
};
