//! What was accepted, what came, and how long it took: shared by all active clients.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ActiveReport;
use crate::latency::Series;

/// Bytes at the beginning of an envelope that say what it is: sender, number, nanoseconds since the start.
pub(super) const STAMP_LENGTH: usize = 24;

/// A message of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) sender: u64,
    /// The sender's own count.
    pub(super) number: u64,
}

/// Counts and latencies.
#[derive(Debug)]
pub(super) struct Tally {
    clients: usize,
    /// What stamps count from.
    created: Instant,
    accepted_count: AtomicU64,
    delivered_count: AtomicU64,
    unanswered: AtomicU64,
    not_submitted: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    accepted: HashSet<Message>,
    delivered: HashSet<Message>,
    repeated: u64,
    refused: BTreeMap<u32, u64>,
    accept: Series,
    deliver: Series,
}

impl Tally {
    pub(super) fn new(clients: usize) -> Self {
        let created = Instant::now();
        let inner = Inner {
            accepted: HashSet::new(),
            delivered: HashSet::new(),
            repeated: 0,
            refused: BTreeMap::new(),
            accept: Series::new(created),
            deliver: Series::new(created),
        };
        Self {
            clients,
            created,
            accepted_count: AtomicU64::new(0),
            delivered_count: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            not_submitted: AtomicU64::new(0),
            inner: Mutex::new(inner),
        }
    }

    /// The first submission is about to be made: seconds count from now.
    pub(super) fn begin(&self) -> Instant {
        let begun = Instant::now();
        let mut inner = self.lock();
        (inner.accept, inner.deliver) = (Series::new(begun), Series::new(begun));
        begun
    }

    /// What an envelope begins with.
    pub(super) fn stamp(&self, message: Message, due: Instant) -> [u8; STAMP_LENGTH] {
        let since = u64::try_from(due.saturating_duration_since(self.created).as_nanos()).unwrap_or(u64::MAX);
        let mut stamp = [0; STAMP_LENGTH];
        for (part, value) in stamp.chunks_exact_mut(8).zip([message.sender, message.number, since]) {
            part.copy_from_slice(&value.to_be_bytes());
        }
        stamp
    }

    pub(super) fn accepted(&self, message: Message, due: Instant, now: Instant) {
        let mut inner = self.lock();
        if inner.accepted.insert(message) {
            inner.accept.record(due, now);
            self.accepted_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An envelope came; `false` if it is none of ours.
    pub(super) fn delivered(&self, envelope: &[u8], now: Instant) -> bool {
        let Some(stamp) = envelope.first_chunk::<STAMP_LENGTH>() else { return false };
        let mut values = stamp.chunks_exact(8).map(|part| part.try_into().map_or(0, u64::from_be_bytes));
        let (Some(sender), Some(number), Some(since)) = (values.next(), values.next(), values.next()) else {
            return false;
        };
        let mut inner = self.lock();
        if inner.delivered.insert(Message { sender, number }) {
            inner.deliver.record(self.created + Duration::from_nanos(since), now);
            self.delivered_count.fetch_add(1, Ordering::Relaxed);
        } else {
            inner.repeated += 1;
        }
        true
    }

    pub(super) fn refused(&self, code: u32) {
        *self.lock().refused.entry(code).or_default() += 1;
    }

    pub(super) fn unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    /// So many were due and never submitted, as the answers to others were too late.
    pub(super) fn not_submitted(&self, count: u64) {
        self.not_submitted.fetch_add(count, Ordering::Relaxed);
    }

    /// Accepted and delivered so far.
    pub(super) fn so_far(&self) -> (u64, u64) {
        (self.accepted_count.load(Ordering::Relaxed), self.delivered_count.load(Ordering::Relaxed))
    }

    /// Whether something that was accepted has not come.
    pub(super) fn is_waiting(&self) -> bool {
        let (accepted, delivered) = self.so_far();
        // The counts tell in most looks; what came unconfirmed can hide what did not come.
        delivered < accepted || !self.lock().is_complete()
    }

    pub(super) fn report(&self, elapsed: Duration, cpu: Option<Duration>) -> ActiveReport {
        let inner = self.lock();
        let (accepted, delivered) = (inner.accepted.len() as u64, inner.delivered.len() as u64);
        ActiveReport {
            clients: self.clients,
            seconds: elapsed.as_secs_f64(),
            accepted,
            accepted_per_second: accepted as f64 / elapsed.as_secs_f64().max(f64::EPSILON),
            delivered,
            repeated: inner.repeated,
            lost: inner.accepted.difference(&inner.delivered).count() as u64,
            refused: inner.refused.clone(),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            not_submitted: self.not_submitted.load(Ordering::Relaxed),
            accept_ms: inner.accept.all().percentiles(),
            deliver_ms: inner.deliver.all().percentiles(),
            cpu_us_per_message: cpu.filter(|_| accepted > 0).map(|cpu| cpu.as_secs_f64() * 1e6 / accepted as f64),
            accept_by_second: inner.accept.seconds(),
            deliver_by_second: inner.deliver.seconds(),
            accept_curve: inner.accept.all().curve(),
            deliver_curve: inner.deliver.all().curve(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_complete(&self) -> bool {
        self.accepted.is_subset(&self.delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_and_did_not_come_is_lost() {
        let tally = Tally::new(2);
        let message = |number| Message { sender: 1, number };
        let due = tally.begin() + Duration::from_millis(5);
        let later = due + Duration::from_millis(20);
        for number in 0..3 {
            tally.accepted(message(number), due, later);
        }
        let envelope = |number| tally.stamp(message(number), due);
        // What came though its acceptance was never heard of hides nothing.
        for number in [0, 1, 1, 7] {
            assert!(tally.delivered(&envelope(number), later));
        }
        assert!(!tally.delivered(b"short", later));
        assert!(tally.is_waiting());
        let report = tally.report(Duration::from_secs(1), Some(Duration::from_millis(3)));
        assert_eq!((report.accepted, report.delivered, report.repeated, report.lost), (3, 3, 1, 1));
        assert_eq!(report.cpu_us_per_message, Some(1000.0));
        let took = report.deliver_ms.unwrap().p50;
        assert!((19.9..20.1).contains(&took), "{took}");
        tally.delivered(&envelope(2), later);
        assert!(!tally.is_waiting());
    }
}
