//! What a client asks.

use prost::Message;

use super::blob::{BeginBlob, DeleteBlob, FetchBlob, PutBlobPiece};
use super::group_log::{
    AppendGroupEntry, CreateGroupLog, FetchGroupEntries, SetGroupWake, SignalGroup, WatchGroupLogs,
};
use super::own_account::FetchOwnData;
use super::token::{DrawVoucher, Payment, RedeemVoucher, TokenRequest, delivery_key_hashes};
use super::{Transport, check_content, check_frame, push, statement};
use crate::Address;
use crate::delivery_key::DeliveryKey;
use crate::limits::{DEVICES_MAX, ENVELOPE_SIZES};
use crate::push_endpoint::PushEndpoint;
use crate::wire::{WireError, fixed, proto};

/// What a client asks. One a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// First of every connection.
    Hello,
    /// Proof of device.
    Authenticate(Authenticate),
    /// Makes an account.
    Register(Register),
    /// Replaces the account statement: an encoded `SignedStatement`.
    PublishStatement(Vec<u8>),
    /// Hands over prekeys: an encoded `SignedPrekeyUpload`.
    PublishPrekeys(Vec<u8>),
    /// How many one-time prekeys are left.
    PrekeyStatus,
    /// Deletes the account.
    DeleteAccount(DeleteAccount),
    /// Opens the push of queued envelopes.
    Subscribe,
    /// Everything up to a number has been committed by the device.
    Acknowledge(Acknowledge),
    /// The newest statement of an account.
    FetchStatement(Address),
    /// Statement and one prekey bundle a device; takes one-time keys.
    FetchPrekeys(FetchPrekeys),
    /// Puts envelopes into the queues of a recipient's devices.
    Submit(Submit),
    /// Begins a blob, or asks how far it has come.
    BeginBlob(BeginBlob),
    /// Hands over one piece of a blob.
    PutBlobPiece(PutBlobPiece),
    /// Asks for bytes of a whole blob.
    FetchBlob(FetchBlob),
    /// Deletes a blob, finished or not.
    DeleteBlob(DeleteBlob),
    /// Makes a group log.
    CreateGroupLog(CreateGroupLog),
    /// Appends to a group log.
    AppendGroupEntry(AppendGroupEntry),
    /// Asks for entries of an epoch of a group log.
    FetchGroupEntries(FetchGroupEntries),
    /// Opens the push of group logs.
    WatchGroupLogs(WatchGroupLogs),
    /// Tells those who watch a group log something that is not kept.
    SignalGroup(SignalGroup),
    /// Says where a reader of a group log is woken.
    SetGroupWake(SetGroupWake),
    /// Hands over key packages: an encoded `SignedKeyPackageUpload`.
    PublishKeyPackages(Vec<u8>),
    /// How many one-time key packages are left.
    KeyPackageStatus,
    /// Statement and one key package a device; takes one-time ones.
    FetchKeyPackages(FetchKeyPackages),
    /// The server's issuer keys and prices.
    FetchIssuerKeys,
    /// Draws tokens of the account's day.
    DrawTokens(TokenRequest),
    /// Draws a voucher for another server.
    DrawVoucher(DrawVoucher),
    /// Draws tokens for a voucher of another server.
    RedeemVoucher(RedeemVoucher),
    /// Replaces the account's delivery keys, of which the server keeps hashes; at most
    /// [`DELIVERY_KEYS_MAX`](crate::limits::DELIVERY_KEYS_MAX).
    SetDeliveryKeys(Vec<[u8; 32]>),
    /// The licence of the tenant that the own account belongs to.
    FetchTenant,
    /// Everything that the server has of the own account.
    FetchOwnData(FetchOwnData),
    /// The trust list that the server follows, if its number is above the known one.
    FetchTrustList {
        /// Number of the list that the client has; 0: none.
        known: u64,
    },
    /// Says where the own device is woken; `None`: nowhere.
    SetDeviceWake(Option<PushEndpoint>),
    /// Which push services the server calls.
    FetchPushServices,
}

