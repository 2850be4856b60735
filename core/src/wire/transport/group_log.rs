//! Requests and answers about group logs. `spec/group-log.md`; [`crate::group_log`] signs and verifies.

use std::collections::BTreeSet;
use std::fmt;

use super::Payment;
use crate::crypto::signature::VerifyingKey;
use crate::limits::{
    GROUP_ENTRIES_PER_FETCH_MAX, GROUP_ENTRY_LENGTH_MAX, GROUP_LOGS_PER_WATCH_MAX, GROUP_SIGNAL_LENGTH_MAX,
};
use crate::push_endpoint::PushEndpoint;
use crate::wire::{WireError, fixed, proto};

/// Makes a group log, whose id is the hash of `access_key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateGroupLog {
    /// Of the first epoch.
    pub access_key: VerifyingKey,
    /// The number of the first epoch.
    pub epoch: u64,
    /// Ed25519, by the access key.
    pub signature: [u8; 64],
    /// What pays for it.
    pub payment: Payment,
}

/// Appends an entry to the current epoch of a group log.
#[derive(Clone, PartialEq, Eq)]
pub struct AppendGroupEntry {
    /// Of the log.
    pub log_id: [u8; 32],
    /// The epoch that the author is in.
    pub epoch: u64,
    /// Random; the same id with the same entry gets the first answer again.
    pub entry_id: [u8; 16],
    /// 1 to [`GROUP_ENTRY_LENGTH_MAX`] bytes, which the server cannot open.
    pub entry: Vec<u8>,
    /// With a commit, which closes the epoch: the access key of the next one.
    pub next_access_key: Option<VerifyingKey>,
    /// Ed25519, by the access key of the epoch.
    pub signature: [u8; 64],
    /// What pays for it.
    pub payment: Payment,
}

/// The entry is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendGroupEntryReply {
    /// Of the server's store: what the sequence belongs to.
    pub incarnation: [u8; 16],
    /// The entry's number in the log.
    pub sequence: u64,
    /// This id had been taken before.
    pub duplicate: bool,
}

/// How far a reader has come in a log. It is good under one incarnation of the server's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLogCursor {
    /// That the sequence came with.
    pub incarnation: [u8; 16],
    /// Of the last entry that the reader has.
    pub sequence: u64,
}

/// Asks for entries of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchGroupEntries {
    /// Of the log.
    pub log_id: [u8; 32],
    /// Entries of other epochs are not given.
    pub epoch: u64,
    /// `None` for the beginning of the epoch.
    pub after: Option<GroupLogCursor>,
    /// 1 to [`GROUP_ENTRIES_PER_FETCH_MAX`]. The server may give fewer.
    pub limit: u32,
    /// Ed25519, by the access key of the epoch, for this connection.
    pub signature: [u8; 64],
}

/// Entries of one epoch, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchGroupEntriesReply {
    /// Of the server's store: what the sequences belong to.
    pub incarnation: [u8; 16],
    /// None when there are no more for now.
    pub entries: Vec<GroupLogEntry>,
    /// The epoch is closed, and these are the last entries of it.
    pub epoch_closed: bool,
    /// Milliseconds since 1970 by the server's clock, as it answers; 0: it did not say.
    pub now: u64,
}

/// One entry of a log.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupLogEntry {
    /// Rises over the whole log, with gaps.
    pub sequence: u64,
    /// Milliseconds since 1970, by the server's clock.
    pub received: u64,
    /// As its author drew it, so that he knows it again.
    pub entry_id: [u8; 16],
    /// Its bytes.
    pub entry: Vec<u8>,
    /// It closed its epoch.
    pub closes_epoch: bool,
}

/// Opens the push of several logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchGroupLogs {
    /// 1 to [`GROUP_LOGS_PER_WATCH_MAX`], each log once.
    pub logs: Vec<WatchedGroupLog>,
}

