//! What one call of the engine reads and changes: the view below, the changes above it.

use std::collections::{BTreeMap, BTreeSet};

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::envelope::Hint;
use medipeps_core::identity::{Statement, StatementError};
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::session::SessionId;
use medipeps_core::wire::transport::{Request, TokenRequest};
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

use super::outcome::{Connection, EngineError, Event, Lookup, Need, Outgoing, Send, Step, View};
use super::records::{Key, Record};
use super::{Correlation, GroupReader, Time};
use crate::store::seal::ClassRecords;
use crate::store::{Patch, RecordClass, RecordKey};

/// 32 random bytes, fresh for every step.
pub type Seed = [u8; 32];

/// Why the work on an input stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// A record is not loaded; it has been noted.
    Needs,
    /// The input fails.
    Failed(Box<EngineError>),
}

impl<E: Into<EngineError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

/// Goes on with the next of many after one that misses a record, so that all ask for theirs at once.
pub(super) fn go_on<T>(result: Result<T, Stop>) -> Result<(), Stop> {
    match result {
        Ok(_) | Err(Stop::Needs) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The view with this step's changes over it.
pub(super) struct Transaction<'a> {
    view: &'a dyn View,
    /// When the input happened.
    pub(super) now: Time,
    /// The only source of randomness.
    pub(super) rng: ChaCha20Rng,
    changes: BTreeMap<RecordKey, Option<Zeroizing<Vec<u8>>>>,
    needs: BTreeSet<Need>,
    outgoing: Vec<Outgoing>,
    events: Vec<Event>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(view: &'a dyn View, now: Time, seed: &Seed) -> Self {
        Self {
            view,
            now,
            rng: ChaCha20Rng::from_seed(*seed),
            changes: BTreeMap::new(),
            needs: BTreeSet::new(),
            outgoing: Vec::new(),
            events: Vec::new(),
        }
    }

    /// What must be loaded before the input can be handled, if anything.
    pub(super) fn needs(&self) -> Option<Vec<Need>> {
        (!self.needs.is_empty()).then(|| self.needs.iter().cloned().collect())
    }

    pub(super) fn finish(self) -> Step {
        let mut patch = Patch::default();
        for (key, value) in self.changes {
            match value {
                Some(value) => patch.put(key, value),
                None => patch.delete(key),
            }
        }
        Step { patch, outgoing: self.outgoing, events: self.events }
    }

    /// Generation of the store that the view shows.
    pub(super) fn generation(&self) -> u64 {
        self.view.generation()
    }

    /// Stops where something is missing already: what takes long waits until it is decided on enough, and is done once.
    pub(super) fn check_loaded(&self) -> Result<(), Stop> {
        if self.needs.is_empty() { Ok(()) } else { Err(Stop::Needs) }
    }

    /// A record, or `None` if there is none.
    pub(super) fn load<T: Record>(&mut self, key: &Key<T>) -> Result<Option<T>, Stop> {
        let record = key.record();
        let bytes = match self.changes.get(record) {
            Some(changed) => changed.as_ref().map(|value| value.as_slice()),
            None => match self.view.record(record) {
                Lookup::Found(value) => Some(value),
                Lookup::Absent => None,
                Lookup::NotLoaded => {
                    self.needs.insert(Need::Record(record.clone()));
                    return Err(Stop::Needs);
                }
            },
        };
        bytes.map(T::decode).transpose().map_err(|error| damaged(record.class, error))
    }

    /// Several records, asked for all at once.
    pub(super) fn load_all<T: Record>(&mut self, keys: &[Key<T>]) -> Result<Vec<Option<T>>, Stop> {
        let mut records = Vec::with_capacity(keys.len());
        let mut missing = false;
        for key in keys {
            match self.load(key) {
                Ok(record) => records.push(record),
                Err(Stop::Needs) => missing = true,
                Err(error) => return Err(error),
            }
        }
        if missing { Err(Stop::Needs) } else { Ok(records) }
    }

    /// Whether there is such a record.
    pub(super) fn exists<T: Record>(&mut self, key: &Key<T>) -> Result<bool, Stop> {
        self.load(key).map(|record| record.is_some())
    }

    /// All records of a class with their names, in the order of the names.
    pub(super) fn scan<T: Record>(&mut self, class: RecordClass) -> Result<Vec<(Key<T>, T)>, Stop> {
        let Some(stored) = self.view.class(class) else {
            self.needs.insert(Need::Class(class));
            return Err(Stop::Needs);
        };
        let mut records = Vec::new();
        for (name, value) in stored.iter() {
            let key = RecordKey::new(class, name);
            if !self.changes.contains_key(&key) {
                records.push((Key::from(key), decode(class, value)?));
            }
        }
        for (key, value) in &self.changes {
            if let (true, Some(value)) = (key.class == class, value) {
                records.push((Key::from(key.clone()), decode(class, value)?));
            }
        }
        records.sort_by(|(one, _), (other, _)| one.record().cmp(other.record()));
        Ok(records)
    }

    /// All records of a class as the store has them, without this step's changes and without a copy.
    pub(super) fn stored_class(&mut self, class: RecordClass) -> Result<&'a ClassRecords, Stop> {
        self.view.class(class).ok_or_else(|| {
            self.needs.insert(Need::Class(class));
            Stop::Needs
        })
    }

    /// The sessions in the store whose hint keys match an envelope, as they were before this step.
    pub(super) fn stored_sessions(&mut self, hint: &Hint) -> Result<&'a [SessionId], Stop> {
        self.view.sessions(hint).ok_or_else(|| {
            self.needs.insert(Need::Sessions(*hint));
            Stop::Needs
        })
    }

    /// A statement, verified once for the whole input.
    pub(super) fn statement(&self, encoded: &[u8]) -> Result<Statement, StatementError> {
        self.view.statements().decode(encoded)
    }

    /// Sets a record.
    pub(super) fn store<T: Record>(&mut self, key: &Key<T>, record: &T) {
        self.changes.insert(key.record().clone(), Some(record.encode()));
    }

    /// Deletes a record, if there is one.
    pub(super) fn delete<T: Record>(&mut self, key: &Key<T>) {
        self.changes.insert(key.record().clone(), None);
    }

    /// Sends a request after the commit.
    pub(super) fn send(&mut self, connection: Connection, request: Request, reply_to: Correlation) {
        self.outgoing.push(Outgoing { connection, reply_to, send: Send::Request(request) });
    }

    /// Asks for entries of a group's log after the commit.
    pub(super) fn read_group(
        &mut self,
        connection: Connection,
        reader: GroupReader,
        limit: u32,
        reply_to: Correlation,
    ) {
        self.outgoing.push(Outgoing { connection, reply_to, send: Send::ReadGroup { reader, limit } });
    }

    /// Passes a signal to those who watch a group's log after the commit.
    pub(super) fn signal_group(
        &mut self,
        connection: Connection,
        reader: GroupReader,
        signal: Vec<u8>,
        reply_to: Correlation,
    ) {
        self.outgoing.push(Outgoing { connection, reply_to, send: Send::SignalGroup { reader, signal } });
    }

    /// Tells a group's server after the commit where this device is woken: the handle, and where until when.
    pub(super) fn wake_group(
        &mut self,
        connection: Connection,
        reader: GroupReader,
        (handle, wake): ([u8; 16], Option<(PushEndpoint, u64)>),
        reply_to: Correlation,
    ) {
        self.outgoing.push(Outgoing { connection, reply_to, send: Send::WakeGroup { reader, handle, wake } });
    }

    /// Redeems a voucher after the commit: its secret key, itself, and the batch that it pays for.
    pub(super) fn redeem_voucher(
        &mut self,
        domain: &str,
        (voucher_key, voucher, request): (Secret<32>, Vec<u8>, TokenRequest),
        reply_to: Correlation,
    ) {
        let connection = Connection::Redemption(domain.to_owned());
        let send = Send::RedeemVoucher { voucher_key, voucher, request };
        self.outgoing.push(Outgoing { connection, reply_to, send });
    }

    /// Takes what is to be sent so far, to put it back.
    pub(super) fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outgoing)
    }

    /// Sends this after the commit.
    pub(super) fn put_outgoing(&mut self, outgoing: Outgoing) {
        self.outgoing.push(outgoing);
    }

    /// Whether this step sends a request with this correlation already.
    pub(super) fn is_sending(&self, reply_to: &Correlation) -> bool {
        self.outgoing.iter().any(|outgoing| outgoing.reply_to == *reply_to)
    }

    /// Tells the server after the commit that everything up to a number is in the store.
    pub(super) fn acknowledge(&mut self, incarnation: [u8; 16], up_to: u64) {
        let send = Send::Acknowledge { incarnation, up_to };
        self.outgoing.push(Outgoing { connection: Connection::Proved, reply_to: Correlation::Acknowledge, send });
    }

    /// Tells the shell after the commit.
    pub(super) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// 16 random bytes.
    pub(super) fn random_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        id
    }
}

fn decode<T: Record>(class: RecordClass, bytes: &[u8]) -> Result<T, Stop> {
    T::decode(bytes).map_err(|error| damaged(class, error))
}

fn damaged(class: RecordClass, error: medipeps_core::wire::WireError) -> Stop {
    EngineError::Record { class, error }.into()
}
