// The unified manifest for Microsoft 365 (JSON): Outlook on the web, new Outlook and classic Outlook on Windows.

import { BUTTONS, HEADER_NAME, ID, MAILBOX, PROVIDER, TEXTS, eventsOf, places } from "./source.js";

/** The first whose schema knows `headerName`. */
const MANIFEST_VERSION = "1.30";
const SCHEMAS = `https://developer.microsoft.com/json-schemas/teams/v${MANIFEST_VERSION}`;

/**
 * The manifest, and its texts in French, a file beside it.
 * @param {import("./source.js").Deployment} deployment
 */
export function unifiedManifest(deployment) {
  const at = places(deployment);
  const mailbox = { capabilities: [{ name: "Mailbox", minVersion: MAILBOX }], scopes: ["mail"], formFactors: ["desktop"] };
  const { en } = TEXTS;
  return {
    $schema: `${SCHEMAS}/MicrosoftTeams.schema.json`,
    manifestVersion: MANIFEST_VERSION,
    version: deployment.version,
    id: ID,
    developer: { name: PROVIDER, websiteUrl: at.help, privacyUrl: at.help, termsOfUseUrl: at.help },
    name: { short: en.name, full: en.name },
    description: { short: en.read, full: en.description },
    icons: { color: "icons/color.png", outline: "icons/outline.png" },
    accentColor: "#0B5C8A",
    localizationInfo: { defaultLanguageTag: "en", additionalLanguages: [{ languageTag: "fr", file: "manifest.fr.json" }] },
    authorization: { permissions: { resourceSpecific: [{ name: "MailboxItem.ReadWrite.User", type: "Delegated" }] } },
    validDomains: [new URL(deployment.host).host],
    extensions: [
      {
        requirements: mailbox,
        runtimes: [
          {
            id: "Events",
            type: "general",
            code: { page: at.page, script: at.script },
            lifetime: "short",
            actions: eventsOf(deployment).map(({ handler }) => ({ id: handler, type: "executeFunction", displayName: handler })),
          },
          {
            id: "Pane",
            type: "general",
            code: { page: at.pane },
            lifetime: "short",
            actions: [{ id: "ShowPane", type: "openPage", pinnable: true, view: "pane" }],
          },
        ],
        ribbons: BUTTONS.map((button) => ribbon(button, at)),
        autoRunEvents: [{ requirements: mailbox, events: eventsOf(deployment).map(autoRunEvent) }],
      },
    ],
  };
}

/** @returns {Record<string, string>} By the paths of the texts in the manifest. */
export function frenchTexts() {
  const { fr } = TEXTS;
  return {
    $schema: `${SCHEMAS}/MicrosoftTeams.Localization.schema.json`,
    "name.short": fr.name ?? "",
    "description.short": fr.read ?? "",
    "description.full": fr.description ?? "",
    ...Object.fromEntries(
      BUTTONS.flatMap(({ text }, at) => {
        const control = `extensions[0].ribbons[${at}].tabs[0].groups[0].controls[0]`;
        return [
          [`${control}.label`, fr[text]],
          [`${control}.supertip.title`, fr[text]],
          [`${control}.supertip.description`, fr[`${text}Tip`]],
        ];
      }),
    ),
  };
}

/**
 * @param {typeof BUTTONS[number]} button
 * @param {ReturnType<typeof places>} at
 */
function ribbon({ id, group, context, text }, at) {
  const icons = [16, 32, 80].map((size) => ({ size, url: at.icon(size) }));
  const supertip = { title: TEXTS.en[text], description: TEXTS.en[`${text}Tip`] };
  const control = { id, type: "button", label: TEXTS.en[text], icons, supertip, actionId: "ShowPane" };
  return { contexts: [context], tabs: [{ builtInTabId: "TabDefault", groups: [{ id: group, label: TEXTS.en.name, icons, controls: [control] }] }] };
}

/** @param {ReturnType<typeof eventsOf>[number]} event */
function autoRunEvent({ unified, handler, sendMode, headerName }) {
  const options = sendMode ? { sendMode: "block" } : { headerName: HEADER_NAME };
  return { type: unified, actionId: handler, ...(sendMode || headerName ? { options } : {}) };
}