/// One log of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedGroupLog {
    /// Of the log.
    pub log_id: [u8; 32],
    /// The epoch to be pushed.
    pub epoch: u64,
    /// `None` for the beginning of the epoch.
    pub after: Option<GroupLogCursor>,
    /// As in [`FetchGroupEntries`].
    pub signature: [u8; 64],
}

/// What a watch pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupLogEvent {
    /// First: the incarnation of the server's store.
    Open([u8; 16]),
    /// Something of one log.
    Log {
        /// Of the log.
        log_id: [u8; 32],
        /// What of it.
        event: GroupLogPush,
    },
    /// The server stops; nothing more comes of any log.
    GoAway {
        /// Milliseconds after which to connect again, drawn for this watch.
        retry_after: u64,
    },
}

/// What a watch pushes of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupLogPush {
    /// An entry of the epoch.
    Entry(GroupLogEntry),
    /// What a member sent to those who watch now.
    Signal(Vec<u8>),
    /// Everything so far has been pushed.
    CaughtUp,
    /// The epoch is closed and its last entry was pushed; nothing more comes of this log.
    Closed,
    /// The log cannot be watched, or no longer; nothing more comes of it.
    Ended {
        /// The stable code, as in [`ErrorReply`](super::ErrorReply).
        code: u32,
        /// Milliseconds to wait, with codes that say so; 0 otherwise.
        retry_after: u64,
    },
}

/// Tells those who watch the current epoch of a log something that is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalGroup {
    /// Of the log.
    pub log_id: [u8; 32],
    /// The epoch that the sender is in.
    pub epoch: u64,
    /// 1 to [`GROUP_SIGNAL_LENGTH_MAX`] bytes, which the server cannot open.
    pub signal: Vec<u8>,
    /// Ed25519, by the access key of the epoch, for this connection.
    pub signature: [u8; 64],
}

/// Says where a reader of a log is woken when it is not connected, or that it need not be any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetGroupWake {
    /// Of the log.
    pub log_id: [u8; 32],
    /// The epoch that the reader is in.
    pub epoch: u64,
    /// Drawn at random by the reader for this log; whoever knows it may change what belongs to it.
    pub handle: [u8; 16],
    /// Where to wake the reader, and until when in milliseconds since 1970. `None`: nowhere.
    pub wake: Option<(PushEndpoint, u64)>,
    /// Ed25519, by the access key of the epoch, for this connection.
    pub signature: [u8; 64],
}

impl fmt::Debug for AppendGroupEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AppendGroupEntry({} bytes in epoch {})", self.entry.len(), self.epoch)
    }
}

impl fmt::Debug for GroupLogEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closes = if self.closes_epoch { ", closes its epoch" } else { "" };
        write!(formatter, "GroupLogEntry({}, {} bytes{closes})", self.sequence, self.entry.len())
    }
}

impl CreateGroupLog {
    pub(super) fn to_proto(&self) -> proto::CreateGroupLog {
        proto::CreateGroupLog {
            access_key: self.access_key.as_bytes().to_vec(),
            epoch: self.epoch,
            signature: self.signature.to_vec(),
            payment: Some(self.payment.encode()),
        }
    }

    pub(super) fn from_proto(message: proto::CreateGroupLog) -> Result<Self, WireError> {
        Ok(Self {
            access_key: access_key(&message.access_key, "access_key")?,
            epoch: message.epoch,
            signature: fixed(&message.signature, "signature")?,
            payment: Payment::decode(message.payment)?,
        })
    }
}

impl AppendGroupEntry {
    pub(super) fn to_proto(&self) -> proto::AppendGroupEntry {
        proto::AppendGroupEntry {
            log_id: self.log_id.to_vec(),
            epoch: self.epoch,
            entry_id: self.entry_id.to_vec(),
            entry: self.entry.clone(),
            next_access_key: self.next_access_key.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
            signature: self.signature.to_vec(),
            payment: Some(self.payment.encode()),
        }
    }

