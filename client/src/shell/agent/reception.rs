//! Stays connected, takes what the server pushes, and connects again where the connection is lost.

use std::time::Duration;

use medipeps_core::wire::transport::{Delivery, SubscriptionEvent};
use tokio::time::{Instant, timeout, timeout_at};

use super::exchange::is_proof_refused;
use super::{Agent, AgentError, NetworkError, Show};
use crate::engine::{EngineError, Event, Input};
use crate::fail_point::fail_point;
use crate::limits::{BATCH_WAIT, DELIVERY_BATCH_MAX, OUTBOX_LOOK_INTERVAL, PROOFS_MAX, REQUEST_WAIT};
use crate::shell::backoff::Backoff;
use crate::shell::connection::{ConnectError, RequestError, Subscription};

/// How an attempt to receive ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Everything has been fetched, and there is no time left to wait for more.
    Drained,
    /// The time is over.
    Over,
}

impl Agent {
    /// Sends what is due, fetches everything that has come, and stays connected for as long as `wait` says, connecting
    /// again where the connection is lost.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; [`AgentError::Network`] if the queue was not emptied once.
    pub async fn sync(&mut self, wait: Duration, show: Show<'_>) -> Result<(), AgentError> {
        let end = Instant::now() + wait;
        let (mut backoff, mut drained) = (Backoff::new(), false);
        self.sweep_copies()?;
        self.read_groups()?;
        loop {
            let received = self.receive(end, &mut drained, &mut backoff, show).await;
            self.group_watch.stop();
            let failure = match received {
                Ok(_) => return Ok(()),
                Err(AgentError::Network(NetworkError::Displaced)) => return Err(NetworkError::Displaced.into()),
                Err(AgentError::Network(failure)) => failure,
                Err(error) => return Err(error),
            };
            self.proved = None;
            let pause = backoff.failed(asked_for(&failure), &mut self.rng);
            // Documents that move are worth staying for.
            let is_over = Instant::now() + pause >= end && (!drained || self.transfers.are_settled());
            if failure.is_final() || is_over {
                return if drained { Ok(()) } else { Err(failure.into()) };
            }
            let until = Instant::now() + pause;
            while let Ok(step) = timeout_at(until, self.transfers.next()).await {
                self.settle(step, show).await?;
            }
        }
    }

