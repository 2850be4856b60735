//! What comes out of the log.

use std::sync::Arc;

use mls_rs::MlsMessage;
use mls_rs::MlsMessageDescription;
use mls_rs::error::MlsError;
use mls_rs::group::proposal::Proposal;
use mls_rs::group::{
    ApplicationMessageDescription, CommitEffect, CommitMessageDescription, ContentType, NewEpoch, ProposalSender,
    ReceivedMessage, Sender,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::credential::{LeafName, certificate_bytes};
use super::entry;
use super::error::{GroupError, Refusal};
use super::framing::FramedContent;
use super::judge::Agreed;
use super::member::{Group, GroupMember, named};
use super::policy::{GroupPolicy, Role};
use super::policy_change::GroupPolicyChange;
use super::provider::Seen;
use crate::crypto::signature::VerifyingKey;
use crate::franking::{FrankedContent, FrankingError, FrankingProof};
use crate::kind::Content;
#[cfg(doc)]
use crate::wire::identity::SignedDeviceCertificate;

/// An entry, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message of a member, signed by its device, which is bound to it.
    Message {
        /// Who wrote it.
        sender: GroupMember,
        /// What it says.
        content: Box<Content>,
        /// The bytes that were encrypted, and what shows who said them: to be kept, so that the message can be reported.
        franked: FrankedContent,
        /// The signing key of the sender's device.
        device_key: VerifyingKey,
        /// The sender's device's certificate, an encoded [`SignedDeviceCertificate`]. It goes with a report.
        certificate: Vec<u8>,
    },
    /// A message of this device: its text is known, and cannot be decrypted here. A member can make an entry that looks like
    /// it; what this device sent is known by its entry id.
    Own,
    /// A device asks to be removed. Commit before sending anything.
    Leaving(GroupMember),
    /// Another proposal. Commit before sending anything; the commit leaves out what the rules forbid.
    Proposal(GroupMember),
    /// A commit; a new epoch has begun.
    Epoch(EpochChange),
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochChange {
    /// The epoch that began.
    pub epoch: u64,
    /// Who committed; for one who rejoined, his new leaf.
    pub committer: GroupMember,
    /// Devices that came.
    pub added: Vec<GroupMember>,
    /// Devices that went, with the roles that they had.
    pub removed: Vec<GroupMember>,
    /// A device came back by itself, in the place of one of its account. Members should be shown that.
    pub rejoined: Option<Rejoined>,
    /// Whether the policy is another one now.
    pub policy_changed: bool,
    /// Whether this device was among the removed. The group cannot be used any more.
    pub removed_self: bool,
}

/// A device that took the place of another one of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejoined {
    /// Who was there before.
    pub replaced: GroupMember,
    /// Who is there now.
    pub joined: GroupMember,
}

/// Why an entry was not processed.
pub(super) enum Failure {
    /// And nothing has changed.
    Untouched(GroupError),
    /// And what has changed must be undone: a key was taken for it.
    Touched(GroupError),
}

impl Group {
    /// Processes an entry of the log, in the log's order. `epoch` is the epoch that the log has it under, `closes_epoch`
    /// whether it is the one that closed it.
    ///
    /// # Errors
    /// [`GroupError::GarbageCommit`] if the entry closes its epoch and is no valid commit: the group cannot go on.
    /// [`GroupError::OwnCommitLost`] if it is this device's own and its secrets are gone: the others have gone on.
    /// Any other error is about this entry alone: skip it. [`GroupError::EpochAhead`] and [`GroupError::EpochGone`] mean
    /// that it does not belong here now. A commit that is refused, or an entry that does not verify, changes nothing.
    pub fn process(&mut self, entry: &[u8], epoch: u64, closes_epoch: bool) -> Result<Received, GroupError> {
        if self.removed {
            return Err(GroupError::Removed);
        }
        if epoch > self.epoch() {
            return Err(GroupError::EpochAhead);
        }
        if closes_epoch && epoch < self.epoch() {
            return Err(GroupError::EpochGone);
        }
        let pending = self.pending.as_ref().map(|pending| pending.entry_hash);
        if closes_epoch && pending == Some(Sha256::digest(entry).into()) {
            return self.adopt_commit().map(Received::Epoch);
        }
        match self.process_entry(entry, epoch, closes_epoch) {
            Err(error) if closes_epoch && error != GroupError::OwnCommitLost => {
                Err(GroupError::GarbageCommit(Box::new(error)))
            }
            processed => processed,
        }
    }

