// The dedicated Worker that has an account. `client.js` starts it.

import init, { Account, chooseTransports, connection } from "./medipeps_wasm.js";

/** What a page may call, beside `open`. */
const CALLS = new Set([
  "create",
  "recover",
  "account",
  "sync",
  "startReceiving",
  "stopReceiving",
  "send",
  "messages",
  "read",
  "contacts",
  "addContact",
  "verifyContact",
  "forgetVerification",
  "block",
  "accept",
  "groups",
  "createGroup",
  "addToGroup",
  "removeFromGroup",
  "renameGroup",
  "leaveGroup",
  "say",
  "react",
  "groupMessages",
  "markGroupDisplayed",
  "muteGroup",
  "typeInGroup",
  "devices",
  "becomeDevice",
  "linkDevice",
  "continueLinking",
  "revokeDevice",
  "renameDevice",
  "close",
]);

let account;

async function open(name, { transports, certificateHashes, wasm }) {
  // Written so that bundlers see the file.
  await init({ module_or_path: wasm ?? new URL("./medipeps_wasm_bg.wasm", import.meta.url) });
  chooseTransports(transports, certificateHashes);
  account = await Account.open(name, (event) => self.postMessage({ event }));
}

/** Calls wait for one another in Rust, in the order in which they come. */
async function call(method, values) {
  if (method === "open") {
    return open(...values);
  }
  if (account !== undefined && method === "connection") {
    return connection();
  }
  if (account === undefined || !CALLS.has(method)) {
    throw new Error(`there is no ${method}`);
  }
  return account[method](...values);
}

self.onmessage = async ({ data: { number, method, values } }) => {
  try {
    self.postMessage({ number, result: await call(method, values) });
  } catch (error) {
    const { code = "internal", reason, message = error } = error;
    self.postMessage({ number, error: { code, reason, message: String(message) } });
  }
};
