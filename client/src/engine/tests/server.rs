//! A server that keeps everything in memory: accounts of one or more devices, each with its queue and its prekeys.

use std::collections::{BTreeMap, BTreeSet};

use medipeps_core::Address;
use medipeps_core::delivery_key::DeliveryKey;
use medipeps_core::identity::{DeviceCertificate, Statement, StatementError};
use medipeps_core::prekey::{EncodedBundle, OneTimePrekey, PrekeyUpload};
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::transport::{
    BeginBlobReply, Delivery, ErrorCode, ErrorReply, FetchBlobReply, FetchPrekeysReply, FetchTrustListReply, Lane,
    PrekeyStatusReply, PutBlobPieceReply, Register, Request, Response, StaleDevices, Submit, SubmitReply,
};

use super::group_server::Groups;
use super::transfers::{BLOB_KEPT_MS, Blob};

/// What the server keeps of an account.
pub(super) struct ServerAccount {
    pub(super) statement: Statement,
    /// Exactly those that the statement lists.
    pub(super) devices: BTreeMap<u32, ServerDevice>,
    /// Hashes.
    pub(super) delivery_keys: Vec<[u8; 32]>,
}

/// What the server keeps of one device.
#[derive(Default)]
pub(super) struct ServerDevice {
    pub(super) uploads: Vec<PrekeyUpload>,
    /// How many one-time prekeys of each kind have been given out, over all uploads.
    pub(super) given: usize,
    pub(super) queue: Vec<Delivery>,
    /// The highest number that the queue has given.
    pub(super) last_sequence: u64,
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
    /// How many of the next submissions it says that it has taken, and loses.
    pub(super) losing: usize,
    /// Blobs by id.
    pub(super) blobs: BTreeMap<[u8; 32], Blob>,
    pub(super) groups: Groups,
    /// Where devices are woken.
    pub(super) wakes: BTreeMap<(Address, u32), Option<PushEndpoint>>,
    /// What says where a device is woken is answered with instead.
    pub(super) wake_refused: Option<ErrorCode>,
    pub(super) now: u64,
}

impl Server {
    pub(super) fn new(now: u64) -> Self {
        Self {
            accounts: BTreeMap::new(),
            submissions: BTreeMap::new(),
            incarnation: [1; 16],
            log: Vec::new(),
            refusals: Vec::new(),
            losing: 0,
            blobs: BTreeMap::new(),
            groups: Groups::default(),
            wakes: BTreeMap::new(),
            wake_refused: None,
            now,
        }
    }

    /// Grows with everything that changes somebody's store.
    pub(super) fn activity(&self) -> usize {
        self.log.len() + self.groups.reads
    }

    pub(super) fn answer(&mut self, request: &Request, generation: u64) -> Result<Response, ErrorReply> {
        self.log.push(request.clone());
        if let Some(answer) = self.answer_group(request) {
            return answer;
        }
        match request {
            Request::Register(register) => self.register(register),
            Request::FetchStatement(address) => {
                Ok(Response::FetchStatement(self.account(address)?.statement.encoded().to_vec()))
            }
            Request::PublishStatement(encoded) => self.publish_encoded(encoded),
            Request::FetchPrekeys(fetch) => self.account(&fetch.address)?.bundles(),
            Request::Submit(submit) => match self.refusals.is_empty() {
                true => self.submit(submit, request.encode()),
                false => Err(self.refusals.remove(0)),
            },
            Request::BeginBlob(_) | Request::PutBlobPiece(_) | Request::FetchBlob(_) | Request::DeleteBlob(_) => {
                self.blob(request)
            }
            // It issues none, as a server of before.
            Request::FetchIssuerKeys => refuse(ErrorCode::Malformed),
            Request::FetchTrustList { .. } => {
                Ok(Response::FetchTrustList(FetchTrustListReply { number: 0, list: Vec::new() }))
            }
            Request::PrekeyStatus => unreachable!("answered by `proved`"),
            Request::Acknowledge(_) => unreachable!("answered by `proved`"),
            other => panic!("no test sends {other:?} at generation {generation}"),
        }
    }

    /// Answers a device that has proved itself.
    pub(super) fn proved(
        &mut self,
        (address, device_id): (&Address, u32),
        request: &Request,
    ) -> Result<Response, ErrorReply> {
        self.log.push(request.clone());
        let keys = self.account(address)?.statement.device_keys(device_id);
        let keys = keys.ok_or_else(|| ErrorReply::new(ErrorCode::UnknownDevice, ""))?;
        let device = self.device(address, device_id)?;
        let sequence = device.uploads.last().map_or(0, |upload| upload.sequence);
        match request {
            Request::PrekeyStatus => {
                let left = u32::try_from(device.one_time() - device.given).unwrap();
                let (one_time_prekeys, one_time_kem_prekeys) = (left, left);
                Ok(Response::PrekeyStatus(PrekeyStatusReply { one_time_prekeys, one_time_kem_prekeys, sequence }))
            }
            Request::PublishPrekeys(encoded) => {
                let upload = PrekeyUpload::verify(encoded, &keys.signing_key).unwrap();
                if upload.sequence <= sequence {
                    return refuse(ErrorCode::PrekeySequence);
                }
                device.uploads.push(upload);
                Ok(Response::Done)
            }
            Request::SetDeliveryKeys(hashes) => {
                self.account(address)?.delivery_keys = hashes.clone();
                Ok(Response::Done)
            }
            Request::SetDeviceWake(endpoint) => {
                if let Some(code) = self.wake_refused {
                    return refuse(code);
                }
                self.wakes.insert((address.clone(), device_id), endpoint.clone());
                Ok(Response::Done)
            }
            other => panic!("no test proves a device for {other:?}"),
        }
    }

