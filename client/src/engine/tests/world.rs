//! A server that keeps everything in memory, and clients that a test can stop between any two steps.

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::invitation::Invitation;
use medipeps_core::kind::{Body, Mail, ReceiptsWanted, Urgency};
use medipeps_core::wire::client_records::{MessageRecord, RecipientState};
use medipeps_core::wire::transport::{Delivery, ErrorCode, Request, Response};
use rand_core::SeedableRng;

use super::issuers::Issuers;
use super::server::{Server, ServerDevice, refuse};
use super::transfers::Files;
use crate::account_store::{AccountStore, HandleError, Handled, load_needs};
use crate::engine::{
    self, Connection, CreateAccount, EngineError, Event, Input, LoadedRecords, LocalId, MessageDetail, MessageSummary,
    Need, Outcome, Outgoing, Send, SendMail, Step, Time, Undecryptable,
};
use crate::store::RecordClass;
use crate::store::memory::MemoryStore;
use crate::store::seal::{SealedStore, Unlock};

pub(super) const DOMAIN: &str = "clinic.example";

/// One device.
pub(super) struct Client {
    pub(super) address: Address,
    /// Once the account is in the store.
    pub(super) device_id: Option<u32>,
    pub(super) disk: MemoryStore,
    pub(super) store: AccountStore<MemoryStore>,
    /// Files and sealed copies on the same disk.
    pub(super) files: Files,
    pub(super) events: Vec<Event>,
    /// Milliseconds by which its clock is ahead of the world's.
    pub(super) clock_ahead: u64,
    pub(super) rng: ChaCha20Rng,
}

/// All of them.
pub(super) struct World {
    pub(super) server: Server,
    /// Those who issue tokens.
    pub(super) issuers: Issuers,
    pub(super) clients: Vec<Client>,
    /// What each client has sent over which connection, in order.
    pub(super) sent_over: Vec<(usize, Connection, Request)>,
    pub(super) now: u64,
    /// Clients that do nothing for a while.
    pub(super) away: std::collections::BTreeSet<usize>,
}

/// How far a client gets before its process is killed: one is taken off at every step.
pub(super) type Fuse = Option<usize>;

/// The process was killed.
pub(super) struct Killed;

fn unlock() -> Secret<32> {
    Secret::from([7; 32])
}

impl Client {
    pub(super) fn new(name: &str, seed: u8, now: u64) -> Self {
        Self::new_at(format!("{name}@{DOMAIN}").parse().unwrap(), seed, now)
    }

    pub(super) fn new_at(address: Address, seed: u8, now: u64) -> Self {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let disk = MemoryStore::new();
        let sealed = SealedStore::create(disk.clone(), &Unlock::PlatformKey(&unlock()), now, &mut rng).unwrap();
        let (store, files) = (AccountStore::new(sealed), Files::default());
        Self { address, device_id: None, disk, store, files, events: Vec::new(), clock_ahead: 0, rng }
    }

    /// Which device of its account it is.
    pub(super) fn device_id(&mut self, now: u64) -> u32 {
        if self.device_id.is_none() {
            // The first look of a day is a commit, which may have been told to fail.
            let _ = self.store.generation(Time(now), &mut self.rng);
            let credentials = self.store.credentials(Time(now), &mut self.rng).unwrap();
            self.device_id = credentials.map(|credentials| credentials.device_id);
        }
        self.device_id.expect("there is an account")
    }

    /// A new process on the same disk.
    pub(super) fn restart(&mut self) {
        let sealed = SealedStore::open(self.disk.clone(), &Unlock::PlatformKey(&unlock())).unwrap();
        self.store = AccountStore::new(sealed);
    }

