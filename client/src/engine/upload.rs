//! Files and bodies on their way to the account's own server, before their message leaves.
//!
//! A key seals one plaintext and never another: the digest of a part is committed before a byte of its ciphertext leaves,
//! a part that reads otherwise later is refused, and what has changed begins anew under another id and another key. When
//! the last upload of a message is done, its content gets the references and its recipients their outbox entries, in one
//! step.

use medipeps_core::attachment::{AttachmentKey, BlobReference, DIGEST_LENGTH, Layout, root};
use medipeps_core::kind::{AttachmentPlace, Content};
use medipeps_core::wire::client_records::{
    FinishedUpload, RecipientRecord, RecipientState, UploadRecord, UploadRole, UploadSource,
};
use rand_core::Rng;

use super::account::OwnDevice;
use super::attachment::SealedCopy;
use super::composition::enqueue;
use super::group;
use super::outbox::{next_attempt, set_state};
use super::outcome::{EngineError, Event};
use super::records::{Key, PartDigest, class, key};
use super::transaction::{Stop, Transaction, go_on};
use super::{own_blob, own_devices};
use crate::limits::{BLOB_KEPT_MIN_MS, UPLOAD_BEGUN_ANEW_MAX, UPLOAD_TRIED_MS};

/// The code of recipients whose message waits for its uploads.
pub(super) const UPLOADING: &str = "uploading";

/// An upload that is not done, for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpload {
    /// What is known about it. Before its `next_attempt` it is left alone.
    pub record: UploadRecord,
    /// The digest of each part of the plaintext that has been read.
    pub digests: Vec<Option<[u8; DIGEST_LENGTH]>>,
}

impl PendingUpload {
    /// The records of the parts' digests, in order.
    pub(crate) fn part_keys(record: &UploadRecord) -> Vec<Key<PartDigest>> {
        // A record whose length is over the limit cannot be read, so there is no such.
        let parts = Layout::new(record.length).map_or(0, |layout| layout.plaintext_parts());
        let numbers = (0..).take_while(|part| u64::from(*part) < parts);
        numbers.map(|part| key::upload_part(&record.blob_id, part)).collect()
    }
}

/// Draws a blob for a file of the person's own.
pub(super) fn of_file(
    transaction: &mut Transaction<'_>,
    (content_id, role): ([u8; 16], UploadRole),
    (path, length, modified): (&[u8], u64, u64),
) -> UploadRecord {
    let mut blob_id = [0; 32];
    transaction.rng.fill_bytes(&mut blob_id);
    UploadRecord {
        blob_id,
        upload_secret: transaction.random_id(),
        key: AttachmentKey::random(&mut transaction.rng),
        content_id,
        role,
        length,
        source: UploadSource::File { path: path.to_vec(), modified },
        begun_anew: 0,
        created: transaction.now.0,
        attempts: 0,
        next_attempt: 0,
        finished: None,
    }
}

/// Takes over a copy that was sealed before; its digests are stored with it.
pub(super) fn of_sealed_copy(
    transaction: &mut Transaction<'_>,
    (content_id, role): ([u8; 16], UploadRole),
    copy: &SealedCopy,
) -> Result<UploadRecord, Stop> {
    if copy.digests.len() as u64 != plaintext_parts(copy.length)? {
        return Err(EngineError::Source("its digests are not those of its length").into());
    }
    if transaction.exists(&key::upload(&copy.blob_id))? {
        return Err(EngineError::Source("its id is in use").into());
    }
    for (part, digest) in (0..).zip(&copy.digests) {
        transaction.store(&key::upload_part(&copy.blob_id, part), digest);
    }
    Ok(UploadRecord {
        blob_id: copy.blob_id,
        upload_secret: transaction.random_id(),
        key: copy.key.clone(),
        content_id,
        role,
        length: copy.length,
        source: UploadSource::SealedCopy,
        begun_anew: 0,
        created: transaction.now.0,
        attempts: 0,
        next_attempt: 0,
        finished: None,
    })
}