    /// Proves the device. Where the server does not know it, the account's statement is asked why; where it was an old
    /// copy's, the new device that the store has become is proved instead.
    pub(super) async fn become_proved(&mut self, show: Show<'_>) -> Result<(), AgentError> {
        for _ in 0..PROOFS_MAX {
            let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
            match self.prove(&credentials).await {
                Ok(None) => {
                    self.proof_answered = true;
                    return Ok(());
                }
                Ok(Some(authenticated)) => {
                    if let Some(failure) = self.run(authenticated, show).await? {
                        return Err(failure.into());
                    }
                }
                Err(error) if is_proof_refused(&error) => {
                    let mut unknown = false;
                    let mut see = |event: &Event| {
                        unknown |= *event == Event::OwnAccountUnknown;
                        show(event);
                    };
                    if let Some(failure) = self.run(Input::CheckOwnStatement, &mut see).await? {
                        return Err(failure.into());
                    }
                    if unknown {
                        return Err(AgentError::AccountUnknown);
                    }
                    let device_id = self.credentials()?.map(|credentials| credentials.device_id);
                    if let Some(reason) = self.revocation()? {
                        return Err(EngineError::Revoked(reason).into());
                    }
                    if device_id == Some(credentials.device_id) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(NetworkError::Stopping.into())
    }

    async fn receive(
        &mut self,
        end: Instant,
        drained: &mut bool,
        backoff: &mut Backoff,
        show: Show<'_>,
    ) -> Result<End, AgentError> {
        self.become_proved(show).await?;
        // A recipient's server that is away must not keep this account from its own mail.
        self.send_due(show).await?;
        self.start_due_transfers()?;
        let connection = self.proved.clone().ok_or(NetworkError::Stopping)?;
        fail_point!(BeforeSubscribe);
        let mut subscription = connection.subscribe().await.map_err(NetworkError::from)?;
        backoff.succeeded();
        let (mut incarnation, mut pending) = ([0; 16], None);
        // When something last came, or was looked after: what a document's progress does not put off.
        let mut since = Instant::now();
        loop {
            if Instant::now() < end {
                self.watch_groups().await?;
            }
            let event = match pending.take() {
                Some(event) => event,
                // A large document must not keep the account from its mail, nor the other way round.
                None => tokio::select! {
                    event = next(&mut subscription, since, end, *drained) => match event? {
                        Some(event) => event,
                        None if Instant::now() >= end && self.transfers.are_settled() => return Ok(End::Over),
                        None => {
                            // Another process may have put something into the outbox, or something is due again.
                            self.send_due(show).await?;
                            self.start_due_transfers()?;
                            since = Instant::now();
                            continue;
                        }
                    },
                    pushed = self.group_watch.next() => {
                        self.group_pushed(pushed, show).await?;
                        self.send_due(show).await?;
                        continue;
                    }
                    step = self.transfers.next() => {
                        if self.settle(step, show).await? {
                            // A message whose last upload is done may go; a receipt for a body that came is due.
                            self.send_due(show).await?;
                            if *drained && Instant::now() >= end && self.transfers.are_settled() {
                                return Ok(End::Over);
                            }
                        }
                        continue;
                    }
                },
            };
            since = Instant::now();
            match event {
                SubscriptionEvent::Open(opened) => {
                    incarnation = opened;
                    let mut restarted = false;
                    let mut see = |event: &Event| {
                        restarted |= *event == Event::QueueRestarted;
                        show(event);
                    };
                    self.run(Input::QueueOpened(incarnation), &mut see).await?;
                    if restarted {
                        // What was accepted and is not confirmed goes again.
                        self.send_due(show).await?;
                    }
                }
                SubscriptionEvent::Delivery(first) => {
                    let (batch, after) = batch(&mut subscription, first).await?;
                    pending = after;
                    fail_point!(AfterDelivery);
                    self.run(Input::Deliveries { incarnation, batch }, show).await?;
                    self.send_due(show).await?;
                    self.start_due_transfers()?;
                    if self.proved.is_none() {
                        // The acknowledgement did not get through; the server will deliver again.
                        return Err(NetworkError::Stopping.into());
                    }
                }
                SubscriptionEvent::QueueEmpty => {
                    *drained = true;
                    if Instant::now() >= end && self.transfers.are_settled() {
                        return Ok(End::Drained);
                    }
                }
                SubscriptionEvent::Expired(count) => {
                    self.run(Input::Expired(count), show).await?;
                }
                SubscriptionEvent::PrekeysWithheld(since) => {
                    self.run(Input::PrekeysWithheld(since), show).await?;
                }
                SubscriptionEvent::Displaced => return Err(NetworkError::Displaced.into()),
                SubscriptionEvent::GoAway { retry_after } => {
                    return Err(NetworkError::GoingAway { retry_after: Duration::from_millis(retry_after) }.into());
                }
            }
        }
    }
}

/// The next event. `None` when it is time to look after other things, which it never is before the queue was emptied.
async fn next(
    subscription: &mut Subscription,
    since: Instant,
    end: Instant,
    drained: bool,
) -> Result<Option<SubscriptionEvent>, NetworkError> {
    let until = match drained {
        // Past the end it is only documents that are waited for.
        true if end > since => end.min(since + OUTBOX_LOOK_INTERVAL),
        true => since + OUTBOX_LOOK_INTERVAL,
        false => since + REQUEST_WAIT,
    };
    match timeout_at(until, subscription.next()).await {
        Ok(Ok(Some(event))) => Ok(Some(event)),
        Ok(Ok(None)) => Err(NetworkError::Stopping),
        Ok(Err(error)) => Err(error.into()),
        Err(_) if drained => Ok(None),
        Err(_) => Err(RequestError::TimedOut.into()),
    }
}

/// What has come by now, up to a limit: one transaction and one acknowledgement for all of it. Also the event after it,
/// if that is something else.
async fn batch(
    subscription: &mut Subscription,
    first: Delivery,
) -> Result<(Vec<Delivery>, Option<SubscriptionEvent>), NetworkError> {
    let mut batch = vec![first];
    while batch.len() < DELIVERY_BATCH_MAX {
        match timeout(BATCH_WAIT, subscription.next()).await {
            Ok(Ok(Some(SubscriptionEvent::Delivery(delivery)))) => batch.push(delivery),
            Ok(Ok(other)) => return Ok((batch, other)),
            // What was received is worth committing; the failure shows again at the next read.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Ok((batch, None))
}

/// For how long the server has asked to be left alone.
fn asked_for(failure: &NetworkError) -> Duration {
    match failure {
        NetworkError::GoingAway { retry_after } => *retry_after,
        NetworkError::Request(RequestError::Refused(error))
        | NetworkError::Connect(ConnectError::Request(RequestError::Refused(error))) => {
            Duration::from_millis(error.retry_after)
        }
        _ => Duration::ZERO,
    }
}
