//! `DeleteBlob`: the uploader takes a blob back.

use medipeps_core::wire::transport::{DeleteBlob, ErrorReply, Response};

use super::begin_blob::{blob_refused, secret_hash};
use super::{Moment, Service, rate_limited};

impl Service {
    pub(super) async fn delete_blob(&self, moment: Moment, request: DeleteBlob) -> Result<Response, ErrorReply> {
        let DeleteBlob { id, upload_secret } = request;
        self.limiters.blob_begins_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        self.storage.delete_blob(&id, &secret_hash(&upload_secret)).await.map_err(blob_refused)?;
        Ok(Response::Done)
    }
}
