//! A server that keeps everything in memory, and clients that a test can stop between any two steps.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::identity::Statement;
use medipeps_core::invitation::Invitation;
use medipeps_core::kind::{Body, Mail, ReceiptsWanted, Urgency};
use medipeps_core::prekey::{EncodedBundle, PrekeyUpload};
use medipeps_core::wire::client_records::{MessageRecord, RecipientState};
use medipeps_core::wire::transport::{
    Delivery, ErrorCode, ErrorReply, FetchPrekeysReply, PrekeyStatusReply, Request, Response, StaleDevices, SubmitReply,
};
use rand_core::SeedableRng;

use super::transfers::{Blob, Files};
use crate::account_store::{AccountStore, HandleError, Handled};
use crate::engine::{
    CreateAccount, EngineError, Event, Input, LocalId, MessageDetail, MessageSummary, Outgoing, Send, SendMail, Time,
    Undecryptable,
};
use crate::store::memory::MemoryStore;
use crate::store::seal::{SealedStore, Unlock};

pub(super) const DOMAIN: &str = "clinic.example";

/// A device's queue and the rest that a server keeps of an account with one device.
pub(super) struct ServerAccount {
    pub(super) statement: Statement,
    pub(super) uploads: Vec<PrekeyUpload>,
    /// How many one-time prekeys of each kind have been given out, over all uploads.
    pub(super) given: usize,
    pub(super) queue: Vec<Delivery>,
    pub(super) next_sequence: u64,
    pub(super) acknowledged: u64,
    pub(super) generation: u64,
}

/// The server.
pub(super) struct Server {
    pub(super) accounts: BTreeMap<Address, ServerAccount>,
    pub(super) submissions: BTreeMap<(Address, [u8; 16]), Vec<u8>>,
    pub(super) incarnation: [u8; 16],
    /// Every request that has come, in order.
    pub(super) log: Vec<Request>,
    /// What the next submissions are answered with instead.
    pub(super) refusals: Vec<ErrorReply>,
    /// Blobs by id.
    pub(super) blobs: BTreeMap<[u8; 32], Blob>,
    pub(super) now: u64,
}

/// One device.
pub(super) struct Client {
    pub(super) address: Address,
    pub(super) disk: MemoryStore,
    pub(super) store: AccountStore<MemoryStore>,
    /// Files and sealed copies on the same disk.
    pub(super) files: Files,
    pub(super) events: Vec<Event>,
    pub(super) rng: ChaCha20Rng,
}

/// All of them.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) clients: Vec<Client>,
    pub(super) now: u64,
}

/// How far a client gets before its process is killed: one is taken off at every step.
pub(super) type Fuse = Option<usize>;

/// The process was killed.
pub(super) struct Killed;

fn unlock() -> Secret<32> {
    Secret::from([7; 32])
}

impl Server {
    pub(super) fn answer(&mut self, request: &Request, generation: u64) -> Result<Response, ErrorReply> {
        self.log.push(request.clone());
        match request {
            Request::Register(register) => {
                let statement = Statement::decode(&register.statement).unwrap();
                let address = statement.address().clone();
                if let Some(account) = self.accounts.get(&address) {
                    return if account.statement == statement {
                        Ok(Response::Done)
                    } else {
                        refuse(ErrorCode::AddressTaken)
                    };
                }
                let account = ServerAccount {
                    uploads: vec![self.upload(&statement, &register.prekeys[0])],
                    statement,
                    given: 0,
                    queue: Vec::new(),
                    next_sequence: 1,
                    acknowledged: 0,
                    generation: 0,
                };
                self.accounts.insert(address, account);
                Ok(Response::Done)
            }
            Request::FetchStatement(address) => {
                Ok(Response::FetchStatement(self.account(address)?.statement.encoded().to_vec()))
            }
            Request::FetchPrekeys(fetch) => self.account(&fetch.address)?.bundle(),
            Request::Submit(submit) => {
                if let Some(refusal) = (!self.refusals.is_empty()).then(|| self.refusals.remove(0)) {
                    return Err(refusal);
                }
                let (now, encoded) = (self.now, request.encode());
                let known = self.submissions.get(&(submit.address.clone(), submit.id));
                if let Some(known) = known {
                    return if *known == encoded {
                        Ok(Response::Submit(SubmitReply { duplicate: true }))
                    } else {
                        refuse(ErrorCode::SubmissionIdReused)
                    };
                }
                let account = self.account(&submit.address)?;
                account.check_devices(&submit.envelopes.iter().map(|one| one.device_id).collect::<Vec<_>>())?;
                account.enqueue(submit.envelopes[0].envelope.clone(), now);
                self.submissions.insert((submit.address.clone(), submit.id), encoded);
                Ok(Response::Submit(SubmitReply { duplicate: false }))
            }
            Request::PrekeyStatus => unreachable!("answered by `proved`"),
            Request::Acknowledge(_) => unreachable!("answered by `proved`"),
            other => panic!("no test sends {other:?} at generation {generation}"),
        }
    }

