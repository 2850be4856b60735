// The dedicated Worker that has an account. `client.js` starts it.

import init, { Account, chooseTransports, connection, version as versionOfWasm } from "./medipeps_wasm.js";

/** Of this package. The page and the WebAssembly must be of the same one: a browser may have kept one of them from before. */
const VERSION = "0.1.0";

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
  "attachment",
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
  "groupAttachment",
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

async function open(name, { version, transports, certificateHashes, wasm }) {
  if (version !== VERSION) {
    throw refusal("version", `the page is of version ${version}, its Worker of ${VERSION}: load the page again`);
  }
  await load(wasm);
  chooseTransports(transports, certificateHashes);
  const tell = (event) => self.postMessage({ event });
  account = await Account.open(name, tell, (transfer) => self.postMessage({ transfer }));
  return VERSION;
}

/** Loads the WebAssembly, and sees that it is the one that belongs to this file. */
async function load(wasm) {
  let found;
  try {
    // Written so that bundlers see the file.
    await init({ module_or_path: wasm ?? new URL("./medipeps_wasm_bg.wasm", import.meta.url) });
    found = versionOfWasm();
  } catch (error) {
    // What does not fit its JavaScript: imports of other names, or exports that are missing.
    if (!(error instanceof WebAssembly.LinkError || /Import #|is not a function/.test(error?.message))) {
      throw refusal("wasm", `the WebAssembly cannot be loaded: ${error?.message ?? error}`);
    }
  }
  if (found !== VERSION) {
    const message = `the WebAssembly is of ${found === undefined ? "another version" : `version ${found}`}, its Worker of ${VERSION}`;
    throw refusal("version", `${message}: load the page again`);
  }
}

function refusal(reason, message) {
  return Object.assign(new Error(message), { code: "engine", reason });
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