    pub(super) fn from_proto(message: proto::AppendGroupEntry) -> Result<Self, WireError> {
        let next = Some(message.next_access_key).filter(|key| !key.is_empty());
        Ok(Self {
            log_id: fixed(&message.log_id, "log_id")?,
            epoch: message.epoch,
            entry_id: fixed(&message.entry_id, "entry_id")?,
            entry: bounded(message.entry, GROUP_ENTRY_LENGTH_MAX, "entry")?,
            next_access_key: next.map(|key| access_key(&key, "next_access_key")).transpose()?,
            signature: fixed(&message.signature, "signature")?,
            payment: Payment::decode(message.payment)?,
        })
    }
}

impl AppendGroupEntryReply {
    pub(super) fn to_proto(self) -> proto::AppendGroupEntryReply {
        proto::AppendGroupEntryReply {
            incarnation: self.incarnation.to_vec(),
            sequence: self.sequence,
            duplicate: self.duplicate,
        }
    }

    pub(super) fn from_proto(message: &proto::AppendGroupEntryReply) -> Result<Self, WireError> {
        Ok(Self {
            incarnation: fixed(&message.incarnation, "incarnation")?,
            sequence: message.sequence,
            duplicate: message.duplicate,
        })
    }
}

impl GroupLogCursor {
    fn to_proto(self) -> proto::GroupLogCursor {
        proto::GroupLogCursor { incarnation: self.incarnation.to_vec(), sequence: self.sequence }
    }

    fn from_proto(message: &proto::GroupLogCursor) -> Result<Self, WireError> {
        Ok(Self { incarnation: fixed(&message.incarnation, "incarnation")?, sequence: message.sequence })
    }
}

impl FetchGroupEntries {
    pub(super) fn to_proto(&self) -> proto::FetchGroupEntries {
        proto::FetchGroupEntries {
            log_id: self.log_id.to_vec(),
            epoch: self.epoch,
            after: self.after.map(GroupLogCursor::to_proto),
            limit: self.limit,
            signature: self.signature.to_vec(),
        }
    }

    pub(super) fn from_proto(message: &proto::FetchGroupEntries) -> Result<Self, WireError> {
        if !(1..=GROUP_ENTRIES_PER_FETCH_MAX).contains(&message.limit) {
            return Err(WireError::Bounds("limit"));
        }
        Ok(Self {
            log_id: fixed(&message.log_id, "log_id")?,
            epoch: message.epoch,
            after: message.after.as_ref().map(GroupLogCursor::from_proto).transpose()?,
            limit: message.limit,
            signature: fixed(&message.signature, "signature")?,
        })
    }
}

impl FetchGroupEntriesReply {
    pub(super) fn to_proto(&self) -> proto::FetchGroupEntriesReply {
        proto::FetchGroupEntriesReply {
            incarnation: self.incarnation.to_vec(),
            entries: self.entries.iter().map(GroupLogEntry::to_proto).collect(),
            epoch_closed: self.epoch_closed,
            now: self.now,
        }
    }

    pub(super) fn from_proto(message: proto::FetchGroupEntriesReply) -> Result<Self, WireError> {
        if message.entries.len() > GROUP_ENTRIES_PER_FETCH_MAX as usize {
            return Err(WireError::Bounds("entries"));
        }
        let entries = message.entries.into_iter().map(GroupLogEntry::from_proto).collect::<Result<Vec<_>, _>>()?;
        if !entries.is_sorted_by(|one, next| one.sequence < next.sequence) {
            return Err(WireError::Bounds("sequence"));
        }
        Ok(Self {
            incarnation: fixed(&message.incarnation, "incarnation")?,
            entries,
            epoch_closed: message.epoch_closed,
            now: message.now,
        })
    }
}

impl GroupLogEntry {
    pub(super) fn to_proto(&self) -> proto::GroupLogEntry {
        proto::GroupLogEntry {
            sequence: self.sequence,
            received: self.received,
            entry_id: self.entry_id.to_vec(),
            entry: self.entry.clone(),
            closes_epoch: self.closes_epoch,
        }
    }

