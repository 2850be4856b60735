// Office.js's callbacks as promises, without anything that classic Outlook's runtime lacks.

/** Calls one of Office.js's functions with a callback, and takes its result. Fails with the host's error. */
export function asked<T>(call: (callback: (result: Office.AsyncResult<T>) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((result) => {
      // Not by Office's enumeration: the constant is the same word everywhere, and not every host has the enumeration yet.
      if (String(result.status) === "succeeded") {
        resolve(result.value);
      } else {
        reject(result.error);
      }
    });
  });
}

/** What an item that is being written has, all of it that the checks look at. */
export interface Written {
  readonly subject: string;
  readonly html: string;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly bcc: readonly string[];
  readonly attachments: readonly Office.AttachmentDetailsCompose[];
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads an item that is being written. */
export async function written(item: Office.MessageCompose, headers: string[]): Promise<Written> {
  const people = (field: Office.Recipients) => asked<Office.EmailAddressDetails[]>((callback) => field.getAsync(callback));
  const [subject, html, to, cc, bcc, attachments, had] = await Promise.all([
    asked<string>((callback) => item.subject.getAsync(callback)),
    asked<string>((callback) => item.body.getAsync("html" as Office.CoercionType, callback)),
    people(item.to),
    people(item.cc),
    people(item.bcc),
    asked<Office.AttachmentDetailsCompose[]>((callback) => item.getAttachmentsAsync(callback)),
    asked<Record<string, string>>((callback) => item.internetHeaders.getAsync(headers, callback)),
  ]);
  const addresses = (all: Office.EmailAddressDetails[]) => all.map(({ emailAddress }) => emailAddress);
  return { subject, html, to: addresses(to), cc: addresses(cc), bcc: addresses(bcc), attachments, headers: had };
}
