//! Bodies that came as blobs: fetched by the shell, stored sealed on this device. Until then a message shows its short body
//! and nobody is told that it is here.

use medipeps_core::Address;
use medipeps_core::kind::{Content, ContentError};
use medipeps_core::wire::client_records::{BodyFetchRecord, SenderCheck};

use super::outbox::next_attempt;
use super::outcome::Event;
use super::records::key;
use super::transaction::{Stop, Transaction};
use super::{LocalId, MessageDetail, receipt};
use crate::limits::BODY_FETCH_TRIED_MS;

/// The code of bodies and attachments that lie elsewhere than at their sender's server.
const ANOTHER_DOMAIN: &str = "blob_domain";

impl MessageDetail {
    /// Puts the fetched body in place of the short one. `bytes` is the plaintext of the content's `body_blob`.
    ///
    /// # Errors
    /// A code for [`super::Input::BodyFailed`]: `body_mismatch` if the message was shown with another subject or other
    /// recipients, `body_malformed`.
    pub fn with_body(self, bytes: &[u8]) -> Result<Self, &'static str> {
        match self.content.with_body(bytes) {
            Ok(content) => Ok(Self { content, ..self }),
            Err(ContentError::BodyMismatch) => Err("body_mismatch"),
            Err(_) => Err("body_malformed"),
        }
    }

    /// Whether a blob of the message may be fetched from where it lies: its sender's own server. Otherwise a message could
    /// make a device visit any server, which would then learn when and where it was read.
    ///
    /// # Errors
    /// The code `blob_domain`.
    pub fn check_domain(&self, domain: &str) -> Result<(), &'static str> {
        check_domain(&self.message.sender, domain)
    }

    /// Under which name the sealed copy of the body lies on this device: the blob's id for a message of one's own, the
    /// local id for one that came, because two senders may name one id and must not replace each other's body. `None` if
    /// the body is inside the message.
    #[must_use]
    pub fn body_copy_name(&self) -> Option<Vec<u8>> {
        let blob = self.content.body_blob.as_ref()?;
        Some(if self.message.sent { blob.id.to_vec() } else { self.id.to_vec() })
    }
}

/// Whether a blob of a message may be fetched from where it lies: see [`MessageDetail::check_domain`].
///
/// # Errors
/// The code `blob_domain`.
pub(crate) fn check_domain(sender: &Address, domain: &str) -> Result<(), &'static str> {
    if domain == sender.domain() { Ok(()) } else { Err(ANOTHER_DOMAIN) }
}

/// Notes that the body of a message that has come is to be fetched.
pub(super) fn expect(transaction: &mut Transaction<'_>, id: &LocalId, content: &Content, sender_domain: &str) {
    let Some(blob) = content.body_blob.clone() else { return };
    let failed = (blob.domain != sender_domain).then(|| ANOTHER_DOMAIN.to_owned());
    transaction
        .store(&key::body_fetch(id), &BodyFetchRecord { blob, attempts: 0, next_attempt: 0, failed, code: None });
}

/// Whether a message waits for its body, or will never have it.
pub(super) fn is_missing(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<Option<BodyFetchRecord>, Stop> {
    transaction.load(&key::body_fetch(id))
}

/// Whether a body is fetched without a person's asking for it.
pub(crate) const fn is_wanted(sender_check: SenderCheck, record: &BodyFetchRecord) -> bool {
    matches!(sender_check, SenderCheck::Checked) && record.failed.is_none()
}

/// The sealed copy is on this device's disk: the message is whole, and its sender may be told.
pub(super) fn stored(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<(), Stop> {
    if is_missing(transaction, id)?.is_none() {
        return Ok(());
    }
    transaction.delete(&key::body_fetch(id));
    transaction.event(Event::BodyFetched { id: *id });
    receipt::send_arrived(transaction, id)
}

/// It could not be fetched now.
pub(super) fn postponed(
    transaction: &mut Transaction<'_>,
    id: &LocalId,
    code: &str,
    retry_after: u64,
) -> Result<(), Stop> {
    let Some(mut record) = is_missing(transaction, id)? else { return Ok(()) };
    let Some(message) = transaction.load(&key::message(id))? else { return Ok(()) };
    let until = record.blob.expires.min(message.received.saturating_add(BODY_FETCH_TRIED_MS));
    if transaction.now.0 > until {
        return give_up(transaction, id, record, "blob_expired");
    }
    record.code = Some(code.to_owned());
    record.attempts = record.attempts.saturating_add(1);
    record.next_attempt = next_attempt(transaction, record.attempts, retry_after);
    transaction.store(&key::body_fetch(id), &record);
    Ok(())
}

/// It can never be had.
pub(super) fn failed(transaction: &mut Transaction<'_>, id: &LocalId, code: &str) -> Result<(), Stop> {
    match is_missing(transaction, id)? {
        Some(record) => give_up(transaction, id, record, code),
        None => Ok(()),
    }
}

fn give_up(
    transaction: &mut Transaction<'_>,
    id: &LocalId,
    mut record: BodyFetchRecord,
    code: &str,
) -> Result<(), Stop> {
    record.failed = Some(code.to_owned());
    transaction.store(&key::body_fetch(id), &record);
    transaction.event(Event::BodyFailed { id: *id, code: code.to_owned() });
    Ok(())
}