    pub(super) fn from_proto(message: proto::GroupLogEntry) -> Result<Self, WireError> {
        Ok(Self {
            sequence: message.sequence,
            received: message.received,
            entry_id: fixed(&message.entry_id, "entry_id")?,
            entry: bounded(message.entry, GROUP_ENTRY_LENGTH_MAX, "entry")?,
            closes_epoch: message.closes_epoch,
        })
    }
}

impl WatchGroupLogs {
    pub(super) fn to_proto(&self) -> proto::WatchGroupLogs {
        let log = |one: &WatchedGroupLog| proto::WatchedGroupLog {
            log_id: one.log_id.to_vec(),
            epoch: one.epoch,
            after: one.after.map(GroupLogCursor::to_proto),
            signature: one.signature.to_vec(),
        };
        proto::WatchGroupLogs { logs: self.logs.iter().map(log).collect() }
    }

    pub(super) fn from_proto(message: &proto::WatchGroupLogs) -> Result<Self, WireError> {
        if message.logs.is_empty() || message.logs.len() > GROUP_LOGS_PER_WATCH_MAX {
            return Err(WireError::Bounds("logs"));
        }
        let log = |one: &proto::WatchedGroupLog| {
            Ok(WatchedGroupLog {
                log_id: fixed(&one.log_id, "log_id")?,
                epoch: one.epoch,
                after: one.after.as_ref().map(GroupLogCursor::from_proto).transpose()?,
                signature: fixed(&one.signature, "signature")?,
            })
        };
        let logs = message.logs.iter().map(log).collect::<Result<Vec<_>, WireError>>()?;
        if logs.iter().map(|one| one.log_id).collect::<BTreeSet<_>>().len() < logs.len() {
            return Err(WireError::Bounds("log_id"));
        }
        Ok(Self { logs })
    }
}

impl GroupLogEvent {
    pub(super) fn to_proto(&self) -> proto::GroupLogEvent {
        use proto::group_log_event::Event as E;
        let (log_id, event) = match self {
            Self::Open(incarnation) => {
                (Vec::new(), E::Open(proto::SubscriptionOpen { incarnation: incarnation.to_vec() }))
            }
            Self::Log { log_id, event } => (
                log_id.to_vec(),
                match event {
                    GroupLogPush::Entry(entry) => E::Entry(entry.to_proto()),
                    GroupLogPush::Signal(signal) => E::Signal(proto::GroupSignal { signal: signal.clone() }),
                    GroupLogPush::CaughtUp => E::CaughtUp(proto::GroupCaughtUp {}),
                    GroupLogPush::Closed => E::Closed(proto::GroupEpochClosed {}),
                    GroupLogPush::Ended { code, retry_after } => {
                        E::Ended(proto::GroupWatchEnded { code: *code, retry_after: *retry_after })
                    }
                },
            ),
            Self::GoAway { retry_after } => (Vec::new(), E::GoAway(proto::GoAway { retry_after: *retry_after })),
        };
        proto::GroupLogEvent { log_id, event: Some(event) }
    }

    pub(super) fn from_proto(message: proto::GroupLogEvent) -> Result<Self, WireError> {
        use proto::group_log_event::Event as E;
        let event = match message.event.ok_or(WireError::Missing("event"))? {
            E::Open(_) | E::GoAway(_) if !message.log_id.is_empty() => return Err(WireError::Bounds("log_id")),
            E::Open(open) => return Ok(Self::Open(fixed(&open.incarnation, "incarnation")?)),
            E::GoAway(away) => return Ok(Self::GoAway { retry_after: away.retry_after }),
            E::Entry(entry) => GroupLogPush::Entry(GroupLogEntry::from_proto(entry)?),
            E::Signal(signal) => GroupLogPush::Signal(bounded(signal.signal, GROUP_SIGNAL_LENGTH_MAX, "signal")?),
            E::CaughtUp(_) => GroupLogPush::CaughtUp,
            E::Closed(_) => GroupLogPush::Closed,
            E::Ended(ended) => GroupLogPush::Ended { code: ended.code, retry_after: ended.retry_after },
        };
        Ok(Self::Log { log_id: fixed(&message.log_id, "log_id")?, event })
    }
}