    /// The same for an entry of somebody else, or one that should be.
    fn process_entry(&mut self, entry: &[u8], epoch: u64, closes_epoch: bool) -> Result<Received, GroupError> {
        let keys = self.keys_of(epoch).ok_or(GroupError::EpochGone)?;
        let message = entry::unwrap(keys, &self.log_id, entry)?;
        match self.process_other(&message, epoch, closes_epoch) {
            Ok(received) => {
                self.note_message(message, epoch, closes_epoch)?;
                received
            }
            Err(Failure::Untouched(error)) => Err(error),
            Err(Failure::Touched(error)) => {
                self.undo()?;
                Err(error)
            }
        }
    }

    /// Processes an encoded MLSMessage. `Ok` when the state has gone on, whatever our rules say of the message that did it.
    pub(super) fn process_other(
        &mut self,
        message: &[u8],
        epoch: u64,
        closes_epoch: bool,
    ) -> Result<Result<Received, GroupError>, Failure> {
        let (message, brought) = self.opened(message, epoch, closes_epoch).map_err(Failure::Untouched)?;
        let policy = self.policy().map_err(Failure::Untouched)?;
        if !brought.is_empty() {
            self.bring(&policy, &brought).map_err(|refusal| Failure::Untouched(refusal.into()))?;
        }
        let processed = self.process_message(message, &policy, epoch, closes_epoch);
        self.end_judging();
        processed
    }

    /// Makes the policy that a commit changes to ready to be named by it.
    fn bring(&self, policy: &GroupPolicy, brought: &[u8]) -> Result<(), Refusal> {
        let change = GroupPolicyChange::decode(brought).map_err(|_| Refusal::Policy)?;
        self.judge.bring(Agreed::new(change.apply(policy))?);
        Ok(())
    }

    fn process_message(
        &mut self,
        message: MlsMessage,
        policy: &Arc<GroupPolicy>,
        epoch: u64,
        closes_epoch: bool,
    ) -> Result<Result<Received, GroupError>, Failure> {
        let provider = self.provider.clone();
        let (processed, seen) = provider.witness().during(|| self.mls.process_incoming_message(message));
        match processed {
            Ok(ReceivedMessage::ApplicationMessage(message)) => Ok(self.message(epoch, &message, seen)),
            Ok(ReceivedMessage::Proposal(proposal)) => Ok(self.proposal(policy, proposal.sender, &proposal.proposal)),
            Ok(ReceivedMessage::Commit(description)) => Ok(self.begin_epoch(policy, description).map(Received::Epoch)),
            Ok(_) => Err(Failure::Untouched(GroupError::NotMls)),
            // The sender is known before any key is taken.
            Err(MlsError::CantProcessMessageFromSelf) if closes_epoch => {
                Err(Failure::Untouched(GroupError::OwnCommitLost))
            }
            Err(MlsError::CantProcessMessageFromSelf) => Ok(Ok(Received::Own)),
            Err(error @ (MlsError::EpochNotFound | MlsError::KeyMissing(_) | MlsError::InvalidFutureGeneration(_))) => {
                Err(Failure::Untouched(self.failed(&error)))
            }
            Err(error) => Err(Failure::Touched(self.failed(&error))),
        }
    }

