//! What a server answers, once or, to a subscription, again and again.

use prost::Message;

use super::group_log::{AppendGroupEntryReply, FetchGroupEntriesReply, GroupLogEntry, GroupLogEvent};
use super::key_package::{FetchKeyPackagesReply, KeyPackageStatusReply};
use super::own_account::{FetchOwnDataReply, FetchTenantReply};
use super::push::FetchPushServicesReply;
use super::token::TokenResponse;
use super::{ErrorReply, StaleDevices, Transport, check_content, check_frame, statement};
use crate::limits::{BLOB_LENGTH_MAX, BLOB_PIECE_LENGTH, DEVICES_MAX, TRUST_LIST_LENGTH_MAX};
use crate::wire::{WireError, fixed, proto};

/// Pieces of the largest blob.
const BLOB_PIECES_MAX: usize = BLOB_LENGTH_MAX.div_ceil(BLOB_PIECE_LENGTH as u64) as usize;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The request failed.
    Error(ErrorReply),
    /// To [`Request::Hello`](super::Request::Hello).
    Hello(HelloReply),
    /// To [`Request::Authenticate`](super::Request::Authenticate).
    Authenticate(AuthenticateReply),
    /// To requests with nothing to tell.
    Done,
    /// To [`Request::PrekeyStatus`](super::Request::PrekeyStatus).
    PrekeyStatus(PrekeyStatusReply),
    /// To [`Request::Subscribe`](super::Request::Subscribe), again and again.
    Subscription(SubscriptionEvent),
    /// To [`Request::FetchStatement`](super::Request::FetchStatement): an encoded `SignedStatement`.
    FetchStatement(Vec<u8>),
    /// To [`Request::FetchPrekeys`](super::Request::FetchPrekeys).
    FetchPrekeys(FetchPrekeysReply),
    /// To [`Request::Submit`](super::Request::Submit).
    Submit(SubmitReply),
    /// To [`Request::BeginBlob`](super::Request::BeginBlob).
    BeginBlob(BeginBlobReply),
    /// To [`Request::PutBlobPiece`](super::Request::PutBlobPiece).
    PutBlobPiece(PutBlobPieceReply),
    /// To [`Request::FetchBlob`](super::Request::FetchBlob).
    FetchBlob(FetchBlobReply),
    /// To [`Request::AppendGroupEntry`](super::Request::AppendGroupEntry).
    AppendGroupEntry(AppendGroupEntryReply),
    /// To [`Request::FetchGroupEntries`](super::Request::FetchGroupEntries).
    FetchGroupEntries(FetchGroupEntriesReply),
    /// To [`Request::WatchGroupLogs`](super::Request::WatchGroupLogs), again and again.
    GroupLog(GroupLogEvent),
    /// To [`Request::KeyPackageStatus`](super::Request::KeyPackageStatus).
    KeyPackageStatus(KeyPackageStatusReply),
    /// To [`Request::FetchKeyPackages`](super::Request::FetchKeyPackages).
    FetchKeyPackages(FetchKeyPackagesReply),
    /// To [`Request::FetchIssuerKeys`](super::Request::FetchIssuerKeys): an encoded `SignedIssuerKeys`.
    FetchIssuerKeys(Vec<u8>),
    /// To [`Request::DrawTokens`](super::Request::DrawTokens) and
    /// [`Request::RedeemVoucher`](super::Request::RedeemVoucher).
    DrawTokens(TokenResponse),
    /// To [`Request::DrawVoucher`](super::Request::DrawVoucher): an encoded `SignedVoucher`.
    DrawVoucher(Vec<u8>),
    /// To [`Request::FetchTenant`](super::Request::FetchTenant).
    FetchTenant(FetchTenantReply),
    /// To [`Request::FetchOwnData`](super::Request::FetchOwnData).
    FetchOwnData(FetchOwnDataReply),
    /// To [`Request::FetchTrustList`](super::Request::FetchTrustList).
    FetchTrustList(FetchTrustListReply),
    /// To [`Request::FetchPushServices`](super::Request::FetchPushServices).
    FetchPushServices(FetchPushServicesReply),
}

