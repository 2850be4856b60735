//! `WatchGroupLogs`: entries of several group logs are pushed as they come, each of one epoch.
//!
//! Wake-ups only make it faster: every [`RESCAN_INTERVAL_MS`] the logs are looked at whether anything was announced or not.
//! A log leaves the watch when its epoch is closed and pushed; its reader then proves the next one on another stream.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use medipeps_core::wire::transport::{
    ErrorCode, ErrorReply, GroupLogEvent, GroupLogPush, Response, WatchGroupLogs, WatchedGroupLog,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::group_logs::{Fetched, group_log_failed, on_the_wire};
use super::{Connection, Moment, Service, Sink, SinkClosed, kib, rate_limited};
use crate::fail_point::fail_point;
use crate::limits::{RESCAN_INTERVAL_MS, SUBSCRIPTION_BATCH};

/// An open watch.
pub struct GroupWatch {
    service: Arc<Service>,
    moment: Moment,
    logs: HashMap<[u8; 32], Watched>,
    /// Logs that cannot be watched, to be told.
    refused: Vec<([u8; 32], ErrorReply)>,
}

/// One log of a watch, and how far it has come.
struct Watched {
    epoch: u64,
    cursor: u64,
    told_caught_up: bool,
    hint: Option<watch::Receiver<u64>>,
    signals: broadcast::Receiver<Arc<[u8]>>,
}

/// Whether there may be more of a log.
#[derive(PartialEq, Eq)]
enum Pass {
    More,
    Done,
}

/// What has happened to a log.
enum News {
    /// There may be entries.
    Hint,
    /// A member sent this.
    Signal(Arc<[u8]>),
}

/// Why a watch ends.
enum End {
    Closed,
    GoAway,
}

impl From<SinkClosed> for End {
    fn from(_: SinkClosed) -> Self {
        Self::Closed
    }
}

impl Service {
    pub(super) async fn watch_group_logs(
        self: &Arc<Self>,
        connection: &Connection,
        moment: Moment,
        nonce: &[u8; 32],
        request: WatchGroupLogs,
    ) -> GroupWatch {
        self.drain.opened();
        self.metrics.group_watches.inc();
        let mut watch = GroupWatch { service: self.clone(), moment, logs: HashMap::new(), refused: Vec::new() };
        for log in request.logs {
            let log_id = log.log_id;
            match self.watched(connection, moment, nonce, log).await {
                Ok(watched) => drop(watch.logs.insert(log_id, watched)),
                Err(error) => watch.refused.push((log_id, error)),
            }
        }
        watch
    }

    async fn watched(
        &self,
        connection: &Connection,
        moment: Moment,
        nonce: &[u8; 32],
        log: WatchedGroupLog,
    ) -> Result<Watched, ErrorReply> {
        self.limiters.group_reads_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        let WatchedGroupLog { log_id, epoch, after, signature } = log;
        let cursor = self.sequence_after(after)?;
        self.check_reader(connection, nonce, (&log_id, epoch), &signature).await?;
        let hint = self.storage.watch_group_log(&log_id).await.map_err(group_log_failed)?;
        let signals = self.group_signals.subscribe(log_id, epoch);
        Ok(Watched { epoch, cursor, told_caught_up: false, hint: Some(hint), signals })
    }
}

impl Drop for GroupWatch {
    fn drop(&mut self) {
        self.service.metrics.group_watches.dec();
        self.service.drain.ended();
    }
}

impl GroupWatch {
    /// Pushes until the client goes, no log is left, or the server stops.
    pub async fn run(mut self, sink: &mut impl Sink) {
        if let Err(End::GoAway) = self.push(sink).await {
            let event = GroupLogEvent::GoAway { retry_after: self.service.retry_after_drain() };
            // Whether it still gets there does not matter: a client that misses it connects again.
            let _ = sink.send(&Response::GroupLog(event)).await;
        }
    }

    async fn push(&mut self, sink: &mut impl Sink) -> Result<(), End> {
        let mut rescan = interval(Duration::from_millis(RESCAN_INTERVAL_MS));
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rescan.reset();
        sink.send(&Response::GroupLog(GroupLogEvent::Open(self.service.storage.incarnation()))).await?;
        for (log_id, error) in std::mem::take(&mut self.refused) {
            send(sink, log_id, ended(&error)).await?;
        }
        // All of them at first, and at every rescan; otherwise those that were announced.
        let mut due: VecDeque<[u8; 32]> = self.logs.keys().copied().collect();
        while !self.logs.is_empty() {
            let Some(log_id) = due.pop_front() else {
                due.extend(self.wait(sink, &mut rescan).await?);
                continue;
            };
            if self.service.drain.is_turn() {
                return Err(End::GoAway);
            }
            // By turns, so that a log that is written to all the time holds up no other.
            if self.pass(sink, log_id).await? == Pass::More {
                due.push_back(log_id);
            }
        }
        Ok(())
    }

