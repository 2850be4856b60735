//! `BeginBlob`: room for a blob, or how far it has come.

use medipeps_core::crypto::hash::labelled_sha256;
use medipeps_core::label;
use medipeps_core::wire::transport::{BeginBlob, BeginBlobReply, ErrorCode, ErrorReply, Response};

use super::payment::Purpose;
use super::{Moment, Service, refuse, storage_failed};
use crate::limits::{BLOB_STORE_FULL_RETRY_MS, BLOB_UNFINISHED_RETENTION_MS};
use crate::storage::{BeginBlobError, BlobError, NewBlob};

impl Service {
    pub(super) async fn begin_blob(&self, moment: Moment, request: BeginBlob) -> Result<Response, ErrorReply> {
        let BeginBlob { id, upload_secret, length, payment } = request;
        let settings = self.settings();
        if length > settings.largest_blob {
            let limit = settings.largest_blob;
            return Err(ErrorReply::new(ErrorCode::TooLarge, format!("a blob has at most {limit} bytes here")));
        }
        let limiters = [(&self.limiters.blob_begins_per_address, 1)];
        let price = self.prices().blob(length);
        let spend = self.pay(moment, payment, price, Purpose::Blob(id), &limiters).await?;
        let expires_ms = moment.now_ms.saturating_add(settings.blob_retention_ms);
        let unfinished_expires_ms = expires_ms.min(moment.now_ms.saturating_add(BLOB_UNFINISHED_RETENTION_MS));
        let secret_hash = secret_hash(&upload_secret);
        let blob = NewBlob { id, secret_hash, length, now_ms: moment.now_ms, expires_ms, unfinished_expires_ms, spend };
        let progress = self.storage.begin_blob(blob).await.map_err(|error| match error {
            BeginBlobError::Payment(error) => self.spend_refused(moment, error),
            error => refused(error),
        })?;
        let (stored_pieces, expires) = (progress.stored_pieces, progress.expires_ms);
        Ok(Response::BeginBlob(BeginBlobReply { stored_pieces, expires }))
    }
}

/// What the store keeps of an upload secret.
pub(super) fn secret_hash(upload_secret: &[u8; 16]) -> [u8; 32] {
    labelled_sha256(label::BLOB_UPLOAD_SECRET_HASH, &[upload_secret])
}

fn refused(error: BeginBlobError) -> ErrorReply {
    match error {
        BeginBlobError::Mismatch => refuse(ErrorCode::BlobMismatch),
        BeginBlobError::Full { .. } => {
            let error = ErrorReply::new(ErrorCode::BlobStoreFull, "there is no room for a blob of this size now");
            error.retry_after(BLOB_STORE_FULL_RETRY_MS)
        }
        BeginBlobError::Payment(_) => refuse(ErrorCode::TokenSpent),
        BeginBlobError::Storage(error) => storage_failed(error),
    }
}

/// How the requests on a blob that was begun are refused.
pub(super) fn blob_refused(error: BlobError) -> ErrorReply {
    match error {
        BlobError::Unknown => refuse(ErrorCode::UnknownBlob),
        BlobError::Mismatch => refuse(ErrorCode::BlobMismatch),
        BlobError::Corrupt { index } => {
            tracing::error!(index, "a piece of a blob is damaged");
            ErrorReply::new(ErrorCode::Internal, "a piece of the blob is damaged")
        }
        BlobError::Storage(error) => storage_failed(error),
    }
}
