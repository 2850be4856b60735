//! Two sides of a session, and a line between them that drops, repeats, reorders and delays; devices that start anew, and
//! stores that are put back to an earlier state. The proptest beside this file and the fuzz target `session_schedule` run it.

#![allow(clippy::unwrap_used, reason = "a model stops at the first thing that must not be")]

use std::collections::BTreeSet;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::envelope::Envelope;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::limits::SKIP_MAX;
use medipeps_core::prekey::{GeneratedPrekeys, PrekeyBundle};
use medipeps_core::session::{DecryptError, LocalDevice, ResponderPrekeys, Session};
use rand_core::SeedableRng;

/// Turns after which two sides that understand each other have healed more than once.
const LAST_TURNS: usize = 30;

/// What happens next. Sides and messages are named by whatever number, taken modulo how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// A side writes.
    Write { side: u8 },
    /// A message under way arrives, and is gone from the line or not.
    Deliver { to: u8, which: u8, keep: bool },
    /// A message under way is lost.
    Drop { to: u8, which: u8 },
    /// The state is written and read.
    Restart { side: u8 },
    /// The state is kept for later.
    Save { side: u8 },
    /// The state that was kept takes the place of the newer one.
    RollBack { side: u8 },
}

impl Action {
    /// Two bytes are an action.
    pub(crate) const fn from_bytes(bytes: [u8; 2]) -> Self {
        let (side, which) = ((bytes[0] >> 4) & 1, bytes[1]);
        match bytes[0] & 15 {
            0..=5 => Self::Write { side },
            6..=10 => Self::Deliver { to: side, which, keep: false },
            11 => Self::Deliver { to: side, which, keep: true },
            12 => Self::Drop { to: side, which },
            13 => Self::Restart { side },
            14 => Self::Save { side },
            _ => Self::RollBack { side },
        }
    }
}

struct Party {
    keys: DeviceSecretKeys,
    statement: Statement,
    prekeys: GeneratedPrekeys,
}

struct Side {
    party: Party,
    session: Session,
    saved: Vec<u8>,
    /// Messages to this side: what they say, and whether this state has opened them.
    line: Vec<(u32, Envelope)>,
    opened: BTreeSet<u32>,
}

/// A run of the model.
pub(crate) struct Schedule {
    sides: [Side; 2],
    rng: ChaCha20Rng,
    written: u32,
    rolled_back: bool,
}

/// Runs the actions and then lets the two talk. Panics if anything diverges without an error.
pub(crate) fn run(actions: impl IntoIterator<Item = Action>) {
    let mut schedule = Schedule::new();
    for action in actions {
        schedule.act(action);
    }
    schedule.talk();
}

/// A session that keeps as many skipped keys as it may, in both ratchets.
#[allow(dead_code, reason = "the test of memory asks for it, the schedules do not")]
pub(crate) fn full_session() -> Session {
    let Schedule { mut sides, mut rng, .. } = Schedule::new();
    for _ in 0..2 {
        let device = sides[0].party.device();
        let mut last = Vec::new();
        for _ in 0..=SKIP_MAX {
            last = sides[0].session.encrypt(b"m", &device, &mut rng).unwrap();
        }
        sides[1].session.decrypt(&Envelope::decode(&last).unwrap(), &mut rng).unwrap();
    }
    let [_, bob] = sides;
    bob.session
}