impl SignalGroup {
    pub(super) fn to_proto(&self) -> proto::SignalGroup {
        proto::SignalGroup {
            log_id: self.log_id.to_vec(),
            epoch: self.epoch,
            signal: self.signal.clone(),
            signature: self.signature.to_vec(),
        }
    }

    pub(super) fn from_proto(message: proto::SignalGroup) -> Result<Self, WireError> {
        Ok(Self {
            log_id: fixed(&message.log_id, "log_id")?,
            epoch: message.epoch,
            signal: bounded(message.signal, GROUP_SIGNAL_LENGTH_MAX, "signal")?,
            signature: fixed(&message.signature, "signature")?,
        })
    }
}

impl SetGroupWake {
    pub(super) fn to_proto(&self) -> proto::SetGroupWake {
        let (endpoint, expires) =
            self.wake.as_ref().map_or(("", 0), |(endpoint, expires)| (endpoint.as_str(), *expires));
        proto::SetGroupWake {
            log_id: self.log_id.to_vec(),
            epoch: self.epoch,
            handle: self.handle.to_vec(),
            endpoint: endpoint.to_owned(),
            expires,
            signature: self.signature.to_vec(),
        }
    }

    pub(super) fn from_proto(message: &proto::SetGroupWake) -> Result<Self, WireError> {
        let wake = match (message.endpoint.as_str(), message.expires) {
            ("", 0) => None,
            ("", _) | (_, 0) => return Err(WireError::Bounds("expires")),
            (endpoint, expires) => Some((endpoint.parse().map_err(|_| WireError::Bounds("endpoint"))?, expires)),
        };
        Ok(Self {
            log_id: fixed(&message.log_id, "log_id")?,
            epoch: message.epoch,
            handle: fixed(&message.handle, "handle")?,
            wake,
            signature: fixed(&message.signature, "signature")?,
        })
    }
}

fn access_key(bytes: &[u8], field: &'static str) -> Result<VerifyingKey, WireError> {
    VerifyingKey::from_slice(bytes).map_err(|_| WireError::Bounds(field))
}

