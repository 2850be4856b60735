//! `PutBlobPiece`: one piece of a blob onto the disk.

use medipeps_core::wire::transport::{ErrorReply, PutBlobPiece, PutBlobPieceReply, Response};

use super::begin_blob::{blob_refused, secret_hash};
use super::{Moment, Service, kib, rate_limited};
use crate::fail_point::fail_point;
use crate::storage::BlobPiece;

impl Service {
    pub(super) async fn put_blob_piece(&self, moment: Moment, request: PutBlobPiece) -> Result<Response, ErrorReply> {
        let PutBlobPiece { id, upload_secret, index, data } = request;
        let cost = kib(data.len());
        self.limiters.blob_upload_per_address.take_many(moment.network, cost, moment.now_ms).map_err(rate_limited)?;
        let piece = BlobPiece { id, secret_hash: secret_hash(&upload_secret), index, data };
        fail_point!(BeforePutPiece);
        let outcome = self.storage.put_blob_piece(piece).await.map_err(blob_refused)?;
        fail_point!(AfterPutPiece);
        Ok(Response::PutBlobPiece(PutBlobPieceReply { complete: outcome.complete }))
    }
}
