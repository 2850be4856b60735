//! Why a group refuses something.

use mls_rs::error::MlsError;
use thiserror::Error;

use super::policy::PolicyError;
use crate::franking::FrankingError;
use crate::limits::{GROUP_EPOCHS_KEPT, GROUP_MEMBERS_MAX, GROUP_MESSAGE_LENGTH_MAX};
use crate::wire::WireError;

/// Which rule of the group a commit, a proposal, a leaf or a message breaks. Every member comes to the same result, since
/// all it rests on is authenticated by MLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The leaf's credential is no device certificate, or one that does not verify.
    #[error("a leaf's credential is not a verified device certificate")]
    Certificate,
    /// The leaf's signature key is not the certificate's.
    #[error("a leaf's signature key is not its device's")]
    DeviceKey,
    /// The leaf's account is not in the roster, or not with this account key.
    #[error("a leaf's account is not in the roster under its key")]
    NotInRoster,
    /// The policy is missing or breaks its own rules.
    #[error("the group's policy is refused")]
    Policy,
    /// Who is no owner changed the policy.
    #[error("only an owner changes the policy")]
    PolicyByOther,
    /// Who is no owner added a device of another account.
    #[error("only an owner adds another account's device")]
    AddByOther,
    /// Who is no owner removed a device of another account.
    #[error("only an owner removes another account's device")]
    RemoveByOther,
    /// An account left the roster, or its key changed, and a leaf of it stayed.
    #[error("an account left the roster and a leaf of it stayed")]
    LeafOutsideRoster,
    /// More leaves than the limit.
    #[error("a group has at most {GROUP_MEMBERS_MAX} devices")]
    TooManyMembers,
    /// A kind of proposal that groups do not use: pre-shared keys, re-initialisation, extensions other than ours.
    #[error("a kind of proposal that groups do not use")]
    Proposal,
    /// Someone who is no member proposes.
    #[error("a proposal of someone who is no member")]
    Outsider,
    /// An external commit that does more or less than taking the place of a leaf of its own account.
    #[error("an external commit must take the place of a leaf of its own account, and do nothing else")]
    ExternalCommit,
    /// A member's commit or proposal in the clear inside the wrapping.
    #[error("a member's handshake message is not encrypted")]
    PublicMessage,
    /// A reader posted.
    #[error("a reader posted")]
    ReaderPosted,
    /// The group has a successor; nothing but removals are taken here.
    #[error("the group is closed: it has a successor")]
    Closed,
    /// A commit changes the policy, or an invitation is to a group, and the policy did not come with it.
    #[error("the policy that the group agrees on did not come with it")]
    PolicyMissing,
    /// What came is not what the group agrees on: another policy's hash is in the group context, or none has changed.
    #[error("the policy that came is not the one that the group agrees on")]
    PolicyMismatch,
    /// A change of the policy that its committer does not make himself.
    #[error("the policy is changed by who commits, not by a proposal to him")]
    PolicyByReference,
}

