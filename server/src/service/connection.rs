//! One connection as the rules of access see it.

use std::sync::{Arc, Mutex, PoisonError};

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::identity::Statement;
use medipeps_core::proof::{Channel, Exporter};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Transport};

use super::access::{Access, Admission, rule};
use super::{internal, refuse};
use crate::metrics::Metrics;
use crate::storage::Account;

/// A client's connection: how it came, and what it has shown.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    exporter: Option<Exporter>,
    state: Mutex<State>,
    /// The metrics that it is counted in, and as what.
    counted: Mutex<Option<(Arc<Metrics>, &'static str)>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some((metrics, kind)) = self.counted.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            metrics.connection(self.transport, kind).dec();
        }
    }
}

#[derive(Debug)]
enum State {
    /// Nothing has been said.
    Silent,
    /// Hello has been answered; the nonce is good for one proof.
    Greeted { nonce: [u8; 32] },
    /// An anonymous request came. It stays anonymous; the nonce binds signatures of group logs to it.
    Anonymous { nonce: [u8; 32] },
    /// A proof has been tried; if no device follows, it failed.
    Tried,
    /// A device was proved.
    Proved(Arc<ProvedDevice>),
}

impl State {
    /// What metrics call it.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Greeted { .. } => "greeted",
            Self::Anonymous { .. } => "anonymous",
            Self::Tried => "refused",
            Self::Proved(_) => "proved",
        }
    }
}

/// A device that has proved itself.
#[derive(Debug)]
pub(super) struct ProvedDevice {
    pub(super) address: Address,
    pub(super) device_id: u32,
    /// The key that verified the proof.
    key: VerifyingKey,
    /// The account in which the key was last found under the device's number.
    seen_in: Mutex<AccountLife>,
}

/// Tells one state of an account from all others, those of a later account under the same address included.
type AccountLife = (u64, u64);

impl Connection {
    /// A new connection. `exporter` is what the TLS exporter gave, where the transport has one.
    #[must_use]
    pub const fn new(transport: Transport, exporter: Option<Exporter>) -> Self {
        Self { transport, exporter, state: Mutex::new(State::Silent), counted: Mutex::new(None) }
    }

