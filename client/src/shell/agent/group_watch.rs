//! Watching the logs of groups: entries come as they are appended, while a program stays connected.
//!
//! Nothing rests on it: what a watch misses is read with the next look.

use std::collections::BTreeMap;
use std::time::Duration;

use medipeps_core::Address;
use medipeps_core::wire::transport::{GroupLogEvent, GroupLogPush, WatchGroupLogs};

use super::{AccountAgent, AgentError, NetworkError, Platform, Show};
use crate::engine::{
    EngineError, Event, GroupEntries, GroupEvent, GroupId, GroupInput, GroupReader, GroupSignal, Input,
};
use crate::limits::{GROUP_WATCH_PAUSE, RECONNECT_WAIT_MAX, TYPING_PAUSE};
use crate::shell::carrier::Carrier;
use crate::shell::connection::GroupLogPushes;
use crate::shell::runtime::{Instant, JoinSet};

/// The watches of a program, one for each server.
#[derive(Debug)]
pub(super) struct GroupWatch<C: Carrier> {
    /// Which epochs are watched.
    watched: BTreeMap<GroupId, u64>,
    /// Counts how often it was begun anew. What was pushed before counts no more: the end of an epoch that all have left is no end
    /// of the watch.
    round: u64,
    /// Not tried again before this: a server has ended a watch.
    not_before: Option<Instant>,
    /// Each waits for the next event of one server.
    waiting: JoinSet<Pushed<C>>,
    /// The time of the last signal of each device.
    newest: BTreeMap<(GroupId, Address, u32), u64>,
    /// When it was last told that this person types.
    typed: BTreeMap<GroupId, Instant>,
}

/// What a server has pushed, with the subscription to go on with.
#[derive(Debug)]
pub(super) struct Pushed<C: Carrier> {
    round: u64,
    subscription: GroupLogPushes<C::Stream>,
    incarnation: [u8; 16],
    event: Option<GroupLogEvent>,
}

impl<C: Carrier> GroupWatch<C> {
    pub(super) fn new() -> Self {
        Self {
            watched: BTreeMap::new(),
            round: 0,
            not_before: None,
            waiting: JoinSet::new(),
            newest: BTreeMap::new(),
            typed: BTreeMap::new(),
        }
    }

    /// Waits for a push; for ever if nothing is watched.
    pub(super) async fn next(&mut self) -> Option<Pushed<C>> {
        match self.waiting.join_next().await {
            Some(pushed) => pushed.ok(),
            None => std::future::pending().await,
        }
    }

    /// Lets go of everything.
    pub(super) fn stop(&mut self) {
        self.waiting.abort_all();
        self.begin_anew();
    }

    /// The server has ended something: all is watched anew, after a while.
    fn pause(&mut self) {
        self.pause_for(GROUP_WATCH_PAUSE);
    }

    fn pause_for(&mut self, pause: Duration) {
        self.begin_anew();
        self.not_before = Some(Instant::now() + pause);
    }

    fn begin_anew(&mut self) {
        self.watched.clear();
        self.round += 1;
    }

    fn wait(&mut self, mut subscription: GroupLogPushes<C::Stream>, incarnation: [u8; 16]) {
        let round = self.round;
        self.waiting.spawn(async move {
            let event = subscription.next().await.ok().flatten();
            Pushed { round, subscription, incarnation, event }
        });
    }
}

impl<P: Platform> AccountAgent<P> {
    /// Watches the groups that this device follows, at the epochs that it has come to. Does nothing if that is what is
    /// watched already.
    pub(super) async fn watch_groups(&mut self) -> Result<(), AgentError> {
        let readers = self.store.group_readers(P::now(), &mut self.rng)?;
        let wanted: BTreeMap<GroupId, u64> = readers.iter().map(|reader| (reader.group, reader.epoch)).collect();
        let too_early = self.group_watch.not_before.is_some_and(|until| Instant::now() < until);
        if wanted == self.group_watch.watched || too_early {
            return Ok(());
        }
        self.group_watch.stop();
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        let mut by_domain: BTreeMap<String, Vec<GroupReader>> = BTreeMap::new();
        for reader in readers {
            by_domain.entry(reader.domain.clone()).or_default().push(reader);
        }
        for (domain, readers) in by_domain {
            let mut inputs = std::collections::VecDeque::new();
            let Ok((connection, _)) = self.group_connection(&domain, &credentials, &mut inputs).await else { continue };
            for input in inputs {
                self.take_note(&input).await?;
            }
            for readers in readers.chunks(medipeps_core::limits::GROUP_LOGS_PER_WATCH_MAX) {
                let watched = |reader: &GroupReader| reader.watch(&connection.channel());
                let logs = WatchGroupLogs { logs: readers.iter().map(watched).collect() };
                match connection.watch_group_logs(logs).await {
                    Ok(subscription) => self.group_watch.wait(subscription, [0; 16]),
                    // It is tried again with the next look.
                    Err(_) => return Ok(()),
                }
            }
        }
        self.group_watch.watched = wanted;
        Ok(())
    }

