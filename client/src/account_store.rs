//! The engine on a store: one event, one transaction.

mod domains;
mod groups;
mod organisations;

use std::collections::{BTreeMap, BTreeSet};

use medipeps_core::envelope::Hint;
use medipeps_core::identity::{DeviceCertificate, Statement};
use medipeps_core::kind::Settings;
use medipeps_core::session::SessionId;
use medipeps_core::wire::client_records::{
    AccountRecord, BodyFetchRecord, ContactRecord, DeliveryRecord, DeviceNameRecord, LinkRecord, MessageRecord,
    OutboxRecord, PrekeysRecord, QueueRecord, RestoreRecord, UnconfirmedRecord, UndecryptableRecord, UploadRecord,
};
use medipeps_core::wire::transport::Payment;
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::engine::{
    self, AccountSummary, ContactSummary, Credentials, DeliveryKeySummary, DeviceSummary, EngineError, Event, Input,
    Key, LoadedRecords, LocalId, MessageDetail, MessageSummary, Need, Outcome, Outgoing, PendingUpload, Record, Seed,
    Step, Time, WalletSummary, class, key,
};
pub use domains::{DomainSource, DomainSummary, TrustListSummary};

use crate::fail_point::fail_point;
use crate::store::seal::{SealedStore, SealedTransaction};
use crate::store::{Patch, RecordClass, Store, StoreError};

/// Times that a step is run again after its commit failed. Another process that commits all the time does not keep
/// this one from its turn: the lock is held from loading to committing.
const COMMIT_ATTEMPTS_MAX: usize = 3;
/// Times that the engine may ask for records. Each time it gets further, and asks for all that it can tell by then: a
/// first flight on a last-resort key from a contact with sessions takes about ten. The bound only stops a defect: an event
/// that is refused here is refused for good.
const LOAD_ROUNDS_MAX: usize = 10_000;

/// An account's store, with the engine that decides what is in it.
#[derive(Debug)]
pub struct AccountStore<S> {
    store: SealedStore<S>,
}

/// What is left to do after an event has been committed.
#[derive(Debug)]
pub struct Handled {
    /// To be sent, in this order.
    pub outgoing: Vec<Outgoing>,
    /// To be shown.
    pub events: Vec<Event>,
    /// Generation of the store after the commit.
    pub generation: u64,
}

/// How much waits, and what went wrong so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The account, if there is one.
    pub account: Option<AccountSummary>,
    /// Generation of the store.
    pub generation: u64,
    /// What is to be sent, receipts included.
    pub outbox: Vec<OutboxRecord>,
    /// Messages that have come.
    pub received: usize,
    /// Of these, not displayed yet.
    pub unread: usize,
    /// Messages that were written here.
    pub sent: usize,
    /// Contacts.
    pub contacts: usize,
    /// How far the queue has been worked off.
    pub queue: QueueRecord,
    /// The last envelopes that could not be read.
    pub undecryptable: Vec<UndecryptableRecord>,
    /// Sent messages, by recipient, that not all of the recipient's devices have confirmed.
    pub unconfirmed: usize,
    /// Envelopes of no session that are kept for a while.
    pub kept_envelopes: usize,
    /// With what is paid at servers, by domain.
    pub wallets: Vec<WalletSummary>,
    /// What those get whom the person has accepted; `None` before it is made.
    pub delivery_key: Option<DeliveryKeySummary>,
}

/// Why an event was not handled.
#[derive(Debug, Error)]
pub enum HandleError {
    /// The engine refuses it. Nothing was changed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store failed. Nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> AccountStore<S> {
    /// On an open store.
    #[must_use]
    pub const fn new(store: SealedStore<S>) -> Self {
        Self { store }
    }

    /// The store below, to change its lock for instance.
    pub const fn store_mut(&mut self) -> &mut SealedStore<S> {
        &mut self.store
    }

