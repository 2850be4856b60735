//! Tasks and time: those of tokio in a program, those of the event loop in a browser's Worker, by the same names.
//!
//! A program has several threads, and what runs on one may go on on another; a Worker has one, and what it has of JavaScript cannot
//! leave it. [`MaybeSend`] and [`MaybeSync`] ask for what is needed where the code runs.

#[cfg(target_arch = "wasm32")]
mod worker_time;

#[cfg(target_arch = "wasm32")]
pub(crate) use tokio_with_wasm::task::JoinSet;
#[cfg(target_arch = "wasm32")]
pub(crate) use web_time::Instant;
#[cfg(target_arch = "wasm32")]
pub(crate) use worker_time::{sleep, timeout, timeout_at};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use tokio::task::JoinSet;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use tokio::time::{Instant, sleep, timeout, timeout_at};

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
