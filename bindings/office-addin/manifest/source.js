// What both manifests are made from. Nothing else of them differs between two deployments.

/**
 * @typedef {object} Deployment
 * @property {string} host Where the add-in is served: `https://` and a host, perhaps a port and a path, no slash at the end.
 * @property {string} version Three numbers, the first at least 1: Outlook refuses less.
 * @property {boolean} decrypt Whether Outlook shows decrypted mail in its own window, from where its own reply quotes it.
 */

/** The add-in's own id. A fork takes another. */
export const ID = "5d0d5e0e-7f5e-4b5a-9a33-1c6f3f6c2f6b";
export const HEADER_NAME = "x-medipeps";
export const PROVIDER = "Medipeps";
/** Of `OnMessageSend` and `getComposeTypeAsync`; `OnMessageDecrypt` is 1.16, and hosts without it leave it out. */
export const MAILBOX = "1.12";
export const ICONS = [16, 32, 64, 80, 128];

/** The handlers of `launchevent.js` by Outlook's names of the events. `unified` is the name in the unified manifest. */
const EVENTS = [
  { xml: "OnMessageSend", unified: "messageSending", handler: "onMessageSend", sendMode: true },
  { xml: "OnNewMessageCompose", unified: "newMessageComposeCreated", handler: "onNewMessageCompose" },
  { xml: "OnMessageDecrypt", unified: "messageDecrypt", handler: "onMessageDecrypt", headerName: true },
];

/** @param {Deployment} deployment */
export function eventsOf({ decrypt }) {
  return EVENTS.filter(({ headerName }) => decrypt || !headerName);
}

/** Buttons that open the pane. `OnMessageSend` names the first. */
export const BUTTONS = [
  { id: "MedipepsComposeButton", group: "MedipepsComposeGroup", surface: "MessageComposeCommandSurface", context: "mailCompose", text: "compose" },
  { id: "MedipepsReadButton", group: "MedipepsReadGroup", surface: "MessageReadCommandSurface", context: "mailRead", text: "read" },
];

/** @type {Record<"en" | "fr", Record<string, string>>} At most 250 characters, titles 125. */
export const TEXTS = {
  en: {
    name: "Medipeps",
    description: "Write and read mail that only you and its recipients can read. Microsoft keeps a notice without content.",
    compose: "Protect with Medipeps",
    composeTip: "Write text and files in the Medipeps pane, where they are encrypted. Recipients' addresses stay visible to Microsoft.",
    read: "Read with Medipeps",
    readTip: "Show the protected mail that this notice stands for, answer it or forward it.",
  },
  fr: {
    name: "Medipeps",
    description: "Écrire et lire des messages que seuls vous et leurs destinataires pouvez lire. Microsoft garde un avis sans contenu.",
    compose: "Protéger avec Medipeps",
    composeTip: "Texte et fichiers s’écrivent dans le volet Medipeps, où ils sont chiffrés. Les adresses des destinataires restent visibles pour Microsoft.",
    read: "Lire avec Medipeps",
    readTip: "Afficher le message protégé que cet avis représente, y répondre ou le transférer.",
  },
};

/**
 * Where things are.
 * @param {Deployment} deployment
 */
export function places({ host }) {
  return {
    pane: `${host}/taskpane.html`,
    page: `${host}/launchevent.html`,
    script: `${host}/launchevent.js`,
    icon: (/** @type {number} */ size) => `${host}/icons/icon-${size}.png`,
    help: `${host}/help.html`,
    origin: new URL(host).origin,
  };
}

/**
 * Checks what a deployment was given as.
 * @param {string} host
 * @param {string} version
 * @param {boolean} decrypt
 * @returns {Deployment}
 */
export function deployment(host, version, decrypt) {
  const url = new URL(host);
  if (url.protocol !== "https:" || url.search !== "" || url.hash !== "") {
    throw new Error(`${host}: Outlook loads add-ins from https:// alone, and the address has no query`);
  }
  if (!/^[1-9]\d{0,4}\.\d{1,5}\.\d{1,5}$/.test(version)) {
    throw new Error(`${version}: a version has three numbers, the first at least 1`);
  }
  return { host: url.href.replace(/\/+$/, ""), version, decrypt };
}