    /// Whether Hello has been said.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        !matches!(*self.lock(), State::Silent)
    }

    /// How the client is connected.
    pub(super) const fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether the transport has an exporter that proofs must cover.
    pub(super) const fn has_exporter(&self) -> bool {
        self.exporter.is_some()
    }

    /// The connection as signatures see it.
    pub(super) const fn channel<'a>(&'a self, nonce: &'a [u8; 32], domain: &'a str) -> Channel<'a> {
        Channel { nonce, domain, transport: self.transport, exporter: self.exporter.as_ref() }
    }

    /// Holds a request against its rule. An anonymous request and a proof each settle what the connection is for.
    pub(super) fn admit(&self, request: Request) -> Result<Admission, ErrorReply> {
        let mut state = self.lock();
        if matches!(*state, State::Silent) && rule(&request) != Access::First {
            return Err(refuse(ErrorCode::HelloRequired));
        }
        match rule(&request) {
            Access::First => match (&*state, request) {
                (State::Silent, Request::Hello) => Ok(Admission::Hello),
                _ => Err(ErrorReply::new(ErrorCode::Malformed, "Hello comes once a connection")),
            },
            Access::Proof => match (&*state, request) {
                (State::Greeted { nonce }, Request::Authenticate(proof)) => {
                    let admission = Admission::Authenticate { nonce: *nonce, proof };
                    *state = State::Tried;
                    Ok(admission)
                }
                (State::Anonymous { .. }, _) => Err(refuse(ErrorCode::WrongConnection)),
                _ => Err(refuse(ErrorCode::ProofRefused)),
            },
            Access::Anonymous => {
                let (State::Greeted { nonce } | State::Anonymous { nonce }) = *state else {
                    return Err(refuse(ErrorCode::WrongConnection));
                };
                *state = State::Anonymous { nonce };
                admit_anonymous(nonce, request)
            }
            Access::Any => match request {
                Request::FetchIssuerKeys => Ok(Admission::FetchIssuerKeys),
                Request::FetchPushServices => Ok(Admission::FetchPushServices),
                _ => Err(internal("a request is not for any connection")),
            },
            Access::Proved => match &*state {
                State::Proved(device) => admit_proved(device.clone(), request),
                _ => Err(refuse(ErrorCode::ProofRequired)),
            },
        }
    }

    /// Keeps the nonce that Hello was answered with; `false` if another Hello was faster.
    pub(super) fn greet(&self, nonce: [u8; 32]) -> bool {
        let mut state = self.lock();
        let silent = matches!(*state, State::Silent);
        if silent {
            *state = State::Greeted { nonce };
        }
        silent
    }

    /// Keeps the device that was proved.
    pub(super) fn prove(&self, device: ProvedDevice) {
        *self.lock() = State::Proved(Arc::new(device));
    }

    /// Counts it as what it has become.
    pub(super) fn count_in(&self, metrics: &Arc<Metrics>) {
        let kind = self.lock().kind();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match &*counted {
            Some((_, before)) if *before == kind => return,
            Some((_, before)) => drop(metrics.connection(self.transport, before).dec()),
            None => {}
        }
        metrics.connection(self.transport, kind).inc();
        *counted = Some((Arc::clone(metrics), kind));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn admit_anonymous(nonce: [u8; 32], request: Request) -> Result<Admission, ErrorReply> {
    Ok(match request {
        Request::Register(request) => Admission::Register(request),
        Request::FetchStatement(address) => Admission::FetchStatement(address),
        Request::PublishStatement(statement) => Admission::PublishStatement(statement),
        Request::FetchPrekeys(request) => Admission::FetchPrekeys(request),
        Request::Submit(request) => Admission::Submit(request),
        Request::BeginBlob(request) => Admission::BeginBlob(request),
        Request::PutBlobPiece(request) => Admission::PutBlobPiece(request),
        Request::FetchBlob(request) => Admission::FetchBlob(request),
        Request::DeleteBlob(request) => Admission::DeleteBlob(request),
        Request::FetchKeyPackages(request) => Admission::FetchKeyPackages(request),
        Request::CreateGroupLog(request) => Admission::CreateGroupLog(request),
        Request::AppendGroupEntry(request) => Admission::AppendGroupEntry(request),
        Request::FetchGroupEntries(request) => Admission::FetchGroupEntries { nonce, request },
        Request::WatchGroupLogs(request) => Admission::WatchGroupLogs { nonce, request },
        Request::SignalGroup(request) => Admission::SignalGroup { nonce, request },
        Request::SetGroupWake(request) => Admission::SetGroupWake { nonce, request },
        Request::RedeemVoucher(request) => Admission::RedeemVoucher { nonce, request },
        Request::FetchTrustList { known } => Admission::FetchTrustList { known },
        _ => return Err(internal("a request is not anonymous")),
    })
}

fn admit_proved(device: Arc<ProvedDevice>, request: Request) -> Result<Admission, ErrorReply> {
    Ok(match request {
        Request::PublishPrekeys(upload) => Admission::PublishPrekeys(device, upload),
        Request::PrekeyStatus => Admission::PrekeyStatus(device),
        Request::PublishKeyPackages(upload) => Admission::PublishKeyPackages(device, upload),
        Request::KeyPackageStatus => Admission::KeyPackageStatus(device),
        Request::DeleteAccount(deletion) => Admission::DeleteAccount(device, deletion),
        Request::Subscribe => Admission::Subscribe(device),
        Request::FetchTenant => Admission::FetchTenant(device),
        Request::FetchOwnData(fetch) => Admission::FetchOwnData(device, fetch),
        Request::Acknowledge(acknowledge) => Admission::Acknowledge(device, acknowledge),
        Request::DrawTokens(request) => Admission::DrawTokens(device, request),
        Request::DrawVoucher(request) => Admission::DrawVoucher(device, request),
        Request::SetDeliveryKeys(hashes) => Admission::SetDeliveryKeys(device, hashes),
        Request::SetDeviceWake(endpoint) => Admission::SetDeviceWake(device, endpoint),
        _ => return Err(internal("a request needs no proof")),
    })
}

impl ProvedDevice {
    /// A device whose key was found in this account.
    pub(super) const fn new(address: Address, device_id: u32, key: VerifyingKey, account: &Account) -> Self {
        Self { address, device_id, key, seen_in: Mutex::new((account.created_ms, account.statement_version)) }
    }

    /// Whether the account lists the device with the key that was proved.
    pub(super) fn is_listed_by(&self, account: &Account) -> bool {
        let life = (account.created_ms, account.statement_version);
        let mut seen_in = self.seen_in.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen_in == life {
            return true;
        }
        let listed = Statement::decode(&account.statement).is_ok_and(|statement| {
            statement.device_keys(self.device_id).is_some_and(|keys| keys.signing_key == self.key)
        });
        if listed {
            *seen_in = life;
        }
        listed
    }
}
