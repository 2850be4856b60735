//! The side of the new device.

use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::crypto::x_wing::DecapsulationKey;
use medipeps_core::identity::{Change, DeviceSecretKeys, Statement};
use medipeps_core::linking::{LinkingAgreement, LinkingError, LinkingOffer, Rendezvous, commitment};
use medipeps_core::wire::client_records::{
    AccountRecord, ContactRecord, LinkRecord, NewDeviceLinkRecord, NewDeviceStage, QueueRecord, ServerRecord,
};
use medipeps_core::wire::linking::{LinkGrant, LinkOffer, LinkReveal};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Response};
use rand_core::Rng;

use super::{
    BecomeDevice, LinkProblem, LinkProgress, LinkRequest, OwnBlob, begin_blob, delete, fail, fetch, found, is_expired,
    is_mismatch, put_blob, send,
};
use crate::engine::device_name;
use crate::engine::outcome::{EngineError, Event};
use crate::engine::records::key;
use crate::engine::token_sharing;
use crate::engine::transaction::{Stop, Transaction, go_on};

/// Begins a linking, or goes on with the one that was begun.
pub(in crate::engine) fn begin(transaction: &mut Transaction<'_>, command: &BecomeDevice) -> Result<(), Stop> {
    device_name::check(&command.name)?;
    let begun = match transaction.load(&key::link())? {
        Some(LinkRecord::NewDevice(record)) => Some(record),
        _ => None,
    };
    if let Some(record) = &begun {
        let same = record.address == command.address && record.server_key_hash == command.server_key_hash;
        let lasting = record.stage > NewDeviceStage::Comparing || !is_expired(transaction, record.begun);
        let is_linked = record.stage == NewDeviceStage::Finishing;
        if same && lasting && (is_linked || !command.anew) {
            // The server may have moved.
            let record = NewDeviceLinkRecord { server: command.server.clone(), ..record.clone() };
            store(transaction, &record);
            return tick(transaction, record);
        }
    }
    if let Some(account) = transaction.load(&key::account())?
        && (!(account.rolled_back || account.revoked.is_some()) || account.address != command.address)
    {
        return Err(EngineError::AccountExists(account.address).into());
    }
    if let Some(record) = &begun {
        delete_all(transaction, record)?;
    }
    let record = draw(transaction, command);
    store(transaction, &record);
    tick(transaction, record)
}

fn draw(transaction: &mut Transaction<'_>, command: &BecomeDevice) -> NewDeviceLinkRecord {
    let rng = &mut transaction.rng;
    let device = DeviceSecretKeys::random(rng);
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    NewDeviceLinkRecord {
        stage: NewDeviceStage::Offering,
        address: command.address.clone(),
        server: command.server.clone(),
        server_key_hash: command.server_key_hash,
        name: command.name.clone(),
        device_id: rng.next_u32().max(1),
        device_signing_key: device.signing_key.to_secret(),
        device_dh_key: device.dh_key.to_secret(),
        decapsulation_key: Secret::random(rng),
        rendezvous_secret: Secret::random(rng),
        nonce,
        upload_seed: Secret::random(rng),
        begun: transaction.now.0,
        answer: None,
        grant: None,
    }
}

/// Does what is due.
pub(super) fn tick(transaction: &mut Transaction<'_>, record: NewDeviceLinkRecord) -> Result<(), Stop> {
    if record.stage <= NewDeviceStage::Comparing && is_expired(transaction, record.begun) {
        return give_up(transaction, &record, LinkProblem::Expired);
    }
    let places = Rendezvous::new(&record.rendezvous_secret);
    match record.stage {
        NewDeviceStage::Offering => {
            begin_blob(transaction, &record.upload_seed, places.offer_id(), &offer(&record).sealed);
        }
        NewDeviceStage::Offered | NewDeviceStage::Comparing => fetch(transaction, places.answer_id()),
        NewDeviceStage::Revealing => {
            let agreement = agreement(&record)?;
            let sealed = agreement.seal_reveal(&reveal(&record));
            begin_blob(transaction, &record.upload_seed, agreement.reveal_id(), &sealed);
        }
        NewDeviceStage::Confirming => {
            let agreement = agreement(&record)?;
            let sealed = agreement.seal_confirmation(&reveal(&record));
            begin_blob(transaction, &record.upload_seed, agreement.confirmation_id(), &sealed);
        }
        NewDeviceStage::Confirmed if record.grant.is_some() => {
            send(transaction, Request::FetchStatement(record.address.clone()), LinkRequest::Statement);
        }
        NewDeviceStage::Confirmed => {
            // An answer that is gone means that the primary device has given up.
            fetch(transaction, places.answer_id());
            fetch(transaction, agreement(&record)?.grant_id());
        }
        NewDeviceStage::Finishing => delete_all(transaction, &record)?,
    }
    Ok(())
}

