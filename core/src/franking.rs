//! Franking: a sender is bound to each message of a group, so that one of them can be opened to an officer and no other.
//! `spec/franking.md`.
//!
//! MLS has every device sign what it says, over the content itself, before it is encrypted. Members check that before they
//! show anything, and keep what the signature is over beside the content ([`FrankingProof`]). To report a message is to hand
//! its content and that on: the officer makes the signed bytes again, and checks the signature himself.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::signature::{Signature, VerifyingKey, verify_unlabelled};
use crate::group::LogId;
use crate::group::framing::{FramedContent, group_and_epoch};
use crate::group::provider::Seen;
use crate::kind::{Content, ContentError};

/// What a third party needs beside a content to see that a device has said it in a group: MLS's signature, and what else it
/// is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrankingProof {
    /// The group's context in the epoch of the message, as MLS encodes it (RFC 9420 section 8.1): the group's id, the epoch,
    /// hashes of tree, transcript and policy. About 150 bytes.
    pub group_context: Vec<u8>,
    /// The sender's leaf in the group's tree.
    pub leaf: u32,
    /// The sender's device's, made by MLS.
    pub signature: Signature,
}

/// A content as it was encrypted, and what shows who said it.
#[derive(Clone, PartialEq, Eq)]
pub struct FrankedContent {
    /// An encoded content.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Who said it.
    pub proof: FrankingProof,
}

/// What a device has said in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrankedMessage {
    /// What.
    pub content: Content,
    /// In which epoch.
    pub epoch: u64,
}

/// Why a group message is refused, or a report of one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrankingError {
    /// What lies beside the message is not the id of the group's log.
    #[error("the message is for another log")]
    OtherLog,
    /// MLS was not seen to sign or to verify this very message under the key of its sender's device.
    #[error("no signature of this message was seen")]
    Unseen,
    /// The group context is none.
    #[error("the group context is none of a group")]
    GroupContext,
    /// The device did not sign this in this group.
    #[error("the signature of the message does not verify")]
    Signature,
    /// The content is none.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl FrankingProof {
    /// What shows that this message was signed, out of what MLS was seen to sign or to verify last: it must be this very
    /// message, under the key of this device.
    pub(crate) fn of(
        message: &FramedContent<'_>,
        device_key: &[u8],
        seen: Option<&Seen>,
    ) -> Result<Self, FrankingError> {
        let seen = seen.filter(|seen| seen.key.as_bytes() == device_key).ok_or(FrankingError::Unseen)?;
        let group_context = message.group_context_in(&seen.signed).ok_or(FrankingError::Unseen)?.to_vec();
        Ok(Self { group_context, leaf: message.leaf, signature: seen.signature })
    }
}

/// Checks as an officer that a device has said this in the group with this log, and reads it.
///
/// # Errors
/// [`FrankingError`]
pub fn open(
    content: &[u8],
    proof: &FrankingProof,
    log_id: &LogId,
    device_key: &VerifyingKey,
) -> Result<FrankedMessage, FrankingError> {
    let read = Content::decode(content)?;
    let (group_id, epoch) = group_and_epoch(&proof.group_context).ok_or(FrankingError::GroupContext)?;
    let message = FramedContent { group_id: &group_id, epoch, leaf: proof.leaf, log_id, content };
    let signed = message.signed_bytes(&proof.group_context).map_err(|_| FrankingError::GroupContext)?;
    verify_unlabelled(device_key.as_bytes(), &signed, &proof.signature).map_err(|_| FrankingError::Signature)?;
    Ok(FrankedMessage { content: read, epoch })
}