    fn upload(&self, statement: &Statement, encoded: &[u8]) -> PrekeyUpload {
        PrekeyUpload::verify(encoded, &statement.devices()[0].keys().signing_key).unwrap()
    }

    fn proved(&mut self, address: &Address, request: &Request) -> Result<Response, ErrorReply> {
        self.log.push(request.clone());
        match request {
            Request::PrekeyStatus => {
                let account = self.account(address)?;
                let left = u32::try_from(account.one_time() - account.given).unwrap();
                let sequence = account.uploads.last().unwrap().sequence;
                let (one_time_prekeys, one_time_kem_prekeys) = (left, left);
                Ok(Response::PrekeyStatus(PrekeyStatusReply { one_time_prekeys, one_time_kem_prekeys, sequence }))
            }
            Request::PublishPrekeys(encoded) => {
                let upload = self.upload(&self.accounts[address].statement.clone(), encoded);
                let account = self.account(address)?;
                if upload.sequence <= account.uploads.last().unwrap().sequence {
                    return refuse(ErrorCode::PrekeySequence);
                }
                account.uploads.push(upload);
                Ok(Response::Done)
            }
            other => panic!("no test proves a device for {other:?}"),
        }
    }

    pub(super) fn account(&mut self, address: &Address) -> Result<&mut ServerAccount, ErrorReply> {
        self.accounts.get_mut(address).ok_or_else(|| ErrorReply::new(ErrorCode::UnknownAccount, ""))
    }

    /// The submissions that have come, repeats included.
    pub(super) fn submitted(&self) -> Vec<medipeps_core::wire::transport::Submit> {
        let submits = self.log.iter().filter_map(|request| match request {
            Request::Submit(submit) => Some(submit.clone()),
            _ => None,
        });
        submits.collect()
    }
}

impl ServerAccount {
    fn one_time(&self) -> usize {
        self.uploads.iter().map(|upload| upload.one_time_prekeys.len()).sum()
    }

    fn bundle(&mut self) -> Result<Response, ErrorReply> {
        let newest = self.uploads.last().unwrap();
        let one_time = self.uploads.iter().flat_map(|upload| &upload.one_time_prekeys).nth(self.given);
        let kem = self.uploads.iter().flat_map(|upload| &upload.one_time_kem_prekeys).nth(self.given);
        let bundle = EncodedBundle {
            device_id: self.statement.devices()[0].device_id(),
            signed_prekey: newest.signed_prekey.encode(),
            one_time_prekey: one_time.map(medipeps_core::prekey::OneTimePrekey::encode),
            kem_prekey: kem.unwrap_or(&newest.last_resort_kem_prekey).encode(),
            seal_prekey: newest.seal_prekey.encode(),
        };
        self.given = (self.given + 1).min(self.one_time());
        let statement = self.statement.encoded().to_vec();
        Ok(Response::FetchPrekeys(FetchPrekeysReply { statement, bundles: vec![bundle.encode()] }))
    }

    fn check_devices(&self, given: &[u32]) -> Result<(), ErrorReply> {
        let listed: Vec<u32> = self.statement.devices().iter().map(|device| device.device_id()).collect();
        if given == listed {
            return Ok(());
        }
        let mut error = ErrorReply::new(ErrorCode::StaleDevices, "");
        let statement_version = self.statement.version();
        error.stale_devices = Some(StaleDevices { missing: listed, extra: given.to_vec(), statement_version });
        Err(error)
    }

    pub(super) fn enqueue(&mut self, envelope: Vec<u8>, received: u64) {
        self.queue.push(Delivery { sequence: self.next_sequence, received, envelope });
        self.next_sequence += 1;
    }
}

pub(super) fn refuse<T>(code: ErrorCode) -> Result<T, ErrorReply> {
    Err(ErrorReply::new(code, ""))
}

impl Client {
    pub(super) fn new(name: &str, seed: u8, now: u64) -> Self {
        Self::new_at(format!("{name}@{DOMAIN}").parse().unwrap(), seed, now)
    }