/// Whether nobody but a tick will bring it to its end.
pub(super) fn is_to_be_finished(record: &NewDeviceLinkRecord) -> bool {
    record.stage == NewDeviceStage::Finishing
}

/// A person has said yes, or no.
pub(super) fn decide(
    transaction: &mut Transaction<'_>,
    mut record: NewDeviceLinkRecord,
    agreed: bool,
) -> Result<(), Stop> {
    match (agreed, record.stage) {
        (true, NewDeviceStage::Comparing) => {
            record.stage = NewDeviceStage::Confirming;
            store(transaction, &record);
            tick(transaction, record)
        }
        // Once the primary device may have listed this one, only the grant ends it, or `--anew`.
        (_, stage) if stage > NewDeviceStage::Comparing => Ok(()),
        (true, _) => Err(EngineError::NoLinking.into()),
        (false, _) => give_up(transaction, &record, LinkProblem::Stopped),
    }
}

/// The server has answered.
pub(super) fn answered(
    transaction: &mut Transaction<'_>,
    mut record: NewDeviceLinkRecord,
    request: &LinkRequest,
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    let places = Rendezvous::new(&record.rendezvous_secret);
    match (request, record.stage) {
        (LinkRequest::Begin(blob_id), _) if result.is_ok() => {
            if let Some((own, sealed)) = own_blob(&record)?
                && own == *blob_id
            {
                put_blob(transaction, &record.upload_seed, &own, sealed);
            }
            Ok(())
        }
        (LinkRequest::Begin(_) | LinkRequest::Put(_), _) if is_mismatch(result) => {
            give_up(transaction, &record, LinkingError::Seal.into())
        }
        (LinkRequest::Put(blob_id), stage) if result.is_ok() => {
            if own_blob(&record)?.is_none_or(|(own, _)| own != *blob_id) {
                return Ok(());
            }
            record.stage = match stage {
                NewDeviceStage::Offering => NewDeviceStage::Offered,
                NewDeviceStage::Revealing => NewDeviceStage::Comparing,
                NewDeviceStage::Confirming => NewDeviceStage::Confirmed,
                other => other,
            };
            store(transaction, &record);
            Ok(())
        }
        (LinkRequest::Fetch(blob_id), NewDeviceStage::Offered) if blob_id == places.answer_id() => {
            let Some(Some(answer)) = found(result) else { return Ok(()) };
            if let Err(error) = offer(&record).agree(&key_of(&record), answer) {
                return give_up(transaction, &record, error.into());
            }
            record.answer = Some(answer.to_vec());
            record.stage = NewDeviceStage::Revealing;
            store(transaction, &record);
            tick(transaction, record)
        }
        (LinkRequest::Fetch(blob_id), NewDeviceStage::Comparing | NewDeviceStage::Confirmed)
            if blob_id == places.answer_id() =>
        {
            match found(result) {
                Some(None) if record.grant.is_none() => give_up(transaction, &record, LinkProblem::Refused),
                _ => Ok(()),
            }
        }
        (LinkRequest::Fetch(blob_id), NewDeviceStage::Confirmed) if blob_id == agreement(&record)?.grant_id() => {
            let Some(Some(sealed)) = found(result) else { return Ok(()) };
            if let Err(error) = agreement(&record)?.open_grant(sealed, &reveal(&record)) {
                return give_up(transaction, &record, error.into());
            }
            record.grant = Some(sealed.to_vec());
            store(transaction, &record);
            tick(transaction, record)
        }
        (LinkRequest::Statement, NewDeviceStage::Confirmed) => statement_fetched(transaction, &record, result),
        (LinkRequest::Delete(blob_id), NewDeviceStage::Finishing)
            if result.is_ok() && blob_id == agreement(&record)?.confirmation_id() =>
        {
            transaction.delete(&key::link());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The grant is here, and what the server says of the account: together they make this the account's device.
fn statement_fetched(
    transaction: &mut Transaction<'_>,
    record: &NewDeviceLinkRecord,
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    let encoded = match result {
        Ok(Response::FetchStatement(encoded)) => encoded,
        Err(error) if error.known_code() == Some(ErrorCode::UnknownAccount) => {
            return give_up(transaction, record, LinkProblem::Statement("it does not know the account"));
        }
        _ => return Ok(()),
    };
    let Some(sealed) = &record.grant else { return Ok(()) };
    let opened = agreement(record)?.open_grant(sealed, &reveal(record)).map_err(EngineError::from)?;
    match check(record, &opened, encoded) {
        Ok(statement) => join(transaction, record, &opened, &statement),
        Err(problem) => give_up(transaction, record, problem),
    }
}

/// The newest statement, if the grant is what was asked for and the server says nothing else.
fn check(record: &NewDeviceLinkRecord, grant: &LinkGrant, from_server: &[u8]) -> Result<Statement, LinkProblem> {
    let granted =
        Statement::decode(&grant.statement).map_err(|_| LinkProblem::Grant("its statement does not verify"))?;
    if *granted.address() != record.address {
        return Err(LinkProblem::Grant("it is for another account"));
    }
    if grant.server_key_hash != record.server_key_hash {
        return Err(LinkProblem::Grant("it names another server than the one that answers here"));
    }
    let keys = keys_of(record).public_keys();
    let certificate = granted.device(record.device_id).filter(|device| device.keys() == keys);
    let certificate = certificate.ok_or(LinkProblem::Grant("it lists other keys than this device's"))?;
    match &grant.account_key {
        None if certificate.primary() => return Err(LinkProblem::Grant("it lacks the account key")),
        Some(_) if !certificate.primary() => {
            return Err(LinkProblem::Grant("it has a key that is not for this device"));
        }
        Some(key) if SigningKey::from_secret(key).verifying_key() != granted.account_key() => {
            return Err(LinkProblem::Grant("its account key is another one"));
        }
        _ => {}
    }
    let newest = Statement::decode(from_server).map_err(|_| LinkProblem::Statement("it does not verify"))?;
    match newest.change_since(&granted) {
        Ok(Change::None | Change::Devices) => {}
        Ok(Change::AccountKey) => return Err(LinkProblem::Statement("it is under another account key")),
        Err(_) => return Err(LinkProblem::Statement("it is older than the grant's, or contradicts it")),
    }
    match newest.device(record.device_id).filter(|device| device.keys() == keys) {
        Some(_) => Ok(newest),
        None => Err(LinkProblem::Statement("it does not list this device")),
    }
}

fn join(
    transaction: &mut Transaction<'_>,
    record: &NewDeviceLinkRecord,
    grant: &LinkGrant,
    statement: &Statement,
) -> Result<(), Stop> {
    let account = AccountRecord {
        address: record.address.clone(),
        name: grant.name.clone(),
        server: record.server.clone(),
        server_key_hash: record.server_key_hash,
        account_key: grant.account_key.clone(),
        device_signing_key: record.device_signing_key.clone(),
        device_dh_key: record.device_dh_key.clone(),
        device_id: record.device_id,
        statement: statement.encoded().to_vec(),
        invitation: None,
        rolled_back: false,
        refused: None,
        revoked: None,
        recovering: false,
    };
    transaction.store(&key::account(), &account);
    // A home that was linked anew has another queue than before.
    if let Some(queue) = transaction.load(&key::queue())? {
        transaction.store(&key::queue(), &QueueRecord { incarnation: [0; 16], up_to: 0, ..queue });
    }
    for name in &grant.devices {
        go_on(device_name::apply(transaction, name))?;
    }
    for (domain, server) in &grant.servers {
        if let Ok(server) = ServerRecord::decode(server) {
            transaction.store(&key::server(domain), &server);
        }
    }
    if let Some(tokens) = &grant.tokens {
        go_on(token_sharing::receive(transaction, record.address.domain(), tokens))?;
    }
    // What cannot be read is no reason to be without a device; a contact can be added again.
    let granted: Vec<_> = grant.contacts.iter().filter_map(|encoded| ContactRecord::decode(encoded).ok()).collect();
    let keys: Vec<_> = granted.iter().map(|contact| key::contact(&contact.address)).collect();
    let known = transaction.load_all(&keys)?;
    let mut contacts = 0;
    for ((contact, key), known) in granted.iter().zip(&keys).zip(known) {
        let is_its_own = Statement::decode(&contact.statement).is_ok_and(|one| *one.address() == contact.address);
        if is_its_own && known.is_none() && contact.address != record.address {
            transaction.store(key, contact);
            contacts += 1;
        }
    }
    let finishing = NewDeviceLinkRecord { stage: NewDeviceStage::Finishing, ..record.clone() };
    store(transaction, &finishing);
    transaction.event(Event::Linked {
        address: record.address.clone(),
        device_id: record.device_id,
        contacts,
        contacts_left_out: grant.contacts_left_out,
    });
    tick(transaction, finishing)
}

/// What a person sees.
pub(super) fn progress(record: &NewDeviceLinkRecord) -> Result<LinkProgress, EngineError> {
    Ok(match record.stage {
        NewDeviceStage::Offering => LinkProgress::Preparing,
        NewDeviceStage::Offered => LinkProgress::ShowCode(offer(record).code),
        NewDeviceStage::Revealing => LinkProgress::Meeting,
        NewDeviceStage::Comparing => {
            LinkProgress::Compare { digits: agreement(record)?.comparison(&reveal(record)).to_string(), name: None }
        }
        NewDeviceStage::Confirming | NewDeviceStage::Confirmed => LinkProgress::Agreed,
        NewDeviceStage::Finishing => LinkProgress::Linked,
    })
}

/// The blob that is to be put now.
fn own_blob(record: &NewDeviceLinkRecord) -> Result<OwnBlob, EngineError> {
    Ok(match record.stage {
        NewDeviceStage::Offering => {
            Some((*Rendezvous::new(&record.rendezvous_secret).offer_id(), offer(record).sealed))
        }
        NewDeviceStage::Revealing => {
            let agreement = agreement(record)?;
            Some((*agreement.reveal_id(), agreement.seal_reveal(&reveal(record))))
        }
        NewDeviceStage::Confirming => {
            let agreement = agreement(record)?;
            Some((*agreement.confirmation_id(), agreement.seal_confirmation(&reveal(record))))
        }
        _ => None,
    })
}

fn give_up(transaction: &mut Transaction<'_>, record: &NewDeviceLinkRecord, problem: LinkProblem) -> Result<(), Stop> {
    let blobs = blobs(record)?;
    fail(transaction, problem, &record.upload_seed, &blobs);
    Ok(())
}

fn delete_all(transaction: &mut Transaction<'_>, record: &NewDeviceLinkRecord) -> Result<(), Stop> {
    for blob_id in blobs(record)? {
        delete(transaction, &record.upload_seed, &blob_id);
    }
    Ok(())
}

/// What this side may have put; the confirmation last, because it tells the primary device that all is done.
fn blobs(record: &NewDeviceLinkRecord) -> Result<Vec<[u8; 32]>, EngineError> {
    let mut blobs = vec![*Rendezvous::new(&record.rendezvous_secret).offer_id()];
    if record.answer.is_some() {
        let agreement = agreement(record)?;
        blobs.extend([*agreement.reveal_id(), *agreement.confirmation_id()]);
    }
    Ok(blobs)
}

fn offer(record: &NewDeviceLinkRecord) -> LinkingOffer {
    let offer = LinkOffer {
        address: record.address.clone(),
        device_id: record.device_id,
        keys: keys_of(record).public_keys(),
        encapsulation_key: key_of(record).encapsulation_key(),
        commitment: commitment(&reveal(record)),
        server_key_hash: record.server_key_hash,
    };
    LinkingOffer::seal(&record.rendezvous_secret, &offer)
}

fn agreement(record: &NewDeviceLinkRecord) -> Result<LinkingAgreement, EngineError> {
    let answer = record.answer.as_ref().ok_or(LinkingError::Malformed)?;
    Ok(offer(record).agree(&key_of(record), answer)?)
}

fn reveal(record: &NewDeviceLinkRecord) -> LinkReveal {
    LinkReveal { nonce: record.nonce, name: record.name.clone() }
}

fn key_of(record: &NewDeviceLinkRecord) -> DecapsulationKey {
    DecapsulationKey::from_seed(record.decapsulation_key.clone())
}

fn keys_of(record: &NewDeviceLinkRecord) -> DeviceSecretKeys {
    DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&record.device_signing_key),
        dh_key: DhSecretKey::from_secret(&record.device_dh_key),
    }
}

fn store(transaction: &mut Transaction<'_>, record: &NewDeviceLinkRecord) {
    transaction.store(&key::link(), &LinkRecord::NewDevice(record.clone()));
}
