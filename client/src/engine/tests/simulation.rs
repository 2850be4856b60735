//! Whole deployments from a seed: three clients, a server, and everything that goes wrong between them. In the end every
//! mail has arrived, whole and once.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use medipeps_core::kind::{AttachmentPlace, ReceiptsWanted};
use medipeps_core::wire::client_records::RecipientState;
use rand_core::{Rng, SeedableRng};

use super::trouble::below;
use super::world::{World, mail, tick};
use crate::engine::{Input, LocalId, SendMail, Time};
use crate::limits::{OUTBOX_TRIED_MS, PREKEY_ROTATION_S, RETRY_MAX_MS};

const CLIENTS: usize = 3;
const EVENTS: usize = 150;

struct Simulation {
    world: World,
    rng: ChaCha20Rng,
    /// When the world began.
    begun: u64,
    /// Sender, recipient and text of every mail whose queueing was committed.
    written: BTreeMap<LocalId, (usize, usize, String)>,
    /// Every version that a file ever had, by its path.
    versions: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Simulation {
    fn new(seed: u8) -> Self {
        let rng = ChaCha20Rng::from_seed([seed; 32]);
        let world = World::new(&["claire", "paul", "zoe"]);
        Self { begun: world.now, world, rng, written: BTreeMap::new(), versions: BTreeMap::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        below(&mut self.rng, bound)
    }

    fn event(&mut self) {
        let (client, other) = (self.below(CLIENTS), self.below(CLIENTS - 1));
        let other = if other >= client { other + 1 } else { other };
        match self.below(24) {
            0..=5 => self.write(client, other),
            6..=9 => self.world.die_during(client, &tick(), &mut self.rng),
            10..=13 => self.world.receive_some(client, &mut self.rng),
            14 => self.world.shuffle(client, &mut self.rng),
            15 => self.world.clients[client].restart(),
            16 => self.world.fail_a_commit(client, &mut self.rng),
            17 => self.world.refuse_something(&mut self.rng),
            18 => self.wait(),
            19..=20 => self.upload(client),
            21 => self.fetch_bodies(client),
            22 => self.edit_a_file(client),
            _ => self.connect(client),
        }
    }

    fn write(&mut self, client: usize, other: usize) {
        // Some are too long for an envelope, and some have a file.
        let times = [1, 1, 1, 4000][self.below(4)];
        let text = format!("number {} ", self.rng.next_u64()).repeat(times);
        let delivered = self.below(2) == 0;
        let receipts_wanted = ReceiptsWanted { delivered, ..ReceiptsWanted::default() };
        let mut command = SendMail { receipts_wanted, ..mail(&self.world.address(other), &text) };
        if self.below(4) == 0 {
            let path = format!("/{client}/{}", self.versions.len());
            let bytes = self.bytes();
            command.attachments = vec![self.world.clients[client].attach(&path, &bytes, 0)];
            self.versions.insert(path, vec![bytes]);
        }
        let command = self.world.clients[client].place(command);
        self.world.later(1);
        self.world.die_during(client, &Input::SendMail(command), &mut self.rng);
        let now = self.world.now;
        // It counts if it is on the disk, whatever the process said before it died.
        for message in self.world.clients[client].messages(now) {
            if message.message.sent && !self.written.contains_key(&message.id) {
                self.written.insert(message.id, (client, other, text.clone()));
            }
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let (letter, length) = (self.below(256) as u8, 1 + self.below(200_000));
        vec![letter; length]
    }

    fn upload(&mut self, client: usize) {
        let mut fuse = (self.below(3) > 0).then(|| self.below(12));
        if self.world.upload_due(client, &mut fuse).is_err() {
            self.world.clients[client].restart();
        }
    }

    fn fetch_bodies(&mut self, client: usize) {
        let mut fuse = (self.below(3) > 0).then(|| self.below(8));
        if self.world.fetch_bodies(client, &mut fuse).is_err() {
            self.world.clients[client].restart();
        }
    }

    /// Now and then without another length or time: then only a part's digest tells.
    fn edit_a_file(&mut self, client: usize) {
        let paths: Vec<Vec<u8>> = self.world.clients[client].files.own.keys().cloned().collect();
        if paths.is_empty() {
            return;
        }
        let path = &paths[self.below(paths.len())];
        let (mut bytes, seen) = (self.bytes(), self.below(2) == 0);
        let (length, modified) = self.world.clients[client].files.own.get(path).map(|(b, m)| (b.len(), *m)).unwrap();
        let modified = if seen { modified + 1 } else { modified };
        if !seen {
            bytes.resize(length, bytes[0]);
        }
        self.versions.get_mut(std::str::from_utf8(path).unwrap()).unwrap().push(bytes.clone());
        self.world.clients[client].files.own.insert(path.clone(), (bytes, modified));
    }

    fn wait(&mut self) {
        // Not so often that what waits is given up, which is right and no failure: three times are ten days.
        let long = self.world.now < self.begun + OUTBOX_TRIED_MS / 2;
        let milliseconds = match self.below(4) {
            0 if long => {
                // Half of the time for which an upload is tried: nobody's device is off for longer.
                for client in 0..CLIENTS {
                    if self.world.upload_due(client, &mut None).is_err() {
                        self.world.clients[client].restart();
                        assert!(self.world.upload_due(client, &mut None).is_ok());
                    }
                }
                PREKEY_ROTATION_S * 1000 / 2
            }
            1 => RETRY_MAX_MS,
            _ => 10_000,
        };
        self.world.later(milliseconds);
    }

    fn connect(&mut self, client: usize) {
        let highest_generation = self.world.device(client).generation;
        let input = Input::Authenticated { highest_generation, statement_version: 1 };
        self.world.die_during(client, &input, &mut self.rng);
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
            for client in 0..CLIENTS {
                self.world.upload_all(client);
            }
            self.world.settle();
            for client in 0..CLIENTS {
                assert!(self.world.fetch_bodies(client, &mut None).is_ok());
            }
        }
    }

    /// The texts that have come, wherever they were; each file on the way is one version of what its sender had.
    fn texts(&mut self, recipient: usize, seed: u8) -> Vec<String> {
        let now = self.world.now;
        let mut texts = Vec::new();
        for received in self.world.clients[recipient].received(now) {
            for attachment in self.world.detail(recipient, received.id).content.attachments {
                let AttachmentPlace::Blob(blob) = attachment.place else { panic!("a file goes as a blob") };
                let bytes = self.world.blob(&blob);
                assert!(self.versions[&attachment.name].contains(&bytes), "seed {seed}: a version that never was");
            }
            texts.push(self.world.whole_text(recipient, received.id).expect("its body is here"));
        }
        texts
    }

    fn check(&mut self, seed: u8) {
        for (id, (sender, _, _)) in self.written.clone() {
            let (state, code) = self.world.state(sender, id);
            assert!(
                matches!(state, RecipientState::Accepted | RecipientState::Delivered) && code.is_none(),
                "seed {seed}: {state:?} {code:?}"
            );
            let wanted = self.world.message(sender, id).receipts_wanted & 1 == 1;
            assert_eq!(state == RecipientState::Delivered, wanted, "seed {seed}: the receipt");
        }
        for recipient in 0..CLIENTS {
            let mut expected: Vec<String> =
                self.written.values().filter(|(_, to, _)| *to == recipient).map(|(_, _, text)| text.clone()).collect();
            let mut arrived = self.texts(recipient, seed);
            expected.sort();
            arrived.sort();
            // Not with the texts themselves: some have pages.
            let brief = |texts: &[String]| {
                texts.iter().map(|text| (text[..30.min(text.len())].to_owned(), text.len())).collect::<Vec<_>>()
            };
            assert_eq!(brief(&arrived), brief(&expected), "seed {seed}, client {recipient}");
            assert!(arrived == expected, "seed {seed}, client {recipient}");
            assert!(self.world.clients[recipient].undecryptable().is_empty(), "seed {seed}, client {recipient}");
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
        assert!(simulation.versions.values().any(|versions| versions.len() > 1), "seed {seed} edited nothing");
        let long = simulation.written.values().filter(|(_, _, text)| text.len() > 60_000).count();
        assert!(long > 1, "seed {seed} wrote only {long} long ones");
        assert!(simulation.written.len() > 15, "seed {seed} wrote only {}", simulation.written.len());
    }
}