impl fmt::Debug for FrankedContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FrankedContent({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::Signer;

    use super::*;
    use crate::group::{GroupEngine, GroupId, GroupPolicy, Suite};
    use crate::kind::test_content::content;
    use crate::kind::{Body, Chat};
    use crate::test_party::Party;
    use crate::test_rng::rng;

    /// What somebody says in a group of his own: the group's log, what he says, and what he is bound to it by.
    pub(crate) fn franked_by(sender: &Party, text: &str, seed: u8) -> (LogId, Content, FrankedContent) {
        let rng = &mut rng(seed);
        let engine =
            GroupEngine { certificate: sender.statement.device(1).unwrap(), signing_key: &sender.keys.signing_key };
        let key = *sender.statement.account_key().as_bytes();
        let policy = GroupPolicy::new("Ward 3", sender.statement.address(), key, "clinic.example");
        let mut group = engine.create(Suite::PostQuantum, &policy, 1_790_000_000, rng).unwrap();
        let content = content(Body::Chat(Chat::Text { text: text.into() }));
        let bytes = content.encode().unwrap();
        let proof = group.encrypt(&bytes, rng).unwrap().proof;
        (group.log_id(), content, FrankedContent { bytes, proof })
    }

    fn key(party: &Party) -> VerifyingKey {
        party.keys.signing_key.verifying_key()
    }

    #[test]
    fn a_message_opens_as_it_was_and_under_its_sender_s_key_and_log_alone() {
        let [sender, other] = [Party::new("karim", 1, 1), Party::new("claire", 2, 1)];
        let (log, content, franked) = franked_by(&sender, "Potassium 6.1", 3);
        let opened = |log: &LogId, party: &Party| open(&franked.bytes, &franked.proof, log, &key(party));
        assert_eq!(opened(&log, &sender), Ok(FrankedMessage { content, epoch: 0 }));
        assert_eq!(opened(&log, &other), Err(FrankingError::Signature));
        assert_eq!(opened(&[8; 32], &sender), Err(FrankingError::Signature));
    }

    #[test]
    fn no_other_content_and_nothing_else_fits_a_signature() {
        let sender = Party::new("karim", 1, 1);
        let (log, _, franked) = franked_by(&sender, "5 mg", 3);
        let opens = |bytes: &[u8], proof: &FrankingProof| open(bytes, proof, &log, &key(&sender)).is_ok();
        assert!(opens(&franked.bytes, &franked.proof));
        for bit in 0..franked.bytes.len() * 8 {
            let mut bytes = franked.bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&bytes, &franked.proof), "content, bit {bit}");
        }
        for bit in 0..franked.proof.group_context.len() * 8 {
            let mut proof = franked.proof.clone();
            proof.group_context[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&franked.bytes, &proof), "context, bit {bit}");
        }
        for bit in 0..64 * 8 {
            let mut proof = franked.proof.clone();
            proof.signature[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&franked.bytes, &proof), "signature, bit {bit}");
        }
        assert!(!opens(&franked.bytes, &FrankingProof { leaf: 1, ..franked.proof.clone() }));
        // Another group of the same sender, and what he has said there.
        let (_, _, elsewhere) = franked_by(&sender, "5 mg", 4);
        assert_eq!(elsewhere.bytes, franked.bytes);
        assert!(!opens(&franked.bytes, &elsewhere.proof));
        let context = elsewhere.proof.group_context;
        assert!(!opens(&franked.bytes, &FrankingProof { group_context: context, ..franked.proof.clone() }));
    }

    /// A device can sign anything. What no member would take is no proof of anything that members have seen.
    #[test]
    fn what_a_group_and_its_context_say_of_themselves_is_the_same() {
        let sender = Party::new("karim", 1, 1);
        let (log, _, franked) = franked_by(&sender, "5 mg", 3);
        let (group_id, epoch) = group_and_epoch(&franked.proof.group_context).unwrap();
        let message = FramedContent { group_id: &group_id, epoch, leaf: 0, log_id: &log, content: &franked.bytes };
        let opened = |message: FramedContent<'_>, group_context: &[u8]| {
            let signed = message.signed_bytes(group_context).unwrap();
            let secret = sender.keys.signing_key.to_secret();
            let signature = ed25519_dalek::SigningKey::from_bytes(secret.as_bytes()).sign(&signed).to_bytes();
            let proof = FrankingProof { group_context: group_context.to_vec(), leaf: message.leaf, signature };
            open(message.content, &proof, &log, &key(&sender)).map(|opened| opened.epoch)
        };
        let context = franked.proof.group_context.as_slice();
        assert_eq!(opened(message, context), Ok(0));
        assert_eq!(opened(FramedContent { epoch: 1, ..message }, context), Err(FrankingError::Signature));
        let elsewhere = GroupId([9; 32]);
        assert_eq!(opened(FramedContent { group_id: &elsewhere, ..message }, context), Err(FrankingError::Signature));
        let longer = [context, &[0]].concat();
        assert_eq!(opened(message, &longer), Err(FrankingError::GroupContext));
        assert_eq!(opened(message, &context[..context.len() - 1]), Err(FrankingError::GroupContext));
        assert_eq!(opened(message, &[]), Err(FrankingError::GroupContext));
        let no_content = FramedContent { content: b"no content", ..message };
        assert!(matches!(opened(no_content, context), Err(FrankingError::Content(_))));
    }

    #[test]
    fn what_was_seen_of_another_message_or_another_device_proves_nothing() {
        let [sender, other] = [Party::new("karim", 1, 1), Party::new("claire", 2, 1)];
        let (log, _, franked) = franked_by(&sender, "5 mg", 3);
        let (group_id, epoch) = group_and_epoch(&franked.proof.group_context).unwrap();
        let message = FramedContent { group_id: &group_id, epoch, leaf: 0, log_id: &log, content: &franked.bytes };
        let seen = |message: &FramedContent<'_>| Seen {
            key: key(&sender),
            signed: message.signed_bytes(&franked.proof.group_context).unwrap(),
            signature: franked.proof.signature,
        };
        let of = |seen: Option<Seen>, party| FrankingProof::of(&message, key(party).as_bytes(), seen.as_ref());
        assert_eq!(of(Some(seen(&message)), &sender), Ok(franked.proof.clone()));
        assert_eq!(of(Some(seen(&message)), &other), Err(FrankingError::Unseen));
        assert_eq!(of(None, &sender), Err(FrankingError::Unseen));
        let another = FramedContent { content: b"50 mg", ..message };
        assert_eq!(of(Some(seen(&another)), &sender), Err(FrankingError::Unseen));
        assert_eq!(of(Some(seen(&FramedContent { epoch: 1, ..message })), &sender), Err(FrankingError::Unseen));
    }
}
