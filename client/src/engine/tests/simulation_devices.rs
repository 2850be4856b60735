//! Accounts of several devices from a seed: drops, reorder, restarts, dead processes, failed commits. In the end every device
//! of an account knows the same: messages, what was read, how far what was sent has come, contacts, names.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use medipeps_core::kind::ReceiptsWanted;
use medipeps_core::wire::client_records::{ContactRecord, RecipientRecord, RecipientState};
use rand_core::{Rng, SeedableRng};

use super::trouble::below;
use super::world::{World, mail, tick};
use crate::engine::{Input, LocalId, SendMail, Time};
use crate::limits::{RETRY_MAX_MS, UNCONFIRMED_WAIT_MS};

const EVENTS: usize = 160;
/// Waits of more than a day, after which what is not confirmed is sent again.
const LONG_WAITS_MAX: usize = 2;
/// Submissions that the server takes and loses.
const LOST_MAX: usize = 5;

struct Simulation {
    world: World,
    rng: ChaCha20Rng,
    /// The clients of each account.
    accounts: [Vec<usize>; 3],
    /// Writing device, recipients' accounts and text of every mail whose queueing was committed.
    written: BTreeMap<LocalId, (usize, Vec<usize>, String)>,
    long_waits: usize,
    lost: usize,
    displayed: usize,
}

/// All that the devices of an account must agree about.
struct Knowledge {
    /// By the sender's id: text, and when a person saw it.
    received: BTreeMap<[u8; 16], (String, u64)>,
    sent: BTreeMap<[u8; 16], (String, Vec<RecipientRecord>)>,
    contacts: Vec<Option<ContactRecord>>,
    names: Vec<Option<String>>,
}

impl Simulation {
    fn new(seed: u8) -> Self {
        let mut world = World::new(&["claire", "paul", "zoe"]);
        let accounts =
            [vec![0, world.join_device(0), world.join_device_as(0, true)], vec![1, world.join_device(1)], vec![2]];
        let rng = ChaCha20Rng::from_seed([seed; 32]);
        Self { world, rng, accounts, written: BTreeMap::new(), long_waits: 0, lost: 0, displayed: 0 }
    }

    fn clients(&self) -> usize {
        self.world.clients.len()
    }

    fn account_of(&self, client: usize) -> usize {
        self.accounts.iter().position(|clients| clients.contains(&client)).unwrap()
    }

    fn event(&mut self) {
        let clients = self.clients();
        let client = below(&mut self.rng, clients);
        match below(&mut self.rng, 24) {
            0..=4 => self.write(client),
            5..=8 => self.world.die_during(client, &tick(), &mut self.rng),
            9..=13 => self.world.receive_some(client, &mut self.rng),
            14 => self.world.shuffle(client, &mut self.rng),
            15 => self.world.clients[client].restart(),
            16 => self.world.fail_a_commit(client, &mut self.rng),
            17 => self.world.refuse_something(&mut self.rng),
            18 => self.wait(),
            19 | 20 => self.display(client),
            21 => self.rename(client),
            22 => self.lose_a_submission(),
            _ => self.connect(client),
        }
    }

    fn write(&mut self, client: usize) {
        let own = self.account_of(client);
        let others: Vec<usize> = (0..self.accounts.len()).filter(|account| *account != own).collect();
        let to = match below(&mut self.rng, 3) {
            0 => others,
            one => vec![others[one - 1]],
        };
        let text = format!("number {}", self.rng.next_u64());
        let receipts_wanted = ReceiptsWanted {
            delivered: below(&mut self.rng, 2) == 0,
            displayed: below(&mut self.rng, 2) == 0,
            processed: false,
        };
        let addresses: Vec<_> = to.iter().map(|account| self.world.address(self.accounts[*account][0])).collect();
        let command = SendMail { to: addresses.clone(), receipts_wanted, ..mail(&addresses[0], &text) };
        self.world.later(1);
        self.world.die_during(client, &Input::SendMail(command), &mut self.rng);
        let now = self.world.now;
        // It counts if it is on the disk, whatever the process said before it died.
        for message in self.world.clients[client].messages(now) {
            if message.message.sent && self.world.mail(client, message.id).text == text {
                self.written.insert(message.message.content_id, (client, to.clone(), text.clone()));
            }
        }
    }

    fn display(&mut self, client: usize) {
        let now = self.world.now;
        let unread: Vec<_> =
            self.world.clients[client].received(now).into_iter().filter(|one| one.message.displayed == 0).collect();
        if unread.is_empty() {
            return;
        }
        let id = unread[below(&mut self.rng, unread.len())].id;
        self.world.die_during(client, &Input::MarkDisplayed(id), &mut self.rng);
        self.displayed += 1;
    }

    fn rename(&mut self, client: usize) {
        let siblings = self.accounts[self.account_of(client)].clone();
        let which = siblings[below(&mut self.rng, siblings.len())];
        let device_id = self.world.device_id(which);
        let name = format!("name {}", self.rng.next_u32());
        self.world.die_during(client, &Input::NameDevice { device_id, name }, &mut self.rng);
    }