/// The server's nonce and the proof of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloReply {
    /// Good for one proof of device on this connection.
    pub nonce: [u8; 32],
    /// The domain whose accounts this server keeps.
    pub domain: String,
    /// Ed25519.
    pub server_key: [u8; 32],
    /// Ed25519, by the server key.
    pub signature: [u8; 64],
    /// As the server sees it.
    pub transport: Transport,
}

/// The answer to a proof of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticateReply {
    /// Highest generation that the device reported before.
    pub highest_generation: u64,
    /// Version of the account's statement at the server.
    pub statement_version: u64,
    /// Of the server's store.
    pub incarnation: [u8; 16],
}

/// What is left at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeyStatusReply {
    /// X25519 one-time prekeys.
    pub one_time_prekeys: u32,
    /// ML-KEM one-time prekeys.
    pub one_time_kem_prekeys: u32,
    /// Of the last upload.
    pub sequence: u64,
}

/// Answer to [`Request::FetchPrekeys`](super::Request::FetchPrekeys).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPrekeysReply {
    /// An encoded `SignedStatement`.
    pub statement: Vec<u8>,
    /// Encoded `PrekeyBundle`s.
    pub bundles: Vec<Vec<u8>>,
    /// Others have asked for this account's prekeys so often that the bundles have no one-time keys.
    pub one_time_withheld: bool,
}

/// Answer to [`Request::Submit`](super::Request::Submit): the envelopes are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmitReply {
    /// This id had been taken before.
    pub duplicate: bool,
}

/// How far a blob has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginBlobReply {
    /// Which pieces are on the disk: piece i is bit (i mod 8), counted from the lowest, of byte (i div 8).
    pub stored_pieces: Vec<u8>,
    /// When the server drops the blob, in milliseconds since 1970.
    pub expires: u64,
}

/// The piece is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutBlobPieceReply {
    /// So are all others: the blob can be fetched.
    pub complete: bool,
}

/// Bytes of a blob.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchBlobReply {
    /// Fewer than were asked for only where the blob ends.
    pub data: Vec<u8>,
    /// Bytes of the whole blob.
    pub blob_length: u64,
}

/// The trust list that a server follows. The server is not trusted for it: the list's signer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTrustListReply {
    /// Its number; 0: the server follows none.
    pub number: u64,
    /// An encoded `SignedTrustList` if the number is above the known one; empty otherwise.
    pub list: Vec<u8>,
}

impl std::fmt::Debug for FetchBlobReply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FetchBlobReply({} of {} bytes)", self.data.len(), self.blob_length)
    }
}

impl BeginBlobReply {
    /// Whether a piece is on the disk.
    #[must_use]
    pub fn is_stored(&self, index: u32) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|byte| self.stored_pieces.get(byte));
        byte.is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }
}

/// What a subscription pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionEvent {
    /// First: the incarnation of the server's store.
    Open([u8; 16]),
    /// An envelope.
    Delivery(Delivery),
    /// Everything so far has been pushed and acknowledged.
    QueueEmpty,
    /// A newer subscription of this device has taken over; nothing more comes.
    Displaced,
    /// So many messages ran out of time before the device came for them.
    Expired(u64),
    /// Somebody asks for the account's prekeys more often than the limit: since this time, in milliseconds since 1970 by the
    /// server's clock, one-time keys were withheld.
    PrekeysWithheld(u64),
    /// The server stops; nothing more comes.
    GoAway {
        /// Milliseconds after which to connect again, drawn for this subscription.
        retry_after: u64,
    },
}

/// One queued envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Rises within the queue.
    pub sequence: u64,
    /// Milliseconds since 1970, by the server's clock.
    pub received: u64,
    /// Encoded envelope.
    pub envelope: Vec<u8>,
    /// Whether its sender knew a delivery key.
    pub lane: Lane,
}

/// How an envelope came to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// With a delivery key of the account, or the account has none.
    Normal,
    /// From somebody who does not know a delivery key.
    Request,
}

