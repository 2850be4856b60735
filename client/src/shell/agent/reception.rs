//! Stays connected, takes what the server pushes, and connects again where the connection is lost.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use medipeps_core::wire::transport::{Delivery, SubscriptionEvent};

use super::exchange::is_proof_refused;
use super::{AccountAgent, AgentError, NetworkError, Platform, Show};
use crate::engine::{EngineError, Event, GroupInput, Input};
use crate::fail_point::fail_point;
use crate::limits::{BATCH_WAIT, DELIVERY_BATCH_MAX, OUTBOX_LOOK_INTERVAL, PROOFS_MAX, REQUEST_WAIT};
use crate::shell::backoff::Backoff;
use crate::shell::carrier::{ByteStream, Carrier, before};
use crate::shell::connection::{ConnectError, QueuePush, RequestError};

/// How an attempt to receive ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Everything has been fetched, and there is no time left to wait for more.
    Drained,
    /// The time is over.
    Over,
}

/// What there is to do next for whoever receives.
#[derive(Debug)]
enum Next<A> {
    Event(SubscriptionEvent),
    Aside(A),
    /// Time to look after other things.
    Time,
}

impl<P: Platform> AccountAgent<P> {
    /// Sends what is due, fetches everything that has come, and stays connected for as long as `wait` says, connecting
    /// again where the connection is lost.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; [`AgentError::Network`] if the queue was not emptied once.
    pub async fn sync(&mut self, wait: Duration, show: Show<'_>) -> Result<(), AgentError> {
        let end = P::instant() + wait;
        let (mut backoff, mut drained) = (Backoff::new(), false);
        P::begin(self)?;
        // Every group is read with what is due next.
        P::handle(self, &Input::Group(GroupInput::ReadAll)).await?.events.iter().for_each(&mut *show);
        loop {
            let received = self.receive(end, &mut drained, &mut backoff, show).await;
            self.platform.stop_watching();
            let failure = match received {
                Ok(_) => return Ok(()),
                Err(AgentError::Network(NetworkError::Displaced)) => return Err(NetworkError::Displaced.into()),
                Err(AgentError::Network(failure)) => failure,
                Err(error) => return Err(error),
            };
            self.proved = None;
            let pause = backoff.failed(asked_for(&failure), &mut self.rng);
            // Documents that move are worth staying for.
            let is_over = P::instant() + pause >= end && (!drained || self.platform.is_settled());
            if failure.is_final() || is_over {
                return if drained { Ok(()) } else { Err(failure.into()) };
            }
            let until = P::instant() + pause;
            while let Some(aside) = before(P::sleep_until(until), self.platform.next_aside()).await {
                P::take_aside(self, aside, show).await?;
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
        end: P::Instant,
        drained: &mut bool,
        backoff: &mut Backoff,
        show: Show<'_>,
    ) -> Result<End, AgentError> {
        self.become_proved(show).await?;
        // A recipient's server that is away must not keep this account from its own mail.
        self.send_due(show).await?;
        P::start_due(self)?;
        let connection = self.proved.clone().ok_or(NetworkError::Stopping)?;
        fail_point!(BeforeSubscribe);
        let mut subscription = connection.subscribe().await.map_err(NetworkError::from)?;
        backoff.succeeded();
        let (mut incarnation, mut pending) = ([0; 16], None);
        // When something last came, or was looked after: what a document's progress does not put off.
        let mut since = P::instant();
        let mut mail_first = true;
        loop {
            if P::instant() < end {
                P::watch(self).await?;
            }
            let event = match pending.take() {
                Some(event) => event,
                // A large document must not keep the account from its mail, nor the other way round.
                None => match self.next_of(&mut subscription, (since, end), *drained, &mut mail_first).await? {
                    Next::Event(event) => event,
                    Next::Time if P::instant() >= end && self.platform.is_settled() => return Ok(End::Over),
                    Next::Time => {
                        // Another process may have put something into the outbox, or something is due again.
                        self.send_due(show).await?;
                        P::start_due(self)?;
                        since = P::instant();
                        continue;
                    }
                    Next::Aside(aside) => {
                        if P::take_aside(self, aside, show).await? {
                            self.send_due(show).await?;
                            if *drained && P::instant() >= end && self.platform.is_settled() {
                                return Ok(End::Over);
                            }
                        }
                        continue;
                    }
                },
            };
            since = P::instant();
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
                    let (batch, after) = batch::<P, _>(&mut subscription, first).await?;
                    pending = after;
                    fail_point!(AfterDelivery);
                    self.run(Input::Deliveries { incarnation, batch }, show).await?;
                    self.send_due(show).await?;
                    P::start_due(self)?;
                    if self.proved.is_none() {
                        // The acknowledgement did not get through; the server will deliver again.
                        return Err(NetworkError::Stopping.into());
                    }
                }
                SubscriptionEvent::QueueEmpty => {
                    *drained = true;
                    if P::instant() >= end && self.platform.is_settled() {
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

    /// What there is to do next. Nothing of what is not taken is lost.
    async fn next_of<S: ByteStream>(
        &mut self,
        subscription: &mut QueuePush<S>,
        (since, end): (P::Instant, P::Instant),
        drained: bool,
        mail_first: &mut bool,
    ) -> Result<Next<P::Aside>, NetworkError> {
        // Whoever always has something ready must not always be first.
        *mail_first = !*mail_first;
        let event = pin!(next::<P, S>(subscription, since, end, drained));
        let aside = pin!(self.platform.next_aside());
        let (event, aside) = match *mail_first {
            true => match select(event, aside).await {
                Either::Left((event, _)) => (Some(event?), None),
                Either::Right((aside, _)) => (None, Some(aside)),
            },
            false => match select(aside, event).await {
                Either::Left((aside, _)) => (None, Some(aside)),
                Either::Right((event, _)) => (Some(event?), None),
            },
        };
        Ok(match (event, aside) {
            (Some(Some(event)), _) => Next::Event(event),
            (_, Some(aside)) => Next::Aside(aside),
            _ => Next::Time,
        })
    }
}

/// The next event. `None` when it is time to look after other things, which it never is before the queue was emptied.
async fn next<P: Platform, S: ByteStream>(
    subscription: &mut QueuePush<S>,
    since: P::Instant,
    end: P::Instant,
    drained: bool,
) -> Result<Option<SubscriptionEvent>, NetworkError> {
    let until = match drained {
        // Past the end it is only documents that are waited for.
        true if end > since => end.min(since + OUTBOX_LOOK_INTERVAL),
        true => since + OUTBOX_LOOK_INTERVAL,
        false => since + REQUEST_WAIT,
    };
    match before(P::sleep_until(until), subscription.next()).await {
        Some(Ok(Some(event))) => Ok(Some(event)),
        Some(Ok(None)) => Err(NetworkError::Stopping),
        Some(Err(error)) => Err(error.into()),
        None if drained => Ok(None),
        None => Err(RequestError::TimedOut.into()),
    }
}

/// What has come by now, up to a limit: one transaction and one acknowledgement for all of it. Also the event after it,
/// if that is something else.
async fn batch<P: Platform, S: ByteStream>(
    subscription: &mut QueuePush<S>,
    first: Delivery,
) -> Result<(Vec<Delivery>, Option<SubscriptionEvent>), NetworkError> {
    let mut batch = vec![first];
    while batch.len() < DELIVERY_BATCH_MAX {
        match before(P::Carrier::sleep(BATCH_WAIT), subscription.next()).await {
            Some(Ok(Some(SubscriptionEvent::Delivery(delivery)))) => batch.push(delivery),
            Some(Ok(other)) => return Ok((batch, other)),
            // What was received is worth committing; the failure shows again at the next read.
            Some(Err(_)) | None => break,
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