impl Schedule {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (alice, bob) = (Party::new("alice", &mut rng), Party::new("bob", &mut rng));
        let bundle = PrekeyBundle::verify(&bob.prekeys.bundle(0), &bob.keys.signing_key.verifying_key()).unwrap();
        let mut at_alice = Session::initiate(&alice.device(), &bob.statement, &bundle, &mut rng).unwrap();
        let flight = Envelope::decode(&at_alice.encrypt(b"first", &alice.device(), &mut rng).unwrap()).unwrap();
        let initial = flight.open_first_flight(&bob.prekeys.seal_prekey.1).unwrap();
        let prekeys = ResponderPrekeys {
            signed_prekey: &bob.prekeys.signed_prekey.1,
            one_time_prekey: Some(&bob.prekeys.one_time_prekeys[0].1),
            kem_prekey: &bob.prekeys.one_time_kem_prekeys[0].1,
        };
        let (mut at_bob, _) = Session::respond(&bob.device(), &initial, &prekeys, &mut rng).unwrap();
        let reply = Envelope::decode(&at_bob.encrypt(b"reply", &bob.device(), &mut rng).unwrap()).unwrap();
        at_alice.decrypt(&reply, &mut rng).unwrap();
        let sides = [Side::new(alice, at_alice), Side::new(bob, at_bob)];
        Self { sides, rng, written: 0, rolled_back: false }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write { side } => self.write(usize::from(side % 2)),
            Action::Deliver { to, which, keep } => self.deliver(usize::from(to % 2), which, keep),
            Action::Drop { to, which } => {
                let line = &mut self.sides[usize::from(to % 2)].line;
                if !line.is_empty() {
                    line.swap_remove(usize::from(which) % line.len());
                }
            }
            Action::Restart { side } => {
                let side = &mut self.sides[usize::from(side % 2)];
                let state = side.session.encode();
                side.session = Session::decode(&state).unwrap();
                assert!(side.session.encode() == state, "a restart changes nothing");
            }
            Action::Save { side } => {
                let side = &mut self.sides[usize::from(side % 2)];
                side.saved = side.session.encode().to_vec();
            }
            Action::RollBack { side } => {
                let side = &mut self.sides[usize::from(side % 2)];
                side.session = Session::decode(&side.saved).unwrap();
                // The older state may open again what the newer one had opened.
                side.opened.clear();
                self.rolled_back = true;
            }
        }
    }

    fn write(&mut self, by: usize) {
        self.written += 1;
        let side = &mut self.sides[by];
        let content = self.written.to_be_bytes();
        let envelope = side.session.encrypt(&content, &side.party.device(), &mut self.rng).unwrap();
        self.sides[1 - by].line.push((self.written, Envelope::decode(&envelope).unwrap()));
    }

    fn deliver(&mut self, to: usize, which: u8, keep: bool) {
        let side = &mut self.sides[to];
        if side.line.is_empty() {
            return;
        }
        let index = usize::from(which) % side.line.len();
        let (number, envelope) = if keep { side.line[index].clone() } else { side.line.swap_remove(index) };
        let before = side.session.encode();
        match side.session.decrypt(&envelope, &mut self.rng) {
            Ok(content) => {
                assert_eq!(content.as_slice(), number.to_be_bytes(), "what arrives is what was written");
                assert!(side.opened.insert(number), "and arrives once");
            }
            Err(error) => {
                assert!(side.session.encode() == before, "what fails changes nothing");
                // Without a roll-back only these: repeated, or more chains or epochs behind than are kept.
                let expected =
                    matches!(error, DecryptError::AlreadyReceived | DecryptError::NoHeaderKey | DecryptError::Epoch(_));
                assert!(expected || self.rolled_back, "{error}");
            }
        }
    }

    /// In turns, nothing lost: either all of it arrives and both heal, or somebody was told.
    fn talk(&mut self) {
        let before = self.sides.each_ref().map(|side| side.session.post_quantum_epoch());
        self.sides.iter_mut().for_each(|side| side.line.clear());
        let mut failed = false;
        for turn in 0..LAST_TURNS {
            self.write(turn % 2);
            let side = &mut self.sides[1 - turn % 2];
            let (number, envelope) = side.line.pop().unwrap();
            match side.session.decrypt(&envelope, &mut self.rng) {
                Ok(content) => assert_eq!(content.as_slice(), number.to_be_bytes()),
                Err(error) => {
                    assert!(self.rolled_back, "the two no longer understand each other: {error}");
                    failed = true;
                }
            }
        }
        let after = self.sides.each_ref().map(|side| side.session.post_quantum_epoch());
        if !failed {
            assert!(after[0].abs_diff(after[1]) <= 1, "{after:?}");
            assert!((0..2).all(|side| after[side] >= before[side] + 2), "{before:?} {after:?}");
        }
    }
}

impl Side {
    fn new(party: Party, session: Session) -> Self {
        let saved = session.encode().to_vec();
        Self { party, session, saved, line: Vec::new(), opened: BTreeSet::new() }
    }
}

impl Party {
    fn new(name: &str, rng: &mut ChaCha20Rng) -> Self {
        let address: Address = format!("{name}@model.example").parse().unwrap();
        let account_key = SigningKey::random(rng);
        let keys = DeviceSecretKeys::random(rng);
        let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1);
        let issue = StatementIssue {
            address: &address,
            recovery_key_hash: [0; 32],
            previous: None,
            devices: vec![device],
            issued: 1,
        };
        let statement = issue.sign(&account_key).unwrap();
        let prekeys = GeneratedPrekeys::draw(&keys.signing_key, &address, 1, 1, 1, 1, 1, rng);
        Self { keys, statement, prekeys }
    }

    const fn device(&self) -> LocalDevice<'_> {
        LocalDevice { statement: &self.statement, device_id: 1, keys: &self.keys }
    }
}
