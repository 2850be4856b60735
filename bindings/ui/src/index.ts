// What web client and Outlook add-in share. README.md says how each is used.

export { type AttachmentItem, AttachmentList, FileDrop, saveFile } from "./attachments.tsx";
export { Dialog, LanguageSwitch, Notice, TextField } from "./controls.tsx";
export { Directory, type RecipientStatus, isAddress, parseAddresses } from "./directory.ts";
export { type Failure, errorText, isFailure, reasonText } from "./errors.ts";
export { formatShare, formatSize, formatTime } from "./format.ts";
export { type Language, LANGUAGES, type Texts, type Translation, bestLanguage, catalogue, counted, language, number, setLanguage } from "./language.ts";
export { MailFrame } from "./mail-frame.tsx";
export { QrCode } from "./qr-code.tsx";
export { type Alternative, RecipientField, type RecipientFieldProps, statusText } from "./recipients.tsx";
export { SealedStore } from "./sealed.ts";
export { texts } from "./texts.ts";
