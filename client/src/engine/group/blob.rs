//! Invitations that are too large for a message travel as sealed blobs: put by whoever invites, fetched by whoever joins.
//!
//! The bytes are in the store, in pieces, so that an interrupted transfer goes on. A blob is sealed under a key of its own;
//! the same bytes give the same blob.

use std::ops::Range;

use medipeps_core::attachment::{AttachmentKey, BlobReference, Layout, Opener, Sealer, part_digest, root};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::limits::{ATTACHMENT_PART_LENGTH, BLOB_PIECE_LENGTH};
use medipeps_core::wire::client_records::{GroupBlobRecord, GroupInvitationRecord, GroupJoinRecord, GroupRecord};
use medipeps_core::wire::transport::{
    BeginBlob, ErrorCode, ErrorReply, FetchBlob, Payment, PutBlobPiece, Request, Response,
};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::{GroupCorrelation, GroupId, invitation};
use crate::engine::Correlation;
use crate::engine::account::OwnDevice;
use crate::engine::outbox::{is_due, is_transient, next_attempt};
use crate::engine::outcome::{Connection, EngineError};
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction};

/// What is asked of a server for a group's invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBlobRequest {
    /// Room for the blob of the invitation to an epoch.
    Begin(u64),
    /// A piece of it, by number.
    Put(u64, u32),
    /// Bytes of a blob, from an offset.
    Fetch(u64),
}

/// Prepares a blob for an invitation: its bytes go into the store.
pub(super) fn prepare(
    transaction: &mut Transaction<'_>,
    (group_id, epoch): (&GroupId, u64),
    invitation: &[u8],
) -> GroupBlobRecord {
    for (number, piece) in (0..).zip(invitation.chunks(BLOB_PIECE_LENGTH)) {
        let piece = Zeroizing::new(piece.to_vec());
        transaction.store(&key::group_invitation_piece(group_id, epoch, number), &piece);
    }
    let digests: Vec<_> = invitation.chunks(ATTACHMENT_PART_LENGTH).map(part_digest).collect();
    let length = invitation.len() as u64;
    let (mut id, mut upload_secret) = ([0; 32], [0; 16]);
    transaction.rng.fill_bytes(&mut id);
    transaction.rng.fill_bytes(&mut upload_secret);
    GroupBlobRecord {
        id,
        key: AttachmentKey::random(&mut transaction.rng).secret().clone(),
        upload_secret: Secret::from(upload_secret),
        length,
        root: root(length, &digests),
        stored_pieces: 0,
        begun: false,
        expires: 0,
        attempts: 0,
        next_attempt: 0,
    }
}

/// What the invited are told about a blob that is complete.
pub(super) fn reference(domain: &str, blob: &GroupBlobRecord) -> BlobReference {
    BlobReference {
        domain: domain.to_owned(),
        id: blob.id,
        key: AttachmentKey::from(blob.key.clone()),
        length: blob.length,
        root: blob.root,
        expires: blob.expires,
    }
}

/// Puts the next piece of each invitation of a group.
pub(super) fn upload_due(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    for (_, record) in transaction.scan::<GroupInvitationRecord>(class::GROUP_INVITATION)? {
        let due = record.place.is_some() && is_due(record.blob.next_attempt, transaction.now.0);
        if record.log_id == group.log_id && due {
            put_next(transaction, &own, &record)?;
        }
    }
    Ok(())
}

fn put_next(transaction: &mut Transaction<'_>, own: &OwnDevice, record: &GroupInvitationRecord) -> Result<(), Stop> {
    let blob = &record.blob;
    let layout = Layout::new(blob.length).map_err(|_| EngineError::NoProgress)?;
    let (request, step) = match blob.begun {
        false => {
            let begin = BeginBlob {
                id: blob.id,
                upload_secret: *blob.upload_secret.as_bytes(),
                length: layout.sealed_length(),
                payment: Payment::None,
            };
            (Request::BeginBlob(begin), GroupBlobRequest::Begin(record.epoch))
        }
        true => {
            let sealed = seal(transaction, record, blob, layout)?;
            let index = blob.stored_pieces;
            let data = sealed.chunks(BLOB_PIECE_LENGTH).nth(index as usize).unwrap_or_default().to_vec();
            let put = PutBlobPiece { id: blob.id, upload_secret: *blob.upload_secret.as_bytes(), index, data };
            (Request::PutBlobPiece(put), GroupBlobRequest::Put(record.epoch, index))
        }
    };
    let connection = Connection::GroupLogs(own.address().domain().to_owned());
    let correlation = GroupCorrelation::Blob { group: record.log_id, step };
    transaction.send(connection, request, Correlation::Group(correlation));
    Ok(())
}

