//! `spec/proto/transport.proto`: what passes between a client and a server.

use prost::Message;

use super::{WireError, fixed, proto};
use crate::Address;
use crate::limits::{DEVICES_MAX, ENVELOPE_SIZES, FRAME_LENGTH_MAX, STATEMENT_LENGTH_MAX};

/// How the two ends are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// QUIC with ALPN `medipeps/1`; a TLS exporter can be had.
    Quic,
}

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
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The request failed.
    Error(ErrorReply),
    /// To [`Request::Hello`].
    Hello(HelloReply),
    /// To [`Request::Authenticate`].
    Authenticate(AuthenticateReply),
    /// To requests with nothing to tell.
    Done,
    /// To [`Request::PrekeyStatus`].
    PrekeyStatus(PrekeyStatusReply),
    /// To [`Request::Subscribe`], again and again.
    Subscription(SubscriptionEvent),
    /// To [`Request::FetchStatement`]: an encoded `SignedStatement`.
    FetchStatement(Vec<u8>),
    /// To [`Request::FetchPrekeys`].
    FetchPrekeys(FetchPrekeysReply),
    /// To [`Request::Submit`].
    Submit(SubmitReply),
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

/// What pays for an anonymous request. Tokens come with a later version of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payment {
    /// Nothing; the request counts against the limits of the queue and of the network address.
    None,
}

/// Answer to [`Request::FetchPrekeys`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPrekeysReply {
    /// An encoded `SignedStatement`.
    pub statement: Vec<u8>,
    /// Encoded `PrekeyBundle`s.
    pub bundles: Vec<Vec<u8>>,
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
}

/// One device's envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEnvelope {
    /// The device.
    pub device_id: u32,
    /// Encoded, of one of [`ENVELOPE_SIZES`].
    pub envelope: Vec<u8>,
}

/// Answer to [`Request::Submit`]: the envelopes are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmitReply {
    /// This id had been taken before.
    pub duplicate: bool,
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
}

/// A failed request. Codes are in `spec/errors.md` and [`ErrorCode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply {
    /// The stable code; an unknown one is kept as a number.
    pub code: u32,
    /// For logs, in English, without content.
    pub message: String,
    /// With [`ErrorCode::StaleDevices`].
    pub stale_devices: Option<StaleDevices>,
    /// Milliseconds to wait, with codes that say so; 0 otherwise.
    pub retry_after: u64,
}

/// Which devices a submission should have had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleDevices {
    /// Devices of the recipient without an envelope.
    pub missing: Vec<u32>,
    /// Envelopes for devices that are none of the recipient's.
    pub extra: Vec<u32>,
    /// Version of the recipient's statement.
    pub statement_version: u64,
}

