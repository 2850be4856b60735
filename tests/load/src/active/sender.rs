//! The connection over which a client submits: one after another, or at times fixed beforehand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::connection::{Connection, RequestError, ServerExpectation, ServerTrust};
use medipeps_core::Address;
use medipeps_core::wire::transport::{DeviceEnvelope, Payment, Request, Response, Submit};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::tally::{Message, Tally};
use crate::account::Account;
use crate::error::LoadError;
use crate::run::Stop;
use crate::wire::Place;

/// Pause before what failed is repeated.
const REPEAT: Duration = Duration::from_millis(200);
/// How long a submission is repeated at most.
const REPEATED_FOR: Duration = Duration::from_secs(30);
/// What a timer of the runtime may be late by itself. A submission that is no later counts from when it really began.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// A client's anonymous connection, and whom it writes to.
pub(super) struct Sender {
    place: Place,
    server: ServerAddress,
    index: u64,
    to: Arc<Account>,
    /// Random bytes of the length of an envelope.
    noise: Vec<u8>,
    next: AtomicU64,
    tally: Arc<Tally>,
    connection: Mutex<Option<Connection>>,
}

impl Sender {
    /// Connects.
    pub(super) async fn connect(
        place: &Place,
        server: &ServerAddress,
        index: u64,
        to: Arc<Account>,
        length: usize,
        tally: Arc<Tally>,
    ) -> Result<Self, LoadError> {
        let mut noise = vec![0; length];
        getrandom::fill(&mut noise).map_err(|error| LoadError::server("randomness")(&error))?;
        let (place, server, next) = (place.clone(), server.clone(), AtomicU64::new(0));
        let sender = Self { place, server, index, to, noise, next, tally, connection: Mutex::new(None) };
        let failed = LoadError::server("an active client");
        sender.connection().await.map_err(|error| failed(&error))?;
        Ok(sender)
    }

    /// Closed loop: the next one when the answer to the last one is there.
    pub(super) async fn submit_one_after_another(self: Arc<Self>, end: Instant, stop: Stop) {
        while Instant::now() < end && !stop.is_asked() {
            self.submit(Instant::now()).await;
        }
    }

    /// Open loop: at times fixed beforehand, however late the answers are.
    pub(super) async fn submit_at_fixed_times(
        self: Arc<Self>,
        first: Instant,
        every: Duration,
        end: Instant,
        in_flight: usize,
        stop: Stop,
    ) {
        let (places, mut tasks) = (Arc::new(Semaphore::new(in_flight)), JoinSet::new());
        let mut due = first;
        while due < end && Instant::now() < end && !stop.is_asked() {
            sleep_until(due.into()).await;
            let late = due.elapsed();
            let begun = if late <= TIMER_GRAIN { due + late } else { due };
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let sender = self.clone();
            tasks.spawn(async move {
                sender.submit(begun).await;
                drop(place);
            });
            while tasks.try_join_next().is_some() {}
            due += every;
        }
        if !stop.is_asked() {
            let left = end.saturating_duration_since(due).as_nanos() / every.as_nanos().max(1);
            self.tally.not_submitted(u64::try_from(left).unwrap_or(u64::MAX));
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Submits one message until it is accepted, refused for good, or the time to repeat is up.
    async fn submit(&self, due: Instant) {
        let message = Message { sender: self.index, number: self.next.fetch_add(1, Ordering::Relaxed) };
        let request = Request::Submit(self.submission(message, due));
        let until = Instant::now() + REPEATED_FOR;
        while Instant::now() < until {
            let Ok(connection) = self.connection().await else {
                self.tally.unanswered();
                sleep(REPEAT).await;
                continue;
            };
            match connection.request(&request).await {
                Ok(Response::Submit(_)) => return self.tally.accepted(message, due, Instant::now()),
                Err(RequestError::Refused(error)) => {
                    self.tally.refused(error.code);
                    if error.retry_after == 0 {
                        return;
                    }
                    sleep(Duration::from_millis(error.retry_after)).await;
                }
                Ok(_) | Err(_) => {
                    self.tally.unanswered();
                    self.forget(&connection).await;
                    sleep(REPEAT).await;
                }
            }
        }
    }

    fn submission(&self, message: Message, due: Instant) -> Submit {
        let stamp = self.tally.stamp(message, due);
        let mut envelope = self.noise.clone();
        envelope.iter_mut().zip(stamp).for_each(|(byte, stamped)| *byte = stamped);
        let mut id = [0; 16];
        id.iter_mut().zip(stamp).for_each(|(byte, stamped)| *byte = stamped);
        let address: Address = self.to.address().clone();
        let envelopes = vec![DeviceEnvelope { device_id: self.to.device_id(), envelope }];
        Submit { id, address, envelopes, payment: Payment::None, delivery_key: None }
    }

    /// The connection, made anew if it was lost.
    async fn connection(&self) -> Result<Connection, medipeps_client::shell::connection::ConnectError> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = &*connection {
            return Ok(open.clone());
        }
        let trust = ServerTrust::Pinned(self.place.key_hash);
        let expected = ServerExpectation { address: &self.server, trust, domain: Some(&self.place.domain) };
        let open = Connection::anonymous(&expected).await?;
        *connection = Some(open.clone());
        Ok(open)
    }

    /// Lets a lost connection go, unless another has taken its place.
    async fn forget(&self, lost: &Connection) {
        let mut connection = self.connection.lock().await;
        if connection.as_ref().is_some_and(|open| open.is(lost)) {
            *connection = None;
        }
    }
}