    pub(super) fn handle(&mut self, input: &Input, now: u64) -> Result<Handled, HandleError> {
        let handled = self.store.handle(input, Time(now + self.clock_ahead), &mut self.rng)?;
        if handled.events.iter().any(|event| matches!(event, Event::LinkedAnew { .. })) {
            self.device_id = None;
        }
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
        let server = Server::new(1_700_000_000_000);
        let mut world = Self {
            now: server.now,
            server,
            issuers: Issuers::default(),
            clients: Vec::new(),
            sent_over: Vec::new(),
            away: Default::default(),
        };
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

    pub(super) fn device_id(&mut self, number: usize) -> u32 {
        self.clients[number].device_id(self.now)
    }

    /// What the server keeps of a client's device, if it is listed.
    pub(super) fn find_device(&mut self, number: usize) -> Option<&mut ServerDevice> {
        let (address, device_id) = (self.address(number), self.device_id(number));
        self.server.device(&address, device_id).ok()
    }

    /// What the server keeps of a client's device.
    pub(super) fn device(&mut self, number: usize) -> &mut ServerDevice {
        self.find_device(number).expect("the device is listed")
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
        if let Send::Request(request) = &outgoing.send {
            self.sent_over.push((number, outgoing.connection.clone(), request.clone()));
        }
        if let Some(result) = self.issuers.answer(outgoing, self.now) {
            return Some(Input::Reply { to: outgoing.reply_to.clone(), result });
        }
        let result = match &outgoing.send {
            Send::RedeemVoucher { .. } => refuse(ErrorCode::VoucherRefused),
            Send::Acknowledge { incarnation, up_to } => {
                assert_eq!(*incarnation, self.server.incarnation);
                // A device that was taken off the statement is not heard any more.
                if let Some(device) = self.find_device(number) {
                    device.acknowledged = device.acknowledged.max(*up_to);
                    device.generation = device.generation.max(generation);
                }
                Ok(Response::Done)
            }
            Send::ReadGroup { reader, limit } => self.server.read_group(reader, *limit),
            Send::SignalGroup { reader, signal } => self.server.signal_group(reader, signal),
            Send::WakeGroup { reader, handle, wake } => self.server.wake_group(reader, *handle, wake.as_ref()),
            Send::Request(request @ (Request::KeyPackageStatus | Request::PublishKeyPackages(_))) => {
                let (address, device_id) = (self.address(number), self.device_id(number));
                self.server.proved_key_packages((&address, device_id), request)
            }
            Send::Request(request @ (Request::BeginBlob(_) | Request::PutBlobPiece(_) | Request::FetchBlob(_)))
                if matches!(outgoing.connection, Connection::GroupLogs(_)) =>
            {
                self.server.group_blob(request)
            }
            Send::Request(
                request @ (Request::PrekeyStatus
                | Request::PublishPrekeys(_)
                | Request::SetDeliveryKeys(_)
                | Request::SetDeviceWake(_)),
            ) => {
                let (address, device_id) = (self.address(number), self.device_id(number));
                self.server.proved((&address, device_id), request)
            }
            Send::Request(request) => self.server.answer(request, generation),
        };
        Some(Input::Reply { to: outgoing.reply_to.clone(), result })
    }

    /// Sends what is due, until nothing is.
    pub(super) fn send_all(&mut self, number: usize) {
        for _ in 0..1000 {
            let before = self.server.activity();
            match self.run(number, &tick()) {
                // A device that has learnt that it was taken off the statement sends nothing any more.
                Err(HandleError::Engine(EngineError::Revoked(_))) => return,
                result => result.unwrap(),
            }
            if self.server.activity() == before {
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
        let Some(device) = self.find_device(number) else { return Vec::new() };
        let from = device.acknowledged;
        device.queue.iter().filter(|delivery| delivery.sequence > from).cloned().collect()
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
            let before = self.server.activity();
            for number in 0..self.clients.len() {
                self.receive(number);
            }
            if self.server.activity() == before {
                return;
            }
        }
        panic!("the clients do not come to rest");
    }

    /// The same without one that was taken off its account.
    pub(super) fn settle_all_but(&mut self, gone: usize) {
        for _ in 0..20 {
            let before = self.server.activity();
            for number in (0..self.clients.len()).filter(|number| *number != gone) {
                self.receive(number);
            }
            if self.server.activity() == before {
                return;
            }
        }
        panic!("the clients do not come to rest");
    }

    /// Whether a client's store has no record of a class.
    pub(super) fn scan_is_empty(&mut self, number: usize, class: RecordClass) -> bool {
        let client = &mut self.clients[number];
        let mut transaction = client.store.store_mut().begin(self.now, &mut client.rng).unwrap();
        transaction.scan(class).unwrap().is_empty()
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

/// What the engine asks for, round by round, and what it then decides. Nothing is
/// committed.
pub(super) fn rounds_of(world: &mut World, number: usize, input: &Input) -> (Vec<Vec<Need>>, Step) {
    let now = world.now;
    let client = &mut world.clients[number];
    let mut transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    let mut view = LoadedRecords { generation: transaction.generation(), ..LoadedRecords::default() };
    let mut rounds = Vec::new();
    loop {
        match engine::handle(input, Time(now), &[1; 32], &view).unwrap() {
            Outcome::Needs(needs) => {
                rounds.push(needs.clone());
                load_needs(&mut transaction, &mut view, needs).unwrap();
            }
            Outcome::Step(step) => return (rounds, step),
        }
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
