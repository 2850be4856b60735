//! Every domain-separation label, once. `spec/labels.md` holds the same list; a test compares the two.

/// A domain-separation label: at most 255 bytes of ASCII, none the same as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(&'static str);

impl Label {
    /// The label's bytes, as HKDF takes them for `info`.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// One byte of length and then the label: what goes before everything that is signed or hashed.
    #[must_use]
    pub fn prefix(self) -> Vec<u8> {
        let mut prefix = Vec::with_capacity(1 + self.0.len());
        prefix.push(self.0.len() as u8);
        prefix.extend_from_slice(self.0.as_bytes());
        prefix
    }
}

macro_rules! labels {
    ($($(#[$documentation:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$documentation])* pub const $name: Label = Label($text);)*

        /// All labels, for the test against `spec/labels.md`.
        pub const ALL: &[Label] = &[$($name),*];
    };
}

labels! {
    /// Signs a device certificate (account key).
    DEVICE_CERTIFICATE = "Medipeps device certificate";
    /// Signs an account statement (account key or recovery key).
    ACCOUNT_STATEMENT = "Medipeps account statement";
    /// Hashes an account statement for the chain.
    STATEMENT_HASH = "Medipeps statement hash";
    /// Hashes a recovery key for the statement.
    RECOVERY_KEY_HASH = "Medipeps recovery key hash";
    /// Hashes two account keys into a safety number.
    SAFETY_NUMBER = "Medipeps safety number";
    /// Hashes a verification code into its checksum.
    VERIFICATION_CODE = "Medipeps verification code";
    /// Signs a signed prekey (device key).
    SIGNED_PREKEY = "Medipeps signed prekey";
    /// Signs an ML-KEM-1024 prekey (device key).
    KEM_PREKEY = "Medipeps KEM prekey";
    /// Signs an X-Wing seal prekey (device key).
    SEAL_PREKEY = "Medipeps seal prekey";
    /// Signs an upload of prekeys (device key).
    PREKEY_UPLOAD = "Medipeps prekey upload";
    /// Derives SK in PQXDH.
    PQXDH = "Medipeps v1 PQXDH X25519 SHA-256 ML-KEM-1024";
    /// Hashes what both sides of a handshake agree on into the associated data of the session.
    ASSOCIATED_DATA = "Medipeps v1 associated data";
    /// Hashes a handshake's public parts into the session's id.
    SESSION_ID = "Medipeps v1 session id";
    /// Expands SK into the five keys that a session begins with.
    SESSION_KEYS = "Medipeps v1 session keys";
    /// Derives the root key, chain key and next header key of a DH step.
    ROOT_KEY = "Medipeps v1 root key";
    /// Derives the AEAD key and nonce of one message.
    MESSAGE_KEY = "Medipeps v1 message key";
    /// Derives a hint key from a header key.
    HINT_KEY = "Medipeps v1 hint key";
    /// Derives the AEAD key and nonce that seal a first flight.
    FIRST_FLIGHT = "Medipeps v1 first flight";
    /// Derives the key of a device's decoys from its X25519 key.
    DECOY = "Medipeps v1 decoy";
    /// Signs the server's answer to `Hello` (server key).
    SERVER_HELLO = "Medipeps server hello";
    /// Hashes a server key for an invitation code.
    SERVER_KEY_HASH = "Medipeps server key hash";
    /// Signs the proof of device (device key).
    DEVICE_PROOF = "Medipeps device proof";
    /// The TLS exporter that a proof of device and a server's hello are bound to (RFC 8446 section 7.5).
    TLS_EXPORTER = "EXPERIMENTAL-Medipeps-channel";
    /// Signs the deletion of an account (account key).
    DELETE_ACCOUNT = "Medipeps delete account";
    /// Hashes the secret of an invitation, which the server keeps only as this hash.
    INVITATION_HASH = "Medipeps invitation hash";
    /// Derives the payload key and the commitment of an attachment from its key.
    ATTACHMENT_KEYS = "Medipeps v0 attachment keys";
    /// Hashes the digests of an attachment's parts into its root.
    ATTACHMENT_ROOT = "Medipeps v0 attachment root";
    /// Hashes the upload secret of a blob, which the server keeps only as this hash.
    BLOB_UPLOAD_SECRET_HASH = "Medipeps blob upload secret";
    /// Derives the key that wraps a store's master key, from a stretched passphrase or a platform key.
    STORE_WRAPPING_KEY = "Medipeps store wrapping key";
    /// Derives the store key from the master key.
    STORE_KEY = "Medipeps store key";
    /// Derives the key that hides the names of records, from the master key.
    STORE_NAME_KEY = "Medipeps store name key";
    /// Derives the key that wraps the state key of a day, from the master key.
    STORE_STATE_WRAPPING_KEY = "Medipeps store state wrapping key";
    /// Derives the key that authenticates the generation, from the master key.
    STORE_GENERATION_KEY = "Medipeps store generation key";
    /// Derives the name under which a machine keeps the highest generation of a device's store, from the master key.
    STORE_ANCHOR_NAME = "Medipeps store anchor name";
    /// Derives the payload key and the commitment of a backup, from a stretched passphrase or recovery code.
    BACKUP_KEYS = "Medipeps v1 backup keys";
    /// Hashes a backup's recovery code into its checksum.
    BACKUP_RECOVERY_CODE = "Medipeps backup recovery code";
    /// Derives the first root key and chains of the sparse post-quantum ratchet.
    SPQR_START = "Medipeps v1 SPQR chain start";
    /// Derives the next root key and an epoch's chains.
    SPQR_ADD_EPOCH = "Medipeps v1 SPQR chain add epoch";
    /// Derives one message's key and the next chain key of the sparse post-quantum ratchet.
    SPQR_STEP = "Medipeps v1 SPQR chain step";
    /// Derives an epoch's key from ML-KEM's shared secret; the epoch follows the label.
    BRAID_KEY = "Medipeps v1 braid key";
    /// Derives the next root and MAC key of the Braid's authenticator; the epoch follows the label.
    BRAID_AUTHENTICATOR = "Medipeps v1 braid authenticator";
    /// Authenticates an encapsulation key's header in the Braid.
    BRAID_HEADER_MAC = "Medipeps v1 braid header";
    /// Authenticates a ciphertext in the Braid.
    BRAID_CIPHERTEXT_MAC = "Medipeps v1 braid ciphertext";
    /// Derives where offer and answer of a linking lie, and the keys that seal them, from the code's secret.
    LINKING_RENDEZVOUS = "Medipeps v1 linking rendezvous";
    /// Hashes a sealed linking offer for its code.
    LINKING_OFFER = "Medipeps v1 linking offer";
    /// Makes the checksum of a linking code.
    LINKING_CHECKSUM = "Medipeps v1 linking checksum";
    /// Hashes what a new device will reveal.
    LINKING_COMMITMENT = "Medipeps v1 linking commitment";
    /// Hashes offer and answer of a linking, and these with the reveal.
    LINKING_TRANSCRIPT = "Medipeps v1 linking transcript";
    /// Derives where reveal, confirmation and grant of a linking lie, and the keys that seal them, from the shared secret.
    LINKING_KEYS = "Medipeps v1 linking keys";
    /// Hashes a linking into the digits that both devices show.
    LINKING_COMPARISON = "Medipeps v1 linking comparison";
    /// Derives the upload secret of one blob of a linking from a device's seed.
    LINKING_UPLOAD_SECRET = "Medipeps v1 linking upload secret";
    /// The MLS exporter's label for the seed of an epoch's access key (RFC 9420 section 8.5).
    GROUP_ACCESS_KEY = "Medipeps group access key";
    /// The MLS exporter's label for the key that wraps an epoch's log entries.
    GROUP_OUTER_KEY = "Medipeps group outer key";
    /// Goes before what the wrapping of a log entry authenticates.
    GROUP_ENTRY = "Medipeps group entry";
    /// Hashes the first access key of a group log into its id.
    GROUP_LOG_ID = "Medipeps group log id";
    /// Hashes a group's policy into what the group context has of it.
    GROUP_POLICY = "Medipeps group policy";
    /// Signs the creation of a group log (access key of its first epoch).
    GROUP_LOG_CREATE = "Medipeps group log create";
    /// Signs an entry of a group log (access key of its epoch).
    GROUP_APPEND = "Medipeps group append";
    /// Proves the right to read an epoch of a group log on one connection (access key of the epoch).
    GROUP_READ = "Medipeps group read";
    /// Signs a signal to those who watch a group log, for one connection (access key of the epoch).
    GROUP_SIGNAL = "Medipeps group signal";
    /// Signs where a reader of a group log is woken, for one connection (access key of the epoch).
    GROUP_WAKE = "Medipeps group wake";
    /// Derives the key that seals what a signal carries from an epoch's outer key.
    GROUP_SIGNAL_KEY = "Medipeps key of group signals";
    /// Signs what a signal carries (device key).
    GROUP_TYPING = "Medipeps group typing";
    /// Signs an upload of key packages (device key).
    KEY_PACKAGE_UPLOAD = "Medipeps key package upload";
    /// Signs the transcript of a case (device key).
    CASE_TRANSCRIPT = "Medipeps case transcript";
    /// Signs an organisation's statement (k administrator keys).
    ORGANISATION_STATEMENT = "Medipeps organisation statement";
    /// Hashes an organisation's statement for the chain, and the first one into the organisation's id.
    ORGANISATION_HASH = "Medipeps organisation hash";
    /// Signs a member's certificate (k administrator keys).
    ORGANISATION_MEMBER = "Medipeps organisation member";
    /// Hashes what members of an organisation tell each other, which goes in pieces.
    ORGANISATION_MESSAGE = "Medipeps organisation message";
    /// Hashes what administrators are to sign into the id by which it is known.
    ORGANISATION_DRAFT = "Medipeps organisation draft";
    /// Derives the key pair of an issuer key from its seed (RFC 9497 section 3.2.1, info).
    ISSUER_KEY_PAIR = "Medipeps issuer key pair";
    /// Hashes an issuer's public key and its day into its id.
    ISSUER_KEY_ID = "Medipeps issuer key id";
    /// Signs the list of a server's issuer keys (server key).
    ISSUER_KEY_LIST = "Medipeps issuer key list";
    /// Goes before what the VOPRF is evaluated on for a token.
    TOKEN_INPUT = "Medipeps token input";
    /// Hashes what a token has paid for, for the record of it.
    TOKEN_PURPOSE = "Medipeps token purpose";
    /// Signs a voucher for another server (server key).
    VOUCHER_ISSUE = "Medipeps voucher issue";
    /// Hashes a voucher into the id under which it is spent.
    VOUCHER_ID = "Medipeps voucher id";
    /// Signs a batch of blinded elements that a voucher is to pay for, for one connection (key of the voucher).
    VOUCHER_REDEMPTION = "Medipeps voucher redemption";
    /// Hashes a delivery key, which the server keeps only as this hash.
    DELIVERY_KEY_HASH = "Medipeps delivery key hash";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn labels_differ_and_fit_their_length_byte() {
        let texts: BTreeSet<_> = ALL.iter().map(|label| label.0).collect();
        assert_eq!(texts.len(), ALL.len());
        assert!(ALL.iter().all(|label| label.0.is_ascii() && label.0.len() <= 255));
    }

    #[test]
    fn no_label_begins_another() {
        // Some are followed by an epoch in `info`.
        for one in ALL {
            assert!(ALL.iter().all(|other| one == other || !other.0.starts_with(one.0)), "{}", one.0);
        }
    }

    #[test]
    fn the_specification_lists_the_same_labels() {
        let specification = include_str!("../spec/labels.md");
        let listed: BTreeSet<_> = specification
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(label, _)| label))
            .collect();
        assert_eq!(listed, ALL.iter().map(|label| label.0).collect());
    }
}