    pub(super) fn account(&mut self, address: &Address) -> Result<&mut ServerAccount, ErrorReply> {
        self.accounts.get_mut(address).ok_or_else(|| ErrorReply::new(ErrorCode::UnknownAccount, ""))
    }

    pub(super) fn device(&mut self, address: &Address, device_id: u32) -> Result<&mut ServerDevice, ErrorReply> {
        let device = self.account(address)?.devices.get_mut(&device_id);
        device.ok_or_else(|| ErrorReply::new(ErrorCode::UnknownDevice, ""))
    }

    /// Takes the next statement of an account: devices that it lists no more go with their queues and prekeys.
    pub(super) fn publish(&mut self, statement: Statement) -> Result<(), ErrorReply> {
        let account = self.account(&statement.address().clone())?;
        if statement == account.statement {
            return Ok(());
        }
        statement.follows(&account.statement).map_err(|error| {
            let code = match error {
                StatementError::NotNewer | StatementError::PreviousHash => ErrorCode::StatementVersion,
                _ => ErrorCode::StatementRefused,
            };
            ErrorReply::new(code, error.to_string())
        })?;
        account.devices.retain(|id, _| statement.device(*id).is_some());
        for id in statement.devices().iter().map(DeviceCertificate::device_id) {
            account.devices.entry(id).or_default();
        }
        account.statement = statement;
        Ok(())
    }

    fn publish_encoded(&mut self, encoded: &[u8]) -> Result<Response, ErrorReply> {
        let statement = Statement::decode(encoded).map_err(|_| ErrorReply::new(ErrorCode::StatementRefused, ""))?;
        self.publish(statement).map(|()| Response::Done)
    }

    /// Blobs of one piece.
    fn blob(&mut self, request: &Request) -> Result<Response, ErrorReply> {
        match request {
            Request::BeginBlob(begin) => {
                let blob = self.blobs.entry(begin.id).or_insert_with(|| Blob {
                    upload_secret: begin.upload_secret,
                    parts: BTreeMap::new(),
                    expires: self.now + BLOB_KEPT_MS,
                });
                if blob.upload_secret != begin.upload_secret {
                    return refuse(ErrorCode::BlobMismatch);
                }
                Ok(Response::BeginBlob(BeginBlobReply { stored_pieces: vec![0], expires: blob.expires }))
            }
            Request::PutBlobPiece(put) => match self.blobs.get_mut(&put.id) {
                None => refuse(ErrorCode::UnknownBlob),
                Some(blob) if blob.upload_secret != put.upload_secret => refuse(ErrorCode::BlobMismatch),
                Some(blob) => {
                    let stored = blob.parts.entry(0).or_insert_with(|| put.data.clone());
                    match *stored == put.data {
                        true => Ok(Response::PutBlobPiece(PutBlobPieceReply { complete: true })),
                        false => refuse(ErrorCode::BlobMismatch),
                    }
                }
            },
            Request::FetchBlob(fetch) => match self.blobs.get(&fetch.id).and_then(|blob| blob.parts.get(&0)) {
                None => refuse(ErrorCode::UnknownBlob),
                Some(data) => {
                    let blob_length = data.len() as u64;
                    Ok(Response::FetchBlob(FetchBlobReply { data: data.clone(), blob_length }))
                }
            },
            Request::DeleteBlob(delete) => match self.blobs.get(&delete.id) {
                Some(blob) if blob.upload_secret != delete.upload_secret => refuse(ErrorCode::BlobMismatch),
                _ => {
                    self.blobs.remove(&delete.id);
                    Ok(Response::Done)
                }
            },
            other => unreachable!("{other:?} is about no blob"),
        }
    }

    /// The submissions that have come, repeats included.
    pub(super) fn submitted(&self) -> Vec<Submit> {
        let submits = self.log.iter().filter_map(|request| match request {
            Request::Submit(submit) => Some(submit.clone()),
            _ => None,
        });
        submits.collect()
    }

