//! Every limit that the server enforces, with its unit and its reason.

/// Envelopes that one queue may hold. A device away for a month at 300 a day stays under it.
pub const QUEUE_MESSAGES_MAX: u64 = 10_000;
/// Bytes of envelopes that one queue may hold: the messages above at a mean of 25 KiB.
pub const QUEUE_BYTES_MAX: u64 = 256 << 20;
/// Milliseconds for which the id of a submission is remembered, so that a repeat gets the first answer: 14 days, longer
/// than a client retries.
pub const SUBMISSION_RECORD_RETENTION_MS: u64 = 14 * 24 * 3600 * 1000;
/// Milliseconds for which an invitation is remembered after it ran out: 14 days, so that a late repeat of a registration
/// gets the first answer.
pub const INVITATION_RECORD_RETENTION_MS: u64 = 14 * 24 * 3600 * 1000;
/// Unused one-time prekeys of one kind that one device may have at the server: four full uploads.
pub const ONE_TIME_PREKEYS_STORED_MAX: usize = 400;
/// Bytes of one value in sled. Pages above 128 KiB go to files that sled never syncs; a leaf holds up to 16 values
/// (reference/server.md section 3, rule 2).
pub const SLED_VALUE_LENGTH_MAX: usize = 4 << 10;
/// Bytes of sled's page cache. Its own default is 1 GiB; the bodies of envelopes are not in it.
pub const SLED_CACHE_BYTES: u64 = 64 << 20;
/// Bytes after which a segment file of envelope bodies is closed and a new one begun. A segment is deleted whole, so one
/// envelope that stays keeps at most this much on the disk.
pub const SEGMENT_BYTES: u64 = 32 << 20;
/// Operations in one group commit. It bounds what one failed commit leaves unanswered and the memory of a batch:
/// 1024 submissions of 64 KiB are 64 MiB.
pub const COMMIT_BATCH_MAX: usize = 1024;
/// Bytes of envelope bodies after which a group commit takes no further operation, so that a burst of large envelopes
/// does not hold up the small ones behind it.
pub const COMMIT_BATCH_BYTES_MAX: usize = 8 << 20;
/// Operations that may wait for the committer; whoever comes after waits in line.
pub const COMMIT_QUEUE_MAX: usize = 4096;
/// Records that one pass of the expiry takes in one commit, so that mail in between does not wait for all of it.
pub const EXPIRE_BATCH_MAX: usize = 1000;
/// Envelopes that one fetch returns at most, whatever was asked for: 256 of 64 KiB are 16 MiB.
pub const FETCH_ENVELOPES_MAX: usize = 256;
/// Accounts that one page of an inspection returns at most.
pub const INSPECT_ACCOUNTS_MAX: usize = 1000;
/// Bytes of one record in an export: the largest envelope, or a statement, with its frame. An import refuses more.
pub const EXPORT_RECORD_LENGTH_MAX: usize = 128 << 10;
