//! Who is woken when: each at most once a minute, retries included, a bounded number at once; a device that has been woken and
//! has fetched nothing since at most once a quarter of an hour. Time comes in as milliseconds of a clock that only goes forward.

use std::collections::{BTreeSet, HashMap};

use super::service::Outcome;
use super::sleeper::{Key, Sleeper};
use crate::limits::{
    WAKE_ATTEMPTS_MAX, WAKE_RETRY_AFTER_MAX_MS, WAKES_PARALLEL_MAX, WAKES_PARALLEL_PER_HOST_MAX, WAKES_WAITING_MAX,
};

/// A push service, by its name.
type Host = String;

/// What waits to be called, and what was called within the last minute.
pub(super) struct Schedule {
    /// Milliseconds between two calls for one.
    interval_ms: u64,
    /// The same for a device that has fetched nothing since.
    device_interval_ms: u64,
    handles: HashMap<Key, Handle>,
    hosts: HashMap<Host, Calls>,
    in_flight: usize,
}

/// The calls of one push service.
#[derive(Default)]
struct Calls {
    /// By the time at which they are due.
    due: BTreeSet<(u64, Key)>,
    in_flight: usize,
}

struct Handle {
    sleeper: Sleeper,
    /// What closed the reader's epoch has come: it is woken once more, and then forgotten.
    last: bool,
    /// When it was called last.
    called: u64,
    /// When it may be called again.
    not_before: u64,
    /// When it is called, if it is to be.
    due: Option<u64>,
    /// Calls for the same wake that came to nothing.
    attempts: u32,
    in_flight: bool,
    /// Something came while the call was under way.
    again: bool,
    /// The device has fetched while the call was under way.
    fetched: bool,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Call this one, then tell [`Schedule::finish`].
    Call(Sleeper),
    /// Nothing before this time, or before something comes or ends.
    Wait(Option<u64>),
}

impl Schedule {
    /// An empty one.
    pub(super) fn new(interval_ms: u64, device_interval_ms: u64) -> Self {
        Self { interval_ms, device_interval_ms, handles: HashMap::new(), hosts: HashMap::new(), in_flight: 0 }
    }

    /// Something has come for somebody; with `last` it closed the reader's epoch. `false` if too many wait.
    pub(super) fn add(&mut self, sleeper: Sleeper, last: bool, now: u64) -> bool {
        let key = sleeper.key();
        // A reader who has renewed meanwhile is in a later epoch: what comes late of an older one wakes nobody twice.
        if self.handles.get(&key).is_some_and(|known| known.sleeper.epoch() > sleeper.epoch()) {
            return true;
        }
        if !self.handles.contains_key(&key) && !self.has_room(now) {
            return false;
        }
        let handle = self.handles.entry(key.clone()).or_insert_with(|| Handle::new(sleeper.clone(), now));
        let due = handle.due.take();
        if let Some(due) = due
            && let Some(calls) = self.hosts.get_mut(&host(&handle.sleeper))
        {
            calls.due.remove(&(due, key.clone()));
        }
        handle.last = last || (handle.last && handle.sleeper.epoch() == sleeper.epoch());
        handle.sleeper = sleeper;
        if handle.in_flight {
            handle.again = true;
            return true;
        }
        let due = due.unwrap_or_else(|| handle.not_before.max(now));
        handle.due = Some(due);
        self.hosts.entry(host(&handle.sleeper)).or_default().due.insert((due, key));
        true
    }

    /// A device has fetched what there was: it need not be woken for that, and what comes next wakes it like the first.
    pub(super) fn fetched(&mut self, key: &Key) {
        let Some(handle) = self.handles.get_mut(key) else { return };
        if let Some(due) = handle.due.take()
            && let Some(calls) = self.hosts.get_mut(&host(&handle.sleeper))
        {
            calls.due.remove(&(due, key.clone()));
            if calls.in_flight == 0 && calls.due.is_empty() {
                self.hosts.remove(&host(&handle.sleeper));
            }
        }
        (handle.again, handle.attempts, handle.fetched) = (false, 0, handle.in_flight);
        handle.not_before = handle.called.saturating_add(self.interval_ms);
    }

    /// The next call, if one is due and there is room for it.
    pub(super) fn next(&mut self, now: u64) -> Next {
        if self.in_flight >= WAKES_PARALLEL_MAX {
            return Next::Wait(None);
        }
        let with_room = self.hosts.values_mut().filter(|calls| calls.in_flight < WAKES_PARALLEL_PER_HOST_MAX);
        let first = with_room
            .filter_map(|calls| calls.due.first().cloned().map(|first| (first, calls)))
            .min_by(|(one, _), (other, _)| one.cmp(other));
        let Some(((due, key), calls)) = first else { return Next::Wait(None) };
        if due > now {
            return Next::Wait(Some(due));
        }
        calls.due.remove(&(due, key.clone()));
        let Some(handle) = self.handles.get_mut(&key) else { return Next::Wait(Some(now)) };
        (handle.due, handle.in_flight, handle.called) = (None, true, now);
        handle.not_before = now.saturating_add(self.interval_ms);
        calls.in_flight += 1;
        self.in_flight += 1;
        Next::Call(handle.sleeper.clone())
    }

