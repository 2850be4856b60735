// The desktop tells that something came, never what or from whom: a locked screen shows it to everybody.

import { notify, setNotify } from "./settings.ts";
import { texts } from "./texts.ts";

/** Whether this browser can do it at all. */
export function canNotify(): boolean {
  return "Notification" in window;
}

/** After a click alone: asks the browser for leave. Whether it gave it. */
export async function askForNotifications(): Promise<boolean> {
  const allowed = canNotify() && (await Notification.requestPermission()) === "granted";
  setNotify(allowed);
  return allowed;
}

/** Not for what is muted, nor while the person looks at the page. */
export function notifyOfMessage(muted: boolean): void {
  if (muted || !notify.peek() || !canNotify() || Notification.permission !== "granted" || document.hasFocus()) {
    return;
  }
  // The tag lets one stand for all.
  const notification = new Notification(texts().brand, { body: texts().settings.newMessage, tag: "medipeps" });
  notification.onclick = () => {
    window.focus();
    notification.close();
  };
}