    fn lose_a_submission(&mut self) {
        if self.lost < LOST_MAX {
            self.lost += 1;
            self.world.server.losing += 1;
        }
    }

    fn wait(&mut self) {
        let milliseconds = match below(&mut self.rng, 4) {
            0 if self.long_waits < LONG_WAITS_MAX => {
                self.long_waits += 1;
                UNCONFIRMED_WAIT_MS + 3_600_000
            }
            1 => RETRY_MAX_MS,
            _ => 10_000,
        };
        self.world.later(milliseconds);
    }

    fn connect(&mut self, client: usize) {
        let highest_generation = self.world.device(client).generation;
        let statement_version = self.world.statement(client).version();
        self.world.die_during(client, &Input::Authenticated { highest_generation, statement_version }, &mut self.rng);
    }

    /// Nothing goes wrong any more, and time enough passes that what was lost comes again.
    fn heal(&mut self) {
        self.world.server.refusals.clear();
        self.world.server.losing = 0;
        self.world.later(RETRY_MAX_MS);
        let now = Time(self.world.now);
        for client in &mut self.world.clients {
            client.restart();
            // The first look of a day is a commit: it takes what fault there is left.
            let _ = client.store.generation(now, &mut client.rng);
        }
        for _ in 0..7 * 12 {
            self.world.later(2 * 3_600_000);
            self.world.settle();
        }
        self.world.settle_in_step();
    }

    fn knowledge(&mut self, client: usize) -> Knowledge {
        let now = self.world.now;
        let (mut received, mut sent) = (BTreeMap::new(), BTreeMap::new());
        for message in self.world.clients[client].messages(now) {
            let (text, record) = (self.world.mail(client, message.id).text, message.message);
            if record.sent {
                let recipients = record.recipients.into_iter().map(|one| RecipientRecord { at: 0, ..one });
                assert!(sent.insert(record.content_id, (text, recipients.collect())).is_none());
            } else {
                assert!(received.insert(record.content_id, (text, record.displayed)).is_none(), "once");
            }
        }
        let own = self.account_of(client);
        let others: Vec<usize> = (0..self.accounts.len()).filter(|account| *account != own).collect();
        let contacts = others.iter().map(|account| self.world.contact(client, self.accounts[*account][0])).collect();
        let one = &mut self.world.clients[client];
        let devices = one.store.devices(Time(now), &mut one.rng).unwrap();
        Knowledge { received, sent, contacts, names: devices.into_iter().map(|device| device.name).collect() }
    }

    fn check(&mut self, seed: u8) {
        for client in 0..self.clients() {
            let unread = self.world.clients[client].undecryptable();
            assert!(unread.is_empty(), "seed {seed}, client {client}: {unread:?}");
        }
        for (account, clients) in self.accounts.clone().into_iter().enumerate() {
            let first = self.knowledge(clients[0]);
            for client in &clients[1..] {
                let other = self.knowledge(*client);
                let which = format!("seed {seed}: device {client} beside {}", clients[0]);
                assert_eq!(other.received, first.received, "{which}");
                assert_eq!(other.sent, first.sent, "{which}");
                assert_eq!(other.names, first.names, "{which}");
                assert!(other.contacts == first.contacts, "{which}: contacts");
            }
            let texts = |of: &BTreeMap<[u8; 16], (String, u64)>| {
                of.iter().map(|(id, (text, _))| (*id, text.clone())).collect::<BTreeMap<_, _>>()
            };
            let meant = self.written.iter().filter(|(_, (_, to, _))| to.contains(&account));
            let meant: BTreeMap<_, _> = meant.map(|(id, (_, _, text))| (*id, text.clone())).collect();
            assert_eq!(texts(&first.received), meant, "seed {seed}: account {account}");
            let own = self.written.iter().filter(|(_, (by, _, _))| clients.contains(by)).map(|(id, _)| *id);
            assert_eq!(first.sent.keys().copied().collect::<Vec<_>>(), own.collect::<Vec<_>>(), "seed {seed}");
            for (text, recipients) in first.sent.values() {
                for recipient in recipients {
                    let arrived =
                        recipient.state >= RecipientState::Accepted && recipient.state != RecipientState::Failed;
                    assert!(arrived && recipient.code.is_none(), "seed {seed}: {text} {recipient:?}");
                }
            }
        }
    }
}

#[test]
fn the_devices_of_each_account_know_the_same_in_the_end_whatever_goes_wrong() {
    let mut happened = [0; 3];
    for seed in 0..6 {
        let mut simulation = Simulation::new(seed);
        for _ in 0..EVENTS {
            simulation.event();
        }
        simulation.heal();
        simulation.check(seed);
        let of_seed = [simulation.written.len(), simulation.displayed, simulation.lost];
        happened.iter_mut().zip(of_seed).for_each(|(all, one)| *all += one);
    }
    let [written, displayed, lost] = happened;
    assert!(written > 72 && displayed > 18 && lost > 6, "{written}, {displayed}, {lost}");
}
