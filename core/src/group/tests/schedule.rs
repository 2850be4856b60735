//! Members under a random schedule: messages, commits at once, restarts, crashes before storing, garbage and replays. All
//! converge, everybody reads every message once, and nobody reads what was not written.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rand_core::Rng;

use super::*;
use crate::test_rng::rng;

const MEMBERS: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Action {
    /// Writes to the group.
    Say(usize),
    /// Prepares a commit, stores it, and tries to append it.
    Commit(usize),
    /// Reads so many entries, and stores.
    Read(usize, usize),
    /// Reads so many entries and crashes before storing.
    ReadAndCrash(usize, usize),
    /// Loses what is in memory.
    Restart(usize),
    /// Is shown an entry with a bit changed inside its wrapping.
    Forged(usize),
    /// Is shown an entry again that it has read.
    Replayed(usize, usize),
}

fn action() -> impl Strategy<Value = Action> {
    let member = 0..MEMBERS;
    prop_oneof![
        4 => member.clone().prop_map(Action::Say),
        2 => member.clone().prop_map(Action::Commit),
        6 => (member.clone(), 1..6_usize).prop_map(|(member, entries)| Action::Read(member, entries)),
        1 => (member.clone(), 1..6_usize).prop_map(|(member, entries)| Action::ReadAndCrash(member, entries)),
        1 => member.clone().prop_map(Action::Restart),
        1 => member.clone().prop_map(Action::Forged),
        1 => (member, any::<usize>()).prop_map(|(member, entry)| Action::Replayed(member, entry)),
    ]
}

/// A member, its store, and how far the store has read.
struct Device {
    account: Account,
    group: Group,
    store: Store,
    read: usize,
    stored_read: usize,
    texts: Vec<(usize, String)>,
    stored_texts: usize,
}

impl Device {
    fn save(&mut self) {
        self.store.save(&mut self.group);
        (self.stored_read, self.stored_texts) = (self.read, self.texts.len());
    }

    fn restart(&mut self) {
        self.group = self.store.load(&self.account.engine(1)).unwrap();
        self.read = self.stored_read;
        self.texts.truncate(self.stored_texts);
    }

    fn read(&mut self, log: &Log, entries: usize) {
        for (number, (epoch, entry, closes)) in log.entries.iter().enumerate().skip(self.read).take(entries) {
            self.read += 1;
            match self.group.process(entry, *epoch, *closes) {
                Ok(Received::Message { content, .. }) => self.texts.push((number, text_of(&content).to_owned())),
                Ok(_) => {}
                Err(error) => panic!("entry {number}: {error}"),
            }
        }
    }
}

fn run(actions: Vec<Action>) {
    let rng = &mut rng(1);
    let accounts: [Account; MEMBERS] =
        std::array::from_fn(|number| Account::new(&format!("m{number}"), 1, number as u64));
    let others: Vec<_> = accounts[1..].iter().map(|account| (account, Role::Member)).collect();
    let (mut log, readers) = group_of(Suite::Classical, &accounts[0], &others, rng);
    let begin = log.entries.len();
    let mut written: Vec<(usize, usize, String)> = Vec::new();
    let mut devices: Vec<Device> = accounts
        .into_iter()
        .zip(readers)
        .map(|(account, reader)| Device {
            account,
            group: reader.group,
            store: Store::default(),
            read: begin,
            stored_read: begin,
            texts: Vec::new(),
            stored_texts: 0,
        })
        .collect();
    devices.iter_mut().for_each(Device::save);
    for action in actions {
        match action {
            Action::Say(member) => {
                let text = format!("{} says {}", member, written.len());
                let device = &mut devices[member];
                let entry = encrypted(&mut device.group, &text, rng).unwrap();
                device.save();
                let number = log.entries.len();
                if log.append(&entry, false) {
                    written.push((member, number, text));
                }
            }
            Action::Commit(member) => {
                let device = &mut devices[member];
                // What became of the last one is in the log.
                if device.group.has_pending_commit() {
                    device.read(&log, usize::MAX);
                    assert!(!device.group.has_pending_commit());
                }
                let prepared = device.group.prepare_commit(&Change::default(), rng).unwrap();
                device.save();
                // It is adopted when it is met in the log, as after an answer that was lost.
                log.append(&prepared.entry, true);
            }
            Action::Read(member, entries) => {
                devices[member].read(&log, entries);
                devices[member].save();
            }
            Action::ReadAndCrash(member, entries) => {
                devices[member].read(&log, entries);
                devices[member].restart();
            }
            Action::Restart(member) => devices[member].restart(),
            Action::Forged(member) => {
                let device = &mut devices[member];
                if let Some((epoch, entry, closes)) = log.entries.get(device.read)
                    && *epoch == device.group.epoch()
                {
                    let mut message =
                        super::super::entry::unwrap(device.group.keys(), &device.group.log_id(), entry).unwrap();
                    let at = message.len() - 1 - rng.next_u32() as usize % 60;
                    message[at] ^= 1;
                    let forged = device.group.wrapped(&message, rng).unwrap();
                    // Of one's own, no more is looked at than who is said to have sent it.
                    let received = device.group.process(&forged.entry, forged.epoch, *closes);
                    assert!(matches!(received, Err(_) | Ok(Received::Own)), "{received:?}");
                }
            }
            Action::Replayed(member, entry) => {
                let device = &mut devices[member];
                if device.read > begin {
                    let (epoch, entry, closes) = &log.entries[begin + entry % (device.read - begin)];
                    let received = device.group.process(entry, *epoch, *closes);
                    assert!(!matches!(received, Ok(Received::Message { .. } | Received::Epoch(_))), "{received:?}");
                }
            }
        }
    }
    for (member, device) in devices.iter_mut().enumerate() {
        device.read(&log, usize::MAX);
        device.save();
        device.restart();
        let expected: Vec<_> = written
            .iter()
            .filter(|(sender, ..)| *sender != member)
            .map(|(_, number, text)| (*number, text.clone()))
            .collect();
        assert_eq!(device.texts, expected, "member {member}");
    }
    let keys: BTreeSet<_> = devices.iter().map(|device| device.group.keys().access_key().verifying_key()).collect();
    assert_eq!(keys.len(), 1, "all are in one epoch");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_converge_whatever_happens(actions in prop::collection::vec(action(), 1..80)) {
        run(actions);
    }
}
