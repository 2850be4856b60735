//! Flushes sled, and does not wait for ever where it has failed.
//!
//! sled 0.34.7 lets threads of a pool write full buffers. When such a write fails it notes the error, and does not wake who
//! waits for the buffer (`Log::exit_reservation`), so that a flush under way never returns. A flush that begins afterwards
//! finds the error at once and wakes the others. So while one takes long, others are begun beside it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use crate::limits::{FLUSH_LOOK_INTERVAL, SLOW_FLUSH};

/// Flushes one database.
pub(super) struct Flusher {
    database: sled::Db,
    watched: Arc<Watched>,
    watcher: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Watched {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When the flush began that is under way.
    since: Option<Instant>,
    closed: bool,
}

impl Flusher {
    /// Begins to watch.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn new(database: sled::Db) -> io::Result<Self> {
        let watched = Arc::new(Watched::default());
        let (seen, beside) = (watched.clone(), database.clone());
        let watcher = Builder::new().name("flush watcher".into()).spawn(move || seen.watch(&beside))?;
        Ok(Self { database, watched, watcher: Some(watcher) })
    }

    /// Writes everything that was changed before. It is then in the file, and not yet on the disk.
    ///
    /// # Errors
    /// What sled says.
    pub(super) fn flush(&self) -> sled::Result<()> {
        self.watched.lock().since = Some(Instant::now());
        let flushed = self.database.flush();
        self.watched.lock().since = None;
        flushed.map(|_| ())
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.watched.lock().closed = true;
        self.watched.changed.notify_all();
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

impl Watched {
    fn watch(&self, database: &sled::Db) {
        let mut beside: Vec<JoinHandle<()>> = Vec::new();
        let mut patience = SLOW_FLUSH;
        let mut state = self.lock();
        while !state.closed {
            match state.since.map(|since| since.elapsed()) {
                Some(waited) if waited >= patience => {
                    // Each may come too early and wait as well; twice as long until the next bounds how many there are.
                    let database = database.clone();
                    let begun = Builder::new().name("flush beside".into()).spawn(move || drop(database.flush()));
                    beside.extend(begun.ok());
                    patience = patience.saturating_mul(2);
                }
                Some(waited) if waited >= SLOW_FLUSH => {}
                Some(_) | None => patience = SLOW_FLUSH,
            }
            beside.retain(|thread| !thread.is_finished());
            let waited = self.changed.wait_timeout(state, FLUSH_LOOK_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        // The last flush has returned, and so have these or will at once.
        beside.into_iter().for_each(|thread| drop(thread.join()));
    }

    /// The state is whole whenever its lock is free.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
