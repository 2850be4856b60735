// Français.

import type { Translation } from "../language.ts";
import type { en } from "./en.ts";

export const fr: Translation<typeof en> = {
  language: "Langue",
  close: "Fermer",
  cancel: "Annuler",
  save: "Enregistrer",
  remove: "Retirer",
  unexpected: (message) => `Une erreur inattendue s’est produite : ${message}`,

  mail: {
    frame: (subject) => `Texte du message « ${subject} »`,
  },

  attachments: {
    title: "Pièces jointes",
    add: "Joindre des fichiers",
    drop: "Déposez des fichiers ici, ou choisissez-les",
    save: (name) => `Enregistrer ${name}`,
    remove: (name) => `Retirer ${name}`,
    progress: (name) => `Progression de ${name}`,
    done: "terminé",
    waiting: "en attente",
  },

  recipients: {
    hint: "Adresses complètes, par exemple nom@clinique.example. Entrée, virgule ou espace ajoute l’adresse.",
    add: "Ajouter",
    remove: (address) => `Retirer ${address}`,
    looking: "est en cours de recherche",
    ready: "a une clé",
    verified: "a une clé vérifiée",
    later: "ne peut pas être recherchée maintenant ; le message attendra",
    malformed: "n’est pas une adresse complète",
    unreachable: "ne peut pas recevoir de message",
    said: (address, state) => `${address} ${state}`,
    again: "Rechercher à nouveau",
    acceptKey: "Accepter la nouvelle clé",
    instead: (address) => `Au lieu d’écrire à ${address}`,
  },

  errors: {
    argument: (message) => `Saisie incorrecte : ${message}`,
    busy: "Un autre onglet ou une autre fenêtre de ce navigateur utilise le compte. Utilisez-le, ou fermez-le.",
    store: "La base de données du navigateur est en échec. Rien ne se fait plus avant que cette page soit rechargée.",
    quota: "Le navigateur n’a plus de place. Rien n’a été mis en attente ; supprimez des fichiers ou les données d’autres sites, puis réessayez.",
    network: "Le serveur est injoignable. Ce que vous avez envoyé est conservé et partira plus tard.",
    refused: (reason) => `Le serveur refuse (${reason}).`,
    contact: (reason) => `Personne ne peut écrire à cette adresse pour le moment (${reason}).`,
    not_found: "Cet élément n’est plus ici.",
    linking: (reason) => `L’association est terminée (${reason}). Rien n’a changé ; recommencez avec un nouveau code.`,
    document: (reason) => `Le fichier est indisponible (${reason}).`,
    engine: (message) => `Le compte ne peut pas faire cela maintenant : ${message}`,
    closed: "Le compte a été fermé. Rechargez cette page.",
    internal: (message) => `Une erreur inattendue s’est produite : ${message}`,
  },

  reasons: {
    unknown_account: "Aucun compte n’a cette adresse.",
    key_changed: "La clé de cette adresse a changé. Appelez la personne avant de l’accepter.",
    statement: "Ce que le serveur dit de cette adresse ne tient pas. N’écrivez pas ; prévenez l’exploitant du serveur.",
    unknown_domain: "Aucun serveur Medipeps n’est connu pour ce domaine.",
    blocked: "Vous avez bloqué cette adresse.",
    wrong_recovery_key: "Ce n’est pas la clé de récupération de ce compte. Comparez-la caractère par caractère ; rien n’a changé.",
    no_devices: "Aucun appareil ne pourrait lire un message.",
    UnknownAccount: "Aucun compte n’a cette adresse.",
    AddressTaken: "Cette adresse appartient à quelqu’un d’autre. Choisissez-en une autre.",
    WrongDomain: "Cette adresse n’est pas du domaine de ce serveur.",
    InvitationUnknown: "Le serveur ne connaît pas cette invitation. Copiez-la à nouveau, ou demandez-en une autre.",
    InvitationUsed: "Cette invitation a déjà servi. Demandez-en une nouvelle.",
    InvitationExpired: "Cette invitation a expiré. Demandez-en une nouvelle.",
    SeatsExhausted: "Votre cabinet a autant de comptes que sa licence en permet. Prévenez qui vous a invité ; l’invitation reste valable.",
    RateLimited: "Trop de demandes. Attendez une minute et réessayez.",
    QueueFull: "La file du destinataire est pleine. L’envoi sera retenté plus tard.",
    RequestLaneFull: "Trop de messages d’inconnus attendent le destinataire. L’envoi sera retenté plus tard.",
    BlobStoreFull: "Le serveur n’a pas de place pour ce fichier pour le moment.",
    UnknownBlob: "Le fichier n’est plus sur le serveur.",
    UnknownDevice: "Ce navigateur a été retiré du compte.",
    ShuttingDown: "Le serveur s’arrête. Réessayez dans une minute.",
    StorageUnavailable: "Le serveur ne peut rien enregistrer maintenant. Réessayez plus tard.",
    VoucherRefused: "L’autre serveur n’accepte pas de messages du vôtre.",
  },
};
