// The add-in only manifest (XML): every Outlook on a desktop, Macs included.

import { BUTTONS, HEADER_NAME, ICONS, ID, MAILBOX, PROVIDER, TEXTS, eventsOf, places } from "./source.js";

const OFFICE = "http://schemas.microsoft.com/office";

/**
 * @param {import("./source.js").Deployment} deployment
 * @returns {string}
 */
export function xmlManifest(deployment) {
  const at = places(deployment);
  return `<?xml version="1.0" encoding="UTF-8"?>
<OfficeApp xmlns="${OFFICE}/appforoffice/1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xmlns:bt="${OFFICE}/officeappbasictypes/1.0" xmlns:mailappor="${OFFICE}/mailappversionoverrides/1.0" xsi:type="MailApp">
  <Id>${ID}</Id>
  <Version>${deployment.version}.0</Version>
  <ProviderName>${PROVIDER}</ProviderName>
  <DefaultLocale>en-US</DefaultLocale>
  ${localised("DisplayName", "name")}
  ${localised("Description", "description")}
  <IconUrl DefaultValue="${at.icon(64)}"/>
  <HighResolutionIconUrl DefaultValue="${at.icon(128)}"/>
  <SupportUrl DefaultValue="${at.help}"/>
  <AppDomains><AppDomain>${at.origin}</AppDomain></AppDomains>
  <Hosts><Host Name="Mailbox"/></Hosts>
  <Requirements><Sets><Set Name="Mailbox" MinVersion="${MAILBOX}"/></Sets></Requirements>
  <FormSettings>
    <Form xsi:type="ItemRead"><DesktopSettings><SourceLocation DefaultValue="${at.pane}"/><RequestedHeight>450</RequestedHeight></DesktopSettings></Form>
    <Form xsi:type="ItemEdit"><DesktopSettings><SourceLocation DefaultValue="${at.pane}"/></DesktopSettings></Form>
  </FormSettings>
  <Permissions>ReadWriteItem</Permissions>
  <Rule xsi:type="RuleCollection" Mode="Or">
    <Rule xsi:type="ItemIs" ItemType="Message" FormType="Read"/>
    <Rule xsi:type="ItemIs" ItemType="Message" FormType="Edit"/>
  </Rule>
  <DisableEntityHighlighting>true</DisableEntityHighlighting>
  <VersionOverrides xmlns="${OFFICE}/mailappversionoverrides" xsi:type="VersionOverridesV1_0">
    <VersionOverrides xmlns="${OFFICE}/mailappversionoverrides/1.1" xsi:type="VersionOverridesV1_1">
      <Requirements><bt:Sets DefaultMinVersion="${MAILBOX}"><bt:Set Name="Mailbox"/></bt:Sets></Requirements>
      <Hosts>
        <Host xsi:type="MailHost">
          <Runtimes>
            <Runtime resid="Events.Page"><Override type="javascript" resid="Events.Script"/></Runtime>
          </Runtimes>
          <DesktopFormFactor>
            <FunctionFile resid="Events.Page"/>
${BUTTONS.map(button).join("\n")}
            <ExtensionPoint xsi:type="LaunchEvent">
              <LaunchEvents>
${eventsOf(deployment).map(launchEvent).join("\n")}
              </LaunchEvents>
              <SourceLocation resid="Events.Page"/>
            </ExtensionPoint>
          </DesktopFormFactor>
        </Host>
      </Hosts>
      <Resources>
        <bt:Images>
${ICONS.map((size) => `          <bt:Image id="Icon.${size}" DefaultValue="${at.icon(size)}"/>`).join("\n")}
        </bt:Images>
        <bt:Urls>
          <bt:Url id="Pane.Page" DefaultValue="${at.pane}"/>
          <bt:Url id="Events.Page" DefaultValue="${at.page}"/>
          <bt:Url id="Events.Script" DefaultValue="${at.script}"/>
        </bt:Urls>
        <bt:ShortStrings>
${["name", "compose", "read"].map((text) => string(text)).join("\n")}
        </bt:ShortStrings>
        <bt:LongStrings>
${["composeTip", "readTip"].map((text) => string(text)).join("\n")}
        </bt:LongStrings>
      </Resources>
    </VersionOverrides>
  </VersionOverrides>
</OfficeApp>
`;
}

/** @param {typeof BUTTONS[number]} button */
function button({ id, group, surface, text }) {
  return `            <ExtensionPoint xsi:type="${surface}">
              <OfficeTab id="TabDefault">
                <Group id="${group}">
                  <Label resid="name"/>
                  <Control xsi:type="Button" id="${id}">
                    <Label resid="${text}"/>
                    <Supertip><Title resid="${text}"/><Description resid="${text}Tip"/></Supertip>
                    <Icon>${[16, 32, 80].map((size) => `<bt:Image size="${size}" resid="Icon.${size}"/>`).join("")}</Icon>
                    <Action xsi:type="ShowTaskpane"><SourceLocation resid="Pane.Page"/><SupportsPinning>true</SupportsPinning></Action>
                  </Control>
                </Group>
              </OfficeTab>
            </ExtensionPoint>`;
}

/** @param {ReturnType<typeof eventsOf>[number]} event */
function launchEvent({ xml, handler, sendMode, headerName }) {
  // Block: what the handler did not pass is not sent, also when it could not be loaded.
  const more = (sendMode ? ` SendMode="Block"` : "") + (headerName ? ` HeaderName="${HEADER_NAME}"` : "");
  return `                <LaunchEvent Type="${xml}" FunctionName="${handler}"${more}/>`;
}

/**
 * @param {string} element
 * @param {string} text
 */
function localised(element, text) {
  return `<${element} DefaultValue="${escaped(TEXTS.en[text])}"><Override Locale="fr-FR" Value="${escaped(TEXTS.fr[text])}"/></${element}>`;
}

/** @param {string} text */
function string(text) {
  const [en, fr] = [escaped(TEXTS.en[text]), escaped(TEXTS.fr[text])];
  return `          <bt:String id="${text}" DefaultValue="${en}"><bt:Override Locale="fr-FR" Value="${fr}"/></bt:String>`;
}

function escaped(text = "") {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}
