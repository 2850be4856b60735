//! Who may change what in a group. Every member judges every commit by these, from what MLS has authenticated.

use mls_rs::MlsRules;
use mls_rs::client_builder::PaddingMode;
use mls_rs::group::proposal::{AddProposal, RemoveProposal, UpdateProposal};
use mls_rs::group::{GroupContext, Roster, Sender};
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle, ProposalInfo,
};

use super::credential::LeafName;
use super::error::Refusal;
use super::judge::{Judge, POLICY_EXTENSION};
use super::policy::{GroupPolicy, Role};
use crate::limits::GROUP_MEMBERS_MAX;

/// Answers MLS's questions about proposals and commits.
#[derive(Debug, Clone)]
pub(super) struct Rules(pub(super) Judge);

impl MlsRules for Rules {
    type Error = Refusal;

    /// Proposals of others that break a rule are left out of one's own commit; in a commit that is received they make it
    /// invalid.
    fn filter_proposals(
        &self,
        direction: CommitDirection,
        source: CommitSource,
        roster: &Roster<'_>,
        context: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Refusal> {
        let judged = match source {
            CommitSource::ExistingMember(_) => self.member_commit(direction, roster, context, proposals),
            CommitSource::NewMember(identity) => LeafName::read(&identity)
                .and_then(|joiner| self.0.check_brought(None).map(|()| joiner))
                .and_then(|joiner| external_commit(&joiner, roster, proposals)),
        };
        self.0.note(judged)
    }

    /// The tree goes beside the Welcome, since it may be too large for anything but a blob, and nothing readable is
    /// published.
    fn commit_options(
        &self,
        _roster: &Roster<'_>,
        _context: &GroupContext,
        _proposals: &ProposalBundle,
    ) -> Result<CommitOptions, Refusal> {
        Ok(CommitOptions::new().with_ratchet_tree_extension(false))
    }

    /// All handshake messages are private. The wrapping pads.
    fn encryption_options(&self, _roster: &Roster<'_>, _context: &GroupContext) -> Result<EncryptionOptions, Refusal> {
        Ok(EncryptionOptions::new(true, PaddingMode::None))
    }
}

impl Rules {
    fn member_commit(
        &self,
        direction: CommitDirection,
        roster: &Roster<'_>,
        context: &GroupContext,
        mut proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Refusal> {
        let policy = self.0.policy(&context.extensions)?;
        let sending = direction == CommitDirection::Send;
        let verdict = |by_reference: bool, judged: Result<(), Refusal>| match judged {
            Ok(()) => Ok(true),
            Err(_) if sending && by_reference => Ok(false),
            Err(refusal) => Err(refusal),
        };
        proposals.retain_by_type::<AddProposal, _, Refusal>(|proposal| {
            verdict(proposal.is_by_reference(), add(&policy, roster, proposal))
        })?;
        proposals.retain_by_type::<RemoveProposal, _, Refusal>(|proposal| {
            verdict(proposal.is_by_reference(), remove(&policy, roster, proposal))
        })?;
        proposals.retain_by_type::<UpdateProposal, _, Refusal>(|proposal| {
            verdict(proposal.is_by_reference(), update(roster, proposal))
        })?;
        proposals.retain_by_type::<mls_rs::ExtensionList, _, Refusal>(|proposal| {
            verdict(proposal.is_by_reference(), self.policy_change(&policy, roster, proposal))
        })?;
        proposals.retain_by_type::<mls_rs::group::proposal::PreSharedKeyProposal, _, Refusal>(|proposal| {
            verdict(proposal.is_by_reference(), Err(Refusal::Proposal))
        })?;
        proposals.retain_by_type::<mls_rs::group::proposal::ReInitProposal, _, Refusal>(|proposal| {
            verdict(proposal.is_by_reference(), Err(Refusal::Proposal))
        })?;
        proposals.retain_by_type::<mls_rs::group::proposal::ExternalInit, _, Refusal>(|proposal| {
            verdict(proposal.is_by_reference(), Err(Refusal::Proposal))
        })?;
        let extensions = proposals.group_context_ext_proposals().first().map(|proposal| &proposal.proposal);
        self.0.check_brought(extensions)?;
        let new_policy = extensions.map(|extensions| self.0.policy(extensions)).transpose()?;
        if let Some(new_policy) = new_policy {
            leaves_stay_in_roster(&policy, &new_policy, roster, &proposals)?;
        }
        let leaves = roster.member_identities_iter().count() + proposals.add_proposals().len();
        if leaves.saturating_sub(proposals.remove_proposals().len()) > GROUP_MEMBERS_MAX {
            return Err(Refusal::TooManyMembers);
        }
        Ok(proposals)
    }

    /// Only an owner's, in a commit of his own, which brings the policy; and nothing but its hash is in the extensions.
    fn policy_change(
        &self,
        policy: &GroupPolicy,
        roster: &Roster<'_>,
        proposal: &ProposalInfo<mls_rs::ExtensionList>,
    ) -> Result<(), Refusal> {
        if !is_owner(policy, &proposer(roster, proposal.sender)?) {
            return Err(Refusal::PolicyByOther);
        }
        if proposal.is_by_reference() {
            return Err(Refusal::PolicyByReference);
        }
        if proposal.proposal.iter().any(|extension| extension.extension_type != POLICY_EXTENSION) {
            return Err(Refusal::Proposal);
        }
        self.0.policy(&proposal.proposal).map(|_| ())
    }
}

fn add(policy: &GroupPolicy, roster: &Roster<'_>, proposal: &ProposalInfo<AddProposal>) -> Result<(), Refusal> {
    let proposer = proposer(roster, proposal.sender)?;
    let added = LeafName::read(proposal.proposal.signing_identity())?;
    // That the account is in the roster is for the identity provider, which sees the new policy.
    if is_owner(policy, &proposer) || added.same_account(&proposer) { Ok(()) } else { Err(Refusal::AddByOther) }
}

fn remove(policy: &GroupPolicy, roster: &Roster<'_>, proposal: &ProposalInfo<RemoveProposal>) -> Result<(), Refusal> {
    let proposer = proposer(roster, proposal.sender)?;
    let removed = leaf(roster, proposal.proposal.to_remove())?;
    if is_owner(policy, &proposer) || removed.address == proposer.address {
        Ok(())
    } else {
        Err(Refusal::RemoveByOther)
    }
}

/// A device updates itself, not another one of its account.
fn update(roster: &Roster<'_>, proposal: &ProposalInfo<UpdateProposal>) -> Result<(), Refusal> {
    let proposer = proposer(roster, proposal.sender)?;
    let updated = LeafName::read(proposal.proposal.signing_identity())?;
    if updated == proposer { Ok(()) } else { Err(Refusal::DeviceKey) }
}

/// ExternalInit and one Remove, of a leaf of the joiner's own account.
fn external_commit(
    joiner: &LeafName,
    roster: &Roster<'_>,
    proposals: ProposalBundle,
) -> Result<ProposalBundle, Refusal> {
    let [removal] = proposals.remove_proposals() else {
        return Err(Refusal::ExternalCommit);
    };
    let removed = leaf(roster, removal.proposal.to_remove())?;
    let alone = proposals.length() == 2 && proposals.external_init_proposals().len() == 1;
    if alone && removed.same_account(joiner) { Ok(proposals) } else { Err(Refusal::ExternalCommit) }
}

/// Whom the new policy leaves out, or knows under another key, must have no leaf left.
fn leaves_stay_in_roster(
    policy: &GroupPolicy,
    new_policy: &GroupPolicy,
    roster: &Roster<'_>,
    proposals: &ProposalBundle,
) -> Result<(), Refusal> {
    let left_out = |entry: &super::policy::RosterEntry| {
        new_policy.entry(&entry.address).is_none_or(|new| new.account_key != entry.account_key)
    };
    if !policy.roster.iter().any(left_out) {
        return Ok(());
    }
    for member in roster.members_iter() {
        if proposals.remove_proposals().iter().any(|removal| removal.proposal.to_remove() == member.index) {
            continue;
        }
        let name = LeafName::read(&member.signing_identity)?;
        if new_policy.entry(&name.address).is_none_or(|entry| entry.account_key != name.account_key) {
            return Err(Refusal::LeafOutsideRoster);
        }
    }
    Ok(())
}

fn is_owner(policy: &GroupPolicy, name: &LeafName) -> bool {
    policy.role(&name.address) == Some(Role::Owner)
}

fn proposer(roster: &Roster<'_>, sender: Sender) -> Result<LeafName, Refusal> {
    match sender {
        Sender::Member(index) => leaf(roster, index),
        _ => Err(Refusal::Outsider),
    }
}

fn leaf(roster: &Roster<'_>, index: u32) -> Result<LeafName, Refusal> {
    let member = roster.member_with_index(index).map_err(|_| Refusal::Outsider)?;
    LeafName::read(&member.signing_identity)
}