    fn register(&mut self, register: &Register) -> Result<Response, ErrorReply> {
        let statement = Statement::decode(&register.statement).unwrap();
        let address = statement.address().clone();
        if let Some(account) = self.accounts.get(&address) {
            let same = account.statement == statement;
            return if same { Ok(Response::Done) } else { refuse(ErrorCode::AddressTaken) };
        }
        let device = &statement.devices()[0];
        let upload = PrekeyUpload::verify(&register.prekeys[0], &device.keys().signing_key).unwrap();
        let kept = ServerDevice { uploads: vec![upload], ..ServerDevice::default() };
        let devices = BTreeMap::from([(device.device_id(), kept)]);
        self.accounts.insert(address, ServerAccount { statement, devices, delivery_keys: Vec::new() });
        Ok(Response::Done)
    }

    fn submit(&mut self, submit: &Submit, encoded: Vec<u8>) -> Result<Response, ErrorReply> {
        let (now, name) = (self.now, (submit.address.clone(), submit.id));
        if let Some(known) = self.submissions.get(&name) {
            let duplicate = *known == encoded;
            return match duplicate {
                true => Ok(Response::Submit(SubmitReply { duplicate })),
                false => refuse(ErrorCode::SubmissionIdReused),
            };
        }
        let account = self.account(&submit.address)?;
        account.check_devices(&submit.envelopes.iter().map(|one| one.device_id).collect::<Vec<_>>())?;
        let is_lost = self.losing > 0;
        self.losing = self.losing.saturating_sub(1);
        let account = self.account(&submit.address)?;
        let knows = |key: &DeliveryKey| key.is_among(&submit.address, &account.delivery_keys);
        let lane = match account.delivery_keys.is_empty() || submit.delivery_key.as_ref().is_some_and(knows) {
            true => Lane::Normal,
            false => Lane::Request,
        };
        for one in submit.envelopes.iter().filter(|_| !is_lost) {
            account.devices.get_mut(&one.device_id).unwrap().enqueue_in(lane, one.envelope.clone(), now);
        }
        self.submissions.insert(name, encoded);
        Ok(Response::Submit(SubmitReply { duplicate: false }))
    }
}

impl ServerAccount {
    /// A bundle of every device that has prekeys.
    fn bundles(&mut self) -> Result<Response, ErrorReply> {
        let bundles: Vec<_> = self.devices.iter_mut().filter_map(|(id, device)| device.bundle(*id)).collect();
        if bundles.is_empty() {
            return refuse(ErrorCode::RateLimited);
        }
        let statement = self.statement.encoded().to_vec();
        Ok(Response::FetchPrekeys(FetchPrekeysReply { statement, bundles, one_time_withheld: false }))
    }

    /// An envelope is due for each device that has prekeys, and allowed for each that is listed, once.
    fn check_devices(&self, given: &[u32]) -> Result<(), ErrorReply> {
        let due = self.devices.iter().filter(|(_, device)| !device.uploads.is_empty());
        let missing: Vec<u32> = due.map(|(id, _)| *id).filter(|id| !given.contains(id)).collect();
        let mut seen = BTreeSet::new();
        let wrong = |id: &u32| !seen.insert(*id) || !self.devices.contains_key(id);
        let extra: BTreeSet<u32> = given.iter().copied().filter(wrong).collect();
        if missing.is_empty() && extra.is_empty() && !given.is_empty() {
            return Ok(());
        }
        let mut error = ErrorReply::new(ErrorCode::StaleDevices, "");
        let (extra, statement_version) = (extra.into_iter().collect(), self.statement.version());
        error.stale_devices = Some(StaleDevices { missing, extra, statement_version });
        Err(error)
    }
}

impl ServerDevice {
    fn one_time(&self) -> usize {
        self.uploads.iter().map(|upload| upload.one_time_prekeys.len()).sum()
    }

    fn bundle(&mut self, device_id: u32) -> Option<Vec<u8>> {
        let newest = self.uploads.last()?;
        let one_time = self.uploads.iter().flat_map(|upload| &upload.one_time_prekeys).nth(self.given);
        let kem = self.uploads.iter().flat_map(|upload| &upload.one_time_kem_prekeys).nth(self.given);
        let bundle = EncodedBundle {
            device_id,
            signed_prekey: newest.signed_prekey.encode(),
            one_time_prekey: one_time.map(OneTimePrekey::encode),
            kem_prekey: kem.unwrap_or(&newest.last_resort_kem_prekey).encode(),
            seal_prekey: newest.seal_prekey.encode(),
        };
        self.given = (self.given + 1).min(self.one_time());
        Some(bundle.encode())
    }

    pub(super) fn enqueue(&mut self, envelope: Vec<u8>, received: u64) {
        self.enqueue_in(Lane::Normal, envelope, received);
    }

    fn enqueue_in(&mut self, lane: Lane, envelope: Vec<u8>, received: u64) {
        self.last_sequence += 1;
        self.queue.push(Delivery { sequence: self.last_sequence, received, envelope, lane });
    }
}

pub(super) fn refuse<T>(code: ErrorCode) -> Result<T, ErrorReply> {
    Err(ErrorReply::new(code, ""))
}
