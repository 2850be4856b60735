//! The side of a primary device.

use std::collections::BTreeSet;

use medipeps_core::crypto::secret::Secret;
use medipeps_core::identity::{DeviceCertificate, Statement};
use medipeps_core::limits::{DEVICES_MAX, LINKING_CONTACTS_MAX, PRIMARY_DEVICES_MAX};
use medipeps_core::linking::{LinkingAgreement, LinkingCode, LinkingError, Rendezvous, answer};
use medipeps_core::wire::client_records::{ContactRecord, LinkRecord, PrimaryLinkRecord, PrimaryStage, ServerRecord};
use medipeps_core::wire::linking::{LinkGrant, LinkOffer, LinkReveal};
use medipeps_core::wire::transport::{ErrorReply, Response};

use super::{
    LinkDevice, LinkProblem, LinkProgress, LinkRequest, OwnBlob, begin_blob, delete, fail, fetch, found, is_expired,
    is_mismatch, put_blob,
};
use crate::engine::account::OwnDevice;
use crate::engine::device_name;
use crate::engine::outcome::{EngineError, Event};
use crate::engine::own_statement::{self, DeviceChange};
use crate::engine::records::{class, key};
use crate::engine::token_sharing;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{LINKING_CONTACTS_LENGTH_MAX, LINKING_GRANT_KEPT_MS};

/// Begins to link the device whose code this is, or goes on with it.
pub(in crate::engine) fn link(transaction: &mut Transaction<'_>, command: &LinkDevice) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    own.account_key()?;
    if let Some(LinkRecord::Primary(record)) = transaction.load(&key::link())? {
        let same =
            record.offer_hash == command.code.offer_hash && record.rendezvous_secret == command.code.rendezvous_secret;
        if same && (is_to_be_finished(&record) || !is_expired(transaction, record.begun)) {
            return tick(transaction, record);
        }
        if record.stage == PrimaryStage::Granted {
            // Its grant lies at the server until it runs out; the new device needs nothing more of this one.
        } else if is_to_be_finished(&record) {
            return Err(EngineError::LinkingUnderWay.into());
        } else {
            delete_all(transaction, &record)?;
        }
    }
    check_room(&own.statement, command.make_primary)?;
    let record = PrimaryLinkRecord {
        stage: PrimaryStage::Fetching,
        rendezvous_secret: command.code.rendezvous_secret.clone(),
        offer_hash: command.code.offer_hash,
        make_primary: command.make_primary,
        upload_seed: Secret::random(&mut transaction.rng),
        begun: transaction.now.0,
        offer: None,
        answer: None,
        reveal: None,
        grant: None,
        issued: false,
    };
    store(transaction, &record);
    tick(transaction, record)
}

fn check_room(statement: &Statement, make_primary: bool) -> Result<(), EngineError> {
    if statement.devices().len() >= DEVICES_MAX {
        return Err(EngineError::TooManyDevices { max: DEVICES_MAX });
    }
    let primaries = statement.devices().iter().filter(|device| device.primary()).count();
    if make_primary && primaries >= PRIMARY_DEVICES_MAX {
        return Err(EngineError::TooManyPrimaries { max: PRIMARY_DEVICES_MAX });
    }
    Ok(())
}

/// Does what is due.
pub(super) fn tick(transaction: &mut Transaction<'_>, record: PrimaryLinkRecord) -> Result<(), Stop> {
    if !is_to_be_finished(&record) && is_expired(transaction, record.begun) {
        return give_up(transaction, &record, LinkProblem::Expired);
    }
    let places = Rendezvous::new(&record.rendezvous_secret);
    match record.stage {
        PrimaryStage::Fetching => fetch(transaction, places.offer_id()),
        PrimaryStage::Answering => {
            if let Some((answer, _)) = &record.answer {
                begin_blob(transaction, &record.upload_seed, places.answer_id(), answer);
            }
        }
        PrimaryStage::Answered => {
            // An offer that is gone means that the new device has given up.
            fetch(transaction, places.offer_id());
            fetch(transaction, agreement(&record)?.reveal_id());
        }
        PrimaryStage::Comparing => fetch(transaction, agreement(&record)?.reveal_id()),
        PrimaryStage::Agreed => {
            fetch(transaction, agreement(&record)?.reveal_id());
            fetch(transaction, agreement(&record)?.confirmation_id());
        }
        PrimaryStage::Issuing => return issue(transaction, record),
        PrimaryStage::Granting => {
            if let Some(grant) = &record.grant {
                begin_blob(transaction, &record.upload_seed, agreement(&record)?.grant_id(), grant);
            }
        }
        PrimaryStage::Granted if transaction.now.0.abs_diff(record.begun) > LINKING_GRANT_KEPT_MS => {
            transaction.delete(&key::link());
        }
        PrimaryStage::Granted => fetch(transaction, agreement(&record)?.confirmation_id()),
    }
    Ok(())
}