fn seal(
    transaction: &mut Transaction<'_>,
    record: &GroupInvitationRecord,
    blob: &GroupBlobRecord,
    layout: Layout,
) -> Result<Vec<u8>, Stop> {
    let plaintext = pieces(transaction, (&record.log_id, record.epoch), blob.length)?;
    let sealer = Sealer::new(&AttachmentKey::from(blob.key.clone()), layout);
    let (mut sealed, mut part) = (Vec::new(), Vec::new());
    for number in 0..layout.parts() {
        let range = layout.part(number).map_err(|_| EngineError::NoProgress)?;
        let bytes = within(&plaintext, &range).ok_or(EngineError::NoProgress)?;
        sealer.seal_part(number, bytes, &mut part).map_err(|_| EngineError::NoProgress)?;
        sealed.extend_from_slice(&part);
    }
    Ok(sealed)
}

/// The bytes that were stored piece by piece.
pub(super) fn pieces(
    transaction: &mut Transaction<'_>,
    (group_id, epoch): (&GroupId, u64),
    length: u64,
) -> Result<Vec<u8>, Stop> {
    let count = u32::try_from(length.div_ceil(BLOB_PIECE_LENGTH as u64)).unwrap_or(u32::MAX);
    let keys: Vec<_> = (0..count).map(|number| key::group_invitation_piece(group_id, epoch, number)).collect();
    let stored = transaction.load_all(&keys)?;
    Ok(stored.into_iter().flatten().flat_map(|piece| piece.to_vec()).collect())
}

/// Forgets the bytes of an invitation.
pub(super) fn forget(transaction: &mut Transaction<'_>, (group_id, epoch): (&GroupId, u64), length: u64) {
    for number in 0..u32::try_from(length.div_ceil(BLOB_PIECE_LENGTH as u64)).unwrap_or(u32::MAX) {
        transaction.delete(&key::group_invitation_piece(group_id, epoch, number));
    }
}

