// Where the html of a mail is shown. It was sanitised when it came; here it could do nothing even if it had not been.

import { useEffect, useMemo, useRef } from "preact/hooks";

import { texts } from "./texts.ts";

/** What a mail may do: be laid out, and show pictures that it has in itself. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";
/**
 * No scripts, forms, or navigation of the page around it. `allow-same-origin` without `allow-scripts` gives the mail nothing; it lets
 * this page measure it.
 */
const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";
/** Colours and letters of this page; the page's custom properties do not reach into a frame. */
const LOOK = `
  :root { color-scheme: light dark }
  body { display: flow-root; margin: 0; overflow-wrap: anywhere; overflow-y: hidden; line-height: 1.5; font-family: system-ui, sans-serif }
  table { border-collapse: collapse } td, th { padding: 0.2em 0.5em; border: 1px solid #8888 }
  pre { white-space: pre-wrap } blockquote { margin-inline: 0.5em; padding-inline-start: 0.75em; border-inline-start: 3px solid #8888 }
`;

/** The html of a mail, in a frame as high as it. `subject` names it for screen readers. */
export function MailFrame({ html, subject }: { html: string; subject: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  const page = useMemo(() => framed(html), [html]);
  useEffect(() => {
    const element = frame.current;
    if (element === null) {
      return undefined;
    }
    const watch = new ResizeObserver(() => fit(element));
    const loaded = () => {
      const inside = element.contentDocument;
      if (inside === null) {
        return;
      }
      const look = new (inside.defaultView ?? window).CSSStyleSheet();
      look.replaceSync(LOOK);
      inside.adoptedStyleSheets = [look];
      fit(element);
      watch.observe(inside.body);
    };
    element.addEventListener("load", loaded);
    return () => {
      element.removeEventListener("load", loaded);
      watch.disconnect();
    };
  }, [page]);
  return <iframe ref={frame} class="mp-mail-frame" title={texts().mail.frame(subject)} sandbox={SANDBOX} referrerpolicy="no-referrer" srcdoc={page} />;
}

/** A page with the policy before anything of the mail, and links that open elsewhere and show where they lead. */
function framed(html: string): string {
  const mail = new DOMParser().parseFromString(html, "text/html");
  for (const link of mail.querySelectorAll<HTMLAnchorElement>("a[href]")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.title = link.getAttribute("href") ?? "";
  }
  const policy = `<meta http-equiv="content-security-policy" content="${POLICY}">`;
  return `<!doctype html><html><head><meta charset="utf-8">${policy}</head><body>${mail.body.innerHTML}</body></html>`;
}

function fit(frame: HTMLIFrameElement): void {
  // Not the document's height, which is never less than the frame's.
  const height = frame.contentDocument?.body.getBoundingClientRect().height ?? 0;
  frame.style.blockSize = `${Math.ceil(height) + 2}px`;
}