/// A proof of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticate {
    /// The account.
    pub address: Address,
    /// The device, 1 and up.
    pub device_id: u32,
    /// As the client sees it.
    pub transport: Transport,
    /// Whether the signature covers the TLS exporter.
    pub exporter_bound: bool,
    /// Ed25519, by the device key.
    pub signature: [u8; 64],
    /// Generation of the device's store.
    pub generation: u64,
}

/// Makes an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The secret out of the invitation code.
    pub invitation: [u8; 16],
    /// An encoded `SignedStatement`, version 1.
    pub statement: Vec<u8>,
    /// Encoded `SignedPrekeyUpload`s, one a device.
    pub prekeys: Vec<Vec<u8>>,
}

/// Deletes an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteAccount {
    /// The account.
    pub address: Address,
    /// The version of its current statement.
    pub statement_version: u64,
    /// Ed25519, by the account key.
    pub signature: [u8; 64],
}

/// The device has committed what it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledge {
    /// Of the server's store, as the subscription told it.
    pub incarnation: [u8; 16],
    /// The highest sequence number committed.
    pub up_to: u64,
    /// Generation of the device's store after that commit.
    pub generation: u64,
}

/// Statement and bundles of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPrekeys {
    /// The account.
    pub address: Address,
    /// What pays for it.
    pub payment: Payment,
}

/// Statement and key packages of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchKeyPackages {
    /// The account.
    pub address: Address,
    /// What pays for it.
    pub payment: Payment,
}

/// Envelopes for all devices of one recipient, taken all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Random; the same id gets the first answer again.
    pub id: [u8; 16],
    /// The recipient.
    pub address: Address,
    /// One a device.
    pub envelopes: Vec<DeviceEnvelope>,
    /// What pays for it.
    pub payment: Payment,
    /// As the recipient gave it to the sender. Without the right one it goes into the request lane.
    pub delivery_key: Option<DeliveryKey>,
}

/// One device's envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEnvelope {
    /// The device.
    pub device_id: u32,
    /// Encoded, of one of [`ENVELOPE_SIZES`].
    pub envelope: Vec<u8>,
}