    /// Pushes the next entries of one log.
    async fn pass(&mut self, sink: &mut impl Sink, log_id: [u8; 32]) -> Result<Pass, End> {
        let Some(watched) = self.logs.get_mut(&log_id) else { return Ok(Pass::Done) };
        if let Some(hint) = &mut watched.hint {
            hint.mark_unchanged();
        }
        let fetched = self.service.group_entries((&log_id, watched.epoch), watched.cursor, SUBSCRIPTION_BATCH);
        let Fetched { entries, cursor, share } = match fetched.await {
            Ok(fetched) => fetched,
            // There is no memory for it now; the next look comes.
            Err(error) if error.known_code() == Some(ErrorCode::RateLimited) => return Ok(Pass::Done),
            Err(error) => {
                self.logs.remove(&log_id);
                send(sink, log_id, ended(&error)).await?;
                return Ok(Pass::Done);
            }
        };
        let nothing = entries.entries.is_empty() && cursor == watched.cursor;
        for entry in entries.entries {
            let cost = kib(entry.entry.len());
            watched.told_caught_up = false;
            send(sink, log_id, GroupLogPush::Entry(on_the_wire(entry))).await?;
            fail_point!(AfterGroupEntry);
            // What was pushed is counted and not refused: it makes the network address wait with its fetches.
            let limiter = &self.service.limiters.group_download_per_address;
            let _ = limiter.take_many(self.moment.network, cost, self.service.environment.now_ms());
        }
        drop(share);
        watched.cursor = cursor;
        if entries.epoch_closed {
            self.logs.remove(&log_id);
            send(sink, log_id, GroupLogPush::Closed).await?;
            return Ok(Pass::Done);
        }
        if !nothing {
            return Ok(Pass::More);
        }
        if !std::mem::replace(&mut watched.told_caught_up, true) {
            send(sink, log_id, GroupLogPush::CaughtUp).await?;
        }
        Ok(Pass::Done)
    }

    /// Waits until there may be something to do, and passes signals on. The logs to be looked at.
    async fn wait(&mut self, sink: &mut impl Sink, rescan: &mut Interval) -> Result<Vec<[u8; 32]>, End> {
        let (log_id, news) = tokio::select! {
            news = first_news(&mut self.logs) => news,
            () = self.service.drain.turn() => return Err(End::GoAway),
            () = sink.closed() => return Err(End::Closed),
            _ = rescan.tick() => return Ok(self.logs.keys().copied().collect()),
        };
        match news {
            News::Hint => Ok(vec![log_id]),
            News::Signal(signal) => {
                send(sink, log_id, GroupLogPush::Signal(signal.to_vec())).await?;
                Ok(Vec::new())
            }
        }
    }
}

/// What is awaited of one log.
type Waiting<'a> = Pin<Box<dyn Future<Output = ([u8; 32], News)> + Send + 'a>>;

/// The first log of which something is new.
async fn first_news(logs: &mut HashMap<[u8; 32], Watched>) -> ([u8; 32], News) {
    let mut waiting: Vec<Waiting<'_>> = Vec::with_capacity(logs.len());
    for (log_id, watched) in logs {
        waiting.push(Box::pin(async { (*log_id, watched.news().await) }));
    }
    poll_fn(move |context| {
        for one in &mut waiting {
            if let Poll::Ready(news) = one.as_mut().poll(context) {
                return Poll::Ready(news);
            }
        }
        Poll::Pending
    })
    .await
}

impl Watched {
    async fn news(&mut self) -> News {
        loop {
            tokio::select! {
                changed = changed(&mut self.hint) => {
                    if changed.is_err() {
                        // The log is gone, which a look finds out; or nothing is announced any more, and looks must do.
                        self.hint = None;
                    }
                    return News::Hint;
                }
                signal = self.signals.recv() => match signal {
                    Ok(signal) => return News::Signal(signal),
                    // Signals that came too fast are dropped.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                },
            }
        }
    }
}

/// Waits for an announcement.
async fn changed(hint: &mut Option<watch::Receiver<u64>>) -> Result<(), watch::error::RecvError> {
    match hint {
        Some(hint) => hint.changed().await,
        None => std::future::pending().await,
    }
}

fn ended(error: &ErrorReply) -> GroupLogPush {
    GroupLogPush::Ended { code: error.code, retry_after: error.retry_after }
}

async fn send(sink: &mut impl Sink, log_id: [u8; 32], event: GroupLogPush) -> Result<(), SinkClosed> {
    sink.send(&Response::GroupLog(GroupLogEvent::Log { log_id, event })).await
}
