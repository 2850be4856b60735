//! `SignalGroup`: to those who watch the current epoch of a group log, and to no disk.

use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response, SignalGroup};

use super::{Connection, Moment, Service, rate_limited, refuse};

impl Service {
    pub(super) async fn signal_group(
        &self,
        connection: &Connection,
        moment: Moment,
        nonce: &[u8; 32],
        request: SignalGroup,
    ) -> Result<Response, ErrorReply> {
        self.limiters.group_signals_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        let (key, epoch) = self.access_key(&request.log_id, request.epoch).await?;
        let channel = connection.channel(nonce, &self.domain);
        request.verify(&key, &channel).map_err(|_| refuse(ErrorCode::GroupAccessRefused))?;
        if !epoch.current {
            return Err(refuse(ErrorCode::StaleGroupEpoch));
        }
        self.group_signals.send(request.log_id, request.epoch, request.signal);
        Ok(Response::Done)
    }
}
