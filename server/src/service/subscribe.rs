//! `Subscribe`: the queue of a device is pushed to it.
//!
//! At least once, in order, at most [`UNACKNOWLEDGED_MAX`] ahead of the acknowledgements. Wake-ups only make it faster:
//! every [`RESCAN_INTERVAL_MS`] the queue is looked at whether anything was announced or not.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use medipeps_core::limits::UNACKNOWLEDGED_MAX;
use medipeps_core::wire::transport::{Delivery, ErrorCode, ErrorReply, Response, SubscriptionEvent};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::connection::ProvedDevice;
use super::delivery_loops::Verdict;
use super::subscriptions::Place;
use super::{Service, queue_failed, refuse};
use crate::fail_point::fail_point;
use crate::limits::{RESCAN_INTERVAL_MS, SUBSCRIPTION_BATCH};
use crate::storage::QueueError;

/// Where a subscription writes to.
pub trait Sink: Send {
    /// Writes one response. It waits until the client has room for it, and no longer than is sensible.
    fn send(&mut self, response: &Response) -> impl Future<Output = Result<(), SinkClosed>> + Send;

    /// Waits until the client takes nothing more.
    fn closed(&mut self) -> impl Future<Output = ()> + Send;
}

/// The client takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the client takes nothing more")]
pub struct SinkClosed;

/// An open subscription.
pub struct Subscription {
    service: Arc<Service>,
    device: Arc<ProvedDevice>,
    place: Place,
    hint: watch::Receiver<u64>,
}

/// How far a subscription has come.
#[derive(Debug, Default)]
struct Progress {
    /// The number of the last envelope that was pushed or passed over.
    cursor: u64,
    /// Numbers that were pushed and not acknowledged, ascending.
    in_flight: VecDeque<u64>,
    /// `QueueEmpty` was sent after the last envelope.
    told_empty: bool,
    /// Expired envelopes that the device was told of and has not confirmed by an acknowledgement.
    told_expired: u64,
    /// Acknowledgements seen when it was told.
    told_expired_at: u64,
    /// Since when one-time prekeys were withheld, as the device was told and has not confirmed by an acknowledgement.
    told_withheld: u64,
    /// Acknowledgements seen when it was told.
    told_withheld_at: u64,
}

/// Why a subscription ends.
enum End {
    Closed,
    Displaced,
    GoAway,
    Failed(ErrorReply),
}

impl From<SinkClosed> for End {
    fn from(_: SinkClosed) -> Self {
        Self::Closed
    }
}

impl From<ErrorReply> for End {
    fn from(error: ErrorReply) -> Self {
        Self::Failed(error)
    }
}

impl Service {
    pub(super) async fn subscribe(self: &Arc<Self>, device: Arc<ProvedDevice>) -> Result<Subscription, ErrorReply> {
        self.check_listed(&device).await?;
        let hint = self.storage.watch(&device.address, device.device_id).await.map_err(queue_failed)?;
        let place = self.subscriptions.take(device.address.clone(), device.device_id);
        self.drain.opened();
        self.metrics.subscriptions.inc();
        Ok(Subscription { service: self.clone(), device, place, hint })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.service.subscriptions.leave(&self.place) {
            // What came meanwhile, or was not acknowledged, woke nobody.
            self.service.wakes.envelope_waits(&self.device.address, self.device.device_id);
        }
        self.service.metrics.subscriptions.dec();
        self.service.drain.ended();
    }
}

impl Subscription {
    /// Pushes until the client goes, a newer subscription takes over, the device is removed, or the server stops.
    pub async fn run(mut self, sink: &mut impl Sink) {
        let last = match self.push(sink).await {
            End::Closed => return,
            End::Displaced => Response::Subscription(SubscriptionEvent::Displaced),
            End::GoAway => {
                let retry_after = self.service.retry_after_drain();
                Response::Subscription(SubscriptionEvent::GoAway { retry_after })
            }
            End::Failed(error) => Response::Error(error),
        };
        // Whether it still gets there does not matter: a client that misses it connects again.
        let _ = sink.send(&last).await;
    }