/// Why a group operation fails. Nothing has changed then, unless the variant says so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupError {
    /// A record or message cannot be read.
    #[error("cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// Not an MLS message of the kind that belongs here.
    #[error("not an MLS message of the kind that belongs here")]
    NotMls,
    /// The wrapping does not open under the epoch's key: another group's entry, another epoch's, or altered.
    #[error("the entry does not open under this epoch's key")]
    Sealed,
    /// A message for another group.
    #[error("the message is for another group")]
    OtherGroup,
    /// The keys of the entry's epoch are gone; at most [`GROUP_EPOCHS_KEPT`] past epochs are kept.
    #[error("the entry's epoch is not among the last {GROUP_EPOCHS_KEPT}")]
    EpochGone,
    /// The entry's epoch is not here yet: the entries before it come first.
    #[error("the entry's epoch has not begun here")]
    EpochAhead,
    /// The message was already opened, or its key is skipped too far ahead.
    #[error("the message's key is used up or too far ahead")]
    MessageKey,
    /// The message does not verify.
    #[error("the message does not verify")]
    Unverified,
    /// Over the limit; larger content goes as a blob.
    #[error("a group message has at most {GROUP_MESSAGE_LENGTH_MAX} bytes")]
    TooLong,
    /// A rule of the group forbids it.
    #[error("the group's rules forbid it: {0}")]
    Refused(#[from] Refusal),
    /// The entry closes its epoch and is no valid commit. No member can go on from here: an owner re-creates the group
    /// under a new log, with this one as its predecessor.
    #[error("the entry that closes the epoch is no valid commit: {0}")]
    GarbageCommit(Box<Self>),
    /// The entry that closes the epoch is a commit of this very device, whose secrets it does not have: it was put back to an
    /// older state. The others have gone on; it comes back by [`super::GroupEngine::rejoin`]. Garbage can be made to look
    /// like it; then nobody has gone on, and whoever is asked for help says so.
    #[error("this device's own commit, whose secrets are lost")]
    OwnCommitLost,
    /// A commit in an entry that does not close its epoch: whoever took it would be alone.
    #[error("a commit in an entry that does not close the epoch")]
    CommitOutOfPlace,
    /// A policy is refused before it is proposed.
    #[error("the policy is refused: {0}")]
    Policy(#[from] PolicyError),
    /// A key package is refused.
    #[error("the key package is refused: {0}")]
    KeyPackage(#[from] KeyPackageError),
    /// The Welcome is for none of this device's key packages: it was used before, or was never for this device.
    #[error("the invitation is for none of this device's key packages")]
    NoKeyPackage,
    /// There is no such leaf.
    #[error("no such member")]
    NoSuchMember,
    /// One's own leaf goes by leaving, not by a commit of one's own (RFC 9420 section 12.2).
    #[error("a commit cannot remove its own sender")]
    RemovesSelf,
    /// A commit waits for the server's answer.
    #[error("a commit is already pending")]
    CommitPending,
    /// No commit waits.
    #[error("no commit is pending")]
    NoCommitPending,
    /// Proposals of others are to be committed before anything is sent (RFC 9420 section 12.4).
    #[error("proposals must be committed first")]
    CommitFirst,
    /// This device is no longer in the group.
    #[error("this device was removed from the group")]
    Removed,
    /// The stored pages are not one state.
    #[error("the stored state is refused: {0}")]
    State(#[from] StateError),
    /// A message whose sender is not bound to it: it could not be reported, and is shown to nobody.
    #[error("the message is not franked as it must be: {0}")]
    Franking(#[from] FrankingError),
    /// Anything else that MLS forbids; the text is for logs.
    #[error("MLS refuses: {0}")]
    Mls(String),
}

/// Why stored pages are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// The manifest or a page cannot be read.
    #[error("a record cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// A page that the manifest names is not there.
    #[error("page {0} is missing")]
    MissingPage(u32),
    /// A page of another group, number or generation than the manifest names: an older store, or a mix.
    #[error("page {0} belongs to another state")]
    OtherPage(u32),
    /// A section is missing, or MLS does not read it.
    #[error("a section is missing or cannot be read")]
    Section,
}

/// Why a key package is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyPackageError {
    /// Not a key package, or over its limit.
    #[error("not a key package")]
    Malformed,
    /// Of another suite than the group's.
    #[error("of another cipher suite")]
    Suite,
    /// Its credential is no verified device certificate, or for another leaf key.
    #[error("its certificate does not verify")]
    Certificate,
    /// It is not for the device that was asked for, or that device is not in the account's statement.
    #[error("not of this device of the account")]
    Device,
    /// Too old or not yet good.
    #[error("outside of its lifetime")]
    Lifetime,
    /// Its signature does not verify, or MLS finds something else.
    #[error("it does not verify")]
    Unverified,
}

impl GroupError {
    /// What an error of the library means, with the refusal that our rules left behind if they were asked.
    pub(super) fn from_mls(error: &MlsError, refusal: Option<Refusal>) -> Self {
        if let Some(refusal) = refusal {
            return Self::Refused(refusal);
        }
        match error {
            MlsError::GroupIdMismatch => Self::OtherGroup,
            MlsError::SerializationError(_) | MlsError::UnexpectedMessageType => Self::NotMls,
            MlsError::EpochNotFound => Self::EpochGone,
            MlsError::InvalidEpoch => Self::EpochAhead,
            MlsError::KeyMissing(_) | MlsError::InvalidFutureGeneration(_) => Self::MessageKey,
            MlsError::CryptoProviderError(_)
            | MlsError::InvalidSignature
            | MlsError::InvalidConfirmationTag
            | MlsError::InvalidMembershipTag => Self::Unverified,
            MlsError::WelcomeKeyPackageNotFound => Self::NoKeyPackage,
            MlsError::CommitterSelfRemoval => Self::RemovesSelf,
            MlsError::CommitRequired => Self::CommitFirst,
            MlsError::LeafNotFound(_)
            | MlsError::MemberNotFound
            | MlsError::RemovingNonExistingMember
            | MlsError::InvalidNodeIndex(_) => Self::NoSuchMember,
            other => Self::Mls(format!("{other:?}")),
        }
    }
}