    /// A call has ended. Gives who is to be forgotten, if somebody is.
    pub(super) fn finish(&mut self, called: &Sleeper, outcome: Outcome, now: u64) -> Option<Sleeper> {
        let key = called.key();
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(calls) = self.hosts.get_mut(&host(called)) {
            calls.in_flight = calls.in_flight.saturating_sub(1);
            if calls.in_flight == 0 && calls.due.is_empty() {
                self.hosts.remove(&host(called));
            }
        }
        let handle = self.handles.get_mut(&key)?;
        handle.in_flight = false;
        let again = std::mem::take(&mut handle.again);
        let fetched = std::mem::take(&mut handle.fetched);
        if outcome == Outcome::Woken && !fetched && matches!(called, Sleeper::Device(_)) {
            handle.not_before = handle.called.saturating_add(self.device_interval_ms);
        }
        let mut due = again.then_some(handle.not_before);
        match outcome {
            Outcome::Woken | Outcome::Refused => handle.attempts = 0,
            // Another address was given meanwhile.
            Outcome::Gone if handle.sleeper.endpoint() != called.endpoint() => handle.attempts = 0,
            Outcome::Gone => return self.handles.remove(&key).map(|handle| handle.sleeper),
            Outcome::Later(wait) => {
                handle.attempts += 1;
                let pause = self.interval_ms << (handle.attempts - 1).min(8);
                let wait = wait.unwrap_or(0).min(WAKE_RETRY_AFTER_MAX_MS);
                handle.not_before = handle.not_before.max(now.saturating_add(pause.max(wait)));
                due = Some(handle.not_before);
                if handle.attempts >= WAKE_ATTEMPTS_MAX {
                    handle.attempts = 0;
                    due = again.then_some(handle.not_before);
                }
            }
        }
        if let Some(due) = due {
            handle.due = Some(due);
            self.hosts.entry(host(&handle.sleeper)).or_default().due.insert((due, key));
            return None;
        }
        if handle.last { self.handles.remove(&key).map(|handle| handle.sleeper) } else { None }
    }

    /// Forgets whom nothing waits for and whose minute is over, when the table would grow; `false` if it must not.
    fn has_room(&mut self, now: u64) -> bool {
        if self.handles.len() == self.handles.capacity() || self.handles.len() >= WAKES_WAITING_MAX {
            self.handles.retain(|_, handle| handle.due.is_some() || handle.in_flight || handle.not_before > now);
        }
        self.handles.len() < WAKES_WAITING_MAX
    }
}

impl Handle {
    const fn new(sleeper: Sleeper, now: u64) -> Self {
        let (due, attempts, in_flight, again, fetched) = (None, 0, false, false, false);
        Self { sleeper, last: false, called: now, not_before: now, due, attempts, in_flight, again, fetched }
    }
}

