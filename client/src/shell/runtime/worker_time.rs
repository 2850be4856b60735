//! Waiting in a browser's Worker: every wait is a timer of the event loop of its own.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;

use super::Instant;

/// The time was over first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// Waits for so long; at most 24 days at a time, which is what a browser's timers can do.
pub(crate) async fn sleep(time: Duration) {
    let milliseconds = time.as_micros().div_ceil(1000).min(i32::MAX as u128);
    TimeoutFuture::new(u32::try_from(milliseconds).unwrap_or(u32::MAX)).await;
}

/// Waits until that moment.
pub(crate) async fn sleep_until(until: Instant) {
    sleep(until.saturating_duration_since(Instant::now())).await;
}

/// What a future gives if it is there in time.
pub(crate) async fn timeout<T>(time: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    match select(pin!(future), pin!(sleep(time))).await {
        Either::Left((value, _)) => Ok(value),
        Either::Right(_) => Err(Elapsed),
    }
}

/// The same until a moment.
pub(crate) async fn timeout_at<T>(until: Instant, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    timeout(until.saturating_duration_since(Instant::now()), future).await
}