/// Asks for the next bytes of an invitation that is being fetched.
pub(super) fn fetch_due(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<(), Stop> {
    let Some(join) = transaction.load(&key::group_join(&group.log_id))? else { return Ok(()) };
    if !join.checked || !is_due(join.next_attempt, transaction.now.0) {
        return Ok(());
    }
    let Some(blob) = invitation::blob_of(&join)? else { return Ok(()) };
    let sealed = blob.layout().map_err(|_| EngineError::NoProgress)?.sealed_length();
    let length = u32::try_from((sealed - join.fetched.min(sealed)).min(BLOB_PIECE_LENGTH as u64)).unwrap_or(0);
    let request = Request::FetchBlob(FetchBlob { id: blob.id, offset: join.fetched, length });
    let step = GroupBlobRequest::Fetch(join.fetched);
    let connection = Connection::GroupLogs(blob.domain);
    let correlation = GroupCorrelation::Blob { group: group.log_id, step };
    transaction.send(connection, request, Correlation::Group(correlation));
    Ok(())
}

/// What the server has said.
pub(in crate::engine) fn answered(
    transaction: &mut Transaction<'_>,
    (group_id, step): (&GroupId, GroupBlobRequest),
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    match step {
        GroupBlobRequest::Begin(epoch) | GroupBlobRequest::Put(epoch, _) => {
            let Some(record) = transaction.load(&key::group_invitation(group_id, epoch))? else { return Ok(()) };
            put_answered(transaction, record, step, result)
        }
        GroupBlobRequest::Fetch(offset) => {
            let Some(join) = transaction.load(&key::group_join(group_id))? else { return Ok(()) };
            if join.fetched == offset { fetch_answered(transaction, join, result) } else { Ok(()) }
        }
    }
}

fn put_answered(
    transaction: &mut Transaction<'_>,
    mut record: GroupInvitationRecord,
    step: GroupBlobRequest,
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let blob = &mut record.blob;
    match (step, result) {
        (GroupBlobRequest::Begin(_), Ok(Response::BeginBlob(reply))) => {
            (blob.begun, blob.expires, blob.attempts) = (true, reply.expires, 0);
            blob.stored_pieces = (0..).take_while(|index| reply.is_stored(*index)).last().map_or(0, |last| last + 1);
        }
        (GroupBlobRequest::Put(_, index), Ok(Response::PutBlobPiece(reply))) => {
            (blob.stored_pieces, blob.attempts) = (blob.stored_pieces.max(index + 1), 0);
            if reply.complete {
                return invitation::send(transaction, &own, &record);
            }
        }
        (_, Err(error)) => {
            // What the server has forgotten is begun again, as the same blob.
            blob.begun &= error.known_code() != Some(ErrorCode::UnknownBlob);
            blob.attempts = blob.attempts.saturating_add(1);
            blob.next_attempt = next_attempt(transaction, blob.attempts, error.retry_after);
        }
        _ => {}
    }
    transaction.store(&key::group_invitation(&record.log_id, record.epoch), &record);
    Ok(())
}

fn fetch_answered(
    transaction: &mut Transaction<'_>,
    mut join: GroupJoinRecord,
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    let Some(blob) = invitation::blob_of(&join)? else { return Ok(()) };
    let sealed_length = blob.layout().map_err(|_| EngineError::NoProgress)?.sealed_length();
    match result {
        Ok(Response::FetchBlob(reply)) if !reply.data.is_empty() && reply.blob_length == sealed_length => {
            let number = u32::try_from(join.fetched / BLOB_PIECE_LENGTH as u64).unwrap_or(u32::MAX);
            let data = Zeroizing::new(reply.data.clone());
            transaction.store(&key::group_invitation_piece(&join.log_id, 0, number), &data);
            join.fetched += reply.data.len() as u64;
            join.attempts = 0;
            if join.fetched >= sealed_length {
                let sealed = pieces(transaction, (&join.log_id, 0), sealed_length)?;
                forget(transaction, (&join.log_id, 0), sealed_length);
                return match open(&blob, sealed) {
                    Some(invitation) => invitation::fetched(transaction, &join, &invitation),
                    None => invitation::refuse(transaction, &join.log_id, "invitation_blob"),
                };
            }
        }
        Err(error) if is_transient(error) && error.known_code() != Some(ErrorCode::UnknownBlob) => {
            join.attempts = join.attempts.saturating_add(1);
            join.next_attempt = next_attempt(transaction, join.attempts, error.retry_after);
        }
        _ => {
            forget(transaction, (&join.log_id, 0), sealed_length);
            return invitation::refuse(transaction, &join.log_id, "invitation_gone");
        }
    }
    transaction.store(&key::group_join(&join.log_id), &join);
    Ok(())
}

/// The plaintext, if it is what the message says.
fn open(blob: &BlobReference, sealed: Vec<u8>) -> Option<Vec<u8>> {
    let layout = blob.layout().ok()?;
    let tail = layout.tail();
    let tail = within(&sealed, &tail)?.to_vec();
    let opener = Opener::new(&blob.key, layout, tail).ok()?;
    let mut plaintext = Vec::new();
    for part in 0..layout.parts() {
        let range = layout.sealed_part(part).ok()?;
        let mut buffer = within(&sealed, &range)?.to_vec();
        opener.open_part(part, &mut buffer).ok()?;
        plaintext.extend_from_slice(&buffer);
    }
    let digests: Vec<_> = plaintext.chunks(ATTACHMENT_PART_LENGTH).map(part_digest).collect();
    (root(blob.length, &digests) == blob.root).then_some(plaintext)
}

fn within<'a>(bytes: &'a [u8], range: &Range<u64>) -> Option<&'a [u8]> {
    bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
