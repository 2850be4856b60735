//! `FetchGroupEntries`: entries of one epoch of a group log, for whoever has the epoch's key.

use medipeps_core::wire::transport::{ErrorReply, FetchGroupEntries, FetchGroupEntriesReply, Response};

use super::group_logs::on_the_wire;
use super::{Answer, Connection, Moment, Service, kib, rate_limited};

impl Service {
    pub(super) async fn fetch_entries(
        &self,
        connection: &Connection,
        moment: Moment,
        nonce: &[u8; 32],
        request: FetchGroupEntries,
    ) -> Result<Answer, ErrorReply> {
        let FetchGroupEntries { log_id, epoch, after, limit, signature } = request;
        let Moment { now_ms, network } = moment;
        self.limiters.group_reads_per_address.take(network, now_ms).map_err(rate_limited)?;
        // First of all: after a restore the log may lack the epoch, and whoever asks must learn why.
        let after = self.sequence_after(after)?;
        self.check_reader(connection, nonce, (&log_id, epoch), &signature).await?;
        let fetched = self.group_entries((&log_id, epoch), after, limit as usize).await?;
        let bytes = fetched.entries.entries.iter().map(|entry| entry.entry.len()).sum();
        self.limiters.group_download_per_address.take_many(network, kib(bytes), now_ms).map_err(rate_limited)?;
        let reply = FetchGroupEntriesReply {
            incarnation: self.storage.incarnation(),
            entries: fetched.entries.entries.into_iter().map(on_the_wire).collect(),
            epoch_closed: fetched.entries.epoch_closed,
            now: now_ms,
        };
        Ok(Answer::Held(Response::FetchGroupEntries(reply), fetched.share))
    }
}
