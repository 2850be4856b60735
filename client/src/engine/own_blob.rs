//! The blobs that this device has at its server. The server does not know whose they are; whoever has a blob's upload secret
//! can delete it, and does when the account ends.

use medipeps_core::wire::client_records::UploadRecord;
use medipeps_core::wire::transport::{DeleteBlob, Request};
use zeroize::Zeroizing;

use super::Correlation;
use super::account::OwnDevice;
use super::outcome::Connection;
use super::records::{Bytes, class, key};
use super::transaction::{Stop, Transaction};

/// Keeps the secret of a blob that is complete, and drops those of blobs that are gone.
pub(super) fn keep(
    transaction: &mut Transaction<'_>,
    (blob_id, upload_secret): (&[u8; 32], &[u8; 16]),
    expires: u64,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    for (key, value) in transaction.scan::<Bytes>(class::OWN_BLOB)? {
        let ends = value.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        if ends <= now {
            transaction.delete(&key);
        }
    }
    let value = [upload_secret.as_slice(), &expires.to_be_bytes()].concat();
    transaction.store(&key::own_blob(blob_id), &Zeroizing::new(value));
    Ok(())
}

/// The account has ended: what it has at the server goes, complete or not. What does not get there ends with its lifetime.
pub(super) fn delete_all(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    let complete = transaction.scan::<Bytes>(class::OWN_BLOB);
    let begun = transaction.scan::<UploadRecord>(class::UPLOAD);
    let (complete, begun) = (complete?, begun?);
    let mut blobs: Vec<([u8; 32], [u8; 16])> =
        begun.iter().map(|(_, upload)| (upload.blob_id, upload.upload_secret)).collect();
    for (key, value) in complete {
        if let (Ok(id), Some(secret)) = (key.name().try_into(), value.first_chunk()) {
            blobs.push((id, *secret));
        }
        transaction.delete(&key);
    }
    blobs.sort_unstable();
    blobs.dedup();
    for (id, upload_secret) in blobs {
        let connection = Connection::Anonymous(own.address().domain().to_owned());
        let request = Request::DeleteBlob(DeleteBlob { id, upload_secret });
        transaction.send(connection, request, Correlation::DeleteBlob(id));
    }
    Ok(())
}
