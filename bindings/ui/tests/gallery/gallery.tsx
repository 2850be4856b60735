// Every part once, in the states that it can have. The tests look at it.

import "@medipeps/ui/ui.css";

import { AttachmentList, Dialog, Directory, FileDrop, LanguageSwitch, MailFrame, Notice, RecipientField, errorText, language, setLanguage } from "@medipeps/ui";
import { signal } from "@preact/signals";
import { render } from "preact";

declare global {
  interface Window {
    show(html: string): void;
    events: string[];
  }
}

/** As the package's errors are. */
function failure(code: string, reason?: string): Error {
  return Object.assign(new Error("for logs"), { code, reason });
}

const html = signal("<p>The <b>potassium</b> is 6.1 mmol/l.</p>");
const to = signal<readonly string[]>([]);
const files = signal<readonly File[]>([]);
const dialog = signal(false);
const directory = new Directory(async (address, acceptNewKey) => {
  window.events.push(`looked up ${address}${acceptNewKey ? ", new key accepted" : ""}`);
  const local = address.split("@")[0] ?? "";
  const failures: Record<string, Error> = {
    nobody: failure("contact", "unknown_account"),
    changed: failure("contact", "key_changed"),
    offline: failure("network"),
  };
  const found = failures[local];
  if (found !== undefined && !acceptNewKey) {
    throw found;
  }
  return { key: local === "verified" ? "verified" : "pinned" };
});

function Gallery() {
  return (
    <main>
      <header class="mp-row">
        <h1>Gallery</h1>
        <LanguageSwitch onChange={(to) => window.events.push(`language ${to}`)} />
      </header>
      <RecipientField
        label="To"
        addresses={to.value}
        onChange={(addresses) => {
          to.value = addresses;
        }}
        directory={directory}
        suggestions={["claire@clinic.example"]}
        alternatives={(address) => [{ text: `Invite ${address}`, run: () => window.events.push(`invite ${address}`) }]}
        required
      />
      <p id="writable">{String(directory.allWritable(to.value))}</p>
      <FileDrop
        onFiles={(chosen) => {
          files.value = [...files.value, ...chosen];
        }}
      >
        <AttachmentList
          items={files.value.map((file) => ({ key: file.name, name: file.name, length: file.size, transfer: { done: 1, total: 3 } }))}
          onRemove={({ name }) => {
            files.value = files.value.filter((file) => file.name !== name);
          }}
        />
      </FileDrop>
      <AttachmentList
        items={[
          { key: "1", name: "ecg.pdf", length: 3_400_000 },
          { key: "2", name: "lost.dcm", length: 12, problem: errorText(failure("refused", "UnknownBlob")) },
        ]}
        onSave={({ name }) => window.events.push(`save ${name}`)}
      />
      <Notice>{errorText(failure("network"))}</Notice>
      <Notice problem>{errorText(failure("refused", "SomethingNew"))}</Notice>
      <button
        type="button"
        onClick={() => {
          dialog.value = true;
        }}
      >
        Open dialog
      </button>
      {dialog.value && (
        <Dialog
          title="A dialog"
          onClose={() => {
            dialog.value = false;
          }}
        >
          <p>Text.</p>
        </Dialog>
      )}
      <MailFrame html={html.value} subject="Potassium" />
    </main>
  );
}

window.events = [];
window.show = (mail) => {
  html.value = mail;
};
setLanguage(language());
render(<Gallery />, document.body);