    async fn push(&mut self, sink: &mut impl Sink) -> End {
        let mut rescan = interval(Duration::from_millis(RESCAN_INTERVAL_MS));
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rescan.reset();
        let mut progress = Progress::default();
        let opened_ms = self.service.environment.now_ms();
        let open = SubscriptionEvent::Open(self.service.storage.incarnation());
        if sink.send(&Response::Subscription(open)).await.is_err() {
            return End::Closed;
        }
        if let Err(end) = self.tell_withheld(sink, &mut progress).await {
            return end;
        }
        loop {
            if let Err(end) = self.pass(sink, &mut progress, opened_ms).await {
                return end;
            }
            if let Err(end) = self.wait(sink, &mut rescan, &mut progress).await {
                return end;
            }
        }
    }

    /// Pushes all that may be pushed now.
    async fn pass(&mut self, sink: &mut impl Sink, progress: &mut Progress, opened_ms: u64) -> Result<(), End> {
        self.tell_expired(sink, progress).await?;
        loop {
            self.check_end()?;
            self.service.check_listed(&self.device).await?;
            self.settle_expired(progress).await?;
            self.settle_withheld(progress).await?;
            progress.acknowledge(self.place.signals().up_to);
            let room = UNACKNOWLEDGED_MAX - progress.in_flight.len();
            if room == 0 {
                return Ok(());
            }
            fail_point!(BeforeFetch);
            let batch = self.fetch(progress.cursor, room.min(SUBSCRIPTION_BATCH)).await;
            fail_point!(AfterFetch);
            let batch = match batch {
                Err(QueueError::Corrupt { sequence }) => {
                    tracing::error!(sequence, "an envelope is damaged and passed over");
                    progress.cursor = sequence;
                    continue;
                }
                batch => batch.map_err(queue_failed)?,
            };
            let Some(first) = batch.first() else { break };
            if progress.cursor == 0 && self.moves_first(first.sequence).await? {
                continue;
            }
            for queued in batch {
                progress.push(queued.sequence);
                let received = queued.received_ms;
                let delivery =
                    Delivery { sequence: queued.sequence, received, envelope: queued.envelope, lane: queued.lane };
                sink.send(&Response::Subscription(SubscriptionEvent::Delivery(delivery))).await?;
                // What waited for its device says nothing about the server.
                let waited =
                    (received >= opened_ms).then(|| self.service.environment.now_ms().saturating_sub(received));
                self.service.metrics.delivered(waited);
                fail_point!(AfterDelivery);
            }
        }
        if progress.in_flight.is_empty() && !progress.told_empty {
            progress.told_empty = true;
            sink.send(&Response::Subscription(SubscriptionEvent::QueueEmpty)).await?;
        }
        Ok(())
    }

