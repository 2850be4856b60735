//! How a connection ends, and who waits for something of it meanwhile.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Weak;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use medipeps_client::limits::IDLE_TIMEOUT;
use medipeps_client::shell::connection::RequestError;

use crate::host;

/// Why a connection is over.
#[derive(Debug, Clone)]
pub(super) enum End {
    Closed(String),
    Silent,
}

impl End {
    pub(super) fn error(&self) -> RequestError {
        match self {
            Self::Closed(why) => RequestError::Closed(why.clone()),
            Self::Silent => RequestError::TimedOut,
        }
    }
}

/// Whether it is over.
#[derive(Debug, Default)]
pub(super) struct Ending {
    end: RefCell<Option<End>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Ending {
    /// Why it is over, if it is.
    pub(super) fn end(&self) -> Option<End> {
        self.end.borrow().clone()
    }

    /// It is over; the first reason stays.
    pub(super) fn set(&self, end: End) {
        self.end.borrow_mut().get_or_insert(end);
        self.wake();
    }

    /// Whoever waits looks again.
    pub(super) fn wake(&self) {
        let waiting = self.waiting.take();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Is woken by [`Self::wake`], unless it is over.
    pub(super) fn wait<T>(&self, context: &Context<'_>) -> Poll<Result<T, RequestError>> {
        if let Some(end) = self.end() {
            return Poll::Ready(Err(end.error()));
        }
        self.waiting.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }

    /// Waits until it is over.
    pub(super) async fn over(&self) -> RequestError {
        let over = poll_fn(|context| self.wait::<std::convert::Infallible>(context)).await;
        match over {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}

/// A connection whose server gives signs of life.
pub(super) trait Living {
    fn ending(&self) -> &Ending;
    fn silent_for(&self) -> Duration;
    fn ask(&self);
    fn finish(&self, end: End);
}

/// Asks for a sign of life now and then, and gives up a server that is silent.
pub(super) async fn stay_alive(connection: Weak<impl Living>, every: Duration) {
    loop {
        host::sleep_for(every.min(IDLE_TIMEOUT / 4)).await;
        let Some(connection) = connection.upgrade() else { return };
        if connection.ending().end().is_some() {
            return;
        }
        let silent_for = connection.silent_for();
        if silent_for >= IDLE_TIMEOUT {
            return connection.finish(End::Silent);
        }
        if silent_for >= every {
            connection.ask();
        }
    }
}