fn host(sleeper: &Sleeper) -> Host {
    sleeper.endpoint().service_name()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{DEVICE_WAKE_INTERVAL_MS, WAKE_INTERVAL_MS};
    use crate::storage::{DeviceWake, GroupWake};

    const MINUTE: u64 = WAKE_INTERVAL_MS;
    const QUARTER: u64 = DEVICE_WAKE_INTERVAL_MS;

    fn reader(log: u32, handle: u8, epoch: u64, url: &str) -> Sleeper {
        let mut log_id = [1; 32];
        log_id[..4].copy_from_slice(&log.to_be_bytes());
        let endpoint = url.parse().unwrap();
        Sleeper::Reader(GroupWake { log_id, handle: [handle; 16], epoch, endpoint, expires_ms: u64::MAX })
    }

    fn wake(handle: u8, epoch: u64, host: &str) -> Sleeper {
        reader(1, handle, epoch, &format!("https://{host}/{handle}"))
    }

    fn device(number: u32) -> Sleeper {
        let (address, endpoint) = ("a@clinic.example".parse().unwrap(), "apns:example.App/00".parse().unwrap());
        Sleeper::Device(DeviceWake { address, device: number, endpoint })
    }

    fn called(schedule: &mut Schedule, now: u64) -> Sleeper {
        match schedule.next(now) {
            Next::Call(wake) => wake,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_handle_is_called_once_a_minute_whatever_comes() {
        let (mut schedule, wake) = (Schedule::new(MINUTE, QUARTER), wake(1, 1, "a.example"));
        for now in 0..3 {
            assert!(schedule.add(wake.clone(), false, now));
        }
        assert_eq!(called(&mut schedule, 3), wake);
        assert_eq!(schedule.next(3), Next::Wait(None));
        assert!(schedule.add(wake.clone(), false, 10), "while it is under way");
        assert_eq!(schedule.finish(&wake, Outcome::Woken, 20), None);
        assert_eq!(schedule.next(20), Next::Wait(Some(3 + MINUTE)), "a minute from the beginning of the last call");
        assert!(schedule.add(wake.clone(), false, 30));
        assert_eq!(called(&mut schedule, 3 + MINUTE), wake);
        assert_eq!(schedule.finish(&wake, Outcome::Woken, 4 + MINUTE), None);
        assert_eq!(schedule.next(10 * MINUTE), Next::Wait(None));
        assert!(schedule.add(wake.clone(), false, 10 * MINUTE));
        assert_eq!(called(&mut schedule, 10 * MINUTE), wake, "at once after a pause");
    }

    #[test]
    fn what_fails_is_tried_again_with_growing_pauses_and_given_up() {
        let (mut schedule, wake) = (Schedule::new(MINUTE, QUARTER), wake(1, 1, "a.example"));
        assert!(schedule.add(wake.clone(), false, 0));
        let mut now = 0;
        for pause in [1, 2, 4, 8] {
            assert_eq!(called(&mut schedule, now), wake);
            assert_eq!(schedule.finish(&wake, Outcome::Later(None), now), None);
            assert_eq!(schedule.next(now), Next::Wait(Some(now + pause * MINUTE)));
            now += pause * MINUTE;
        }
        assert_eq!(called(&mut schedule, now), wake);
        assert_eq!(schedule.finish(&wake, Outcome::Later(None), now), None);
        assert_eq!(schedule.next(now), Next::Wait(None), "given up");
        assert!(schedule.add(wake, false, now + 1));
        assert_eq!(schedule.next(now + 1), Next::Wait(Some(now + 16 * MINUTE)), "and left alone for a while");
    }

    #[test]
    fn a_push_service_is_left_alone_as_long_as_it_asks() {
        let (mut schedule, wake) = (Schedule::new(MINUTE, QUARTER), wake(1, 1, "a.example"));
        assert!(schedule.add(wake.clone(), false, 0));
        called(&mut schedule, 0);
        schedule.finish(&wake, Outcome::Later(Some(5 * MINUTE)), 100);
        assert!(schedule.add(wake.clone(), false, 200), "also by what comes meanwhile");
        assert_eq!(schedule.next(200), Next::Wait(Some(100 + 5 * MINUTE)));
        called(&mut schedule, 100 + 5 * MINUTE);
        schedule.finish(&wake, Outcome::Later(Some(u64::MAX)), 6 * MINUTE);
        assert_eq!(schedule.next(6 * MINUTE), Next::Wait(Some(6 * MINUTE + WAKE_RETRY_AFTER_MAX_MS)), "within bounds");
    }

    #[test]
    fn a_handle_of_a_closed_epoch_is_called_once_more_and_forgotten() {
        let (mut schedule, old) = (Schedule::new(MINUTE, QUARTER), wake(1, 1, "a.example"));
        assert!(schedule.add(old.clone(), false, 0));
        called(&mut schedule, 0);
        assert!(schedule.add(old.clone(), true, 1), "the epoch is closed while the call is under way");
        assert_eq!(schedule.finish(&old, Outcome::Woken, 2), None);
        assert_eq!(called(&mut schedule, MINUTE), old);
        assert_eq!(schedule.finish(&old, Outcome::Later(None), MINUTE), None, "tried again like any other");
        called(&mut schedule, 2 * MINUTE);
        assert_eq!(schedule.finish(&old, Outcome::Woken, 2 * MINUTE), Some(old.clone()));
        // A reader who has renewed is not forgotten.
        let new = wake(1, 2, "a.example");
        assert!(schedule.add(old.clone(), true, 10 * MINUTE));
        assert!(schedule.add(new.clone(), false, 10 * MINUTE));
        assert!(schedule.add(old, true, 10 * MINUTE), "late news of the old epoch");
        assert_eq!(called(&mut schedule, 10 * MINUTE), new);
        assert_eq!(schedule.finish(&new, Outcome::Woken, 10 * MINUTE), None);
    }

    #[test]
    fn a_subscription_that_is_gone_is_forgotten() {
        let (mut schedule, wake) = (Schedule::new(MINUTE, QUARTER), wake(1, 1, "a.example"));
        assert!(schedule.add(wake.clone(), false, 0));
        called(&mut schedule, 0);
        assert!(schedule.add(wake.clone(), false, 1));
        assert_eq!(schedule.finish(&wake, Outcome::Gone, 2), Some(wake.clone()));
        assert_eq!(schedule.next(9 * MINUTE), Next::Wait(None));
        // A reader who has given another address meanwhile is woken there.
        let moved = reader(1, 1, 1, "https://b.example/2");
        assert!(schedule.add(wake.clone(), false, 10 * MINUTE));
        called(&mut schedule, 10 * MINUTE);
        assert!(schedule.add(moved.clone(), false, 10 * MINUTE));
        assert_eq!(schedule.finish(&wake, Outcome::Gone, 10 * MINUTE), None);
        assert_eq!(called(&mut schedule, 11 * MINUTE), moved);
        assert_eq!(schedule.finish(&moved, Outcome::Woken, 11 * MINUTE), None);
        assert!(schedule.hosts.is_empty());
    }

    #[test]
    fn one_push_service_that_hangs_holds_up_no_other() {
        let mut schedule = Schedule::new(MINUTE, QUARTER);
        for handle in 0..100 {
            assert!(schedule.add(wake(handle, 1, "slow.example"), false, 0));
        }
        for _ in 0..WAKES_PARALLEL_PER_HOST_MAX {
            called(&mut schedule, 1);
        }
        assert_eq!(schedule.next(1), Next::Wait(None));
        assert!(schedule.add(wake(200, 1, "quick.example"), false, 2));
        assert_eq!(called(&mut schedule, 2), wake(200, 1, "quick.example"));
        assert_eq!(schedule.finish(&wake(0, 1, "slow.example"), Outcome::Woken, 3), None);
        assert_eq!(called(&mut schedule, 3).endpoint().service_name(), "https://slow.example:443");
    }

    #[test]
    fn calls_are_bounded_and_so_is_what_waits() {
        let mut schedule = Schedule::new(MINUTE, QUARTER);
        let log = |number: u32| reader(number, 1, 1, &format!("https://h{}.example/1", number % 50));
        for number in 0..WAKES_WAITING_MAX as u32 {
            assert!(schedule.add(log(number), false, 0));
        }
        assert!(!schedule.add(log(u32::MAX), false, 0));
        assert!(schedule.add(log(3), false, 0), "who waits already may");
        let calls: Vec<_> = (0..WAKES_PARALLEL_MAX).map(|_| called(&mut schedule, 0)).collect();
        assert_eq!(schedule.next(0), Next::Wait(None));
        assert_eq!(schedule.finish(&calls[0], Outcome::Woken, 1), None);
        assert!(!schedule.add(log(u32::MAX), false, 1), "its minute is not over");
        assert!(schedule.add(log(u32::MAX), false, MINUTE), "and then its place is free");
    }

    #[test]
    fn a_device_is_woken_once_until_it_has_fetched() {
        let (mut schedule, device) = (Schedule::new(MINUTE, QUARTER), device(1));
        assert!(schedule.add(device.clone(), false, 0));
        assert_eq!(called(&mut schedule, 0), device);
        assert!(schedule.add(device.clone(), false, 1), "more comes while the call is under way");
        assert_eq!(schedule.finish(&device, Outcome::Woken, 2), None);
        assert_eq!(schedule.next(2), Next::Wait(Some(QUARTER)), "it knows, if it can be told at all");
        assert!(schedule.add(device.clone(), false, 3));
        schedule.fetched(&device.key());
        assert_eq!(schedule.next(10 * QUARTER), Next::Wait(None), "it has fetched it");
        assert!(schedule.hosts.is_empty());
        assert!(schedule.add(device.clone(), false, 4));
        assert_eq!(schedule.next(4), Next::Wait(Some(MINUTE)), "what comes next is told after a minute");
        assert_eq!(called(&mut schedule, MINUTE), device);
        schedule.fetched(&device.key());
        assert_eq!(schedule.finish(&device, Outcome::Woken, MINUTE + 1), None);
        schedule.fetched(&super::Key::Device("b@clinic.example".parse().unwrap(), 1));
        assert!(schedule.add(device.clone(), false, 2 * MINUTE));
        assert_eq!(called(&mut schedule, 2 * MINUTE), device, "the answer to the call came after it had fetched");
    }

    #[test]
    fn a_device_that_cannot_be_told_is_tried_again_like_a_reader() {
        let (mut schedule, device) = (Schedule::new(MINUTE, QUARTER), device(1));
        assert!(schedule.add(device.clone(), false, 0));
        called(&mut schedule, 0);
        assert_eq!(schedule.finish(&device, Outcome::Later(None), 0), None);
        assert_eq!(schedule.next(0), Next::Wait(Some(MINUTE)));
        assert_eq!(called(&mut schedule, MINUTE), device);
        assert_eq!(schedule.finish(&device, Outcome::Gone, MINUTE), Some(device));
    }
}
