//! Drafts: signed by one administrator after another, and published when enough have.

use medipeps_core::Address;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::kind::{OrganisationDraft, OrganisationMessage, OrganisationSigning};
use medipeps_core::organisation::{MemberCertificate, OrganisationChain, OrganisationId, OrganisationStatement};
use medipeps_core::wire::client_records::{OrganisationDraftRecord, OrganisationRecord};

use super::outcome::{chain_code, membership_code};
use super::{
    OrganisationEvent, OrganisationProblem, administrator, chain, chain_of, exchange, load, load_trusted, member,
    members_of, tell,
};
use crate::engine::account::OwnDevice;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::ORGANISATION_DRAFTS_MAX;

/// By which a draft is known.
type DraftId = [u8; 32];

/// A draft that was read.
enum Draft {
    Statement(Box<OrganisationStatement>),
    Certificate(Box<MemberCertificate>),
}

impl Draft {
    fn decode(draft: &OrganisationDraft) -> Result<Self, OrganisationProblem> {
        Ok(match draft {
            OrganisationDraft::Statement(bytes) => Self::Statement(Box::new(OrganisationStatement::decode(bytes)?)),
            OrganisationDraft::Certificate(bytes) => Self::Certificate(Box::new(MemberCertificate::decode(bytes)?)),
        })
    }

    fn encode(&self) -> OrganisationDraft {
        match self {
            Self::Statement(statement) => OrganisationDraft::Statement(statement.encoded()),
            Self::Certificate(certificate) => OrganisationDraft::Certificate(certificate.encoded()),
        }
    }

    fn id(&self) -> DraftId {
        match self {
            Self::Statement(statement) => statement.draft_id(),
            Self::Certificate(certificate) => certificate.draft_id(),
        }
    }

    /// The organisation that it belongs to, where it says so itself: a first statement and a certificate.
    fn organisation(&self) -> Option<OrganisationId> {
        match self {
            Self::Statement(statement) => (statement.version() == 1).then(|| OrganisationId(statement.hash())),
            Self::Certificate(certificate) => Some(certificate.organisation()),
        }
    }

    fn signed_by(&self, administrators: &[VerifyingKey]) -> Vec<VerifyingKey> {
        match self {
            Self::Statement(statement) => statement.signed_by(administrators),
            Self::Certificate(certificate) => certificate.signed_by(administrators),
        }
    }

    fn sign(self, key: &SigningKey) -> Self {
        match self {
            Self::Statement(statement) => {
                let signature = statement.sign(key);
                Self::Statement(Box::new(statement.with_signature(signature)))
            }
            Self::Certificate(certificate) => {
                let signature = certificate.sign(key);
                Self::Certificate(Box::new(certificate.with_signature(signature)))
            }
        }
    }

    /// With the other one's signatures by these administrators. Others' would only take the place of good ones.
    fn merged(self, other: &Self, administrators: &[VerifyingKey]) -> Self {
        let good = other.signed_by(administrators);
        match (self, other) {
            (Self::Statement(mut statement), Self::Statement(other)) => {
                for signature in other.signatures().iter().filter(|one| good.contains(&one.administrator)) {
                    statement = Box::new(statement.with_signature(*signature));
                }
                Self::Statement(statement)
            }
            (Self::Certificate(mut certificate), Self::Certificate(other)) => {
                for signature in other.signatures().iter().filter(|one| good.contains(&one.administrator)) {
                    certificate = Box::new(certificate.with_signature(*signature));
                }
                Self::Certificate(certificate)
            }
            (one, _) => one,
        }
    }
}

/// Who must sign a draft, and how many of them.
fn signers(
    transaction: &mut Transaction<'_>,
    draft: &Draft,
    organisation: &OrganisationId,
) -> Result<(Vec<VerifyingKey>, u32), Stop> {
    if let Draft::Statement(statement) = draft
        && statement.version() == 1
    {
        return Ok((statement.administrators().to_vec(), statement.threshold()));
    }
    let chain = chain_of(&load_trusted(transaction, organisation)?)?;
    if let Draft::Statement(statement) = draft
        && statement.previous_hash() != Some(chain.current().hash())
    {
        return Err(OrganisationProblem::StaleDraft.into());
    }
    Ok((chain.current().administrators().to_vec(), chain.current().threshold()))
}