    /// Counts the first envelope of this subscription; one that its device fails at again and again goes behind the others.
    async fn moves_first(&self, sequence: u64) -> Result<bool, End> {
        let (address, device_id) = (&self.device.address, self.device.device_id);
        let metrics = &self.service.metrics;
        match self.service.delivery_loops.begin(address, device_id, sequence) {
            Verdict::Push => Ok(false),
            Verdict::Warn => {
                metrics.delivery_loops.inc();
                tracing::warn!(sequence, "an envelope is pushed again and again and never acknowledged");
                Ok(false)
            }
            Verdict::Move => {
                let moved = self.service.storage.move_to_end(address, device_id, sequence).await;
                let Some(to) = moved.map_err(queue_failed)? else { return Ok(false) };
                metrics.envelopes_moved.inc();
                tracing::warn!(sequence, to, "an envelope that is never acknowledged went to the end of its queue");
                Ok(true)
            }
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, sink: &mut impl Sink, rescan: &mut Interval, progress: &mut Progress) -> Result<(), End> {
        tokio::select! {
            changed = self.hint.changed() => changed.map_err(|_| End::Failed(refuse(ErrorCode::UnknownDevice))),
            () = self.place.changed() => Ok(()),
            () = self.service.drain.turn() => Err(End::GoAway),
            () = sink.closed() => Err(End::Closed),
            _ = rescan.tick() => {
                self.tell_withheld(sink, progress).await?;
                self.catch_up(progress).await
            }
        }
    }

    /// Finds acknowledgements that this process was not told of, because another node took them or a signal was lost.
    async fn catch_up(&self, progress: &mut Progress) -> Result<(), End> {
        if progress.in_flight.is_empty() {
            return Ok(());
        }
        let oldest = match self.fetch(0, 1).await {
            Ok(envelopes) => envelopes.first().map(|queued| queued.sequence),
            Err(QueueError::Corrupt { sequence }) => Some(sequence),
            Err(error) => return Err(queue_failed(error).into()),
        };
        progress.acknowledge(oldest.map_or(u64::MAX, |oldest| oldest.saturating_sub(1)));
        Ok(())
    }

    async fn tell_expired(&self, sink: &mut impl Sink, progress: &mut Progress) -> Result<(), End> {
        let (address, device_id) = (&self.device.address, self.device.device_id);
        let expired = self.service.storage.expired_count(address, device_id).await.map_err(queue_failed)?;
        if expired > progress.told_expired {
            let event = SubscriptionEvent::Expired(expired - progress.told_expired);
            sink.send(&Response::Subscription(event)).await?;
            progress.told_expired = expired;
            progress.told_expired_at = self.place.signals().acknowledgements;
        }
        Ok(())
    }

    /// Forgets what the device was told of once it has acknowledged anything after it.
    async fn settle_expired(&self, progress: &mut Progress) -> Result<(), End> {
        let confirmed = self.place.signals().acknowledgements > progress.told_expired_at;
        if progress.told_expired > 0 && confirmed {
            let (address, device_id) = (&self.device.address, self.device.device_id);
            let told = progress.told_expired;
            self.service.storage.settle_expired(address, device_id, told).await.map_err(queue_failed)?;
            progress.told_expired = 0;
        }
        Ok(())
    }

    /// Tells, once a subscription, that somebody drains the account's one-time prekeys.
    async fn tell_withheld(&self, sink: &mut impl Sink, progress: &mut Progress) -> Result<(), End> {
        let (address, device_id) = (&self.device.address, self.device.device_id);
        let since = self.service.storage.withheld_since(address, device_id).await.map_err(queue_failed)?;
        if since != 0 && since != progress.told_withheld {
            sink.send(&Response::Subscription(SubscriptionEvent::PrekeysWithheld(since))).await?;
            progress.told_withheld = since;
            progress.told_withheld_at = self.place.signals().acknowledgements;
        }
        Ok(())
    }

    /// Forgets it once the device has acknowledged anything after it.
    async fn settle_withheld(&self, progress: &mut Progress) -> Result<(), End> {
        let confirmed = self.place.signals().acknowledgements > progress.told_withheld_at;
        if progress.told_withheld > 0 && confirmed {
            let (address, device_id) = (&self.device.address, self.device.device_id);
            let told = progress.told_withheld;
            self.service.storage.settle_withheld(address, device_id, told).await.map_err(queue_failed)?;
            progress.told_withheld = 0;
        }
        Ok(())
    }

    async fn fetch(&self, after: u64, limit: usize) -> Result<Vec<crate::storage::QueuedEnvelope>, QueueError> {
        self.service.storage.fetch(&self.device.address, self.device.device_id, after, limit).await
    }

    fn check_end(&self) -> Result<(), End> {
        if self.place.signals().displaced {
            return Err(End::Displaced);
        }
        if self.service.drain.is_turn() { Err(End::GoAway) } else { Ok(()) }
    }
}

impl Progress {
    fn push(&mut self, sequence: u64) {
        self.cursor = sequence;
        self.in_flight.push_back(sequence);
        self.told_empty = false;
    }

    fn acknowledge(&mut self, up_to: u64) {
        while self.in_flight.front().is_some_and(|oldest| *oldest <= up_to) {
            self.in_flight.pop_front();
        }
    }
}