impl Response {
    /// The bytes of one frame, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::response::Response as R;
        let response = match self.clone() {
            Self::Error(error) => R::Error(proto::Error {
                code: error.code,
                message: error.message,
                stale_devices: error.stale_devices.map(|stale| proto::StaleDevices {
                    missing: stale.missing,
                    extra: stale.extra,
                    statement_version: stale.statement_version,
                }),
                retry_after: error.retry_after,
                closing_commit: error.closing_commit.as_deref().map(GroupLogEntry::to_proto),
            }),
            Self::Hello(hello) => R::Hello(proto::HelloReply {
                nonce: hello.nonce.to_vec(),
                domain: hello.domain,
                server_key: hello.server_key.to_vec(),
                signature: hello.signature.to_vec(),
                transport: hello.transport.encode(),
            }),
            Self::Authenticate(reply) => R::Authenticate(proto::AuthenticateReply {
                highest_generation: reply.highest_generation,
                statement_version: reply.statement_version,
                incarnation: reply.incarnation.to_vec(),
            }),
            Self::Done => R::Done(proto::Done {}),
            Self::PrekeyStatus(status) => R::PrekeyStatus(proto::PrekeyStatusReply {
                one_time_prekeys: status.one_time_prekeys,
                one_time_kem_prekeys: status.one_time_kem_prekeys,
                sequence: status.sequence,
            }),
            Self::Subscription(event) => R::Subscription(event.encode()),
            Self::FetchStatement(statement) => R::FetchStatement(proto::FetchStatementReply { statement }),
            Self::FetchPrekeys(reply) => R::FetchPrekeys(proto::FetchPrekeysReply {
                statement: reply.statement,
                bundles: reply.bundles,
                one_time_withheld: reply.one_time_withheld,
            }),
            Self::Submit(reply) => R::Submit(proto::SubmitReply { duplicate: reply.duplicate }),
            Self::BeginBlob(reply) => {
                R::BeginBlob(proto::BeginBlobReply { stored_pieces: reply.stored_pieces, expires: reply.expires })
            }
            Self::PutBlobPiece(reply) => R::PutBlobPiece(proto::PutBlobPieceReply { complete: reply.complete }),
            Self::FetchBlob(reply) => {
                R::FetchBlob(proto::FetchBlobReply { data: reply.data, blob_length: reply.blob_length })
            }
            Self::AppendGroupEntry(reply) => R::AppendGroupEntry(reply.to_proto()),
            Self::FetchGroupEntries(reply) => R::FetchGroupEntries(reply.to_proto()),
            Self::GroupLog(event) => R::GroupLog(event.to_proto()),
            Self::KeyPackageStatus(reply) => R::KeyPackageStatus(reply.to_proto()),
            Self::FetchKeyPackages(reply) => R::FetchKeyPackages(reply.to_proto()),
            Self::FetchIssuerKeys(keys) => R::FetchIssuerKeys(proto::FetchIssuerKeysReply { keys }),
            Self::DrawTokens(reply) => R::DrawTokens(proto::DrawTokensReply { response: Some(reply.to_proto()) }),
            Self::DrawVoucher(voucher) => R::DrawVoucher(proto::DrawVoucherReply { voucher }),
            Self::FetchTenant(reply) => R::FetchTenant(reply.to_proto()),
            Self::FetchOwnData(reply) => R::FetchOwnData(reply.to_proto()),
            Self::FetchTrustList(reply) => {
                R::FetchTrustList(proto::FetchTrustListReply { number: reply.number, list: reply.list })
            }
            Self::FetchPushServices(reply) => R::FetchPushServices(reply.to_proto()),
        };
        proto::Response { response: Some(response) }.encode_to_vec()
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// [`WireError`] names the first field that is not as `spec/transport.md` has it.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::response::Response as R;
        check_frame(bytes)?;
        let response = proto::Response::decode(bytes)?.response.ok_or(WireError::Missing("response"))?;
        let with_entries = matches!(response, R::Error(_) | R::FetchGroupEntries(_) | R::GroupLog(_));
        check_content(bytes, with_entries)?;
        Ok(match response {
            R::Error(error) => Self::Error(ErrorReply {
                code: error.code,
                message: error.message,
                stale_devices: error.stale_devices.map(|stale| StaleDevices {
                    missing: stale.missing,
                    extra: stale.extra,
                    statement_version: stale.statement_version,
                }),
                retry_after: error.retry_after,
                closing_commit: error.closing_commit.map(GroupLogEntry::from_proto).transpose()?.map(Box::new),
            }),
            R::Hello(hello) => Self::Hello(HelloReply {
                nonce: fixed(&hello.nonce, "nonce")?,
                domain: domain(hello.domain)?,
                server_key: fixed(&hello.server_key, "server_key")?,
                signature: fixed(&hello.signature, "signature")?,
                transport: Transport::decode(hello.transport)?,
            }),
            R::Authenticate(reply) => Self::Authenticate(AuthenticateReply {
                highest_generation: reply.highest_generation,
                statement_version: reply.statement_version,
                incarnation: fixed(&reply.incarnation, "incarnation")?,
            }),
            R::Done(_) => Self::Done,
            R::PrekeyStatus(status) => Self::PrekeyStatus(PrekeyStatusReply {
                one_time_prekeys: status.one_time_prekeys,
                one_time_kem_prekeys: status.one_time_kem_prekeys,
                sequence: status.sequence,
            }),
            R::Subscription(event) => Self::Subscription(SubscriptionEvent::decode(event)?),
            R::FetchStatement(reply) => Self::FetchStatement(statement(reply.statement)?),
            R::FetchPrekeys(reply) => {
                if reply.bundles.is_empty() || reply.bundles.len() > DEVICES_MAX {
                    return Err(WireError::Bounds("bundles"));
                }
                Self::FetchPrekeys(FetchPrekeysReply {
                    statement: statement(reply.statement)?,
                    bundles: reply.bundles,
                    one_time_withheld: reply.one_time_withheld,
                })
            }
            R::Submit(reply) => Self::Submit(SubmitReply { duplicate: reply.duplicate }),
            R::BeginBlob(reply) => {
                if reply.stored_pieces.len() > BLOB_PIECES_MAX.div_ceil(8) {
                    return Err(WireError::Bounds("stored_pieces"));
                }
                Self::BeginBlob(BeginBlobReply { stored_pieces: reply.stored_pieces, expires: reply.expires })
            }
            R::PutBlobPiece(reply) => Self::PutBlobPiece(PutBlobPieceReply { complete: reply.complete }),
            R::FetchBlob(reply) => {
                if reply.data.len() > BLOB_PIECE_LENGTH {
                    return Err(WireError::Bounds("data"));
                }
                Self::FetchBlob(FetchBlobReply { data: reply.data, blob_length: reply.blob_length })
            }
            R::AppendGroupEntry(reply) => Self::AppendGroupEntry(AppendGroupEntryReply::from_proto(&reply)?),
            R::FetchGroupEntries(reply) => Self::FetchGroupEntries(FetchGroupEntriesReply::from_proto(reply)?),
            R::GroupLog(event) => Self::GroupLog(GroupLogEvent::from_proto(event)?),
            R::KeyPackageStatus(reply) => Self::KeyPackageStatus(KeyPackageStatusReply::from_proto(&reply)),
            R::FetchKeyPackages(reply) => Self::FetchKeyPackages(FetchKeyPackagesReply::from_proto(reply)?),
            R::FetchIssuerKeys(reply) => Self::FetchIssuerKeys(reply.keys),
            R::DrawTokens(reply) => Self::DrawTokens(TokenResponse::from_proto(reply.response)?),
            R::DrawVoucher(reply) => Self::DrawVoucher(reply.voucher),
            R::FetchTenant(reply) => Self::FetchTenant(FetchTenantReply::from_proto(reply)?),
            R::FetchOwnData(reply) => Self::FetchOwnData(FetchOwnDataReply::from_proto(reply)?),
            R::FetchTrustList(reply) => {
                if reply.list.len() > TRUST_LIST_LENGTH_MAX || (reply.number == 0 && !reply.list.is_empty()) {
                    return Err(WireError::Bounds("list"));
                }
                Self::FetchTrustList(FetchTrustListReply { number: reply.number, list: reply.list })
            }
            R::FetchPushServices(reply) => Self::FetchPushServices(FetchPushServicesReply::from_proto(reply)?),
        })
    }
}

