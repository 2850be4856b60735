//! `FetchTrustList`: the list of trusted domains that this server follows, if it is newer than the client's.

use medipeps_core::wire::transport::{ErrorReply, FetchTrustListReply, Response};

use super::{Moment, Service, rate_limited};

impl Service {
    pub(super) fn fetch_trust_list(&self, moment: Moment, known: u64) -> Result<Response, ErrorReply> {
        self.limiters.statements_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        let reply = self.trust_list().map_or(FetchTrustListReply { number: 0, list: Vec::new() }, |list| {
            let number = list.fields().number;
            // Whether it has run out is for the client to see.
            let list = if number > known { list.encoded().to_vec() } else { Vec::new() };
            FetchTrustListReply { number, list }
        });
        Ok(Response::FetchTrustList(reply))
    }
}