    pub(super) fn new_at(address: Address, seed: u8, now: u64) -> Self {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let disk = MemoryStore::new();
        let sealed = SealedStore::create(disk.clone(), &Unlock::PlatformKey(&unlock()), now, &mut rng).unwrap();
        Self { address, disk, store: AccountStore::new(sealed), files: Files::default(), events: Vec::new(), rng }
    }

    /// A new process on the same disk.
    pub(super) fn restart(&mut self) {
        let sealed = SealedStore::open(self.disk.clone(), &Unlock::PlatformKey(&unlock())).unwrap();
        self.store = AccountStore::new(sealed);
    }

    pub(super) fn handle(&mut self, input: &Input, now: u64) -> Result<Handled, HandleError> {
        let handled = self.store.handle(input, Time(now), &mut self.rng)?;
        self.events.extend(handled.events.iter().cloned());
        Ok(handled)
    }

    pub(super) fn messages(&mut self, now: u64) -> Vec<MessageSummary> {
        // The first look of a day is a commit, which may have been told to fail.
        let _ = self.store.generation(Time(now), &mut self.rng);
        self.store.messages(Time(now), &mut self.rng).unwrap()
    }

    pub(super) fn received(&mut self, now: u64) -> Vec<MessageSummary> {
        self.messages(now).into_iter().filter(|message| !message.message.sent).collect()
    }

    pub(super) fn undecryptable(&self) -> Vec<Undecryptable> {
        let reasons = self.events.iter().filter_map(|event| match event {
            Event::Undecryptable { reason, .. } => Some(*reason),
            _ => None,
        });
        reasons.collect()
    }
}

/// Do what is due; every server can be reached.
pub(super) fn tick() -> Input {
    Input::Tick { unreachable: std::collections::BTreeSet::new() }
}

/// A mail with nothing but a text.
pub(super) fn mail(to: &Address, text: &str) -> SendMail {
    SendMail {
        to: vec![to.clone()],
        cc: Vec::new(),
        subject: format!("About {}", text.chars().take(40).collect::<String>()),
        text: text.to_owned(),
        html: None,
        attachments: Vec::new(),
        urgency: Urgency::Routine,
        receipts_wanted: ReceiptsWanted::default(),
        in_reply_to: None,
        body_copy: None,
    }
}

impl World {
    /// A server and registered accounts of these names.
    pub(super) fn new(names: &[&str]) -> Self {
        let server = Server {
            accounts: BTreeMap::new(),
            submissions: BTreeMap::new(),
            incarnation: [1; 16],
            log: Vec::new(),
            refusals: Vec::new(),
            blobs: BTreeMap::new(),
            now: 1_700_000_000_000,
        };
        let mut world = Self { now: server.now, server, clients: Vec::new() };
        for name in names {
            world.join(name);
        }
        world
    }

    /// A new account; its number.
    pub(super) fn join(&mut self, name: &str) -> usize {
        let number = self.clients.len();
        self.clients.push(Client::new(name, number as u8 + 1, self.now));
        let input = self.creation(number);
        self.run(number, &input).unwrap();
        number
    }

    pub(super) fn creation(&self, number: usize) -> Input {
        let address = self.clients[number].address.clone();
        Input::CreateAccount(CreateAccount {
            name: format!("Dr {}", address.local()),
            address,
            server: "server.clinic.example:4433".into(),
            invitation: Invitation { secret: Secret::from([number as u8; 16]), server_key_hash: [9; 32] },
        })
    }

    pub(super) fn address(&self, number: usize) -> Address {
        self.clients[number].address.clone()
    }

    pub(super) fn later(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.server.now = self.now;
    }

    /// Handles an input and everything that comes of it.
    pub(super) fn run(&mut self, number: usize, input: &Input) -> Result<(), HandleError> {
        match self.run_until(number, input, &mut None) {
            Ok(result) => result,
            Err(Killed) => unreachable!("there is no fuse"),
        }
    }