fn bounded(bytes: Vec<u8>, longest: usize, field: &'static str) -> Result<Vec<u8>, WireError> {
    if bytes.is_empty() || bytes.len() > longest { Err(WireError::Bounds(field)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signature::SigningKey;
    use crate::limits::FRAME_LENGTH_MAX;
    use crate::test_rng::rng;
    use crate::wire::transport::{ErrorCode, ErrorReply, Request, Response};

    fn key() -> VerifyingKey {
        SigningKey::random(&mut rng(1)).verifying_key()
    }

    fn append(length: usize) -> AppendGroupEntry {
        AppendGroupEntry {
            log_id: [1; 32],
            epoch: 2,
            entry_id: [3; 16],
            entry: vec![4; length],
            next_access_key: Some(key()),
            signature: [5; 64],
            payment: Payment::None,
        }
    }

    fn entry(sequence: u64, length: usize) -> GroupLogEntry {
        GroupLogEntry { sequence, received: 8, entry_id: [9; 16], entry: vec![1; length], closes_epoch: true }
    }

    const AFTER: Option<GroupLogCursor> = Some(GroupLogCursor { incarnation: [6; 16], sequence: 7 });

    #[test]
    fn requests_come_back_as_they_were_sent() {
        let (log_id, epoch, signature) = ([1; 32], 2, [3; 64]);
        let watched = |byte| WatchedGroupLog { log_id: [byte; 32], epoch, after: AFTER, signature };
        let fetch = FetchGroupEntries { log_id, epoch, after: None, limit: 1, signature };
        for request in [
            Request::CreateGroupLog(CreateGroupLog { access_key: key(), epoch, signature, payment: Payment::None }),
            Request::AppendGroupEntry(append(GROUP_ENTRY_LENGTH_MAX)),
            Request::AppendGroupEntry(AppendGroupEntry { next_access_key: None, ..append(1) }),
            Request::FetchGroupEntries(fetch.clone()),
            Request::FetchGroupEntries(FetchGroupEntries { after: AFTER, limit: GROUP_ENTRIES_PER_FETCH_MAX, ..fetch }),
            Request::WatchGroupLogs(WatchGroupLogs {
                logs: (0..GROUP_LOGS_PER_WATCH_MAX as u8).map(watched).collect(),
            }),
            Request::SignalGroup(SignalGroup { log_id, epoch, signal: vec![1; GROUP_SIGNAL_LENGTH_MAX], signature }),
            Request::SetGroupWake(SetGroupWake { log_id, epoch, handle: [4; 16], wake: None, signature }),
            Request::SetGroupWake(SetGroupWake {
                log_id,
                epoch,
                handle: [4; 16],
                wake: Some(("https://push.example/1".parse().unwrap(), 5)),
                signature,
            }),
        ] {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn answers_come_back_as_they_were_sent() {
        let incarnation = [1; 16];
        let entries = vec![entry(1, 3), entry(4, 5)];
        let stale = ErrorReply::new(ErrorCode::StaleGroupEpoch, "");
        let log = |event| Response::GroupLog(GroupLogEvent::Log { log_id: [2; 32], event });
        for response in [
            Response::AppendGroupEntry(AppendGroupEntryReply { incarnation, sequence: 2, duplicate: true }),
            Response::FetchGroupEntries(FetchGroupEntriesReply { incarnation, entries, epoch_closed: true, now: 7 }),
            Response::GroupLog(GroupLogEvent::Open(incarnation)),
            Response::GroupLog(GroupLogEvent::GoAway { retry_after: 8 }),
            log(GroupLogPush::Entry(entry(9, GROUP_ENTRY_LENGTH_MAX))),
            log(GroupLogPush::Signal(vec![1])),
            log(GroupLogPush::CaughtUp),
            log(GroupLogPush::Closed),
            log(GroupLogPush::Ended { code: 52, retry_after: 3 }),
            Response::Error(ErrorReply { closing_commit: Some(Box::new(entry(1, GROUP_ENTRY_LENGTH_MAX))), ..stale }),
        ] {
            assert_eq!(Response::decode(&response.encode()), Ok(response));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let refused = |request: Request| Request::decode(&request.encode()).unwrap_err();
        let fetch = |limit| {
            let (log_id, epoch, after, signature) = ([1; 32], 2, None, [3; 64]);
            Request::FetchGroupEntries(FetchGroupEntries { log_id, epoch, after, limit, signature })
        };
        for (request, field) in [
            (Request::AppendGroupEntry(append(0)), "entry"),
            (Request::AppendGroupEntry(append(GROUP_ENTRY_LENGTH_MAX + 1)), "entry"),
            (fetch(0), "limit"),
            (fetch(GROUP_ENTRIES_PER_FETCH_MAX + 1), "limit"),
            (Request::WatchGroupLogs(WatchGroupLogs { logs: Vec::new() }), "logs"),
        ] {
            assert_eq!(refused(request), WireError::Bounds(field));
        }
        let twice = WatchedGroupLog { log_id: [1; 32], epoch: 2, after: None, signature: [3; 64] };
        let twice = WatchGroupLogs { logs: vec![twice.clone(), twice] };
        assert_eq!(refused(Request::WatchGroupLogs(twice)), WireError::Bounds("log_id"));
        let small_order = proto::CreateGroupLog { access_key: vec![0; 32], ..Default::default() };
        assert_eq!(CreateGroupLog::from_proto(small_order), Err(WireError::Bounds("access_key")));
    }

    #[test]
    fn only_what_carries_an_entry_may_be_larger_than_a_frame() {
        let long = Request::PublishPrekeys(vec![0; FRAME_LENGTH_MAX]);
        assert_eq!(Request::decode(&long.encode()), Err(WireError::Bounds("frame")));
        let long = Response::FetchStatement(vec![0; FRAME_LENGTH_MAX]);
        assert_eq!(Response::decode(&long.encode()), Err(WireError::Bounds("frame")));
    }
}