impl Request {
    /// The bytes of one frame, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::request::Request as R;
        let request = match self.clone() {
            Self::Hello => R::Hello(proto::Hello {}),
            Self::Authenticate(proof) => R::Authenticate(proto::Authenticate {
                address: proof.address.to_string(),
                device_id: proof.device_id,
                transport: proof.transport.encode(),
                exporter_bound: proof.exporter_bound,
                signature: proof.signature.to_vec(),
                generation: proof.generation,
            }),
            Self::Register(register) => R::Register(proto::Register {
                invitation: register.invitation.to_vec(),
                statement: register.statement,
                prekeys: register.prekeys,
            }),
            Self::PublishStatement(statement) => R::PublishStatement(proto::PublishStatement { statement }),
            Self::PublishPrekeys(upload) => R::PublishPrekeys(proto::PublishPrekeys { upload }),
            Self::PrekeyStatus => R::PrekeyStatus(proto::PrekeyStatus {}),
            Self::DeleteAccount(deletion) => R::DeleteAccount(proto::DeleteAccount {
                address: deletion.address.to_string(),
                statement_version: deletion.statement_version,
                signature: deletion.signature.to_vec(),
            }),
            Self::Subscribe => R::Subscribe(proto::Subscribe {}),
            Self::Acknowledge(acknowledge) => R::Acknowledge(proto::Acknowledge {
                incarnation: acknowledge.incarnation.to_vec(),
                up_to: acknowledge.up_to,
                generation: acknowledge.generation,
            }),
            Self::FetchStatement(address) => R::FetchStatement(proto::FetchStatement { address: address.to_string() }),
            Self::FetchPrekeys(fetch) => R::FetchPrekeys(proto::FetchPrekeys {
                address: fetch.address.to_string(),
                payment: Some(fetch.payment.encode()),
            }),
            Self::Submit(submit) => R::Submit(proto::Submit {
                id: submit.id.to_vec(),
                address: submit.address.to_string(),
                envelopes: submit
                    .envelopes
                    .into_iter()
                    .map(|one| proto::DeviceEnvelope { device_id: one.device_id, envelope: one.envelope })
                    .collect(),
                payment: Some(submit.payment.encode()),
                delivery_key: submit.delivery_key.map_or_else(Vec::new, |key| key.as_bytes().to_vec()),
            }),
            Self::BeginBlob(begin) => R::BeginBlob(begin.to_proto()),
            Self::PutBlobPiece(piece) => R::PutBlobPiece(piece.into_proto()),
            Self::FetchBlob(fetch) => R::FetchBlob(fetch.to_proto()),
            Self::DeleteBlob(deletion) => R::DeleteBlob(deletion.to_proto()),
            Self::CreateGroupLog(create) => R::CreateGroupLog(create.to_proto()),
            Self::AppendGroupEntry(append) => R::AppendGroupEntry(append.to_proto()),
            Self::FetchGroupEntries(fetch) => R::FetchGroupEntries(fetch.to_proto()),
            Self::WatchGroupLogs(watch) => R::WatchGroupLogs(watch.to_proto()),
            Self::SignalGroup(signal) => R::SignalGroup(signal.to_proto()),
            Self::SetGroupWake(wake) => R::SetGroupWake(wake.to_proto()),
            Self::PublishKeyPackages(upload) => R::PublishKeyPackages(proto::PublishKeyPackages { upload }),
            Self::KeyPackageStatus => R::KeyPackageStatus(proto::KeyPackageStatus {}),
            Self::FetchKeyPackages(fetch) => R::FetchKeyPackages(proto::FetchKeyPackages {
                address: fetch.address.to_string(),
                payment: Some(fetch.payment.encode()),
            }),
            Self::FetchIssuerKeys => R::FetchIssuerKeys(proto::FetchIssuerKeys {}),
            Self::DrawTokens(request) => R::DrawTokens(proto::DrawTokens { request: Some(request.to_proto()) }),
            Self::DrawVoucher(draw) => R::DrawVoucher(draw.to_proto()),
            Self::RedeemVoucher(redeem) => R::RedeemVoucher(redeem.to_proto()),
            Self::SetDeliveryKeys(hashes) => {
                R::SetDeliveryKeys(proto::SetDeliveryKeys { hashes: hashes.iter().map(|hash| hash.to_vec()).collect() })
            }
            Self::FetchTenant => R::FetchTenant(proto::FetchTenant {}),
            Self::FetchOwnData(fetch) => R::FetchOwnData(fetch.to_proto()),
            Self::FetchTrustList { known } => R::FetchTrustList(proto::FetchTrustList { known }),
            Self::SetDeviceWake(endpoint) => R::SetDeviceWake(push::device_wake(endpoint.as_ref())),
            Self::FetchPushServices => R::FetchPushServices(proto::FetchPushServices {}),
        };
        proto::Request { request: Some(request) }.encode_to_vec()
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// [`WireError`] names the first field that is not as `spec/transport.md` has it.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::request::Request as R;
        check_frame(bytes)?;
        let request = proto::Request::decode(bytes)?.request.ok_or(WireError::Missing("request"))?;
        check_content(bytes, matches!(request, R::AppendGroupEntry(_)))?;
        Ok(match request {
            R::Hello(_) => Self::Hello,
            R::Authenticate(proof) => Self::Authenticate(Authenticate {
                address: address(&proof.address)?,
                device_id: device_id(proof.device_id)?,
                transport: Transport::decode(proof.transport)?,
                exporter_bound: proof.exporter_bound,
                signature: fixed(&proof.signature, "signature")?,
                generation: proof.generation,
            }),
            R::Register(register) => {
                if register.prekeys.is_empty() || register.prekeys.len() > DEVICES_MAX {
                    return Err(WireError::Bounds("prekeys"));
                }
                Self::Register(Register {
                    invitation: fixed(&register.invitation, "invitation")?,
                    statement: statement(register.statement)?,
                    prekeys: register.prekeys,
                })
            }
            R::PublishStatement(publish) => Self::PublishStatement(statement(publish.statement)?),
            R::PublishPrekeys(publish) => Self::PublishPrekeys(publish.upload),
            R::PrekeyStatus(_) => Self::PrekeyStatus,
            R::DeleteAccount(deletion) => Self::DeleteAccount(DeleteAccount {
                address: address(&deletion.address)?,
                statement_version: deletion.statement_version,
                signature: fixed(&deletion.signature, "signature")?,
            }),
            R::Subscribe(_) => Self::Subscribe,
            R::Acknowledge(acknowledge) => Self::Acknowledge(Acknowledge {
                incarnation: fixed(&acknowledge.incarnation, "incarnation")?,
                up_to: acknowledge.up_to,
                generation: acknowledge.generation,
            }),
            R::FetchStatement(fetch) => Self::FetchStatement(address(&fetch.address)?),
            R::FetchPrekeys(fetch) => Self::FetchPrekeys(FetchPrekeys {
                address: address(&fetch.address)?,
                payment: Payment::decode(fetch.payment)?,
            }),
            R::Submit(submit) => Self::Submit(Submit {
                id: fixed(&submit.id, "id")?,
                address: address(&submit.address)?,
                envelopes: envelopes(submit.envelopes)?,
                payment: Payment::decode(submit.payment)?,
                delivery_key: delivery_key(&submit.delivery_key)?,
            }),
            R::BeginBlob(begin) => Self::BeginBlob(BeginBlob::from_proto(begin)?),
            R::PutBlobPiece(piece) => Self::PutBlobPiece(PutBlobPiece::from_proto(piece)?),
            R::FetchBlob(fetch) => Self::FetchBlob(FetchBlob::from_proto(&fetch)?),
            R::DeleteBlob(deletion) => Self::DeleteBlob(DeleteBlob::from_proto(&deletion)?),
            R::CreateGroupLog(create) => Self::CreateGroupLog(CreateGroupLog::from_proto(create)?),
            R::AppendGroupEntry(append) => Self::AppendGroupEntry(AppendGroupEntry::from_proto(append)?),
            R::FetchGroupEntries(fetch) => Self::FetchGroupEntries(FetchGroupEntries::from_proto(&fetch)?),
            R::WatchGroupLogs(watch) => Self::WatchGroupLogs(WatchGroupLogs::from_proto(&watch)?),
            R::SignalGroup(signal) => Self::SignalGroup(SignalGroup::from_proto(signal)?),
            R::SetGroupWake(wake) => Self::SetGroupWake(SetGroupWake::from_proto(&wake)?),
            R::PublishKeyPackages(publish) => Self::PublishKeyPackages(publish.upload),
            R::KeyPackageStatus(_) => Self::KeyPackageStatus,
            R::FetchTenant(_) => Self::FetchTenant,
            R::FetchOwnData(fetch) => Self::FetchOwnData(FetchOwnData::from_proto(&fetch)),
            R::FetchKeyPackages(fetch) => Self::FetchKeyPackages(FetchKeyPackages {
                address: address(&fetch.address)?,
                payment: Payment::decode(fetch.payment)?,
            }),
            R::FetchIssuerKeys(_) => Self::FetchIssuerKeys,
            R::DrawTokens(draw) => Self::DrawTokens(TokenRequest::from_proto(draw.request)?),
            R::DrawVoucher(draw) => Self::DrawVoucher(DrawVoucher::from_proto(draw)?),
            R::RedeemVoucher(redeem) => Self::RedeemVoucher(RedeemVoucher::from_proto(redeem)?),
            R::SetDeliveryKeys(keys) => Self::SetDeliveryKeys(delivery_key_hashes(&keys.hashes)?),
            R::FetchTrustList(fetch) => Self::FetchTrustList { known: fetch.known },
            R::SetDeviceWake(wake) => Self::SetDeviceWake(push::endpoint(&wake.endpoint)?),
            R::FetchPushServices(_) => Self::FetchPushServices,
        })
    }
}