    /// Takes over what a watch has brought.
    pub(super) async fn group_pushed(
        &mut self,
        pushed: Option<Pushed<P::Carrier>>,
        show: Show<'_>,
    ) -> Result<Option<NetworkError>, AgentError> {
        let current = pushed.filter(|pushed| pushed.round == self.group_watch.round);
        let Some(Pushed { subscription, mut incarnation, event, .. }) = current else { return Ok(None) };
        let mut failure = None;
        match event {
            Some(GroupLogEvent::Open(opened)) => incarnation = opened,
            Some(GroupLogEvent::Log { log_id, event: GroupLogPush::Entry(entry) }) => {
                if let Some(epoch) = self.group_watch.watched.get(&log_id).copied() {
                    let read = GroupEntries {
                        group: log_id,
                        epoch,
                        incarnation,
                        entries: vec![entry],
                        caught_up: true,
                        epoch_closed: false,
                        now: None,
                    };
                    failure = self.run(Input::Group(GroupInput::Entries(read)), show).await?;
                }
            }
            Some(GroupLogEvent::Log { log_id, event: GroupLogPush::Signal(signal) }) => {
                if let Some(epoch) = self.group_watch.watched.get(&log_id).copied() {
                    let signal = GroupSignal { group: log_id, epoch, signal };
                    failure = self.signalled(signal, show).await?;
                }
            }
            Some(GroupLogEvent::Log { event: GroupLogPush::Ended { .. }, .. }) => self.group_watch.pause(),
            Some(GroupLogEvent::Log { .. }) => {}
            Some(GroupLogEvent::GoAway { retry_after }) => {
                self.group_watch.pause_for(Duration::from_millis(retry_after).min(RECONNECT_WAIT_MAX));
                return Ok(None);
            }
            None => {
                self.group_watch.pause();
                return Ok(None);
            }
        }
        self.group_watch.wait(subscription, incarnation);
        Ok(failure)
    }

    /// Takes over a signal. One that is no later than one that its device sent before is played again by somebody, and not
    /// shown.
    async fn signalled(&mut self, signal: GroupSignal, show: Show<'_>) -> Result<Option<NetworkError>, AgentError> {
        let mut newest = std::mem::take(&mut self.group_watch.newest);
        let mut see = |event: &Event| {
            if let Event::Group { group, event: GroupEvent::Typing { by, device, at, .. } } = event {
                let last = newest.entry((*group, by.clone(), *device)).or_insert(0);
                if *at <= *last {
                    return;
                }
                *last = *at;
            }
            show(event);
        };
        let failure = self.run(Input::Group(GroupInput::Signal(signal)), &mut see).await;
        self.group_watch.newest = newest;
        failure
    }

    /// Tells those who watch a group that this person types, or has stopped. False if it was told a moment ago, or no server
    /// was reached: nobody waits for it.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn type_in_group(&mut self, group: &GroupId, active: bool) -> Result<bool, AgentError> {
        let told = self.group_watch.typed.get(group);
        if active && told.is_some_and(|told| told.elapsed() < TYPING_PAUSE) {
            return Ok(false);
        }
        let failure = self.run(Input::Group(GroupInput::Typing(*group, active)), &mut |_| {}).await?;
        match active {
            true => self.group_watch.typed.insert(*group, Instant::now()),
            // Who has stopped may begin again at once.
            false => self.group_watch.typed.remove(group),
        };
        Ok(failure.is_none())
    }
}
