//! A group as its log sees it: a key for each epoch, and entries that nobody can open.

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::group_log::log_id;
use medipeps_core::proof::Channel;
use medipeps_core::wire::transport::{
    AppendGroupEntry, AppendGroupEntryReply, CreateGroupLog, ErrorReply, FetchGroupEntries, FetchGroupEntriesReply,
    GroupLogCursor, Payment, Request, Response, SetGroupWake, SignalGroup, WatchGroupLogs, WatchedGroupLog,
};
use rand_core::SeedableRng;

use crate::client::Client;

/// A group whose first epoch is number 0. Another seed makes another group.
#[derive(Clone, Copy)]
pub struct Group {
    seed: u8,
}

impl Group {
    pub fn new(seed: u8) -> Self {
        Self { seed }
    }

    /// The access key of an epoch, which its members derive.
    pub fn key(self, epoch: u64) -> SigningKey {
        let mut seed = [self.seed; 32];
        seed[..8].copy_from_slice(&epoch.to_be_bytes());
        SigningKey::random(&mut ChaCha20Rng::from_seed(seed))
    }

    pub fn log_id(self) -> [u8; 32] {
        log_id(&self.key(0).verifying_key())
    }

    pub fn create(self) -> Request {
        Request::CreateGroupLog(CreateGroupLog::sign(&self.key(0), 0, Payment::None))
    }

    /// An entry; the number is its id and its first byte.
    pub fn entry(self, epoch: u64, number: u64, length: usize) -> Request {
        self.append(&self.key(epoch), epoch, number, length, None)
    }

    /// An entry that closes its epoch.
    pub fn commit(self, epoch: u64, number: u64) -> Request {
        self.append(&self.key(epoch), epoch, number, 50, Some(epoch + 1))
    }

    /// An entry signed with any key.
    pub fn append(self, key: &SigningKey, epoch: u64, number: u64, length: usize, next: Option<u64>) -> Request {
        let mut entry_id = [0xee; 16];
        entry_id[..8].copy_from_slice(&number.to_be_bytes());
        let next = next.map(|next| self.key(next).verifying_key());
        let entry = vec![number as u8; length];
        let payment = Payment::None;
        Request::AppendGroupEntry(AppendGroupEntry::sign(key, self.log_id(), epoch, entry_id, entry, next, payment))
    }

    pub fn fetch(self, channel: &Channel<'_>, epoch: u64, after: Option<GroupLogCursor>) -> Request {
        Request::FetchGroupEntries(FetchGroupEntries::sign(&self.key(epoch), channel, self.log_id(), epoch, after, 256))
    }

    pub fn watched(self, channel: &Channel<'_>, epoch: u64, after: Option<GroupLogCursor>) -> WatchedGroupLog {
        WatchedGroupLog::sign(&self.key(epoch), channel, self.log_id(), epoch, after)
    }

    pub fn watch(self, channel: &Channel<'_>, epoch: u64, after: Option<GroupLogCursor>) -> Request {
        Request::WatchGroupLogs(WatchGroupLogs { logs: vec![self.watched(channel, epoch, after)] })
    }

    pub fn signal(self, channel: &Channel<'_>, epoch: u64, signal: u8) -> Request {
        Request::SignalGroup(SignalGroup::sign(&self.key(epoch), channel, self.log_id(), epoch, vec![signal]))
    }

    /// Where a reader is woken for a day, and its handle; `None`: nowhere.
    pub fn wake(self, channel: &Channel<'_>, epoch: u64, handle: u8, url: Option<&str>) -> Request {
        let day = 24 * 3600 * 1000;
        let wake = url.map(|url| (url.parse().unwrap(), crate::server::now_ms() + day));
        Request::SetGroupWake(SetGroupWake::sign(&self.key(epoch), channel, self.log_id(), epoch, [handle; 16], wake))
    }

    /// Creates the log.
    pub async fn created(self, client: &Client) -> Self {
        assert_eq!(client.ask(&self.create()).await, Response::Done);
        self
    }

    /// Reads what comes after a cursor.
    pub async fn read(self, client: &Client, epoch: u64, after: Option<GroupLogCursor>) -> FetchGroupEntriesReply {
        match client.ask(&self.fetch(&client.channel(), epoch, after)).await {
            Response::FetchGroupEntries(reply) => reply,
            other => panic!("not fetched: {other:?}"),
        }
    }
}

/// The answer to an append that was taken.
pub async fn appended(client: &Client, request: &Request) -> AppendGroupEntryReply {
    match client.ask(request).await {
        Response::AppendGroupEntry(reply) => reply,
        other => panic!("not appended: {other:?}"),
    }
}

/// What entries say, by their first bytes.
pub fn numbers(reply: &FetchGroupEntriesReply) -> Vec<u8> {
    reply.entries.iter().map(|entry| entry.entry[0]).collect()
}

/// The number of the closing commit in a refusal.
pub fn closing_commit(error: &ErrorReply) -> Option<u8> {
    error.closing_commit.as_ref().filter(|commit| commit.closes_epoch).map(|commit| commit.entry[0])
}