    /// The message, and the authenticated data of a commit.
    fn opened(&self, bytes: &[u8], epoch: u64, closes_epoch: bool) -> Result<(MlsMessage, Vec<u8>), GroupError> {
        let message = MlsMessage::from_bytes(bytes).map_err(|_| GroupError::NotMls)?;
        self.check_kind(&message, epoch, closes_epoch)?;
        let brought = match message.description() {
            _ if !closes_epoch => Vec::new(),
            MlsMessageDescription::PublicProtocolMessage { authenticated_data, .. } => authenticated_data.to_vec(),
            _ => entry::authenticated_data(bytes).ok_or(GroupError::NotMls)?,
        };
        Ok((message, brought))
    }

    /// What is told by a message's frame, before anything of it is used.
    fn check_kind(&self, message: &MlsMessage, epoch: u64, closes_epoch: bool) -> Result<(), GroupError> {
        let (group, of_epoch, kind) = match message.description() {
            MlsMessageDescription::PrivateProtocolMessage { group_id, epoch_id, content_type } => {
                (group_id, epoch_id, content_type)
            }
            // Only who is not in the group yet cannot encrypt to it.
            MlsMessageDescription::PublicProtocolMessage { group_id, epoch_id, content_type, sender, .. } => {
                if sender != Sender::NewMemberCommit {
                    return Err(Refusal::PublicMessage.into());
                }
                (group_id, epoch_id, content_type)
            }
            _ => return Err(GroupError::NotMls),
        };
        if group != self.id.0 {
            return Err(GroupError::OtherGroup);
        }
        if of_epoch != epoch {
            return Err(GroupError::NotMls);
        }
        match (kind == ContentType::Commit, closes_epoch) {
            (true, false) => Err(GroupError::CommitOutOfPlace),
            (false, true) => Err(GroupError::NotMls),
            _ => Ok(()),
        }
    }

    /// A message is judged by the roles of its epoch.
    fn message(
        &self,
        epoch: u64,
        message: &ApplicationMessageDescription,
        seen: Option<Seen>,
    ) -> Result<Received, GroupError> {
        let policy = self.past.policy(epoch).ok_or(GroupError::EpochGone)?;
        // Whoever has gone since was refused by MLS, which no longer knows his leaf.
        let leaf = message.sender_index;
        let member = self.mls.roster().member_with_index(leaf).map_err(|_| GroupError::NoSuchMember)?;
        let sender = named(policy, &member)?;
        match sender.role {
            Some(Role::Reader) => return Err(Refusal::ReaderPosted.into()),
            None => return Err(Refusal::NotInRoster.into()),
            Some(_) if policy.successor.is_some() => return Err(Refusal::Closed.into()),
            Some(_) => {}
        }
        if message.authenticated_data != self.log_id {
            return Err(FrankingError::OtherLog.into());
        }
        // The leaf's key is its certificate's: that was verified when the leaf came into the group.
        let (group_id, log_id, content) = (&self.id, &self.log_id, message.data());
        let framed = FramedContent { group_id, epoch, leaf, log_id, content };
        let seen = seen.ok_or(FrankingError::Unseen)?;
        let proof = FrankingProof::of(&framed, member.signing_identity.signature_key.as_bytes(), Some(&seen))?;
        let read = Box::new(Content::decode(content).map_err(FrankingError::from)?);
        let franked = FrankedContent { bytes: Zeroizing::new(content.to_vec()), proof };
        let certificate = certificate_bytes(&member.signing_identity)?.to_vec();
        Ok(Received::Message { sender, content: read, franked, device_key: seen.key, certificate })
    }

    fn proposal(
        &self,
        policy: &GroupPolicy,
        sender: ProposalSender,
        proposal: &Proposal,
    ) -> Result<Received, GroupError> {
        let ProposalSender::Member(sender) = sender else {
            return Err(Refusal::Outsider.into());
        };
        let member = self.member(policy, sender)?;
        match proposal {
            Proposal::Remove(removal) if removal.to_remove() == sender => Ok(Received::Leaving(member)),
            _ => Ok(Received::Proposal(member)),
        }
    }

