// How two Outlooks give back the html that they were given.

/** New Outlook and Outlook on the web. */
export const web = {
  platform: "OfficeOnline",
  wrap: (/** @type {string} */ inner) =>
    `<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"><style type="text/css" style="display:none;"> P {margin-top:0;margin-bottom:0;} </style></head>` +
    `<body dir="ltr">\r\n${inner.replaceAll("<p>", '<p class="elementToProof" style="font-family: Aptos, sans-serif; font-size: 12pt; color: rgb(0, 0, 0);">')}\r\n</body></html>`,
};

/** Classic Outlook on Windows, whose editor is Word. */
export const classic = {
  platform: "PC",
  wrap: (/** @type {string} */ inner) =>
    `<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" xmlns="http://www.w3.org/TR/REC-html40">\r\n<head>` +
    `<meta http-equiv=Content-Type content="text/html; charset=utf-8"><meta name=Generator content="Microsoft Word 15 (filtered medium)">` +
    `<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}</style><![endif]-->` +
    `<style><!--\r\n/* Font Definitions */\r\n@font-face {font-family:Aptos; panose-1:2 11 0 4 2 2 2 2 2 4;}\r\np.MsoNormal {margin:0cm;}\r\n--></style>` +
    `<!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]--></head>\r\n` +
    `<body lang=FR link="#467886" vlink="#96607D" style='word-wrap:break-word'><div class=WordSection1>` +
    `${inner.replaceAll("<p>", "<p class=MsoNormal>").replaceAll("</p>", "<o:p></o:p></p>\r\n").replaceAll("é", "&eacute;")}` +
    `<p class=MsoNormal><o:p>&nbsp;</o:p></p></div></body></html>`,
};

/** As text, for `coercionType` text. @param {string} html */
export function textOf(html) {
  return html
    .replace(/<head>[^]*?<\/head>/, "")
    .replace(/<br\s*\/?>|<\/p>/g, "\r\n")
    .replace(/<[^<>]*>/g, "")
    .replaceAll("&nbsp;", "\u00a0")
    .replaceAll("&eacute;", "é")
    .replaceAll("&lt;", "<")
    .replaceAll("&amp;", "&");
}
