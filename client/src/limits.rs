//! Every limit that the client enforces, with its unit and its reason.

/// Bytes of a record's name. Names are addresses, ids and numbers; two bytes of length go before them in a record.
pub const RECORD_NAME_LENGTH_MAX: usize = 1024;
/// Bytes of a record's value. The largest record is a message with its inline attachments; this leaves room.
pub const RECORD_LENGTH_MAX: usize = 1 << 20;
/// Bytes of decrypted records that the cache keeps of one class; larger classes are read anew each time, so that a
/// mailbox does not stay in memory because it was listed once.
pub const CLASS_CACHE_LENGTH_MAX: usize = 16 << 20;