/// What the message says about an upload; root and expiry once it is done.
pub(super) fn reference(own: &OwnDevice, record: &UploadRecord) -> BlobReference {
    let finished = record.finished.unwrap_or(FinishedUpload { root: [0; DIGEST_LENGTH], expires: 0 });
    BlobReference {
        domain: own.address().domain().to_owned(),
        id: record.blob_id,
        key: record.key.clone(),
        length: record.length,
        root: finished.root,
        expires: finished.expires,
    }
}

/// A part has been read for the first time, or again. The shell lets nothing of it leave before this is committed.
pub(super) fn part_read(
    transaction: &mut Transaction<'_>,
    blob_id: &[u8; 32],
    part: u32,
    digest: &PartDigest,
) -> Result<(), Stop> {
    OwnDevice::load_working(transaction)?;
    let record = transaction.load(&key::upload(blob_id))?;
    let mut record = record.filter(|record| record.finished.is_none()).ok_or(EngineError::UnknownUpload)?;
    if u64::from(part) >= plaintext_parts(record.length)? {
        return Err(EngineError::UploadPart { part }.into());
    }
    let place = key::upload_part(blob_id, part);
    match transaction.load(&place)? {
        Some(known) if known != *digest => return Err(EngineError::PartChanged { part }.into()),
        Some(_) => return Ok(()),
        None => transaction.store(&place, digest),
    }
    if record.attempts != 0 {
        (record.attempts, record.next_attempt) = (0, 0);
        transaction.store(&key::upload(blob_id), &record);
        report(transaction, &record.content_id, RecipientState::Queued, Some(UPLOADING))?;
    }
    Ok(())
}

/// The file is not what it was: another blob, another key, all digests gone.
pub(super) fn changed(
    transaction: &mut Transaction<'_>,
    blob_id: &[u8; 32],
    length: u64,
    modified: u64,
) -> Result<(), Stop> {
    let Some(before) = pending(transaction, blob_id)? else { return Ok(()) };
    let UploadSource::File { path, .. } = &before.source else {
        // There is no plaintext to begin anew from.
        return fail_message(transaction, &before.content_id, "sealed_copy_damaged");
    };
    if before.begun_anew >= UPLOAD_BEGUN_ANEW_MAX {
        return fail_message(transaction, &before.content_id, "file_changed");
    }
    if Layout::new(length).is_err() {
        return fail_message(transaction, &before.content_id, "file_too_large");
    }
    let own = OwnDevice::load_working(transaction)?;
    let (content_id, role) = (before.content_id, before.role);
    let mut record = of_file(transaction, (content_id, role), (path, length, modified));
    (record.begun_anew, record.created) = (before.begun_anew + 1, before.created);
    delete(transaction, &before);
    transaction.store(&key::upload(&record.blob_id), &record);
    let Some(mut content) = content_of(transaction, &content_id)? else {
        return fail_message(transaction, &content_id, "content_missing");
    };
    set_reference(&mut content, role, reference(&own, &record));
    store_content(transaction, &content_id, &content)?;
    transaction.event(Event::UploadBegunAnew { id: content_id, role });
    report(transaction, &content_id, RecipientState::Queued, Some(UPLOADING))
}