impl SubscriptionEvent {
    fn encode(self) -> proto::SubscriptionEvent {
        use proto::subscription_event::Event as E;
        let event = match self {
            Self::Open(incarnation) => E::Open(proto::SubscriptionOpen { incarnation: incarnation.to_vec() }),
            Self::Delivery(delivery) => E::Delivery(proto::Delivery {
                sequence: delivery.sequence,
                received: delivery.received,
                envelope: delivery.envelope,
                request_lane: delivery.lane == Lane::Request,
            }),
            Self::QueueEmpty => E::QueueEmpty(proto::QueueEmpty {}),
            Self::Displaced => E::Displaced(proto::Displaced {}),
            Self::Expired(count) => E::Expired(proto::Expired { count }),
            Self::PrekeysWithheld(since) => E::PrekeysWithheld(proto::PrekeysWithheld { since }),
            Self::GoAway { retry_after } => E::GoAway(proto::GoAway { retry_after }),
        };
        proto::SubscriptionEvent { event: Some(event) }
    }

    fn decode(event: proto::SubscriptionEvent) -> Result<Self, WireError> {
        use proto::subscription_event::Event as E;
        Ok(match event.event.ok_or(WireError::Missing("event"))? {
            E::Open(open) => Self::Open(fixed(&open.incarnation, "incarnation")?),
            E::Delivery(delivery) => Self::Delivery(Delivery {
                sequence: delivery.sequence,
                received: delivery.received,
                envelope: delivery.envelope,
                lane: if delivery.request_lane { Lane::Request } else { Lane::Normal },
            }),
            E::QueueEmpty(_) => Self::QueueEmpty,
            E::Displaced(_) => Self::Displaced,
            E::Expired(expired) => Self::Expired(expired.count),
            E::PrekeysWithheld(withheld) => Self::PrekeysWithheld(withheld.since),
            E::GoAway(away) => Self::GoAway { retry_after: away.retry_after },
        })
    }
}