/// Stores a draft that was made here, signs it where this device can, and sends it to the other administrators.
pub(super) fn begin(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    id: DraftId,
    record: OrganisationDraftRecord,
) -> Result<(), Stop> {
    check_room(transaction, &id)?;
    let organisation = record.organisation;
    transaction.store(&key::organisation_draft(&id), &record);
    tell(transaction, &organisation, OrganisationEvent::Drafted { draft: id, from: None });
    let draft = Draft::decode(&record.draft)?;
    let (administrators, _) = signers(transaction, &draft, &organisation)?;
    if administrator::keys_among(transaction, &administrators)?.is_empty() {
        return hand_on(transaction, own, &record);
    }
    sign(transaction, &id)
}

/// A person has seen what it says, and signs.
pub(super) fn sign(transaction: &mut Transaction<'_>, id: &DraftId) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let mut record = load_draft(transaction, id)?;
    let mut draft = Draft::decode(&record.draft)?;
    let (administrators, needed) = signers(transaction, &draft, &record.organisation)?;
    let keys = administrator::keys_among(transaction, &administrators)?;
    if keys.is_empty() {
        return Err(OrganisationProblem::NotAdministrator.into());
    }
    if let Draft::Certificate(certificate) = &draft {
        let organisation = load(transaction, &record.organisation)?;
        check_seats(transaction, &own, &organisation, &certificate.account().address)?;
    }
    for key in &keys {
        draft = draft.sign(key);
        // Where the key's owner is reached is known now.
        let public = key.verifying_key();
        if !record.administrators.iter().any(|(known, _)| *known == public) {
            record.administrators.push((public, own.address().clone()));
        }
    }
    (record.draft, record.signed) = (draft.encode(), true);
    transaction.store(&key::organisation_draft(id), &record);
    let signatures = draft.signed_by(&administrators).len();
    tell(transaction, &record.organisation, OrganisationEvent::Signed { draft: *id, signatures, needed });
    hand_on(transaction, &own, &record)
}

/// Sends a draft to everybody who may sign it and is reached, and to who has asked.
fn hand_on(transaction: &mut Transaction<'_>, own: &OwnDevice, record: &OrganisationDraftRecord) -> Result<(), Stop> {
    let mut recipients: Vec<Address> = record.administrators.iter().map(|(_, address)| address.clone()).collect();
    recipients.extend(record.from.clone());
    recipients.sort();
    recipients.dedup();
    let message =
        OrganisationMessage { signing: Some(signing_of(record)), ..OrganisationMessage::about(record.organisation) };
    for recipient in recipients.iter().filter(|address| *address != own.address()) {
        exchange::send(transaction, own, recipient, &message)?;
    }
    Ok(())
}

pub(super) fn signing_of(record: &OrganisationDraftRecord) -> OrganisationSigning {
    let mut administrators = record.administrators.clone();
    administrators.truncate(medipeps_core::limits::ADMINISTRATORS_MAX);
    OrganisationSigning { draft: record.draft.clone(), administrators }
}

