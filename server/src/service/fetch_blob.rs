//! `FetchBlob`: bytes of a complete blob, for whoever knows its id.

use medipeps_core::wire::transport::{ErrorReply, FetchBlob, FetchBlobReply, Response};

use super::begin_blob::blob_refused;
use super::{Moment, Service, kib, rate_limited};

impl Service {
    pub(super) async fn fetch_blob(&self, moment: Moment, request: FetchBlob) -> Result<Response, ErrorReply> {
        let FetchBlob { id, offset, length } = request;
        let cost = kib(length as usize);
        self.limiters.blob_download_per_address.take_many(moment.network, cost, moment.now_ms).map_err(rate_limited)?;
        let range = self.storage.read_blob(&id, offset, length).await.map_err(blob_refused)?;
        Ok(Response::FetchBlob(FetchBlobReply { data: range.data, blob_length: range.blob_length }))
    }
}