macro_rules! error_codes {
    ($($(#[$documentation:meta])* $name:ident = $code:literal;)*) => {
        /// The stable codes of [`ErrorReply`]; `spec/errors.md` says what a client does about each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorCode { $($(#[$documentation])* $name = $code,)* }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code's name as in `spec/errors.md`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

error_codes! {
    /// The request could not be read, or a field is out of its bounds.
    Malformed = 1;
    /// A frame or field is larger than its limit.
    TooLarge = 2;
    /// The connection did not begin with `Hello`.
    HelloRequired = 3;
    /// The request needs a proof of device on this connection.
    ProofRequired = 4;
    /// The request is anonymous and this connection has proved a device, or the other way round.
    WrongConnection = 5;
    /// The proof of device does not verify: key, nonce, domain or exporter differ.
    ProofRefused = 6;
    /// The proof leaves out the TLS exporter on a transport that has one.
    ExporterRequired = 7;
    /// No such account here.
    UnknownAccount = 10;
    /// No such device in the account's statement.
    UnknownDevice = 11;
    /// The address belongs to another account.
    AddressTaken = 12;
    /// The address is not of this server's domain.
    WrongDomain = 13;
    /// The invitation is unknown.
    InvitationUnknown = 14;
    /// The invitation has been used.
    InvitationUsed = 15;
    /// The invitation has run out.
    InvitationExpired = 16;
    /// The statement does not verify.
    StatementRefused = 17;
    /// The statement is not the one after the current one.
    StatementVersion = 18;
    /// The prekeys do not verify.
    PrekeysRefused = 19;
    /// The upload's sequence number is not above the last one.
    PrekeySequence = 20;
    /// The envelopes do not fit the recipient's devices; `stale_devices` says how.
    StaleDevices = 30;
    /// The recipient's queue is full; `retry_after` is a guess.
    QueueFull = 31;
    /// The same submission id came with other envelopes.
    SubmissionIdReused = 32;
    /// The acknowledgement is for another incarnation of the store.
    WrongIncarnation = 33;
    /// The acknowledgement is for what was never pushed.
    AcknowledgeAhead = 34;
    /// Too many requests; wait `retry_after`.
    RateLimited = 40;
    /// The server is stopping; connect again after `retry_after`.
    ShuttingDown = 41;
    /// The store cannot take anything now; nothing was acknowledged.
    StorageUnavailable = 42;
    /// Something failed that should not have.
    Internal = 43;
}

impl ErrorReply {
    /// An error with neither details nor a time to wait.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code: code as u32, message: message.into(), stale_devices: None, retry_after: 0 }
    }

    /// The same with a time to wait, in milliseconds.
    #[must_use]
    pub const fn retry_after(mut self, milliseconds: u64) -> Self {
        self.retry_after = milliseconds;
        self
    }

    /// The code, if this version knows it.
    #[must_use]
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::ALL.iter().copied().find(|code| *code as u32 == self.code)
    }
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
            }),
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
            }),
        })
    }
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
            Self::FetchPrekeys(reply) => {
                R::FetchPrekeys(proto::FetchPrekeysReply { statement: reply.statement, bundles: reply.bundles })
            }
            Self::Submit(reply) => R::Submit(proto::SubmitReply { duplicate: reply.duplicate }),
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
                Self::FetchPrekeys(FetchPrekeysReply { statement: statement(reply.statement)?, bundles: reply.bundles })
            }
            R::Submit(reply) => Self::Submit(SubmitReply { duplicate: reply.duplicate }),
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
            }),
            Self::QueueEmpty => E::QueueEmpty(proto::QueueEmpty {}),
            Self::Displaced => E::Displaced(proto::Displaced {}),
            Self::Expired(count) => E::Expired(proto::Expired { count }),
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
            }),
            E::QueueEmpty(_) => Self::QueueEmpty,
            E::Displaced(_) => Self::Displaced,
            E::Expired(expired) => Self::Expired(expired.count),
        })
    }
}

impl Transport {
    /// The number that stands for it, on the wire and in what is signed.
    #[must_use]
    pub const fn encode(self) -> i32 {
        match self {
            Self::Quic => proto::Transport::Quic as i32,
        }
    }

    fn decode(number: i32) -> Result<Self, WireError> {
        match proto::Transport::try_from(number) {
            Ok(proto::Transport::Quic) => Ok(Self::Quic),
            Ok(proto::Transport::Unspecified) | Err(_) => Err(WireError::Bounds("transport")),
        }
    }
}

impl Payment {
    fn encode(self) -> proto::Payment {
        match self {
            Self::None => proto::Payment { payment: Some(proto::payment::Payment::None(proto::NoPayment {})) },
        }
    }

    fn decode(payment: Option<proto::Payment>) -> Result<Self, WireError> {
        match payment.and_then(|payment| payment.payment) {
            Some(proto::payment::Payment::None(_)) => Ok(Self::None),
            None => Err(WireError::Missing("payment")),
        }
    }
}

fn check_frame(bytes: &[u8]) -> Result<(), WireError> {
    if bytes.len() > FRAME_LENGTH_MAX { Err(WireError::Bounds("frame")) } else { Ok(()) }
}

fn address(text: &str) -> Result<Address, WireError> {
    Address::from_canonical(text).map_err(|_| WireError::Bounds("address"))
}

fn domain(text: String) -> Result<String, WireError> {
    if crate::address::is_domain(&text) { Ok(text) } else { Err(WireError::Bounds("domain")) }
}

fn device_id(id: u32) -> Result<u32, WireError> {
    if id == 0 { Err(WireError::Bounds("device_id")) } else { Ok(id) }
}

fn statement(bytes: Vec<u8>) -> Result<Vec<u8>, WireError> {
    if bytes.is_empty() || bytes.len() > STATEMENT_LENGTH_MAX { Err(WireError::Bounds("statement")) } else { Ok(bytes) }
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
        Request::Submit(Submit { id: [1; 16], address: "a@b".parse().unwrap(), envelopes, payment: Payment::None })
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

    #[test]
    fn the_specification_lists_the_same_error_codes() {
        let specification = include_str!("../../../spec/errors.md");
        let listed: Vec<_> = specification
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split(" | ");
                Some((cells.next()?.trim().parse::<u32>().ok()?, cells.next()?.trim_matches('`').to_owned()))
            })
            .collect();
        let known: Vec<_> = ErrorCode::ALL.iter().map(|code| (*code as u32, code.name().to_owned())).collect();
        assert_eq!(listed, known);
    }
}