/// A draft has come, new or with more signatures. `from`: over 1:1, from a checked sender; else a person has taken it in.
pub(super) fn take(
    transaction: &mut Transaction<'_>,
    from: Option<&Address>,
    organisation: &OrganisationId,
    signing: &OrganisationSigning,
) -> Result<(), Stop> {
    let refuse = |transaction: &mut Transaction<'_>, code: &str| {
        tell(transaction, organisation, OrganisationEvent::Refused { from: from.cloned(), code: code.to_owned() });
        Ok(())
    };
    let draft = match Draft::decode(&signing.draft) {
        Ok(draft) => draft,
        Err(error) if from.is_none() => return Err(error.into()),
        Err(_) => return refuse(transaction, "draft"),
    };
    if draft.organisation().is_some_and(|said| said != *organisation) {
        return refuse(transaction, "draft");
    }
    let (administrators, needed) = match signers(transaction, &draft, organisation) {
        Ok(signers) => signers,
        Err(Stop::Failed(error)) if from.is_some() => match *error {
            crate::engine::EngineError::Organisation(OrganisationProblem::StaleDraft) => {
                return refuse(transaction, "draft_stale");
            }
            crate::engine::EngineError::Organisation(_) => return refuse(transaction, "draft_of_other"),
            other => return Err(other.into()),
        },
        Err(error) => return Err(error),
    };
    // Only who may sign has anything to do with it; a person may carry one about for others.
    if from.is_some() && administrator::keys_among(transaction, &administrators)?.is_empty() {
        return refuse(transaction, "draft_not_for_you");
    }
    let id = draft.id();
    let known = transaction.load(&key::organisation_draft(&id))?;
    let is_new = known.is_none();
    if is_new && let Err(Stop::Failed(_)) = check_room(transaction, &id) {
        return refuse(transaction, "too_many_drafts");
    }
    let mut record = known.unwrap_or_else(|| OrganisationDraftRecord {
        organisation: *organisation,
        draft: draft.encode(),
        created: transaction.now.0,
        from: from.cloned(),
        signed: false,
        administrators: Vec::new(),
    });
    let merged = Draft::decode(&record.draft)?.merged(&draft, &administrators);
    let signatures = merged.signed_by(&administrators).len();
    record.draft = merged.encode();
    for (key, address) in &signing.administrators {
        // Where an administrator is reached is the word of who sends it; the own key's owner knows better.
        if administrators.contains(key) && !record.administrators.iter().any(|(known, _)| known == key) {
            record.administrators.push((*key, address.clone()));
        }
    }
    transaction.store(&key::organisation_draft(&id), &record);
    if is_new {
        tell(transaction, organisation, OrganisationEvent::Drafted { draft: id, from: from.cloned() });
    }
    tell(transaction, organisation, OrganisationEvent::Signed { draft: id, signatures, needed });
    Ok(())
}

/// Enough have signed: it holds, and those whom it concerns are told.
pub(super) fn publish(transaction: &mut Transaction<'_>, id: &DraftId) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let record = load_draft(transaction, id)?;
    let draft = Draft::decode(&record.draft)?;
    let (administrators, needed) = signers(transaction, &draft, &record.organisation)?;
    let valid = draft.signed_by(&administrators).len();
    if (valid as u64) < u64::from(needed) {
        return Err(OrganisationProblem::NotEnoughSignatures { valid, needed }.into());
    }
    match &draft {
        Draft::Statement(statement) => publish_statement(transaction, &own, &record, statement)?,
        Draft::Certificate(certificate) => publish_certificate(transaction, &own, &record, certificate)?,
    }
    transaction.delete(&key::organisation_draft(id));
    tell(transaction, &record.organisation, OrganisationEvent::Published { draft: *id });
    Ok(())
}

fn publish_statement(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    draft: &OrganisationDraftRecord,
    statement: &OrganisationStatement,
) -> Result<(), Stop> {
    let (id, encoded) = (draft.organisation, statement.encoded());
    if statement.version() == 1 {
        let first = OrganisationChain::pin(&encoded, id).map_err(OrganisationProblem::from)?;
        chain::begin(transaction, &first, None, (draft.administrators.clone(), true))?;
    } else {
        let mut record = load_trusted(transaction, &id)?;
        let mut known = chain_of(&record)?;
        known.advance(&encoded).map_err(OrganisationProblem::from)?;
        for (key, address) in &draft.administrators {
            record.administrators.retain(|(known, _)| known != key);
            record.administrators.push((*key, address.clone()));
        }
        // Also those who are none any more: they are members, and shall know.
        let listed: Vec<_> = known.current().administrators().to_vec();
        let former: Vec<_> = record.administrators.iter().filter(|(key, _)| !listed.contains(key)).cloned().collect();
        record.administrators.retain(|(key, _)| listed.contains(key));
        chain::advanced(transaction, &mut record, &known, &encoded);
        let message = exchange::statements(transaction, &record, statement.version() - 1)?;
        for (_, address) in former.iter().filter(|(_, address)| address != own.address()) {
            exchange::send(transaction, own, address, &message)?;
        }
    }
    let record = load(transaction, &id)?;
    let mut recipients: Vec<Address> = record.administrators.iter().map(|(_, address)| address.clone()).collect();
    recipients.extend(members_of(transaction, &id)?.into_iter().map(|member| member.address));
    recipients.sort();
    recipients.dedup();
    let message = exchange::statements(transaction, &record, statement.version() - 1)?;
    for recipient in recipients.iter().filter(|address| *address != own.address()) {
        exchange::send(transaction, own, recipient, &message)?;
    }
    Ok(())
}

