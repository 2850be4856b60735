// OnMessageDecrypt: where Outlook runs this in a browser, the reader beside it decrypts; classic Outlook on Windows sends to the pane.

import { textsFor } from "./texts.ts";

/** What `src/reader` puts into the page: it answers the event. */
export type Reader = (event: Office.MailboxEvent) => Promise<void>;
/** How the two find each other, whichever is loaded first. */
export interface Meeting {
  medipepsReader?: Reader;
  medipepsWaiting?: Office.MailboxEvent[];
}

export function onMessageDecrypt(event: Office.MailboxEvent): Promise<void> {
  if (typeof document === "undefined") {
    event.completed({ allowEvent: false, errorMessage: textsFor(Office.context.displayLanguage || "").read });
    return Promise.resolve();
  }
  const meeting = window as unknown as Meeting;
  if (meeting.medipepsReader !== undefined) {
    return meeting.medipepsReader(event);
  }
  meeting.medipepsWaiting = (meeting.medipepsWaiting || []).concat([event]);
  return Promise.resolve();
}
