//! The test server's part for groups: logs, key packages, blobs of several pieces.

use std::collections::BTreeMap;

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::group_log::entry_hash;
use medipeps_core::key_package::KeyPackageUpload;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::transport::{
    AppendGroupEntry, AppendGroupEntryReply, BeginBlobReply, DeviceKeyPackage, ErrorCode, ErrorReply, FetchBlobReply,
    FetchGroupEntriesReply, FetchKeyPackagesReply, GroupLogCursor, GroupLogEntry, KeyPackageStatusReply,
    PutBlobPieceReply, Request, Response,
};

use super::server::{Server, refuse};
use crate::engine::GroupReader;

/// What the server keeps of a group.
#[derive(Default, Clone)]
pub(super) struct GroupLog {
    /// The access keys of its epochs.
    pub(super) keys: BTreeMap<u64, VerifyingKey>,
    /// Entries with their epochs.
    pub(super) entries: Vec<(u64, GroupLogEntry)>,
    /// By handle: the epoch, where and until when.
    pub(super) wakes: BTreeMap<[u8; 16], (u64, PushEndpoint, u64)>,
}

/// The key packages of a device.
#[derive(Default)]
pub(super) struct KeyPackages {
    sequence: u64,
    last_resort: Vec<u8>,
    pub(super) one_time: Vec<(u32, Vec<u8>)>,
}

/// A blob of a group's invitation.
pub(super) struct GroupBlob {
    upload_secret: [u8; 16],
    length: u64,
    pieces: BTreeMap<u32, Vec<u8>>,
}

/// Everything.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) logs: BTreeMap<[u8; 32], GroupLog>,
    pub(super) packages: BTreeMap<(Address, u32), KeyPackages>,
    pub(super) blobs: BTreeMap<[u8; 32], GroupBlob>,
    /// Answers that had entries in them.
    pub(super) reads: usize,
    /// Signals with their epochs.
    pub(super) signals: Vec<(u64, Vec<u8>)>,
    /// Requests to append.
    pub(super) appends: usize,
    /// Entries that an answer gives at most.
    pub(super) page: Option<usize>,
    sequence: u64,
    /// What the server says to those who want to be woken.
    pub(super) wake_refused: Option<ErrorCode>,
    /// How often it was told.
    pub(super) told: usize,
    /// Whether it does not say what time it is, as servers once did.
    pub(super) silent_clock: bool,
}

impl Server {
    /// Answers a request about groups; `None` if it is about something else.
    pub(super) fn answer_group(&mut self, request: &Request) -> Option<Result<Response, ErrorReply>> {
        let now = self.now;
        Some(match request {
            Request::CreateGroupLog(create) => {
                create.verify().unwrap();
                let log = self.groups.logs.entry(create.log_id()).or_default();
                log.keys.entry(create.epoch).or_insert(create.access_key);
                match log.keys.first_key_value() == Some((&create.epoch, &create.access_key)) {
                    true => Ok(Response::Done),
                    false => refuse(ErrorCode::GroupLogExists),
                }
            }
            Request::AppendGroupEntry(append) => self.groups.append(append, self.incarnation, now),
            Request::FetchKeyPackages(fetch) => self.key_packages(&fetch.address),
            _ => return None,
        })
    }

    /// Gives entries to who proves the epoch's key.
    pub(super) fn read_group(&mut self, reader: &GroupReader, limit: u32) -> Result<Response, ErrorReply> {
        let (incarnation, now) = (self.incarnation, self.now);
        let groups = &mut self.groups;
        let after = match reader.after {
            Some(GroupLogCursor { incarnation: of, sequence }) if of == incarnation => sequence,
            Some(_) => return refuse(ErrorCode::WrongIncarnation),
            None => 0,
        };
        let Some(log) = groups.logs.get(&reader.group) else { return refuse(ErrorCode::UnknownGroupLog) };
        if log.keys.get(&reader.epoch) != Some(&reader.access_key.verifying_key()) {
            return refuse(ErrorCode::GroupAccessRefused);
        }
        let limit = groups.page.unwrap_or(limit as usize).min(limit as usize);
        let of_epoch = log.entries.iter().filter(|(epoch, entry)| *epoch == reader.epoch && entry.sequence > after);
        let entries: Vec<_> = of_epoch.clone().take(limit).map(|(_, entry)| entry.clone()).collect();
        let given = entries.len();
        let closed = log.keys.contains_key(&(reader.epoch + 1));
        let epoch_closed = closed && given == of_epoch.count();
        groups.reads += usize::from(given > 0);
        Ok(Response::FetchGroupEntries(FetchGroupEntriesReply { incarnation, entries, epoch_closed, now }))
    }