fn publish_certificate(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    draft: &OrganisationDraftRecord,
    certificate: &MemberCertificate,
) -> Result<(), Stop> {
    let record = load_trusted(transaction, &draft.organisation)?;
    let account = certificate.account();
    let at = transaction.now.0.max(certificate.period().0);
    chain_of(&record)?.membership(certificate, &account, at).map_err(OrganisationProblem::from)?;
    check_seats(transaction, own, &record, &account.address)?;
    let record = member::keep(transaction, own, record, certificate)?;
    let certificate = Some(certificate.encoded());
    if account.address != *own.address() {
        // He may know nothing of the organisation yet.
        let invitation = exchange::statements(transaction, &record, 0)?;
        let invitation = OrganisationMessage { certificate: certificate.clone(), ..invitation };
        exchange::send(transaction, own, &account.address, &invitation)?;
    }
    let told = OrganisationMessage { certificate, ..OrganisationMessage::about(record.id) };
    for (_, address) in &record.administrators {
        if address != own.address() && *address != account.address {
            exchange::send(transaction, own, address, &told)?;
        }
    }
    Ok(())
}

/// Throws a draft away, here alone.
pub(super) fn forget(transaction: &mut Transaction<'_>, id: &DraftId) -> Result<(), Stop> {
    load_draft(transaction, id)?;
    transaction.delete(&key::organisation_draft(id));
    Ok(())
}

/// Whether there is a seat for one more, as far as this device knows who is certified. Who is certified already needs none.
pub(super) fn check_seats(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
    address: &Address,
) -> Result<(), Stop> {
    let chain = chain_of(record)?;
    let taken = member::certified(transaction, own, record)?;
    if taken.contains(address) || chain.current().policy().has_seats_for(taken.len() as u64 + 1) {
        return Ok(());
    }
    let seats = chain.current().policy().seats;
    Err(OrganisationProblem::SeatsExceeded { seats, members: taken.len() }.into())
}

/// Why a draft cannot be published as it is, as a code; `None` if it can.
pub(super) fn hindrance(
    record: Option<&OrganisationRecord>,
    draft: &OrganisationDraftRecord,
    now: u64,
) -> Result<(Vec<VerifyingKey>, u32, Option<&'static str>), OrganisationProblem> {
    let read = Draft::decode(&draft.draft)?;
    if let Draft::Statement(statement) = &read
        && statement.version() == 1
    {
        return Ok((statement.signed_by(statement.administrators()), statement.threshold(), None));
    }
    let Some(record) = record else { return Ok((Vec::new(), 0, Some("draft_of_other"))) };
    let chain = chain_of(record)?;
    let signed = read.signed_by(chain.current().administrators());
    let needed = chain.current().threshold();
    let code = match &read {
        Draft::Statement(statement) => match chain.clone().advance(&statement.encoded()) {
            Ok(_) | Err(medipeps_core::organisation::ChainError::NotEnoughSignatures { .. })
                if statement.previous_hash() == Some(chain.current().hash()) =>
            {
                None
            }
            Ok(_) => Some("draft_stale"),
            Err(medipeps_core::organisation::ChainError::NotEnoughSignatures { .. }) => Some("draft_stale"),
            Err(error) => Some(chain_code(&error)),
        },
        Draft::Certificate(certificate) => {
            let at = now.max(certificate.period().0);
            match chain.membership(certificate, &certificate.account(), at) {
                Ok(_) | Err(medipeps_core::organisation::MembershipError::NotEnoughSignatures { .. }) => None,
                Err(error) => Some(membership_code(&error)),
            }
        }
    };
    Ok((signed, needed, code))
}

fn check_room(transaction: &mut Transaction<'_>, id: &DraftId) -> Result<(), Stop> {
    let all = transaction.scan::<OrganisationDraftRecord>(class::ORGANISATION_DRAFT)?;
    let known = all.iter().any(|(key, _)| key.name() == id);
    if !known && all.len() >= ORGANISATION_DRAFTS_MAX {
        return Err(OrganisationProblem::TooManyDrafts { max: ORGANISATION_DRAFTS_MAX }.into());
    }
    Ok(())
}

fn load_draft(transaction: &mut Transaction<'_>, id: &DraftId) -> Result<OrganisationDraftRecord, Stop> {
    Ok(transaction.load(&key::organisation_draft(id))?.ok_or(OrganisationProblem::UnknownDraft)?)
}