    /// Handles one event: loads what the engine asks for, commits what it decides, and hands back what is then to be
    /// sent and shown. A step whose commit failed is thrown away and the event handled again with a fresh seed.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn handle(&mut self, input: &Input, now: Time, rng: &mut impl CryptoRng) -> Result<Handled, HandleError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            fail_point!(BeforeLoad);
            let mut transaction = self.store.begin(now.0, rng)?;
            let mut seed = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *seed);
            let Step { patch, outgoing, events } = decide(&mut transaction, input, now, &seed)?;
            let generation = transaction.generation();
            if patch.is_empty() {
                return Ok(Handled { outgoing, events, generation });
            }
            fail_point!(BeforeCommit);
            let committed = transaction.commit(&patch, rng);
            fail_point!(AfterCommit);
            match committed {
                Ok(generation) => return Ok(Handled { outgoing, events, generation }),
                Err(error) => {
                    // The medium may have failed after the last byte: what is there to the last byte was committed.
                    if let Some(generation) = self.holds(&patch, now, rng)? {
                        return Ok(Handled { outgoing, events, generation });
                    }
                    if attempts == COMMIT_ATTEMPTS_MAX {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    /// What is needed to reach the account's server; `None` if there is no account.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn credentials(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Option<Credentials>, HandleError> {
        Ok(self.account(now, rng)?.map(|record| Credentials::of(&record)))
    }

    /// Whether the account's statement lists a device as a primary one.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn is_primary(&mut self, device_id: u32, now: Time, rng: &mut impl CryptoRng) -> Result<bool, HandleError> {
        let Some(account) = self.account(now, rng)? else { return Err(EngineError::NoAccount.into()) };
        let statement = Statement::decode(&account.statement).map_err(EngineError::from)?;
        Ok(statement.device(device_id).is_some_and(DeviceCertificate::primary))
    }

    /// The generation of the store now.
    ///
    /// # Errors
    /// [`HandleError::Store`]
    pub fn generation(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<u64, HandleError> {
        Ok(self.store.begin(now.0, rng)?.generation())
    }

    /// All messages, newest first.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn messages(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<MessageSummary>, HandleError> {
        Ok(MessageSummary::all(&*self.store.begin(now.0, rng)?.scan(class::MESSAGE)?)?)
    }

    /// One message with its content; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn message(
        &mut self,
        id: LocalId,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<MessageDetail>, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let message = load(&transaction, &key::message(&id))?;
        let content = load(&transaction, &key::content(&id))?;
        let missing_body = load(&transaction, &key::body_fetch(&id))?;
        let (Some(message), Some(content)) = (message, content) else { return Ok(None) };
        Ok(Some(MessageDetail::of(MessageSummary { id, message }, &content, missing_body)?))
    }

    /// What is still to be uploaded, with what has been read of it, oldest message first.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn uploads(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<PendingUpload>, HandleError> {
        let mut transaction = self.store.begin(now.0, rng)?;
        let mut uploads = Vec::new();
        for (_, value) in transaction.scan(class::UPLOAD)?.iter() {
            let record: UploadRecord = decode(class::UPLOAD, value)?;
            if record.finished.is_some() {
                continue;
            }
            let keys: Vec<_> = PendingUpload::part_keys(&record).iter().map(|key| key.record().clone()).collect();
            let stored = transaction.load(&keys)?.into_iter();
            let digest = |value: Option<Zeroizing<Vec<u8>>>| value.map(|value| decode(class::UPLOAD_PART, &value));
            let digests = stored.map(|value| digest(value).transpose()).collect::<Result<_, _>>()?;
            uploads.push(PendingUpload { record, digests });
        }
        uploads.sort_by_key(|upload| (upload.record.created, upload.record.content_id, upload.record.role));
        Ok(uploads)
    }

    /// Bodies that a device fetches without being asked: of checked senders, and not given up. Oldest message first.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn body_fetches(
        &mut self,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<(LocalId, BodyFetchRecord)>, HandleError> {
        let mut transaction = self.store.begin(now.0, rng)?;
        let settings = load(&transaction, &key::settings())?.unwrap_or_default().settings;
        let mut fetches = Vec::new();
        for (name, value) in transaction.scan(class::BODY_FETCH)?.iter() {
            let Ok(id) = LocalId::try_from(name) else { continue };
            let record: BodyFetchRecord = decode(class::BODY_FETCH, value)?;
            let Some(message) = load(&transaction, &key::message(&id))? else { continue };
            if engine::body_is_wanted(message.sender_check, &record) && !settings.is_blocked(&message.sender) {
                fetches.push((message.received, id, record));
            }
        }
        fetches.sort_by_key(|(received, id, _)| (*received, *id));
        Ok(fetches.into_iter().map(|(_, id, record)| (id, record)).collect())
    }

    /// Whom a person has blocked and what he has muted.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn settings(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Settings, HandleError> {
        Ok(load(&self.store.begin(now.0, rng)?, &key::settings())?.unwrap_or_default().settings)
    }

    /// All contacts, by address.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn contacts(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<ContactSummary>, HandleError> {
        let Some(account) = self.account(now, rng)? else { return Err(EngineError::NoAccount.into()) };
        let contacts = self.all::<ContactRecord>(class::CONTACT, now, rng)?;
        Ok(contacts.iter().map(|contact| ContactSummary::of(&account, contact)).collect::<Result<_, _>>()?)
    }

    /// Which of these messages came under an account key that a person has compared.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn verified(
        &mut self,
        messages: &[MessageSummary],
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<BTreeSet<LocalId>, HandleError> {
        let contacts = self.all::<ContactRecord>(class::CONTACT, now, rng)?.into_iter();
        let marks: BTreeMap<_, _> = contacts.filter_map(|one| Some((one.address, one.verified?.account_key))).collect();
        // The name of the record that a message has come has the sender's account key in it.
        let under = |message: &MessageSummary| {
            let account_key = marks.get(&message.message.sender).filter(|_| !message.message.sent)?;
            let MessageRecord { sender, content_id, .. } = &message.message;
            Some((message.id, key::received(sender, account_key.as_bytes(), content_id).record().clone()))
        };
        let (ids, keys): (Vec<_>, Vec<_>) = messages.iter().filter_map(under).unzip();
        let stored = self.store.begin(now.0, rng)?.load(&keys)?;
        let came =
            ids.into_iter().zip(stored).filter(|(id, value)| value.as_ref().is_some_and(|value| value[..] == *id));
        Ok(came.map(|(id, _)| id).collect())
    }

    /// Which of these messages came from strangers: without a delivery key, from a sender whom nobody has accepted.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn requests(
        &mut self,
        messages: &[MessageSummary],
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<BTreeSet<LocalId>, HandleError> {
        let came: Vec<_> = messages.iter().filter(|one| one.message.request_lane && !one.message.sent).collect();
        let senders: Vec<_> = came.iter().map(|one| key::delivery(&one.message.sender).record().clone()).collect();
        let stored = self.store.begin(now.0, rng)?.load(&senders)?;
        let mut requests = BTreeSet::new();
        for (message, value) in came.into_iter().zip(stored) {
            let record = value.map(|value| decode::<DeliveryRecord>(class::DELIVERY, &value)).transpose()?;
            if record.is_none_or(|record| record.accepted_at == 0) {
                requests.insert(message.id);
            }
        }
        Ok(requests)
    }

    /// The linking that is under way, if one is.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn link(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Option<LinkRecord>, HandleError> {
        load(&self.store.begin(now.0, rng)?, &key::link())
    }

    /// The devices of the account.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn devices(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<DeviceSummary>, HandleError> {
        let Some(account) = self.account(now, rng)? else { return Err(EngineError::NoAccount.into()) };
        let records = self.store.begin(now.0, rng)?.scan(class::DEVICE_NAME)?;
        let mut names = Vec::new();
        for (name, value) in records.iter() {
            if let Ok(id) = name.try_into() {
                names.push((u32::from_be_bytes(id), decode::<DeviceNameRecord>(class::DEVICE_NAME, value)?));
            }
        }
        Ok(DeviceSummary::all(&account, &names)?)
    }

    /// How things are.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn status(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Status, HandleError> {
        let account = self.account(now, rng)?;
        let messages = self.messages(now, rng)?;
        let (sent, received): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message.message.sent);
        let mut undecryptable = self.all::<UndecryptableRecord>(class::UNDECRYPTABLE, now, rng)?;
        undecryptable.sort_by_key(|record| record.received);
        let contacts = self.all::<ContactRecord>(class::CONTACT, now, rng)?.len();
        let outbox = self.all(class::OUTBOX, now, rng)?;
        let to_others = |record: &UnconfirmedRecord| account.as_ref().is_none_or(|own| own.address != record.recipient);
        let unconfirmed = self.all(class::UNCONFIRMED, now, rng)?.iter().filter(|record| to_others(record)).count();
        let mut transaction = self.store.begin(now.0, rng)?;
        let kept_envelopes = transaction.scan(class::KEPT_ENVELOPE)?.len();
        let mut wallets = Vec::new();
        for (name, value) in transaction.scan(class::WALLET)?.iter() {
            let Ok(domain) = String::from_utf8(name.to_vec()) else { continue };
            wallets.push(WalletSummary::of(domain, &decode(class::WALLET, value)?, now.0));
        }
        Ok(Status {
            account: account.as_ref().map(AccountSummary::of),
            generation: transaction.generation(),
            outbox,
            received: received.len(),
            unread: received.iter().filter(|message| message.message.displayed == 0).count(),
            sent: sent.len(),
            contacts,
            queue: load(&transaction, &key::queue())?.unwrap_or_default(),
            undecryptable,
            unconfirmed,
            kept_envelopes,
            wallets,
            delivery_key: match (&account, load(&transaction, &key::own_delivery_keys())?) {
                (Some(account), Some(record)) => DeliveryKeySummary::of(&record, &account.address),
                _ => None,
            },
        })
    }

    /// What is set aside to pay for an upload.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn upload_payment(
        &mut self,
        blob_id: &[u8; 32],
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Payment, HandleError> {
        let name = engine::payment::upload(blob_id);
        let payment = load(&self.store.begin(now.0, rng)?, &key::payment(&name))?;
        Ok(payment.map_or(Payment::None, |payment| Payment::Tokens(payment.tokens)))
    }

    /// What the device knows about its prekeys; `None` before the account is made.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn prekeys(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Option<PrekeysRecord>, HandleError> {
        load(&self.store.begin(now.0, rng)?, &key::prekeys())
    }

    /// The account with its keys, for a backup.
    ///
    /// # Errors
    /// [`HandleError`]
    pub(crate) fn account_record(
        &mut self,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<AccountRecord>, HandleError> {
        self.account(now, rng)
    }

    /// The restore that is not done.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn restore_record(
        &mut self,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<RestoreRecord>, HandleError> {
        load(&self.store.begin(now.0, rng)?, &key::restore())
    }

    fn account(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Option<AccountRecord>, HandleError> {
        load(&self.store.begin(now.0, rng)?, &key::account())
    }

    fn all<T: Record>(
        &mut self,
        class: RecordClass,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<T>, HandleError> {
        let records = self.store.begin(now.0, rng)?.scan(class)?;
        records.iter().map(|(_, value)| decode(class, value)).collect()
    }

    /// The store's generation, if everything is there as a patch has it.
    fn holds(&mut self, patch: &Patch, now: Time, rng: &mut impl CryptoRng) -> Result<Option<u64>, StoreError> {
        let transaction = self.store.begin(now.0, rng)?;
        let keys: Vec<_> = patch.puts.iter().map(|(key, _)| key.clone()).collect();
        let stored = transaction.load(&keys)?;
        let same = stored.iter().zip(&patch.puts).all(|(stored, (_, value))| stored.as_ref() == Some(value));
        let gone = transaction.load(&patch.deletes)?.iter().all(Option::is_none);
        Ok((same && gone && !patch.puts.is_empty()).then(|| transaction.generation()))
    }
}

/// Runs the engine until it has all that it needs.
pub(crate) fn decide<S: Store>(
    transaction: &mut SealedTransaction<'_, S>,
    input: &Input,
    now: Time,
    seed: &Seed,
) -> Result<Step, HandleError> {
    let mut view = LoadedRecords { generation: transaction.generation(), ..LoadedRecords::default() };
    let mut asked = BTreeSet::new();
    for _ in 0..LOAD_ROUNDS_MAX {
        let needs = match engine::handle(input, now, seed, &view)? {
            Outcome::Step(step) => return Ok(step),
            Outcome::Needs(needs) => needs,
        };
        if !needs.iter().all(|need| asked.insert(need.clone())) {
            return Err(EngineError::NoProgress.into());
        }
        load_needs(transaction, &mut view, needs)?;
    }
    Err(EngineError::NoProgress.into())
}

/// Loads what the engine asks for. All sessions are gone through once, however many envelopes there are.
pub(crate) fn load_needs<S: Store>(
    transaction: &mut SealedTransaction<'_, S>,
    view: &mut LoadedRecords,
    needs: Vec<Need>,
) -> Result<(), StoreError> {
    let (mut keys, mut hints) = (Vec::new(), Vec::new());
    for need in needs {
        match need {
            Need::Record(key) => keys.push(key),
            Need::Class(class) => {
                view.classes.insert(class, transaction.scan(class)?);
            }
            Need::Sessions(hint) => hints.push(hint),
        }
    }
    let values = transaction.load(&keys)?;
    view.records.extend(keys.into_iter().zip(values));
    if !hints.is_empty() {
        let table = transaction.key_table(class::HINT)?;
        for (hint, places) in hints.iter().zip(Hint::matching(&hints, table.keys())) {
            let found = places.into_iter().filter_map(|place| table.name(place).copied().map(SessionId));
            let found: BTreeSet<_> = found.collect();
            view.sessions.insert(*hint, found.into_iter().collect());
        }
    }
    Ok(())
}

fn load<S: Store, T: Record>(transaction: &SealedTransaction<'_, S>, key: &Key<T>) -> Result<Option<T>, HandleError> {
    let values = transaction.load(std::slice::from_ref(key.record()))?;
    values.into_iter().flatten().next().map(|value| decode(key.record().class, &value)).transpose()
}

fn decode<T: Record>(class: RecordClass, value: &[u8]) -> Result<T, HandleError> {
    T::decode(value).map_err(|error| EngineError::Record { class, error }.into())
}