    /// Passes a signal on to those who watch: it is what a test hands them.
    pub(super) fn signal_group(&mut self, reader: &GroupReader, signal: &[u8]) -> Result<Response, ErrorReply> {
        let Some(log) = self.groups.logs.get(&reader.group) else { return refuse(ErrorCode::UnknownGroupLog) };
        match log.keys.last_key_value() {
            Some((epoch, key)) if (*epoch, *key) == (reader.epoch, reader.access_key.verifying_key()) => {
                self.groups.signals.push((reader.epoch, signal.to_vec()));
                Ok(Response::Done)
            }
            _ => refuse(ErrorCode::StaleGroupEpoch),
        }
    }

    /// Notes where a member of the current epoch is woken.
    pub(super) fn wake_group(
        &mut self,
        reader: &GroupReader,
        handle: [u8; 16],
        wake: Option<&(PushEndpoint, u64)>,
    ) -> Result<Response, ErrorReply> {
        self.groups.told += 1;
        let Some(log) = self.groups.logs.get_mut(&reader.group) else { return refuse(ErrorCode::UnknownGroupLog) };
        if log.keys.get(&reader.epoch) != Some(&reader.access_key.verifying_key()) {
            return refuse(ErrorCode::GroupAccessRefused);
        }
        let Some((endpoint, expires)) = wake else {
            log.wakes.remove(&handle);
            return Ok(Response::Done);
        };
        if let Some(code) = self.groups.wake_refused {
            return refuse(code);
        }
        if log.keys.contains_key(&(reader.epoch + 1)) {
            return refuse(ErrorCode::StaleGroupEpoch);
        }
        log.wakes.insert(handle, (reader.epoch, endpoint.clone(), *expires));
        Ok(Response::Done)
    }

    /// A device asks about its key packages, or publishes some.
    pub(super) fn proved_key_packages(
        &mut self,
        (address, device_id): (&Address, u32),
        request: &Request,
    ) -> Result<Response, ErrorReply> {
        let keys = self.account(address)?.statement.device_keys(device_id).unwrap();
        let kept = self.groups.packages.entry((address.clone(), device_id)).or_default();
        match request {
            Request::KeyPackageStatus => Ok(Response::KeyPackageStatus(KeyPackageStatusReply {
                one_time: u32::try_from(kept.one_time.len()).unwrap(),
                sequence: kept.sequence,
                now: if self.groups.silent_clock { 0 } else { self.now },
            })),
            Request::PublishKeyPackages(encoded) => {
                let upload = KeyPackageUpload::verify(encoded, &keys.signing_key).unwrap();
                if upload.sequence <= kept.sequence {
                    return refuse(ErrorCode::KeyPackageSequence);
                }
                (kept.sequence, kept.last_resort) = (upload.sequence, upload.last_resort);
                kept.one_time = upload.one_time;
                Ok(Response::Done)
            }
            other => panic!("{other:?} is not about key packages"),
        }
    }

    fn key_packages(&mut self, address: &Address) -> Result<Response, ErrorReply> {
        let statement = self.account(address)?.statement.clone();
        let mut packages = Vec::new();
        for device in statement.devices() {
            let device_id = device.device_id();
            let Some(kept) = self.groups.packages.get_mut(&(address.clone(), device_id)) else { continue };
            if kept.sequence == 0 {
                continue;
            }
            let one_time = (!kept.one_time.is_empty()).then(|| kept.one_time.remove(0).1);
            let last_resort = one_time.is_none();
            let key_package = one_time.unwrap_or_else(|| kept.last_resort.clone());
            packages.push(DeviceKeyPackage { device_id, key_package, last_resort });
        }
        if packages.is_empty() {
            return refuse(ErrorCode::RateLimited);
        }
        let statement = statement.encoded().to_vec();
        Ok(Response::FetchKeyPackages(FetchKeyPackagesReply { statement, packages }))
    }

