// What stands in for office.js: Microsoft's names and shapes, held to its types, and everything behind them done by `outlook.js`.
// It runs in pages in place of the script of Microsoft's CDN, and in Node for the handler's bare runtime.

/** What a runtime is told when it starts. */
export interface Start {
  readonly mode: "compose" | "read" | "none";
  readonly itemId?: string;
  readonly subject?: string;
  readonly from?: string;
  readonly to?: readonly string[];
  readonly cc?: readonly string[];
  readonly mailbox: string;
  readonly language: string;
  readonly platform: string;
  /** Roaming settings, as Outlook has loaded them from the mailbox. */
  readonly roaming?: Readonly<Record<string, unknown>>;
}

export type Call = (name: string, values: unknown[]) => Promise<unknown>;
type Callback = (result: unknown) => void;
type Handler = (event: unknown) => unknown;

/** The namespace `Office`, the handlers that were associated, and a way to fire an event. */
export function makeOffice(start: Start, call: Call) {
  const handlers = new Map<string, Handler>();
  const listeners: { readonly type: string; readonly run: Handler }[] = [];

  /** A function of Office.js's that ends in a callback. */
  const asynchronous =
    (name: string) =>
    (...values: unknown[]): void => {
      const callback = values.find((value): value is Callback => typeof value === "function");
      // Options hold `asyncContext` and the like; only those of attachments and bodies mean anything here.
      call(name, values.filter((value) => typeof value !== "function")).then(
        (value) => callback?.({ status: "succeeded", value }),
        (error: Error) => callback?.({ status: "failed", error: { code: 9000, name: "Error", message: error.message } }),
      );
    };
  const listen = (type: string, run: Handler, callback?: Callback): void => {
    listeners.push({ type, run });
    callback?.({ status: "succeeded" });
  };

  const recipients = (field: string): Pick<Office.Recipients, "getAsync" | "setAsync" | "addAsync"> => ({
    getAsync: asynchronous(`${field}.get`),
    setAsync: asynchronous(`${field}.set`),
    addAsync: asynchronous(`${field}.add`),
  });
  const body: Pick<Office.Body, "getAsync" | "setAsync"> = { getAsync: asynchronous("body.get"), setAsync: asynchronous("body.set") };
  const subject: Pick<Office.Subject, "getAsync" | "setAsync"> = { getAsync: asynchronous("subject.get"), setAsync: asynchronous("subject.set") };
  const internetHeaders: Office.InternetHeaders = {
    getAsync: asynchronous("headers.get"),
    setAsync: asynchronous("headers.set"),
    removeAsync: asynchronous("headers.remove"),
  };
  const sessionData: Pick<Office.SessionData, "getAsync" | "setAsync"> = { getAsync: asynchronous("session.get"), setAsync: asynchronous("session.set") };

  const compose = {
    itemType: "message" as Office.MailboxEnums.ItemType,
    subject: subject as Office.Subject,
    body: body as Office.Body,
    to: recipients("to") as Office.Recipients,
    cc: recipients("cc") as Office.Recipients,
    bcc: recipients("bcc") as Office.Recipients,
    internetHeaders,
    sessionData: sessionData as Office.SessionData,
    getAttachmentsAsync: asynchronous("attachments.list"),
    getAttachmentContentAsync: asynchronous("attachments.content"),
    removeAttachmentAsync: asynchronous("attachments.remove"),
    saveAsync: asynchronous("save"),
    getComposeTypeAsync: asynchronous("composeType"),
    getInitializationContextAsync: asynchronous("initializationContext"),
    disableClientSignatureAsync: asynchronous("disableSignature"),
    loadCustomPropertiesAsync: asynchronous("customProperties"),
    addHandlerAsync: listen as unknown as Office.MessageCompose["addHandlerAsync"],
  } satisfies Partial<Office.MessageCompose>;

  const person = (emailAddress: string) => ({ emailAddress, displayName: emailAddress }) as Office.EmailAddressDetails;
  const read = {
    itemType: "message" as Office.MailboxEnums.ItemType,
    itemId: start.itemId ?? "",
    subject: start.subject ?? "",
    from: person(start.from ?? ""),
    to: (start.to ?? []).map(person),
    cc: (start.cc ?? []).map(person),
    body: body as Office.Body,
    getAllInternetHeadersAsync: asynchronous("headers.all"),
  } satisfies Partial<Office.MessageRead>;

  const item = { compose, read, none: null }[start.mode];
  const ready = { host: "Outlook", platform: start.platform } as unknown as { host: Office.HostType; platform: Office.PlatformType };
  const Office = {
    onReady: (callback?: (info: typeof ready) => unknown) => {
      callback?.(ready);
      return Promise.resolve(ready);
    },
    actions: {
      associate: (name: string, run: Handler) => {
        handlers.set(name, run);
      },
    },
    context: {
      displayLanguage: start.language,
      partitionKey: undefined,
      requirements: { isSetSupported: (set: string) => set === "Mailbox" },
      roamingSettings: {
        get: (name: string) => start.roaming?.[name],
        set: (name: string, value: unknown) => void call("roaming.set", [name, value]),
        saveAsync: asynchronous("roaming.save"),
      },
      mailbox: {
        item,
        userProfile: { emailAddress: start.mailbox, displayName: start.mailbox },
        displayNewMessageFormAsync: asynchronous("displayNewMessageForm"),
        addHandlerAsync: listen,
      },
    },
    AsyncResultStatus: { Succeeded: "succeeded", Failed: "failed" },
    CoercionType: { Html: "html", Text: "text" },
    EventType: { ItemChanged: "olkItemSelectedChanged", RecipientsChanged: "olkRecipientsChanged" },
    MailboxEnums: { AttachmentType: { File: "file", Item: "item", Cloud: "cloud" } },
  };

  /** Calls those who listen, as Outlook does when somebody adds a recipient in its own window. */
  const fire = (type: string, event: unknown): void => listeners.filter((listener) => listener.type === type).forEach(({ run }) => run(event));
  /** Runs a handler as Outlook does at an event, and gives what it completed the event with. */
  const run = (name: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const handler = handlers.get(name);
      if (handler === undefined) {
        reject(new Error(`no handler ${name} was associated`));
        return;
      }
      // Outlook ignores what is completed a second time.
      handler({ source: { id: name }, completed: (options?: unknown) => resolve(options ?? {}) });
    });
  /** A pinned pane is told that another item is selected. */
  const select = (next: { Office: { context: { mailbox: { item: unknown } } } }): void => {
    Office.context.mailbox.item = next.Office.context.mailbox.item as typeof item;
    fire("olkItemSelectedChanged", {});
  };
  return { Office, fire, run, select };
}
