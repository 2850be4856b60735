//! Further devices of an account in the test world: made by writing the records, as linking leaves them.

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::wire::client_records::AccountRecord;
use medipeps_core::wire::transport::{Request, Submit};
use rand_core::SeedableRng;

use super::world::{Client, World, mail, tick};
use crate::engine::{Input, Key, Record, Send, key};
use crate::store::{Patch, RecordClass};

impl World {
    /// A further device of the account of client `number`, which is a primary one; its number. The statement that lists it
    /// is at the server and in the stores of all devices of the account, and its prekeys are published.
    pub(super) fn join_device(&mut self, number: usize) -> usize {
        self.join_device_as(number, false)
    }

    /// The same; a primary device gets the account key.
    pub(super) fn join_device_as(&mut self, number: usize, primary: bool) -> usize {
        let account = self.account_record(number);
        let new = self.clients.len();
        let mut client = Client::new_at(account.address.clone(), new as u8 + 1, self.now);
        let mut rng = ChaCha20Rng::from_seed([new as u8 + 101; 32]);
        let keys = DeviceSecretKeys::random(&mut rng);
        let device_id = u32::try_from(new).unwrap() + 1000;
        let certificate = DeviceCertificate::issue(
            &SigningKey::from_secret(account.account_key.as_ref().unwrap()),
            &account.address,
            device_id,
            &keys.public_keys(),
            primary,
            self.now / 1000,
        );
        let mut devices = self.statement(number).devices().to_vec();
        devices.push(certificate);
        let statement = self.issue(number, devices);
        let record = AccountRecord {
            account_key: account.account_key.clone().filter(|_| primary),
            device_signing_key: keys.signing_key.to_secret(),
            device_dh_key: keys.dh_key.to_secret(),
            device_id,
            statement: statement.encoded().to_vec(),
            ..account
        };
        client.put(&key::account(), &record, self.now);
        self.clients.push(client);
        self.publish(statement);
        self.connect(new);
        new
    }

    /// Takes a device off its account's statement, in the name of the primary device `number`.
    pub(super) fn revoke_device(&mut self, number: usize, revoked: usize) {
        let gone = self.device_id(revoked);
        let mut devices = self.statement(number).devices().to_vec();
        devices.retain(|device| device.device_id() != gone);
        let statement = self.issue(number, devices);
        self.publish(statement);
    }

    /// The statement that the server gives of a client's account.
    pub(super) fn statement(&mut self, number: usize) -> Statement {
        let address = self.address(number);
        self.server.account(&address).unwrap().statement.clone()
    }

    /// Proves the device, with all that follows.
    pub(super) fn connect(&mut self, number: usize) {
        let highest_generation = self.device(number).generation;
        let statement_version = self.statement(number).version();
        self.run(number, &Input::Authenticated { highest_generation, statement_version }).unwrap();
    }

    pub(super) fn account_record(&mut self, number: usize) -> AccountRecord {
        let now = self.now;
        self.clients[number].get(&key::account(), now).expect("there is an account")
    }

    /// Puts another statement into a device's own store, as if it had not heard of the newest.
    pub(super) fn set_own_statement(&mut self, number: usize, statement: Vec<u8>) {
        let record = AccountRecord { statement, ..self.account_record(number) };
        self.clients[number].put(&key::account(), &record, self.now);
    }

    /// The submission with which a device that was taken off the statement goes on writing to the others of its account.
    pub(super) fn forge_to_own(&mut self, number: usize, text: &str) -> Submit {
        let to = self.address(number);
        self.run(number, &Input::SendMail(mail(&to, text))).unwrap();
        let handled = self.clients[number].handle(&tick(), self.now).unwrap();
        let mut submits = handled.outgoing.into_iter().filter_map(|outgoing| match outgoing.send {
            Send::Request(Request::Submit(submit)) if submit.address == to => Some(submit),
            _ => None,
        });
        submits.next_back().expect("it has sessions with them")
    }

    /// The account's next statement, with these devices.
    pub(super) fn issue(&mut self, number: usize, devices: Vec<DeviceCertificate>) -> Statement {
        let previous = self.statement(number);
        let account_key = SigningKey::from_secret(self.account_record(number).account_key.as_ref().unwrap());
        let issue = StatementIssue {
            address: previous.address(),
            recovery_key_hash: previous.recovery_key_hash(),
            previous: Some(&previous),
            devices,
            issued: self.now / 1000,
        };
        issue.sign(&account_key).unwrap()
    }

    /// At the server, and in the store of every device that it lists.
    fn publish(&mut self, statement: Statement) {
        self.server.publish(statement.clone()).unwrap();
        for number in 0..self.clients.len() {
            if self.clients[number].address != *statement.address() {
                continue;
            }
            // A home at this address may be without an account yet.
            let Some(record) = self.clients[number].get(&key::account(), self.now) else { continue };
            if statement.device(record.device_id).is_some() {
                let record = AccountRecord { statement: statement.encoded().to_vec(), ..record };
                self.clients[number].put(&key::account(), &record, self.now);
            }
        }
    }
}

impl Client {
    /// A record as it is in the store.
    pub(super) fn get<T: Record>(&mut self, key: &Key<T>, now: u64) -> Option<T> {
        let records = self.store.store_mut().begin(now, &mut self.rng).unwrap();
        let value = records.load(std::slice::from_ref(key.record())).unwrap().remove(0);
        value.map(|value| T::decode(&value).unwrap())
    }

    /// Records of a class.
    pub(super) fn count(&mut self, class: RecordClass, now: u64) -> usize {
        self.store.store_mut().begin(now, &mut self.rng).unwrap().scan(class).unwrap().len()
    }

    /// Sets a record behind the engine's back.
    pub(super) fn put<T: Record>(&mut self, key: &Key<T>, record: &T, now: u64) {
        let transaction = self.store.store_mut().begin(now, &mut self.rng).unwrap();
        let mut patch = Patch::default();
        patch.put(key.record().clone(), record.encode());
        transaction.commit(&patch, &mut self.rng).unwrap();
    }
}