    /// Blobs that go over the connection for groups.
    pub(super) fn group_blob(&mut self, request: &Request) -> Result<Response, ErrorReply> {
        let (now, blobs) = (self.now, &mut self.groups.blobs);
        match request {
            Request::BeginBlob(begin) => {
                let new =
                    GroupBlob { upload_secret: begin.upload_secret, length: begin.length, pieces: BTreeMap::new() };
                let blob = blobs.entry(begin.id).or_insert(new);
                assert_eq!((blob.upload_secret, blob.length), (begin.upload_secret, begin.length));
                let mut stored_pieces = vec![0; 16];
                for index in blob.pieces.keys() {
                    stored_pieces[*index as usize / 8] |= 1 << (index % 8);
                }
                Ok(Response::BeginBlob(BeginBlobReply { stored_pieces, expires: now + 30 * 24 * 3600 * 1000 }))
            }
            Request::PutBlobPiece(put) => {
                let Some(blob) = blobs.get_mut(&put.id) else { return refuse(ErrorCode::UnknownBlob) };
                assert_eq!(blob.upload_secret, put.upload_secret);
                let stored = blob.pieces.entry(put.index).or_insert_with(|| put.data.clone());
                assert_eq!(*stored, put.data, "one key seals one plaintext");
                let complete = blob.pieces.values().map(|piece| piece.len() as u64).sum::<u64>() == blob.length;
                Ok(Response::PutBlobPiece(PutBlobPieceReply { complete }))
            }
            Request::FetchBlob(fetch) => {
                let Some(blob) = blobs.get(&fetch.id) else { return refuse(ErrorCode::UnknownBlob) };
                let whole: Vec<u8> = blob.pieces.values().flatten().copied().collect();
                let start = usize::try_from(fetch.offset).unwrap().min(whole.len());
                let end = (start + fetch.length as usize).min(whole.len());
                Ok(Response::FetchBlob(FetchBlobReply { data: whole[start..end].to_vec(), blob_length: blob.length }))
            }
            other => panic!("{other:?} is about no blob"),
        }
    }
}

impl Groups {
    fn append(
        &mut self,
        append: &AppendGroupEntry,
        incarnation: [u8; 16],
        received: u64,
    ) -> Result<Response, ErrorReply> {
        self.appends += 1;
        let Some(log) = self.logs.get_mut(&append.log_id) else { return refuse(ErrorCode::UnknownGroupLog) };
        let Some(key) = log.keys.get(&append.epoch) else { return refuse(ErrorCode::GroupAccessRefused) };
        append.verify(key, &entry_hash(&append.entry)).expect("the signature is by the epoch's key");
        if let Some((_, known)) = log.entries.iter().find(|(_, entry)| entry.entry_id == append.entry_id) {
            let (sequence, duplicate) = (known.sequence, true);
            return match known.entry == append.entry {
                true => Ok(Response::AppendGroupEntry(AppendGroupEntryReply { incarnation, sequence, duplicate })),
                false => refuse(ErrorCode::EntryIdReused),
            };
        }
        if log.keys.last_key_value().map(|(epoch, _)| *epoch) != Some(append.epoch) {
            let closing = log.entries.iter().find(|(epoch, entry)| *epoch == append.epoch && entry.closes_epoch);
            let closing_commit = closing.map(|(_, entry)| Box::new(entry.clone()));
            let error = ErrorReply::new(ErrorCode::StaleGroupEpoch, "the epoch is closed");
            return Err(ErrorReply { closing_commit, ..error });
        }
        self.sequence += 1;
        let sequence = self.sequence;
        log.entries.push((
            append.epoch,
            GroupLogEntry {
                sequence,
                received,
                entry_id: append.entry_id,
                entry: append.entry.clone(),
                closes_epoch: append.next_access_key.is_some(),
            },
        ));
        if let Some(next) = append.next_access_key {
            log.keys.insert(append.epoch + 1, next);
            // They have been woken for the last time.
            log.wakes.retain(|_, (epoch, ..)| *epoch > append.epoch);
        }
        Ok(Response::AppendGroupEntry(AppendGroupEntryReply { incarnation, sequence, duplicate: false }))
    }
}