/// Every piece is on the server's disk. The last upload of a message lets the message go.
pub(super) fn done(transaction: &mut Transaction<'_>, blob_id: &[u8; 32], expires: u64) -> Result<(), Stop> {
    let Some(mut record) = pending(transaction, blob_id)? else { return Ok(()) };
    let digests = transaction.load_all(&PendingUpload::part_keys(&record))?;
    let mut read = Vec::with_capacity(digests.len());
    for (part, digest) in (0..).zip(digests) {
        read.push(digest.ok_or(EngineError::UploadPart { part })?);
    }
    let content_id = record.content_id;
    delete_parts(transaction, &record);
    record.finished = Some(FinishedUpload { root: root(record.length, &read), expires });
    (record.attempts, record.next_attempt) = (0, 0);
    transaction.store(&key::upload(blob_id), &record);
    own_blob::keep(transaction, (blob_id, &record.upload_secret), expires)?;
    transaction.event(Event::UploadFinished { id: content_id, role: record.role });
    let uploads = of_message(transaction, &content_id)?;
    let kept_until = transaction.now.0.saturating_add(BLOB_KEPT_MIN_MS);
    let finished = |upload: &UploadRecord| upload.finished.is_some_and(|finished| finished.expires >= kept_until);
    if uploads.iter().any(|upload| upload.finished.is_some() && !finished(upload)) {
        return fail_message(transaction, &content_id, "blob_kept_too_short");
    }
    if uploads.iter().all(finished) {
        return release(transaction, &content_id, &uploads);
    }
    report(transaction, &content_id, RecipientState::Queued, Some(UPLOADING))
}

/// It could not go on now.
pub(super) fn postponed(
    transaction: &mut Transaction<'_>,
    blob_id: &[u8; 32],
    code: &str,
    retry_after: u64,
) -> Result<(), Stop> {
    let Some(mut record) = pending(transaction, blob_id)? else { return Ok(()) };
    record.attempts = record.attempts.saturating_add(1);
    record.next_attempt = next_attempt(transaction, record.attempts, retry_after);
    transaction.store(&key::upload(blob_id), &record);
    report(transaction, &record.content_id, RecipientState::Queued, Some(code))
}

/// It has failed for good, and the message with it.
pub(super) fn failed(transaction: &mut Transaction<'_>, blob_id: &[u8; 32], code: &str) -> Result<(), Stop> {
    match pending(transaction, blob_id)? {
        Some(record) => fail_message(transaction, &record.content_id, code),
        None => Ok(()),
    }
}

/// Gives up what has been tried for too long.
pub(super) fn expire(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let now = transaction.now.0;
    for (_, record) in transaction.scan::<UploadRecord>(class::UPLOAD)? {
        // The uploads of one message are of one age: the first takes the others with it.
        let still_there = transaction.exists(&key::upload(&record.blob_id))?;
        if still_there && now.saturating_sub(record.created) > UPLOAD_TRIED_MS {
            go_on(fail_message(transaction, &record.content_id, "upload_expired"))?;
        }
    }
    Ok(())
}

/// The store is an old copy: keys in it may have sealed what it knows nothing of.
pub(super) fn drop_all(transaction: &mut Transaction<'_>, code: &str) -> Result<(), Stop> {
    for (_, record) in transaction.scan::<UploadRecord>(class::UPLOAD)? {
        if transaction.exists(&key::upload(&record.blob_id))? {
            go_on(fail_message(transaction, &record.content_id, code))?;
        }
    }
    Ok(())
}

/// The message is complete: its content gets the references, and each recipient an outbox entry, or the group its own.
fn release(transaction: &mut Transaction<'_>, content_id: &[u8; 16], uploads: &[UploadRecord]) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let waiting = group::waiting_for_upload(transaction, content_id)?;
    let message = transaction.load(&key::message(content_id))?;
    let Some(mut content) = content_of(transaction, content_id)?.filter(|_| waiting.is_some() || message.is_some())
    else {
        return fail_message(transaction, content_id, "content_missing");
    };
    for upload in uploads {
        set_reference(&mut content, upload.role, reference(&own, upload));
        transaction.delete(&key::upload(&upload.blob_id));
    }
    store_content(transaction, content_id, &content)?;
    if let Some(waiting) = waiting {
        return waiting.release(transaction);
    }
    let Some(message) = message else { return Ok(()) };
    for recipient in message.recipients.iter().filter(|recipient| waits(recipient)) {
        enqueue(transaction, *content_id, &recipient.address, false);
    }
    own_devices::enqueue_for_others(transaction, &own, *content_id, false);
    report(transaction, content_id, RecipientState::Queued, None)
}