/// Whether the new device may be listed: then it must get its grant, whoever waits.
pub(super) fn is_to_be_finished(record: &PrimaryLinkRecord) -> bool {
    record.stage >= PrimaryStage::Issuing
}

/// A person has said yes, or no.
pub(super) fn decide(
    transaction: &mut Transaction<'_>,
    mut record: PrimaryLinkRecord,
    agreed: bool,
) -> Result<(), Stop> {
    match (agreed, record.stage) {
        (true, PrimaryStage::Comparing) => {
            record.stage = PrimaryStage::Agreed;
            store(transaction, &record);
            tick(transaction, record)
        }
        (true, PrimaryStage::Agreed) => Ok(()),
        (_, PrimaryStage::Issuing | PrimaryStage::Granting | PrimaryStage::Granted) => Ok(()),
        (true, _) => Err(EngineError::NoLinking.into()),
        (false, _) => give_up(transaction, &record, LinkProblem::Stopped),
    }
}

/// The server has answered.
pub(super) fn answered(
    transaction: &mut Transaction<'_>,
    mut record: PrimaryLinkRecord,
    request: &LinkRequest,
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    let places = Rendezvous::new(&record.rendezvous_secret);
    match (request, record.stage) {
        (LinkRequest::Fetch(blob_id), PrimaryStage::Fetching) if blob_id == places.offer_id() => match found(result) {
            Some(Some(sealed)) => offer_fetched(transaction, record, sealed),
            Some(None) => give_up(transaction, &record, LinkProblem::UnknownCode),
            None => Ok(()),
        },
        (LinkRequest::Fetch(blob_id), PrimaryStage::Answered) if blob_id == places.offer_id() => match found(result) {
            Some(None) => give_up(transaction, &record, LinkProblem::Refused),
            _ => Ok(()),
        },
        (LinkRequest::Fetch(blob_id), PrimaryStage::Answered) if blob_id == agreement(&record)?.reveal_id() => {
            let (Some(Some(sealed)), Some(offer)) = (found(result), &record.offer) else { return Ok(()) };
            match agreement(&record)?.open_reveal(sealed, offer) {
                Ok(reveal) => {
                    record.reveal = Some(reveal);
                    record.stage = PrimaryStage::Comparing;
                    store(transaction, &record);
                    Ok(())
                }
                Err(error) => give_up(transaction, &record, error.into()),
            }
        }
        (LinkRequest::Fetch(blob_id), PrimaryStage::Comparing | PrimaryStage::Agreed)
            if blob_id == agreement(&record)?.reveal_id() =>
        {
            match found(result) {
                Some(None) => give_up(transaction, &record, LinkProblem::Refused),
                _ => Ok(()),
            }
        }
        (LinkRequest::Fetch(blob_id), PrimaryStage::Agreed) if blob_id == agreement(&record)?.confirmation_id() => {
            let Some(Some(sealed)) = found(result) else { return Ok(()) };
            if let Err(error) = agreement(&record)?.open_confirmation(sealed, reveal(&record)?) {
                return give_up(transaction, &record, error.into());
            }
            record.stage = PrimaryStage::Issuing;
            store(transaction, &record);
            issue(transaction, record)
        }
        (LinkRequest::Fetch(blob_id), PrimaryStage::Granted) if blob_id == agreement(&record)?.confirmation_id() => {
            if found(result) == Some(None) {
                transaction.delete(&key::link());
                delete_all(transaction, &record)?;
                transaction.event(Event::LinkFinished);
            }
            Ok(())
        }
        (LinkRequest::Begin(blob_id), stage) => match own_blob(&record)? {
            Some((own, _)) if own != *blob_id => Ok(()),
            Some((own, sealed)) if result.is_ok() => {
                put_blob(transaction, &record.upload_seed, &own, sealed);
                Ok(())
            }
            // The place is known to whoever has the code, and the first who comes has it.
            Some(_) if is_mismatch(result) && stage == PrimaryStage::Answering => {
                fail(transaction, LinkProblem::AlreadyAnswered, &record.upload_seed, &[]);
                Ok(())
            }
            _ => Ok(()),
        },
        (LinkRequest::Put(blob_id), stage) if result.is_ok() => {
            if own_blob(&record)?.is_none_or(|(own, _)| own != *blob_id) {
                return Ok(());
            }
            if stage == PrimaryStage::Granting {
                let (offer, name) = (offer(&record)?, reveal(&record)?.name.clone());
                let event = Event::DeviceLinked { device_id: offer.device_id, name, primary: record.make_primary };
                transaction.event(event);
                record.stage = PrimaryStage::Granted;
            } else {
                record.stage = PrimaryStage::Answered;
            }
            store(transaction, &record);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn offer_fetched(transaction: &mut Transaction<'_>, mut record: PrimaryLinkRecord, sealed: &[u8]) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let code = code(&record);
    let offer = match Rendezvous::new(&code.rendezvous_secret).open_offer(sealed, &code.offer_hash) {
        Ok(offer) => offer,
        Err(error) => return give_up(transaction, &record, error.into()),
    };
    if offer.address != *own.address() {
        return give_up(transaction, &record, LinkProblem::OtherAccount(offer.address));
    }
    if offer.server_key_hash != own.record.server_key_hash {
        return give_up(transaction, &record, LinkProblem::OtherServer);
    }
    match answer(&code, &offer, &mut transaction.rng) {
        Ok(answer) => {
            record.answer = Some(answer);
            record.offer = Some(offer);
            record.stage = PrimaryStage::Answering;
            store(transaction, &record);
            tick(transaction, record)
        }
        Err(error) => give_up(transaction, &record, error.into()),
    }
}

/// Sees to it that the account's statement lists the new device; then makes the grant.
fn issue(transaction: &mut Transaction<'_>, mut record: PrimaryLinkRecord) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let offer = offer(&record)?;
    if is_listed(&own.statement, offer) {
        return make_grant(transaction, record, &own);
    }
    if transaction.exists(&key::own_statement())? {
        return own_statement::send_due(transaction, &BTreeSet::new());
    }
    if record.issued {
        // The change is not listed and waits no more: it was refused for good.
        return give_up(transaction, &record, LinkProblem::Statement("the list with the new device was not taken"));
    }
    match check_room(&own.statement, record.make_primary) {
        Err(EngineError::TooManyPrimaries { max }) => {
            return give_up(transaction, &record, LinkProblem::TooManyPrimaries { max });
        }
        Err(_) => return give_up(transaction, &record, LinkProblem::TooManyDevices { max: DEVICES_MAX }),
        Ok(()) => {}
    }
    let keys = offer.keys;
    let is_taken = own.statement.devices().iter().any(|device| {
        device.device_id() == offer.device_id
            || device.keys().signing_key == keys.signing_key
            || device.keys().dh_key == keys.dh_key
    });
    if is_taken {
        return give_up(transaction, &record, LinkProblem::Statement("the new device's number or keys are taken"));
    }
    let (account_key, now) = (own.account_key()?, transaction.now.0 / 1000);
    let certificate =
        DeviceCertificate::issue(&account_key, own.address(), offer.device_id, &keys, record.make_primary, now);
    record.issued = true;
    store(transaction, &record);
    let change = DeviceChange { added: vec![certificate], ..DeviceChange::default() };
    own_statement::change(transaction, &change)
}

fn make_grant(transaction: &mut Transaction<'_>, mut record: PrimaryLinkRecord, own: &OwnDevice) -> Result<(), Stop> {
    let (new, reveal) = (offer(&record)?.device_id, reveal(&record)?.clone());
    device_name::set(transaction, new, &reveal.name)?;
    let mut devices = device_name::all(transaction)?;
    devices.retain(|one| own.statement.device(one.device_id).is_some());
    let mut contacts: Vec<ContactRecord> =
        transaction.scan::<ContactRecord>(class::CONTACT)?.into_iter().map(|(_, contact)| contact).collect();
    // Where not all fit, those who were added last are the likelier to be written to.
    contacts.sort_by_key(|contact| std::cmp::Reverse(contact.added));
    let (mut fitting, mut length) = (Vec::new(), 0);
    for contact in &contacts {
        let encoded = contact.encode();
        if length + encoded.len() > LINKING_CONTACTS_LENGTH_MAX || fitting.len() == LINKING_CONTACTS_MAX {
            break;
        }
        length += encoded.len();
        fitting.push(encoded.clone());
    }
    let mut servers = Vec::new();
    for (key, server) in transaction.scan::<ServerRecord>(class::SERVER)? {
        let encoded = server.encode();
        if let Ok(domain) = String::from_utf8(key.name().to_vec())
            && length + domain.len() + encoded.len() <= LINKING_CONTACTS_LENGTH_MAX
            && servers.len() < LINKING_CONTACTS_MAX
        {
            length += domain.len() + encoded.len();
            servers.push((domain, encoded));
        }
    }
    let tokens = token_sharing::share(transaction, own.address().domain())?;
    let grant = LinkGrant {
        statement: own.statement.encoded().to_vec(),
        name: own.record.name.clone(),
        server_key_hash: own.record.server_key_hash,
        account_key: if record.make_primary { own.record.account_key.clone() } else { None },
        devices,
        contacts_left_out: u32::try_from(contacts.len() - fitting.len()).unwrap_or(u32::MAX),
        contacts: fitting.iter().map(|encoded| encoded.to_vec()).collect(),
        servers,
        tokens,
    };
    record.grant = Some(agreement(&record)?.seal_grant(&grant, &reveal));
    record.stage = PrimaryStage::Granting;
    store(transaction, &record);
    tick(transaction, record)
}

fn is_listed(statement: &Statement, offer: &LinkOffer) -> bool {
    statement.device(offer.device_id).is_some_and(|device| device.keys() == offer.keys)
}

/// What a person sees.
pub(super) fn progress(record: &PrimaryLinkRecord) -> Result<LinkProgress, EngineError> {
    Ok(match record.stage {
        PrimaryStage::Fetching | PrimaryStage::Answering | PrimaryStage::Answered => LinkProgress::Meeting,
        PrimaryStage::Comparing => {
            let reveal = reveal(record)?;
            let digits = agreement(record)?.comparison(reveal).to_string();
            LinkProgress::Compare { digits, name: Some(reveal.name.clone()) }
        }
        PrimaryStage::Agreed => LinkProgress::Agreed,
        PrimaryStage::Issuing | PrimaryStage::Granting => LinkProgress::Granting,
        PrimaryStage::Granted => LinkProgress::Granted,
    })
}

/// The blob that is to be put now.
fn own_blob(record: &PrimaryLinkRecord) -> Result<OwnBlob, EngineError> {
    Ok(match (record.stage, &record.answer, &record.grant) {
        (PrimaryStage::Answering, Some((answer, _)), _) => {
            Some((*Rendezvous::new(&record.rendezvous_secret).answer_id(), answer.clone()))
        }
        (PrimaryStage::Granting, _, Some(grant)) => Some((*agreement(record)?.grant_id(), grant.clone())),
        _ => None,
    })
}

fn give_up(transaction: &mut Transaction<'_>, record: &PrimaryLinkRecord, problem: LinkProblem) -> Result<(), Stop> {
    let blobs = blobs(record)?;
    fail(transaction, problem, &record.upload_seed, &blobs);
    Ok(())
}

fn delete_all(transaction: &mut Transaction<'_>, record: &PrimaryLinkRecord) -> Result<(), Stop> {
    for blob_id in blobs(record)? {
        delete(transaction, &record.upload_seed, &blob_id);
    }
    Ok(())
}

/// What this side may have put.
fn blobs(record: &PrimaryLinkRecord) -> Result<Vec<[u8; 32]>, EngineError> {
    let mut blobs = Vec::new();
    if record.answer.is_some() {
        blobs.push(*Rendezvous::new(&record.rendezvous_secret).answer_id());
    }
    if record.grant.is_some() {
        blobs.push(*agreement(record)?.grant_id());
    }
    Ok(blobs)
}

fn code(record: &PrimaryLinkRecord) -> LinkingCode {
    LinkingCode { rendezvous_secret: record.rendezvous_secret.clone(), offer_hash: record.offer_hash }
}

fn agreement(record: &PrimaryLinkRecord) -> Result<LinkingAgreement, EngineError> {
    let (answer, shared) = record.answer.as_ref().ok_or(LinkingError::Malformed)?;
    Ok(LinkingAgreement::new(shared, &record.offer_hash, answer))
}

fn offer(record: &PrimaryLinkRecord) -> Result<&LinkOffer, EngineError> {
    Ok(record.offer.as_ref().ok_or(LinkingError::Malformed)?)
}

fn reveal(record: &PrimaryLinkRecord) -> Result<&LinkReveal, EngineError> {
    Ok(record.reveal.as_ref().ok_or(LinkingError::Malformed)?)
}

fn store(transaction: &mut Transaction<'_>, record: &PrimaryLinkRecord) {
    transaction.store(&key::link(), &LinkRecord::Primary(record.clone()));
}
