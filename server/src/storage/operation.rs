//! What whoever runs a server asks of its store: limits set anew, numbers, whether there is room.

use std::fmt::Debug;

use async_trait::async_trait;
use medipeps_core::Address;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::{GroupQuota, QueueError, QueueQuota, StorageError};
use crate::config::Config;
use crate::metrics::{counts, seconds};

/// What a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageLimits {
    /// Of one queue.
    pub queue: QueueQuota,
    /// Bytes of all blobs together.
    pub blob_bytes_max: u64,
    /// Of group logs.
    pub groups: GroupQuota,
    /// Bytes of free disk space below which nothing new is taken.
    pub free_space_floor: u64,
}

impl StorageLimits {
    /// What a configuration says.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        Self {
            queue: config.queue_quota(),
            blob_bytes_max: config.blob_bytes_max(),
            groups: config.group_quota(),
            free_space_floor: config.free_space_floor(),
        }
    }
}

/// A store that is run.
#[async_trait]
pub trait OperatedStorage: Send + Sync + 'static {
    /// Sets other limits. What is there stays, also where it is more than may be now.
    fn set_limits(&self, limits: StorageLimits);

    /// What the store counts. Clones count together.
    fn metrics(&self) -> StoreMetrics;

    /// Whether the disk has room for anything new.
    ///
    /// # Errors
    /// [`StorageError::LowSpace`]
    fn check_space(&self) -> Result<(), StorageError>;

    /// Gives an envelope the next number of its queue, so that it comes behind all others: its number, or `None` where it is the
    /// last already or is not there. When it came and when it runs out stay.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn move_to_end(&self, address: &Address, device: u32, sequence: u64) -> Result<Option<u64>, QueueError>;
}

/// What a store counts, for as long as the process lives.
#[derive(Clone)]
pub struct StoreMetrics {
    /// Envelopes that were put into queues.
    pub(crate) enqueued: Counter,
    /// Envelopes that their devices acknowledged.
    pub(crate) acknowledged: Counter,
    /// Envelopes that ran out before their devices came.
    pub(crate) expired: Counter,
    /// Envelopes in all queues, and their bytes.
    pub(crate) queued: Gauge,
    pub(crate) queued_bytes: Gauge,
    /// Operations in one commit.
    pub(crate) commit_operations: Histogram,
    /// Of one commit, from its first operation to its last sync.
    pub(crate) commit_seconds: Histogram,
    /// Of the last two syncs of a commit, of the engine's log and of its file.
    pub(crate) sync_seconds: Histogram,
}

impl Debug for StoreMetrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StoreMetrics").field("queued", &self.queued.get()).finish_non_exhaustive()
    }
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            enqueued: Counter::default(),
            acknowledged: Counter::default(),
            expired: Counter::default(),
            queued: Gauge::default(),
            queued_bytes: Gauge::default(),
            commit_operations: counts(),
            commit_seconds: seconds(),
            sync_seconds: seconds(),
        }
    }
}