fn domain(text: String) -> Result<String, WireError> {
    if crate::address::is_domain(&text) { Ok(text) } else { Err(WireError::Bounds("domain")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transport::{ErrorCode, StaleDevices};

    #[test]
    fn responses_come_back_as_they_were_sent() {
        let stale = StaleDevices { missing: vec![1], extra: vec![2, 3], statement_version: 4 };
        let error = ErrorReply { stale_devices: Some(stale), ..ErrorReply::new(ErrorCode::StaleDevices, "changed") };
        let event = Response::Subscription;
        let delivery = |lane| Delivery { sequence: 11, received: 12, envelope: vec![13], lane };
        let responses = [
            Response::Error(error.retry_after(5)),
            Response::Hello(HelloReply {
                nonce: [1; 32],
                domain: "clinic.example".into(),
                server_key: [2; 32],
                signature: [3; 64],
                transport: Transport::Quic,
            }),
            Response::Authenticate(AuthenticateReply {
                highest_generation: 4,
                statement_version: 5,
                incarnation: [6; 16],
            }),
            Response::Done,
            Response::PrekeyStatus(PrekeyStatusReply { one_time_prekeys: 7, one_time_kem_prekeys: 8, sequence: 9 }),
            event(SubscriptionEvent::Open([10; 16])),
            event(SubscriptionEvent::Delivery(delivery(Lane::Normal))),
            event(SubscriptionEvent::Delivery(delivery(Lane::Request))),
            event(SubscriptionEvent::PrekeysWithheld(22)),
            event(SubscriptionEvent::QueueEmpty),
            event(SubscriptionEvent::Displaced),
            event(SubscriptionEvent::Expired(14)),
            event(SubscriptionEvent::GoAway { retry_after: 22 }),
            Response::FetchStatement(vec![15]),
            Response::FetchPrekeys(FetchPrekeysReply {
                statement: vec![16],
                bundles: vec![vec![17]],
                one_time_withheld: true,
            }),
            Response::Submit(SubmitReply { duplicate: true }),
            Response::BeginBlob(BeginBlobReply { stored_pieces: vec![18], expires: 19 }),
            Response::PutBlobPiece(PutBlobPieceReply { complete: true }),
            Response::FetchBlob(FetchBlobReply { data: vec![20], blob_length: 21 }),
        ];
        for response in responses {
            assert_eq!(Response::decode(&response.encode()), Ok(response));
        }
    }

    #[test]
    fn stored_pieces_are_read_from_the_lowest_bit() {
        let reply = BeginBlobReply { stored_pieces: vec![0b1000_0001, 0b10], expires: 0 };
        let stored: Vec<u32> = (0..40).filter(|index| reply.is_stored(*index)).collect();
        assert_eq!(stored, [0, 7, 9]);
    }
}
