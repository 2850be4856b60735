//! An account on a store on the disk, with this program as its server.

use std::path::{Path, PathBuf};

use chacha20::ChaCha20Rng;
use medipeps_client::account_store::{AccountStore, Handled};
use medipeps_client::engine::{Correlation, CreateAccount, Input, Send, Time};
use medipeps_client::limits::PREKEY_ROTATION_S;
use medipeps_client::store::seal::{SealedStore, Unlock};
use medipeps_client::store::sqlite::SqliteStore;
use medipeps_client::store::{Patch, RecordClass, RecordKey};
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::invitation::Invitation;
use medipeps_core::wire::transport::{Delivery, Lane, PrekeyStatusReply, Request, Response};
use rand_core::SeedableRng;

use crate::timed;

/// Sets of prekeys that a device of some weeks keeps: the current one, and those replaced in the last 30 days.
const ROTATIONS: usize = 4;
pub(crate) const INCARNATION: [u8; 16] = [1; 16];

/// One device.
pub(crate) struct Account {
    pub(crate) store: AccountStore<SqliteStore>,
    pub(crate) rng: ChaCha20Rng,
    /// Milliseconds since 1970.
    pub(crate) now: u64,
    /// Of the newest envelope.
    sequence: u64,
    folder: PathBuf,
}

fn platform_key() -> Secret<32> {
    Secret::from([7; 32])
}

impl Account {
    /// Registered, some weeks ago.
    pub(crate) fn create(folder: &Path) -> Self {
        let (mut rng, now) = (ChaCha20Rng::from_seed([1; 32]), 1_700_000_000_000);
        let backend = SqliteStore::create(folder).unwrap();
        let sealed = SealedStore::create(backend, &Unlock::PlatformKey(&platform_key()), now, &mut rng).unwrap();
        let address: Address = "claire@bench.example".parse().unwrap();
        let folder = folder.to_owned();
        let mut account = Self { store: AccountStore::new(sealed), rng, now, sequence: 0, folder };
        account.handle(&Input::CreateAccount(CreateAccount {
            address,
            name: "Dr Claire Martin".into(),
            server: "server.bench.example:4433".into(),
            invitation: Invitation { secret: Secret::from([2; 16]), server_key_hash: [9; 32] },
        }));
        account.reply(Correlation::Register, Response::Done);
        for sequence in 1..=ROTATIONS as u64 {
            account.now += PREKEY_ROTATION_S * 1000;
            let left = PrekeyStatusReply { one_time_prekeys: 100, one_time_kem_prekeys: 100, sequence };
            account.reply(Correlation::PrekeyStatus, Response::PrekeyStatus(left));
            account.reply(Correlation::PublishPrekeys(sequence + 1), Response::Done);
        }
        account
    }

    /// A new process on the same disk.
    pub(crate) fn restart(&mut self) {
        let backend = SqliteStore::open(&self.folder).unwrap();
        self.store = AccountStore::new(SealedStore::open(backend, &Unlock::PlatformKey(&platform_key())).unwrap());
        // The first look, so that what is measured is not the opening of the file.
        self.store.generation(Time(self.now), &mut self.rng).unwrap();
    }

    pub(crate) fn handle(&mut self, input: &Input) -> Handled {
        self.now += 1;
        self.store.handle(input, Time(self.now), &mut self.rng).unwrap()
    }

    pub(crate) fn reply(&mut self, to: Correlation, response: Response) -> Handled {
        self.handle(&Input::Reply { to, result: Ok(response) })
    }

    /// Handles envelopes; milliseconds.
    pub(crate) fn receive(&mut self, envelopes: Vec<Vec<u8>>) -> f64 {
        let received = self.now;
        let delivery = |envelope| {
            self.sequence += 1;
            Delivery { sequence: self.sequence, received, envelope, lane: Lane::Normal }
        };
        let batch: Vec<Delivery> = envelopes.into_iter().map(delivery).collect();
        let input = Input::Deliveries { incarnation: INCARNATION, batch };
        let (taken, handled) = timed(|| self.handle(&input));
        assert!(handled.outgoing.iter().any(|outgoing| matches!(outgoing.send, Send::Acknowledge { .. })));
        taken
    }

    /// Writes into the store.
    pub(crate) fn commit(&mut self, patch: &Patch) {
        let transaction = self.store.store_mut().begin(self.now, &mut self.rng).unwrap();
        transaction.commit(patch, &mut self.rng).unwrap();
    }

    /// Commits one record of 4 KiB and a small one; milliseconds.
    pub(crate) fn bare_commit(&mut self) -> f64 {
        let class = RecordClass::account(60);
        let mut patch = Patch::default();
        patch.put(RecordKey::new(class, *b"large"), vec![7; 4096]);
        patch.put(RecordKey::new(class, *b"small"), vec![7; 64]);
        timed(|| self.commit(&patch)).0
    }
}

/// The only request of this sort that is to be sent.
pub(crate) fn request(handled: &Handled, wanted: impl Fn(&Request) -> bool) -> (Request, Correlation) {
    let mut found = handled.outgoing.iter().filter_map(|outgoing| match &outgoing.send {
        Send::Request(request) if wanted(request) => Some((request.clone(), outgoing.reply_to.clone())),
        _ => None,
    });
    let first = found.next().unwrap_or_else(|| panic!("there is no such request: {:?}", handled.outgoing));
    assert!(found.next().is_none());
    first
}
