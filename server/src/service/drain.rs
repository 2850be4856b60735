//! The end of a server, step by step: pushes are told to go away in batches, each with its own time to come again, and only
//! then is every request refused. So a server with ten thousand clients is not met by all of them when it is back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use medipeps_core::wire::transport::{ErrorCode, ErrorReply};
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::environment::Environment;
use crate::limits::{
    DRAIN_BATCH_INTERVAL_MS, DRAIN_BATCH_MIN, DRAIN_PUSHES_MAX_MS, RETRY_SPREAD_MAX_MS, RETRY_SPREAD_MIN_MS,
    RETRY_SPREAD_PER_PUSH_MS, SHUTDOWN_RETRY_MS,
};

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not begun.
    Serving,
    /// No push is opened any more, and open ones end by turns. Other requests are answered.
    Draining,
    /// Every request is refused, and what is still pushed ends.
    Stopped,
}

/// The end of one server.
#[derive(Debug)]
pub(super) struct Drain {
    phase: watch::Sender<Phase>,
    /// A permit for each push that may end now; closed when all must.
    turns: Semaphore,
    /// Subscriptions and watches of group logs that are open.
    pushes: AtomicUsize,
    /// Of them when the end began.
    pushes_at_end: AtomicUsize,
}

impl Drain {
    pub(super) fn new() -> Self {
        let [pushes, pushes_at_end] = [(); 2].map(|()| AtomicUsize::new(0));
        Self { phase: watch::Sender::new(Phase::Serving), turns: Semaphore::new(0), pushes, pushes_at_end }
    }

    /// Counts a push that is opened.
    pub(super) fn opened(&self) {
        self.pushes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a push that has ended.
    pub(super) fn ended(&self) {
        self.pushes.fetch_sub(1, Ordering::Relaxed);
    }

    /// From now on no push is opened.
    pub(super) fn begin(&self) {
        self.phase.send_if_modified(|phase| {
            let begins = *phase == Phase::Serving;
            if begins {
                self.pushes_at_end.store(self.pushes.load(Ordering::Relaxed), Ordering::Relaxed);
                *phase = Phase::Draining;
            }
            begins
        });
    }

    /// Gives every open push its turn to end: at least [`DRAIN_BATCH_MIN`] at once, and all within [`DRAIN_PUSHES_MAX_MS`].
    pub(super) async fn give_turns(&self) {
        let pushes = self.pushes_at_end.load(Ordering::Relaxed);
        let batch = pushes.div_ceil((DRAIN_PUSHES_MAX_MS / DRAIN_BATCH_INTERVAL_MS) as usize).max(DRAIN_BATCH_MIN);
        let mut ticks = interval(Duration::from_millis(DRAIN_BATCH_INTERVAL_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for _ in (0..pushes).step_by(batch) {
            ticks.tick().await;
            self.turns.add_permits(batch);
        }
    }

    /// From now on every request is refused, and every push ends.
    pub(super) fn stop(&self) {
        self.begin();
        self.phase.send_replace(Phase::Stopped);
        self.turns.close();
    }

    /// Whether the end has begun.
    pub(super) fn is_begun(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }

    /// Whether every request is refused.
    pub(super) fn is_stopped(&self) -> bool {
        *self.phase.borrow() == Phase::Stopped
    }

    /// Whether a push is to end now. A turn that was told is taken.
    pub(super) fn is_turn(&self) -> bool {
        match *self.phase.borrow() {
            Phase::Serving => false,
            Phase::Draining => self.turns.try_acquire().map(tokio::sync::SemaphorePermit::forget).is_ok(),
            Phase::Stopped => true,
        }
    }

    /// Waits until a push is to end.
    pub(super) async fn turn(&self) {
        // There are none before the end has begun, and there is nothing left to wait for once it has stopped.
        if let Ok(turn) = self.turns.acquire().await {
            turn.forget();
        }
    }

    /// Milliseconds after which a client should come again: the more there are, the more they are spread.
    pub(super) fn retry_after(&self, environment: &dyn Environment) -> u64 {
        let pushes = self.pushes_at_end.load(Ordering::Relaxed) as u64;
        let spread = (pushes * RETRY_SPREAD_PER_PUSH_MS).clamp(RETRY_SPREAD_MIN_MS, RETRY_SPREAD_MAX_MS);
        let mut drawn = [0; 8];
        // Without randomness all come at the same time, which is worse for the server alone.
        let _ = environment.fill_random(&mut drawn);
        SHUTDOWN_RETRY_MS + u64::from_be_bytes(drawn) % spread
    }

    /// How a request is refused meanwhile.
    pub(super) fn refusal(&self, environment: &dyn Environment) -> ErrorReply {
        ErrorReply::new(ErrorCode::ShuttingDown, "the server is stopping").retry_after(self.retry_after(environment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use tokio::time::Instant;

    use crate::environment::SystemEnvironment;

    #[tokio::test]
    async fn every_push_has_its_turn_and_no_more_than_a_batch_at_once() {
        let drain = Arc::new(Drain::new());
        let pushes = 5 * DRAIN_BATCH_MIN;
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..pushes {
            drain.opened();
            let (drain, ended) = (drain.clone(), ended.clone());
            tokio::spawn(async move {
                drain.turn().await;
                ended.send(Instant::now()).unwrap();
                drain.ended();
            });
        }
        assert!(!drain.is_turn());
        let start = Instant::now();
        drain.begin();
        assert!(!drain.is_turn(), "a turn has to be given");
        drain.give_turns().await;
        let mut times = Vec::new();
        while times.len() < pushes {
            times.push(ends.recv().await.unwrap() - start);
        }
        let first_batches = times.iter().filter(|time| **time < Duration::from_millis(DRAIN_BATCH_INTERVAL_MS)).count();
        assert!(first_batches <= 2 * DRAIN_BATCH_MIN, "{first_batches} at once");
        assert!(!drain.is_stopped());
        drain.stop();
        assert!(drain.is_turn());
    }

    #[test]
    fn times_to_come_again_are_spread_by_how_many_there_are() {
        let spread = |pushes: usize| {
            let drain = Drain::new();
            (0..pushes).for_each(|_| drain.opened());
            drain.begin();
            let drawn: BTreeSet<u64> = (0..300).map(|_| drain.retry_after(&SystemEnvironment)).collect();
            (*drawn.first().unwrap(), *drawn.last().unwrap())
        };
        let (least, most) = spread(1);
        assert!(least >= SHUTDOWN_RETRY_MS && most < SHUTDOWN_RETRY_MS + RETRY_SPREAD_MIN_MS);
        let (least, most) = spread(5_000);
        assert!(least >= SHUTDOWN_RETRY_MS && most > SHUTDOWN_RETRY_MS + RETRY_SPREAD_PER_PUSH_MS * 5_000 / 2);
        assert!(most < SHUTDOWN_RETRY_MS + RETRY_SPREAD_MAX_MS);
    }
}
