//! A group without MLS: an access key for each epoch, and entries that a server cannot tell from real ones.

use chacha20::ChaCha20Rng;
use medipeps_client::shell::connection::{Connection, GroupWatch};
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::group_log::log_id;
use medipeps_core::wire::transport::{
    AppendGroupEntry, CreateGroupLog, FetchGroupEntries, GroupLogCursor, GroupLogEntry, Payment, Request, Response,
    WatchGroupLogs, WatchedGroupLog,
};
use rand_core::SeedableRng;

/// A group whose first epoch is number 0. Another seed makes another group.
#[derive(Debug, Clone, Copy)]
pub struct BareGroup {
    seed: u64,
}

impl BareGroup {
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn key(self, epoch: u64) -> SigningKey {
        let mut seed = [0x5a; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed[8..16].copy_from_slice(&epoch.to_be_bytes());
        SigningKey::random(&mut ChaCha20Rng::from_seed(seed))
    }

    pub fn log_id(self) -> [u8; 32] {
        log_id(&self.key(0).verifying_key())
    }

    pub fn create(self) -> Request {
        Request::CreateGroupLog(CreateGroupLog::sign(&self.key(0), 0, Payment::None))
    }

    /// An entry that begins with its id; with `closes` it closes its epoch.
    pub fn append(self, epoch: u64, number: u64, length: usize, closes: bool) -> Request {
        self.append_with_id(epoch, entry_id(number), length, closes)
    }

    pub fn append_with_id(self, epoch: u64, entry_id: [u8; 16], length: usize, closes: bool) -> Request {
        let mut entry = entry_id.to_vec();
        entry.resize(length, 0xa5);
        let next = closes.then(|| self.key(epoch + 1).verifying_key());
        let (key, payment) = (self.key(epoch), Payment::None);
        Request::AppendGroupEntry(AppendGroupEntry::sign(&key, self.log_id(), epoch, entry_id, entry, next, payment))
    }

    /// All entries of an epoch, and whether it is closed.
    pub async fn read(self, connection: &Connection, epoch: u64) -> (Vec<GroupLogEntry>, bool) {
        let mut entries: Vec<GroupLogEntry> = Vec::new();
        let mut after = None;
        loop {
            let (key, channel) = (self.key(epoch), connection.channel());
            let fetch = FetchGroupEntries::sign(&key, &channel, self.log_id(), epoch, after, 256);
            let Response::FetchGroupEntries(reply) =
                connection.request(&Request::FetchGroupEntries(fetch)).await.unwrap()
            else {
                panic!("no entries")
            };
            let none = reply.entries.is_empty();
            entries.extend(reply.entries);
            if reply.epoch_closed || none {
                return (entries, reply.epoch_closed);
            }
            let sequence = entries.last().unwrap().sequence;
            after = Some(GroupLogCursor { incarnation: reply.incarnation, sequence });
        }
    }

    /// Every entry of every epoch, as a member reads who walks forward; and the current epoch.
    pub async fn walk(self, connection: &Connection) -> (Vec<GroupLogEntry>, u64) {
        let mut all = Vec::new();
        let mut epoch = 0;
        loop {
            let (entries, closed) = self.read(connection, epoch).await;
            assert_eq!(closed, entries.last().is_some_and(|last| last.closes_epoch), "epoch {epoch}");
            all.extend(entries);
            if !closed {
                return (all, epoch);
            }
            epoch += 1;
        }
    }

    pub async fn watch(self, connection: &Connection, epoch: u64) -> Option<GroupWatch> {
        let watched = WatchedGroupLog::sign(&self.key(epoch), &connection.channel(), self.log_id(), epoch, None);
        connection.watch_group_logs(WatchGroupLogs { logs: vec![watched] }).await.ok()
    }
}

pub fn entry_id(number: u64) -> [u8; 16] {
    let mut id = [0xb7; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    id
}
