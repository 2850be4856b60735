//! Tasks and time: those of tokio in a program, those of the event loop in a browser's Worker, by the same names.
//!
//! A program has several threads, and what runs on one may go on on another; a Worker has one, and what it has of JavaScript cannot
//! leave it. [`MaybeSend`] and [`MaybeSync`] ask for what is needed where the code runs.

#[cfg(target_arch = "wasm32")]
mod worker_time;

#[cfg(target_arch = "wasm32")]
pub(crate) use futures_util::future::LocalBoxFuture as BoxFuture;
#[cfg(target_arch = "wasm32")]
pub(crate) use tokio_with_wasm::task::{AbortHandle, JoinError, JoinSet};
#[cfg(target_arch = "wasm32")]
pub(crate) use web_time::Instant;
#[cfg(target_arch = "wasm32")]
pub(crate) use worker_time::{sleep, sleep_until, timeout, timeout_at};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use futures_util::future::BoxFuture;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use tokio::task::{AbortHandle, JoinError, JoinSet};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// [`Send`] where there is more than one thread.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSend: Send {}

#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + ?Sized> MaybeSend for T {}

/// [`Sync`] where there is more than one thread.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSync: Sync {}

#[cfg(not(target_arch = "wasm32"))]
impl<T: Sync + ?Sized> MaybeSync for T {}

/// [`Send`] where there is more than one thread: here nothing is asked for.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSend {}

#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSend for T {}

/// [`Sync`] where there is more than one thread: here nothing is asked for.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSync {}

#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSync for T {}

/// Does on a thread for that what takes long or waits for the disk.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    tokio::task::spawn_blocking(work).await
}

/// Does at once what takes long: there is no other thread, and nothing here waits for a disk.
#[cfg(target_arch = "wasm32")]
pub(crate) async fn blocking<T>(work: impl FnOnce() -> T) -> Result<T, JoinError> {
    Ok(work())
}

/// Whether a task has come to its end.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn is_finished(task: &AbortHandle) -> bool {
    task.is_finished()
}

/// Whether a task has come to its end without a word: here a panic ends everything, and whoever ends a task forgets it himself.
#[cfg(target_arch = "wasm32")]
pub(crate) const fn is_finished(_: &AbortHandle) -> bool {
    false
}