    /// The same, until the fuse burns down.
    pub(super) fn run_until(
        &mut self,
        number: usize,
        input: &Input,
        fuse: &mut Fuse,
    ) -> Result<Result<(), HandleError>, Killed> {
        burn(fuse)?;
        let handled = match self.clients[number].handle(input, self.now) {
            Ok(handled) => handled,
            Err(error) => return Ok(Err(error)),
        };
        burn(fuse)?;
        for outgoing in handled.outgoing {
            if let Some(reply) = self.exchange(number, &outgoing, handled.generation) {
                burn(fuse)?;
                if let Err(error) = self.run_until(number, &reply, fuse)? {
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Sends one request and makes an input of the answer.
    pub(super) fn exchange(&mut self, number: usize, outgoing: &Outgoing, generation: u64) -> Option<Input> {
        let address = self.address(number);
        let result = match &outgoing.send {
            Send::Acknowledge { incarnation, up_to } => {
                assert_eq!(*incarnation, self.server.incarnation);
                let account = self.server.account(&address).unwrap();
                account.acknowledged = account.acknowledged.max(*up_to);
                account.generation = account.generation.max(generation);
                Ok(Response::Done)
            }
            Send::Request(request @ (Request::PrekeyStatus | Request::PublishPrekeys(_))) => {
                self.server.proved(&address, request)
            }
            Send::Request(request) => self.server.answer(request, generation),
        };
        Some(Input::Reply { to: outgoing.reply_to.clone(), result })
    }

    /// Sends what is due, until nothing is.
    pub(super) fn send_all(&mut self, number: usize) {
        for _ in 0..100 {
            let before = self.server.log.len();
            self.run(number, &tick()).unwrap();
            if self.server.log.len() == before {
                return;
            }
        }
        panic!("the outbox does not come to rest");
    }

    /// Queues a mail, a millisecond after what was before, and sends it.
    pub(super) fn send(&mut self, number: usize, command: SendMail) -> LocalId {
        self.later(1);
        self.run(number, &Input::SendMail(command)).unwrap();
        let id = self.clients[number].events.iter().rev().find_map(|event| match event {
            Event::MessageQueued { id } => Some(*id),
            _ => None,
        });
        self.send_all(number);
        id.unwrap()
    }

    /// What the server would push now.
    pub(super) fn pushed(&mut self, number: usize) -> Vec<Delivery> {
        let address = self.address(number);
        let account = self.server.account(&address).unwrap();
        let from = account.acknowledged;
        account.queue.iter().filter(|delivery| delivery.sequence > from).cloned().collect()
    }

    pub(super) fn deliver(&mut self, number: usize, batch: Vec<Delivery>) {
        let incarnation = self.server.incarnation;
        self.run(number, &Input::Deliveries { incarnation, batch }).unwrap();
    }

    /// Fetches what has come, and sends what that leads to.
    pub(super) fn receive(&mut self, number: usize) {
        let batch = self.pushed(number);
        if !batch.is_empty() {
            self.deliver(number, batch);
        }
        self.send_all(number);
    }

    /// Both fetch and send until nothing moves.
    pub(super) fn settle(&mut self) {
        for _ in 0..20 {
            let before = self.server.log.len();
            for number in 0..self.clients.len() {
                self.receive(number);
            }
            if self.server.log.len() == before {
                return;
            }
        }
        panic!("the clients do not come to rest");
    }

    /// Texts of the mails that a client has got, in the order of the server's times.
    pub(super) fn texts(&mut self, number: usize) -> Vec<String> {
        let now = self.now;
        let mut received = self.clients[number].received(now);
        received.sort_by_key(|message| (message.message.received, message.message.created));
        received.iter().map(|message| self.mail(number, message.id).text).collect()
    }

    pub(super) fn detail(&mut self, number: usize, id: LocalId) -> MessageDetail {
        let client = &mut self.clients[number];
        let _ = client.store.generation(Time(self.now), &mut client.rng);
        client.store.message(id, Time(self.now), &mut client.rng).unwrap().unwrap()
    }

    pub(super) fn mail(&mut self, number: usize, id: LocalId) -> Mail {
        match self.detail(number, id).content.body {
            Body::Mail(mail) => mail,
            other => panic!("not a mail: {other:?}"),
        }
    }

    pub(super) fn message(&mut self, number: usize, id: LocalId) -> MessageRecord {
        self.detail(number, id).message
    }

    /// How far a sent message has come with its first recipient, and the code beside it.
    pub(super) fn state(&mut self, number: usize, id: LocalId) -> (RecipientState, Option<String>) {
        let recipient = self.message(number, id).recipients.remove(0);
        (recipient.state, recipient.code)
    }
}

pub(super) fn engine_error(result: Result<(), HandleError>) -> EngineError {
    match result {
        Err(HandleError::Engine(error)) => error,
        other => panic!("the engine should have refused: {other:?}"),
    }
}

pub(super) fn burn(fuse: &mut Fuse) -> Result<(), Killed> {
    match fuse {
        Some(0) => Err(Killed),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}