fn address(text: &str) -> Result<Address, WireError> {
    Address::from_canonical(text).map_err(|_| WireError::Bounds("address"))
}

fn device_id(id: u32) -> Result<u32, WireError> {
    if id == 0 { Err(WireError::Bounds("device_id")) } else { Ok(id) }
}

fn delivery_key(bytes: &[u8]) -> Result<Option<DeliveryKey>, WireError> {
    if bytes.is_empty() { Ok(None) } else { Ok(Some(DeliveryKey::from(fixed(bytes, "delivery_key")?))) }
}

/// One envelope a device, of sizes that envelopes have.
fn envelopes(envelopes: Vec<proto::DeviceEnvelope>) -> Result<Vec<DeviceEnvelope>, WireError> {
    if envelopes.is_empty() || envelopes.len() > DEVICES_MAX {
        return Err(WireError::Bounds("envelopes"));
    }
    let mut parsed: Vec<DeviceEnvelope> = Vec::with_capacity(envelopes.len());
    for one in envelopes {
        let device_id = device_id(one.device_id)?;
        if parsed.iter().any(|other| other.device_id == device_id) {
            return Err(WireError::Bounds("device_id"));
        }
        if !ENVELOPE_SIZES.contains(&one.envelope.len()) {
            return Err(WireError::Bounds("envelope"));
        }
        parsed.push(DeviceEnvelope { device_id, envelope: one.envelope });
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(envelopes: Vec<DeviceEnvelope>) -> Request {
        let address = "a@b".parse().unwrap();
        Request::Submit(Submit { id: [1; 16], address, envelopes, payment: Payment::None, delivery_key: None })
    }

    #[test]
    fn requests_come_back_as_they_were_sent() {
        let address: Address = "claire@clinic.example".parse().unwrap();
        let requests = [
            Request::Hello,
            Request::Authenticate(Authenticate {
                address: address.clone(),
                device_id: 1,
                transport: Transport::Quic,
                exporter_bound: true,
                signature: [7; 64],
                generation: 9,
            }),
            Request::Register(Register { invitation: [2; 16], statement: vec![1], prekeys: vec![vec![2]] }),
            Request::PublishStatement(vec![3]),
            Request::PublishPrekeys(vec![4]),
            Request::PrekeyStatus,
            Request::DeleteAccount(DeleteAccount {
                address: address.clone(),
                statement_version: 3,
                signature: [8; 64],
            }),
            Request::Subscribe,
            Request::Acknowledge(Acknowledge { incarnation: [5; 16], up_to: 6, generation: 7 }),
            Request::FetchStatement(address.clone()),
            Request::FetchPrekeys(FetchPrekeys { address, payment: Payment::None }),
            submit(vec![DeviceEnvelope { device_id: 1, envelope: vec![0; 4096] }]),
            Request::Submit(Submit {
                id: [1; 16],
                address: "a@b".parse().unwrap(),
                envelopes: vec![DeviceEnvelope { device_id: 1, envelope: vec![0; 4096] }],
                payment: Payment::None,
                delivery_key: Some(DeliveryKey::from([7; 16])),
            }),
        ];
        for request in requests {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn submissions_out_of_bounds_are_refused_by_field() {
        let decode = |envelopes| Request::decode(&submit(envelopes).encode());
        let envelope = |device_id, length| DeviceEnvelope { device_id, envelope: vec![0; length] };
        assert_eq!(decode(vec![]), Err(WireError::Bounds("envelopes")));
        assert_eq!(decode(vec![envelope(0, 4096)]), Err(WireError::Bounds("device_id")));
        assert_eq!(decode(vec![envelope(1, 4096), envelope(1, 4096)]), Err(WireError::Bounds("device_id")));
        assert_eq!(decode(vec![envelope(1, 4095)]), Err(WireError::Bounds("envelope")));
        let many = (1..=DEVICES_MAX as u32 + 1).map(|id| envelope(id, 4096)).collect();
        assert_eq!(decode(many), Err(WireError::Bounds("envelopes")));
    }
}
