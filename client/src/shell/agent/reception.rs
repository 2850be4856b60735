//! Stays connected, takes what the server pushes, and connects again where the connection is lost.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use medipeps_core::wire::transport::{Delivery, SubscriptionEvent};

use super::exchange::is_proof_refused;
use super::group_watch::Pushed;
use super::transfers::Moved;
use super::{AccountAgent, AgentError, NetworkError, Platform, Show};
use crate::engine::{EngineError, Event, GroupInput, Input};
use crate::fail_point::fail_point;
use crate::limits::{
    BATCH_WAIT, DELIVERY_BATCH_MAX, OUTBOX_LOOK_INTERVAL, PROOFS_MAX, RECONNECT_WAIT_MAX, REQUEST_WAIT,
};
use crate::shell::backoff::Backoff;
use crate::shell::carrier::{ByteStream, Carrier};
use crate::shell::connection::{ConnectError, QueuePush, RequestError};
use crate::shell::runtime::{Instant, timeout, timeout_at};

/// How an attempt to receive ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Everything has been fetched, and there is no time left to wait for more.
    Drained,
    /// The time is over.
    Over,
}

/// How the connection of whoever receives stands.
#[derive(Debug)]
pub(super) enum Link<'a> {
    /// It is there, and everything that was at the server has come.
    Ready,
    /// It is lost, or was not to be had; another one is tried after a pause.
    Lost(&'a NetworkError),
}

/// What there is to do next for whoever receives.
#[derive(Debug)]
enum Next<C: Carrier> {
    Event(SubscriptionEvent),
    Aside(Aside<C>),
    /// Time to look after other things.
    Time,
}

/// Something that has happened beside the mail.
#[derive(Debug)]
enum Aside<C: Carrier> {
    /// A group's log was pushed.
    Pushed(Option<Pushed<C>>),
    /// A document has moved.
    Moved(Moved),
}

impl<P: Platform> AccountAgent<P> {
    /// Sends what is due, fetches everything that has come, and stays connected for as long as `wait` says, connecting
    /// again where the connection is lost.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; [`AgentError::Network`] if the queue was not emptied once.
    pub async fn sync(&mut self, wait: Duration, show: Show<'_>) -> Result<(), AgentError> {
        self.receive_for(wait, RECONNECT_WAIT_MAX, show, &mut |_| {}).await
    }

    /// The same, where no pause between two tries is longer than `pause_max`, unless the server asks for it, and `tell` is told how
    /// the connection stands.
    pub(super) async fn receive_for(
        &mut self,
        wait: Duration,
        pause_max: Duration,
        show: Show<'_>,
        tell: &mut dyn FnMut(Link<'_>),
    ) -> Result<(), AgentError> {
        let end = Instant::now() + wait;
        let (mut backoff, mut drained) = (Backoff::new(), false);
        self.sweep_copies().await?;
        // Every group is read with what is due next.
        P::handle(self, &Input::Group(GroupInput::ReadAll)).await?.events.iter().for_each(&mut *show);
        loop {
            let received = self.receive(end, &mut drained, &mut backoff, show, tell).await;
            self.group_watch.stop();
            let failure = match received {
                Ok(_) => return Ok(()),
                Err(AgentError::Network(NetworkError::Displaced)) => return Err(NetworkError::Displaced.into()),
                Err(AgentError::Network(failure)) => failure,
                Err(error) => return Err(error),
            };
            self.proved = None;
            let asked = asked_for(&failure);
            let pause = backoff.failed(asked, &mut self.rng).min(pause_max.max(asked));
            // Documents that move are worth staying for.
            let is_over = Instant::now() + pause >= end && (!drained || self.transfers.are_settled());
            if failure.is_final() || is_over {
                return if drained { Ok(()) } else { Err(failure.into()) };
            }
            tell(Link::Lost(&failure));
            let until = Instant::now() + pause;
            while let Ok(aside) = timeout_at(until, self.next_aside()).await {
                self.take_aside(aside, show).await?;
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
        tell: &mut dyn FnMut(Link<'_>),
    ) -> Result<End, AgentError> {
        self.become_proved(show).await?;
        // A recipient's server that is away must not keep this account from its own mail.
        self.send_due(show).await?;
        self.start_due_transfers().await?;
        let connection = self.proved.clone().ok_or(NetworkError::Stopping)?;
        fail_point!(BeforeSubscribe);
        let mut subscription = connection.subscribe().await.map_err(NetworkError::from)?;
        backoff.succeeded();
        let (mut incarnation, mut pending) = ([0; 16], None);
        // When something last came, or was looked after: what a document's progress does not put off.
        let mut since = Instant::now();
        let (mut mail_first, mut told) = (true, false);
        loop {
            if Instant::now() < end {
                self.watch_groups().await?;
            }
            let event = match pending.take() {
                Some(event) => event,
                // A large document must not keep the account from its mail, nor the other way round.
                None => match self.next_of(&mut subscription, (since, end), *drained, &mut mail_first).await? {
                    Next::Event(event) => event,
                    Next::Time if Instant::now() >= end && self.transfers.are_settled() => return Ok(End::Over),
                    Next::Time => {
                        // Another process may have put something into the outbox, or something is due again.
                        self.send_due(show).await?;
                        self.start_due_transfers().await?;
                        since = Instant::now();
                        continue;
                    }
                    Next::Aside(aside) => {
                        if self.take_aside(aside, show).await? {
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
                    self.start_due_transfers().await?;
                    if self.proved.is_none() {
                        // The acknowledgement did not get through; the server will deliver again.
                        return Err(NetworkError::Stopping.into());
                    }
                }
                SubscriptionEvent::QueueEmpty => {
                    *drained = true;
                    if !told {
                        tell(Link::Ready);
                        told = true;
                    }
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

    /// What happens next beside the mail; waits for ever if nothing goes on. Dropping the future loses nothing.
    async fn next_aside(&mut self) -> Aside<P::Carrier> {
        let (pushed, moved) = (pin!(self.group_watch.next()), pin!(self.transfers.next()));
        match select(pushed, moved).await {
            Either::Left((pushed, _)) => Aside::Pushed(pushed),
            Either::Right((moved, _)) => Aside::Moved(moved),
        }
    }

    /// Does what it asks for. Gives back whether something may be due to be sent now.
    async fn take_aside(&mut self, aside: Aside<P::Carrier>, show: Show<'_>) -> Result<bool, AgentError> {
        match aside {
            Aside::Pushed(pushed) => {
                self.group_pushed(pushed, show).await?;
                Ok(true)
            }
            // A message whose last upload is done may go; a receipt for a body that came is due.
            Aside::Moved(moved) => self.settle(moved, show).await,
        }
    }

    /// What there is to do next. Nothing of what is not taken is lost.
    async fn next_of<S: ByteStream>(
        &mut self,
        subscription: &mut QueuePush<S>,
        (since, end): (Instant, Instant),
        drained: bool,
        mail_first: &mut bool,
    ) -> Result<Next<P::Carrier>, NetworkError> {
        // Whoever always has something ready must not always be first.
        *mail_first = !*mail_first;
        let event = pin!(next(subscription, since, end, drained));
        let aside = pin!(self.next_aside());
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
async fn next<S: ByteStream>(
    subscription: &mut QueuePush<S>,
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
async fn batch<S: ByteStream>(
    subscription: &mut QueuePush<S>,
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
