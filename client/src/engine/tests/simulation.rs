//! Whole deployments from a seed: three clients, a server, and everything that goes wrong between them. In the end every
//! mail has arrived, whole and once.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use medipeps_core::kind::ReceiptsWanted;
use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply};
use rand_core::{Rng, SeedableRng};

use super::world::{World, mail, tick};
use crate::account_store::HandleError;
use crate::engine::{Input, LocalId, SendMail, Time};
use crate::limits::{PREKEY_ROTATION_S, RETRY_MAX_MS};
use crate::store::memory::CommitFault;

const CLIENTS: usize = 3;
const EVENTS: usize = 150;

struct Simulation {
    world: World,
    rng: ChaCha20Rng,
    /// Sender, recipient and text of every mail whose queueing was committed.
    written: BTreeMap<LocalId, (usize, usize, String)>,
}

impl Simulation {
    fn new(seed: u8) -> Self {
        let rng = ChaCha20Rng::from_seed([seed; 32]);
        Self { world: World::new(&["claire", "paul", "zoe"]), rng, written: BTreeMap::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u32() as usize % bound
    }

    fn event(&mut self) {
        let (client, other) = (self.below(CLIENTS), self.below(CLIENTS - 1));
        let other = if other >= client { other + 1 } else { other };
        match self.below(20) {
            0..=5 => self.write(client, other),
            6..=9 => self.die_during(client, tick()),
            10..=13 => self.receive(client),
            14 => self.shuffle(client),
            15 => self.world.clients[client].restart(),
            16 => self.fail_a_commit(client),
            17 => self.refuse_something(),
            18 => self.wait(),
            _ => self.connect(client),
        }
    }

    fn write(&mut self, client: usize, other: usize) {
        let text = format!("number {}", self.rng.next_u64());
        let delivered = self.below(2) == 0;
        let receipts_wanted = ReceiptsWanted { delivered, ..ReceiptsWanted::default() };
        let command = SendMail { receipts_wanted, ..mail(&self.world.address(other), &text) };
        self.world.later(1);
        self.die_during(client, Input::SendMail(command));
        let now = self.world.now;
        // It counts if it is on the disk, whatever the process said before it died.
        for message in self.world.clients[client].messages(now) {
            if message.message.sent && !self.written.contains_key(&message.id) {
                self.written.insert(message.id, (client, other, text.clone()));
            }
        }
    }

    /// Handles an input in a process that dies after a few steps, or not.
    fn die_during(&mut self, client: usize, input: Input) {
        let mut fuse = (self.below(3) > 0).then(|| self.below(12));
        match self.world.run_until(client, &input, &mut fuse) {
            Ok(Ok(())) => {}
            // The medium failed as often as it is tried.
            Ok(Err(HandleError::Store(_))) => {}
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => self.world.clients[client].restart(),
        }
    }

    /// Some of what waits, in order; now and then it is delivered although it was acknowledged.
    fn receive(&mut self, client: usize) {
        let mut batch = self.world.pushed(client);
        let incarnation = self.world.server.incarnation;
        if batch.is_empty() && self.below(3) == 0 {
            let address = self.world.address(client);
            batch = self.world.server.account(&address).unwrap().queue.clone();
        }
        let length = if batch.is_empty() { 0 } else { 1 + self.below(batch.len()) };
        batch.truncate(length);
        if !batch.is_empty() {
            self.die_during(client, Input::Deliveries { incarnation, batch });
        }
    }

    /// Envelopes that have not been fetched change places.
    fn shuffle(&mut self, client: usize) {
        let waiting = self.world.pushed(client).len();
        if waiting < 2 {
            return;
        }
        let (one, other) = (self.below(waiting), self.below(waiting));
        let address = self.world.address(client);
        let queue = &mut self.world.server.account(&address).unwrap().queue;
        let first = queue.len() - waiting;
        let envelope = std::mem::take(&mut queue[first + one].envelope);
        let swapped = std::mem::replace(&mut queue[first + other].envelope, envelope);
        if one == other {
            return;
        }
        queue[first + one].envelope = swapped;
    }

    fn fail_a_commit(&mut self, client: usize) {
        let fault = if self.below(2) == 0 { CommitFault::Unwritten } else { CommitFault::Written };
        self.world.clients[client].disk.fail_next_commit(fault);
    }

    fn refuse_something(&mut self) {
        let codes = [
            ErrorCode::StaleDevices,
            ErrorCode::QueueFull,
            ErrorCode::RateLimited,
            ErrorCode::StorageUnavailable,
            ErrorCode::Internal,
            ErrorCode::SubmissionIdReused,
        ];
        let code = codes[self.below(codes.len())];
        self.world.server.refusals.push(ErrorReply::new(code, ""));
    }

    fn wait(&mut self) {
        let milliseconds = match self.below(4) {
            0 => PREKEY_ROTATION_S * 1000 / 2,
            1 => RETRY_MAX_MS,
            _ => 10_000,
        };
        self.world.later(milliseconds);
    }

    fn connect(&mut self, client: usize) {
        let address = self.world.address(client);
        let highest_generation = self.world.server.account(&address).unwrap().generation;
        self.die_during(client, Input::Authenticated { highest_generation });
    }

    /// Nothing goes wrong any more: everything must arrive.
    fn heal(&mut self) {
        self.world.server.refusals.clear();
        // The first look of a day is a commit: it takes what fault there is left.
        self.world.later(24 * 3600 * 1000);
        let now = Time(self.world.now);
        for client in &mut self.world.clients {
            client.restart();
            let _ = client.store.generation(now, &mut client.rng);
        }
        for _ in 0..4 {
            self.world.later(RETRY_MAX_MS * 2);
            self.world.settle();
        }
    }

    fn check(&mut self, seed: u8) {
        for recipient in 0..CLIENTS {
            let mut expected: Vec<String> =
                self.written.values().filter(|(_, to, _)| *to == recipient).map(|(_, _, text)| text.clone()).collect();
            let mut arrived = self.world.texts(recipient);
            expected.sort();
            arrived.sort();
            assert_eq!(arrived, expected, "seed {seed}, client {recipient}");
            assert!(self.world.clients[recipient].undecryptable().is_empty(), "seed {seed}, client {recipient}");
        }
        for (id, (sender, _, _)) in self.written.clone() {
            let (state, code) = self.world.state(sender, id);
            assert!(
                matches!(state, RecipientState::Accepted | RecipientState::Delivered) && code.is_none(),
                "seed {seed}: {state:?} {code:?}"
            );
            let wanted = self.world.message(sender, id).receipts_wanted & 1 == 1;
            assert_eq!(state == RecipientState::Delivered, wanted, "seed {seed}: the receipt");
        }
    }
}

#[test]
fn everything_arrives_whole_and_once_whatever_goes_wrong() {
    for seed in 0..12 {
        let mut simulation = Simulation::new(seed);
        for _ in 0..EVENTS {
            simulation.event();
        }
        simulation.heal();
        simulation.check(seed);
        assert!(simulation.written.len() > 15, "seed {seed} wrote only {}", simulation.written.len());
    }
}