    fn member(&self, policy: &GroupPolicy, leaf: u32) -> Result<GroupMember, GroupError> {
        let member = self.mls.roster().member_with_index(leaf).map_err(|_| GroupError::NoSuchMember)?;
        named(policy, &member)
    }

    /// Ends what a commit began: keys of the new epoch, and what is told about it. `before` is the policy until now.
    pub(super) fn begin_epoch(
        &mut self,
        before: &Arc<GroupPolicy>,
        description: CommitMessageDescription,
    ) -> Result<EpochChange, GroupError> {
        let (new_epoch, removed_self): (NewEpoch, bool) = match description.effect {
            CommitEffect::NewEpoch(new_epoch) => (*new_epoch, false),
            CommitEffect::Removed { new_epoch, .. } => (*new_epoch, true),
            CommitEffect::ReInit(_) => return Err(Refusal::Proposal.into()),
        };
        self.drop_commit();
        if removed_self {
            self.removed = true;
        } else {
            self.export_keys()?;
            let agreed = self.judge.agreed(&self.mls.context().extensions)?;
            self.begin_policy(agreed);
        }
        let after = if removed_self { before.clone() } else { self.policy()? };
        let mut change = EpochChange {
            epoch: new_epoch.epoch,
            committer: self.committer(&after, &new_epoch, description.committer, removed_self)?,
            added: Vec::new(),
            removed: Vec::new(),
            rejoined: None,
            policy_changed: new_epoch
                .applied_proposals
                .iter()
                .any(|applied| matches!(applied.proposal, Proposal::GroupContextExtensions(_))),
            removed_self,
        };
        for applied in &new_epoch.applied_proposals {
            match &applied.proposal {
                Proposal::Remove(removal) => {
                    if let Some(member) = new_epoch.prior_state.member_at_index(removal.to_remove()) {
                        change.removed.push(named(before, &member)?);
                    }
                }
                // Whoever was removed does not see the epoch that they are in.
                Proposal::Add(addition) if !removed_self => {
                    let name = LeafName::read(addition.signing_identity())?;
                    let leaf = self.leaf_of(&name)?;
                    let role = after.role(&name.address);
                    change.added.push(GroupMember { leaf, address: name.address, device_id: name.device_id, role });
                }
                _ => {}
            }
        }
        if description.is_external
            && let Some(replaced) = change.removed.first().cloned()
        {
            change.rejoined = Some(Rejoined { replaced, joined: change.committer.clone() });
        }
        Ok(change)
    }

    /// The committer as the new epoch has him. Whoever was removed does not see that epoch, and looks at the one before.
    fn committer(
        &self,
        policy: &GroupPolicy,
        new_epoch: &NewEpoch,
        leaf: u32,
        removed_self: bool,
    ) -> Result<GroupMember, GroupError> {
        if removed_self {
            let member = new_epoch.prior_state.member_at_index(leaf).ok_or(GroupError::NoSuchMember)?;
            return named(policy, &member);
        }
        self.member(policy, leaf)
    }

    /// The leaf of a device that was just added, which MLS finds a place for.
    fn leaf_of(&self, name: &LeafName) -> Result<u32, GroupError> {
        let identity = [name.address.as_str().as_bytes(), &name.device_id.to_be_bytes()].concat();
        self.mls.member_with_identity(&identity).map(|member| member.index).map_err(|_| GroupError::NoSuchMember)
    }

    /// Leaves of an account.
    ///
    /// # Errors
    /// As [`Group::members`].
    pub fn leaves_of(&self, address: &crate::Address) -> Result<Vec<GroupMember>, GroupError> {
        Ok(self.members()?.into_iter().filter(|member| member.address == *address).collect())
    }
}
