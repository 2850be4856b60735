// The one file that Outlook runs at its events: by itself in classic Outlook on Windows, in launchevent.html everywhere else.

import { onNewMessageCompose } from "./compose.ts";
import { onMessageDecrypt } from "./decrypt.ts";
import { onMessageSend } from "./send.ts";

function associate(): void {
  Office.actions.associate("onMessageSend", onMessageSend);
  Office.actions.associate("onNewMessageCompose", onNewMessageCompose);
  Office.actions.associate("onMessageDecrypt", onMessageDecrypt);
}

// Classic Outlook never calls `onReady` and must find the handlers at once; others lose what is associated before it.
associate();
if (typeof Office.onReady === "function") {
  void Office.onReady(associate);
}