/// No recipient gets it; everything that was to be uploaded is dropped.
pub(super) fn fail_message(transaction: &mut Transaction<'_>, content_id: &[u8; 16], code: &str) -> Result<(), Stop> {
    let uploads = of_message(transaction, content_id)?;
    for upload in &uploads {
        delete(transaction, upload);
    }
    transaction.event(Event::UploadsDropped { id: *content_id, uploads });
    report(transaction, content_id, RecipientState::Failed, Some(code))
}

/// Tells how far the message has come with everybody who waits for it.
fn report(
    transaction: &mut Transaction<'_>,
    content_id: &[u8; 16],
    state: RecipientState,
    code: Option<&str>,
) -> Result<(), Stop> {
    if let Some(waiting) = group::waiting_for_upload(transaction, content_id)? {
        return waiting.report(transaction, state == RecipientState::Failed, code);
    }
    let Some(message) = transaction.load(&key::message(content_id))? else { return Ok(()) };
    for recipient in message.recipients.iter().filter(|recipient| waits(recipient)) {
        set_state(transaction, content_id, &recipient.address, state, code)?;
    }
    Ok(())
}

fn waits(recipient: &RecipientRecord) -> bool {
    recipient.state == RecipientState::Queued
}

/// An upload that is there and not done.
fn pending(transaction: &mut Transaction<'_>, blob_id: &[u8; 32]) -> Result<Option<UploadRecord>, Stop> {
    let record = transaction.load(&key::upload(blob_id))?;
    Ok(record.filter(|record| record.finished.is_none()))
}

fn of_message(transaction: &mut Transaction<'_>, content_id: &[u8; 16]) -> Result<Vec<UploadRecord>, Stop> {
    let uploads = transaction.scan(class::UPLOAD)?.into_iter().map(|(_, record)| record);
    Ok(uploads.filter(|record: &UploadRecord| record.content_id == *content_id).collect())
}

fn content_of(transaction: &mut Transaction<'_>, content_id: &[u8; 16]) -> Result<Option<Content>, Stop> {
    if let Some(waiting) = group::waiting_for_upload(transaction, content_id)? {
        return waiting.content(transaction);
    }
    let encoded = transaction.load(&key::content(content_id))?;
    Ok(encoded.map(|encoded| Content::decode(&encoded)).transpose()?)
}

fn store_content(transaction: &mut Transaction<'_>, content_id: &[u8; 16], content: &Content) -> Result<(), Stop> {
    if let Some(waiting) = group::waiting_for_upload(transaction, content_id)? {
        return waiting.store_content(transaction, content);
    }
    transaction.store(&key::content(content_id), &content.encode()?);
    Ok(())
}

fn set_reference(content: &mut Content, role: UploadRole, reference: BlobReference) {
    match role {
        UploadRole::Body => content.body_blob = Some(reference),
        UploadRole::Attachment(index) => {
            let attachment = usize::try_from(index).ok().and_then(|index| content.attachments.get_mut(index));
            if let Some(attachment) = attachment {
                attachment.place = AttachmentPlace::Blob(reference);
            }
        }
    }
}

fn delete(transaction: &mut Transaction<'_>, record: &UploadRecord) {
    transaction.delete(&key::upload(&record.blob_id));
    delete_parts(transaction, record);
}

fn delete_parts(transaction: &mut Transaction<'_>, record: &UploadRecord) {
    for part in PendingUpload::part_keys(record) {
        transaction.delete(&part);
    }
}

fn plaintext_parts(length: u64) -> Result<u64, EngineError> {
    let layout = Layout::new(length).map_err(|_| EngineError::Source("it is larger than an attachment may be"))?;
    Ok(layout.plaintext_parts())
}
