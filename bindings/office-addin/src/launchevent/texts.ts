// What Outlook's dialog says when an item is stopped. Apart from the other texts: the handler is one small file that has no Intl.

import type { Refusal } from "./verdict.ts";

type Texts = Readonly<Record<Refusal | "open" | "read", string>>;

const en: Texts = {
  open: "Open Medipeps",
  read: "To read this message, open the Medipeps pane.",
  unmarked: "Not sent: choose in the Medipeps pane whether this mail is protected. What is written in Outlook's window is not.",
  not_sent: "Not sent: Medipeps has not sent this mail yet. Open the Medipeps pane and send it there first.",
  subject: "Not sent: the subject was changed in Outlook. The real subject belongs in the Medipeps pane; open it to put the item right.",
  body: "Not sent: text was added in Outlook's window, where it is not protected. Open the Medipeps pane to put the item right.",
  attachments: "Not sent: files attached in Outlook's window are not protected. Attach them in the Medipeps pane.",
  recipients: "Not sent: the recipients are not those whom Medipeps has sent this mail to. Open the Medipeps pane to put them right.",
  bcc: "Not sent: Medipeps has no blind copies. Write a second mail to those people.",
  quotes: "Not sent: this mail comes from a protected one and cannot go unprotected. Answer or forward in the Medipeps pane.",
  unreadable: "Not sent: Outlook did not let Medipeps check this mail. Try again, or open the Medipeps pane.",
};

const fr: Texts = {
  open: "Ouvrir Medipeps",
  read: "Pour lire ce message, ouvrez le volet Medipeps.",
  unmarked: "Non envoyé : choisissez dans le volet Medipeps si ce message est protégé. Ce qui est écrit dans la fenêtre d’Outlook ne l’est pas.",
  not_sent: "Non envoyé : Medipeps n’a pas encore envoyé ce message. Ouvrez le volet Medipeps et envoyez-le d’abord.",
  subject: "Non envoyé : l’objet a été modifié dans Outlook. Le véritable objet s’écrit dans le volet Medipeps ; ouvrez-le pour rétablir.",
  body: "Non envoyé : du texte a été ajouté dans la fenêtre d’Outlook, où il n’est pas protégé. Ouvrez le volet Medipeps pour rétablir.",
  attachments: "Non envoyé : les fichiers joints dans la fenêtre d’Outlook ne sont pas protégés. Joignez-les dans le volet Medipeps.",
  recipients: "Non envoyé : les destinataires ne sont pas ceux à qui Medipeps a envoyé ce message. Ouvrez le volet Medipeps pour rétablir.",
  bcc: "Non envoyé : Medipeps n’a pas de copie cachée. Écrivez un second message à ces personnes.",
  quotes: "Non envoyé : ce message vient d’un message protégé et ne peut partir sans protection. Répondez dans le volet Medipeps.",
  unreadable: "Non envoyé : Outlook n’a pas laissé Medipeps vérifier ce message. Réessayez, ou ouvrez le volet Medipeps.",
};

/** The texts for a language tag of Outlook's. */
export function textsFor(language: string): Texts {
  return /^fr\b/i.test(language) ? fr : en;
}
