//! What the server promises, one file a request. Nothing here knows how a request came in.
//!
//! A [`Connection`] is what the transport knows of a client; [`Service::answer`] takes it through the table of
//! [`access`] and on to the request's own file.

pub mod access;
mod account_rates;
mod acknowledge;
mod append_group_entry;
mod authenticate;
mod begin_blob;
mod connection;
mod create_group_log;
mod delete_account;
mod delete_blob;
mod delivery_loops;
mod drain;
mod draw_tokens;
mod fetch_blob;
mod fetch_group_entries;
mod fetch_key_packages;
mod fetch_own_data;
mod fetch_prekeys;
mod fetch_statement;
mod fetch_tenant;
mod fetch_trust_list;
mod group_logs;
mod group_signals;
mod hello;
mod invite;
mod issuer;
mod key_package_status;
mod limiters;
mod payment;
mod prekey_status;
mod publish_key_packages;
mod publish_prekeys;
mod publish_statement;
mod put_blob_piece;
mod register;
mod set_delivery_keys;
mod set_device_wake;
mod set_group_wake;
mod settings;
mod signal_group;
mod submit;
mod subscribe;
mod subscriptions;
mod uploads;
mod watch_group_logs;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use medipeps_core::Address;
use medipeps_core::tenant::Standing;
use medipeps_core::trust_list::TrustList;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Response};

pub use crate::frame::Share;
pub use connection::Connection;
pub use draw_tokens::VoucherKeys;
pub use invite::{InviteError, NewInvitation, invite};
pub use subscribe::{Sink, SinkClosed, Subscription};
pub use watch_group_logs::GroupWatch;

use crate::config::Config;
use crate::deletion_log::DeletionLog;
use crate::environment::Environment;
use crate::frame::FrameMemory;
use crate::limits::{GROUP_ANSWER_MEMORY_MAX, REFUSED_PAYMENTS, STORAGE_RETRY_MS};
use crate::metrics::Metrics;
use crate::network_address::NetworkAddress;
use crate::rate_limit::RateLimiter;
use crate::server_key::ServerKey;
use crate::storage::{QueueError, Storage, StorageError};
use crate::trust_list::FollowedTrustList;
use crate::wake::Wakes;
use access::Admission;
use connection::ProvedDevice;
use delivery_loops::DeliveryLoops;
use drain::Drain;
use group_signals::GroupSignals;
use issuer::Issuer;
use limiters::Limiters;
use settings::Settings;
use subscriptions::Subscriptions;

/// Milliseconds in a day.
pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;

/// Answers requests over one store.
pub struct Service {
    storage: Arc<dyn Storage>,
    environment: Arc<dyn Environment>,
    domain: String,
    server_key: ServerKey,
    settings: RwLock<Settings>,
    group_signals: GroupSignals,
    wakes: Arc<Wakes>,
    /// Bytes of entries of group logs that are on their way to readers.
    group_answers: FrameMemory,
    limiters: Limiters,
    /// Payments that were none; see [`payment`].
    refused_payments: RateLimiter<NetworkAddress>,
    issuer: Issuer,
    voucher_keys: RwLock<Arc<dyn VoucherKeys>>,
    subscriptions: Subscriptions,
    delivery_loops: DeliveryLoops,
    drain: Drain,
    metrics: Arc<Metrics>,
    trust_list: RwLock<Option<Arc<FollowedTrustList>>>,
    deletion_log: DeletionLog,
}

/// What a request is answered with.
pub enum Answer {
    /// One response, and the stream ends.
    Response(Response),
    /// One response that takes a share of a memory until it is written.
    Held(Response, Share),
    /// Responses until the watch ends: see [`GroupWatch::run`].
    GroupWatch(GroupWatch),
    /// Responses until the subscription ends: see [`Subscription::run`].
    Subscription(Subscription),
}

impl Answer {
    /// The error that it is, if it is one.
    const fn error(&self) -> Option<&ErrorReply> {
        match self {
            Self::Response(Response::Error(error)) | Self::Held(Response::Error(error), _) => Some(error),
            _ => None,
        }
    }
}

/// What is known of the moment in which a request came.
#[derive(Clone, Copy)]
struct Moment {
    now_ms: u64,
    network: NetworkAddress,
}

impl Service {
    /// A service for the configuration's domain.
    #[must_use]
    pub fn new(
        config: &Config,
        storage: Arc<dyn Storage>,
        server_key: ServerKey,
        environment: Arc<dyn Environment>,
    ) -> Arc<Self> {
        let metrics = Metrics::new(&storage.metrics());
        Arc::new(Self {
            storage,
            environment,
            domain: config.domain.clone(),
            server_key,
            settings: RwLock::new(Settings::of(config)),
            group_signals: GroupSignals::default(),
            wakes: Wakes::new(&config.push, metrics.wakes.clone()),
            group_answers: FrameMemory::new(GROUP_ANSWER_MEMORY_MAX),
            limiters: Limiters::new(&config.rate, &metrics),
            refused_payments: RateLimiter::counted(REFUSED_PAYMENTS, metrics.refusals_of("refused_payments")),
            issuer: Issuer::new(config.tokens),
            voucher_keys: RwLock::new(Arc::new(config.federation.keys())),
            subscriptions: Subscriptions::default(),
            delivery_loops: DeliveryLoops::default(),
            drain: Drain::new(),
            metrics: Arc::new(metrics),
            trust_list: RwLock::new(None),
            deletion_log: DeletionLog::at(config.deletion_log()),
        })
    }

    /// Takes over what of another configuration may change while requests are answered.
    pub(crate) fn reload(&self, config: &Config) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Settings::of(config);
        self.limiters.set(&config.rate);
        self.issuer.set(config.tokens);
    }

    /// Hands out this trust list from now on, or none.
    pub fn follow(&self, trust_list: Option<Arc<FollowedTrustList>>) {
        *self.trust_list.write().unwrap_or_else(PoisonError::into_inner) = trust_list;
    }

    /// The newest trust list, if one is followed and was ever taken.
    pub(crate) fn trust_list(&self) -> Option<Arc<TrustList>> {
        let followed = self.trust_list.read().unwrap_or_else(PoisonError::into_inner).clone();
        followed.and_then(|followed| followed.newest())
    }

    /// Answers one request of a connection that comes from `address`.
    pub async fn answer(self: &Arc<Self>, connection: &Connection, address: IpAddr, request: Request) -> Answer {
        let moment = Moment { now_ms: self.environment.now_ms(), network: address.into() };
        let measured = self.metrics.begin_request(access::name(&request), connection.transport());
        let answer = self.dispatch(connection, moment, request).await;
        connection.count_in(&self.metrics);
        let answer = answer.unwrap_or_else(|error| Answer::Response(Response::Error(error)));
        measured.finish(answer.error());
        answer
    }

    /// The end begins: no push is opened any more. Other requests are answered.
    pub(crate) fn begin_drain(&self) {
        self.drain.begin();
    }

    /// Tells open pushes to go away, by turns.
    pub(crate) async fn drain(&self) {
        self.drain.give_turns().await;
    }

    /// From now on every request is answered with `ShuttingDown`, and pushes that are still open end.
    pub fn stop(&self) {
        self.drain.stop();
    }

    /// Whether the end has begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_begun()
    }

    /// The memory of entries of group logs that are on their way to readers.
    pub(crate) fn group_answer_memory(&self) -> FrameMemory {
        self.group_answers.clone()
    }

    /// What is counted of requests, and of all else.
    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// What has come that readers may have to be woken for.
    pub(crate) fn wakes(&self) -> Arc<Wakes> {
        Arc::clone(&self.wakes)
    }

    async fn dispatch(
        self: &Arc<Self>,
        connection: &Connection,
        moment: Moment,
        request: Request,
    ) -> Result<Answer, ErrorReply> {
        let opens_push = matches!(request, Request::Subscribe | Request::WatchGroupLogs(_));
        if self.drain.is_stopped() || opens_push && self.drain.is_begun() {
            return Err(self.drain.refusal(self.environment.as_ref()));
        }
        let admission = connection.admit(request)?;
        self.count_for_account(&admission, moment.now_ms)?;
        let response = match admission {
            Admission::Hello => self.hello(connection)?,
            Admission::Authenticate { nonce, proof } => self.authenticate(connection, moment, nonce, proof).await?,
            Admission::Register(request) => self.register(moment, request).await?,
            Admission::FetchStatement(address) => self.fetch_statement(moment, &address).await?,
            Admission::PublishStatement(statement) => self.publish_statement(moment, &statement).await?,
            Admission::FetchPrekeys(request) => self.fetch_prekeys(moment, request).await?,
            Admission::Submit(request) => self.submit(moment, request).await?,
            Admission::BeginBlob(request) => self.begin_blob(moment, request).await?,
            Admission::PutBlobPiece(request) => self.put_blob_piece(moment, request).await?,
            Admission::FetchBlob(request) => self.fetch_blob(moment, request).await?,
            Admission::DeleteBlob(request) => self.delete_blob(moment, request).await?,
            Admission::CreateGroupLog(request) => self.create_group_log(moment, request).await?,
            Admission::AppendGroupEntry(request) => return self.append_group_entry(moment, request).await,
            Admission::FetchGroupEntries { nonce, request } => {
                return self.fetch_entries(connection, moment, &nonce, request).await;
            }
            Admission::WatchGroupLogs { nonce, request } => {
                let watch = self.watch_group_logs(connection, moment, &nonce, request).await;
                return Ok(Answer::GroupWatch(watch));
            }
            Admission::SignalGroup { nonce, request } => self.signal_group(connection, moment, &nonce, request).await?,
            Admission::SetGroupWake { nonce, request } => {
                self.set_group_wake(connection, moment, &nonce, request).await?
            }
            Admission::FetchKeyPackages(request) => self.fetch_key_packages(moment, request).await?,
            Admission::PublishKeyPackages(device, upload) => self.publish_key_packages(&device, &upload).await?,
            Admission::KeyPackageStatus(device) => self.key_package_status(&device).await?,
            Admission::FetchTenant(device) => self.fetch_tenant(&device, moment).await?,
            Admission::FetchOwnData(device, request) => self.fetch_own_data(&device, request).await?,
            Admission::PublishPrekeys(device, upload) => self.publish_prekeys(&device, &upload).await?,
            Admission::PrekeyStatus(device) => self.prekey_status(&device).await?,
            Admission::DeleteAccount(device, request) => self.delete_account(&device, moment, &request).await?,
            Admission::Acknowledge(device, request) => self.acknowledge(&device, request).await?,
            Admission::FetchIssuerKeys => self.fetch_issuer_keys(moment).await?,
            Admission::DrawTokens(device, request) => self.draw_tokens(moment, &device, request).await?,
            Admission::DrawVoucher(device, request) => self.draw_voucher(moment, &device, request).await?,
            Admission::RedeemVoucher { nonce, request } => {
                self.redeem_voucher(connection, moment, &nonce, request).await?
            }
            Admission::SetDeliveryKeys(device, hashes) => self.set_delivery_keys(&device, hashes).await?,
            Admission::FetchTrustList { known } => self.fetch_trust_list(moment, known)?,
            Admission::SetDeviceWake(device, endpoint) => self.set_device_wake(&device, endpoint).await?,
            Admission::FetchPushServices => self.fetch_push_services(),
            Admission::Subscribe(device) => return self.subscribe(device).await.map(Answer::Subscription),
        };
        Ok(Answer::Response(response))
    }

    /// Milliseconds for which entries of group logs, and logs without any, are kept.
    fn group_retention(&self) -> (u64, u64) {
        let settings = self.settings();
        (settings.group_entry_retention_ms, settings.group_log_retention_ms)
    }

    /// What the configuration says now.
    fn settings(&self) -> Settings {
        *self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds after which a client that is told to go away should come again.
    fn retry_after_drain(&self) -> u64 {
        self.drain.retry_after(self.environment.as_ref())
    }

    /// Refuses addresses of other domains.
    fn check_domain(&self, address: &Address) -> Result<(), ErrorReply> {
        if address.domain() == self.domain { Ok(()) } else { Err(refuse(ErrorCode::WrongDomain)) }
    }

    /// Whether the account still lists the device with the key that was proved, and if not, the refusal. A device can be
    /// removed, and its number given to another one, while its connection lives.
    async fn check_listed(&self, device: &ProvedDevice) -> Result<crate::storage::Account, ErrorReply> {
        let account = self.storage.account(&device.address).await.map_err(storage_failed)?;
        let account = account.ok_or_else(|| refuse(ErrorCode::UnknownDevice))?;
        if !device.is_listed_by(&account) {
            return Err(refuse(ErrorCode::UnknownDevice));
        }
        Self::check_not_suspended(&account)?;
        Ok(account)
    }

    /// Refuses an account whose tenant's licence has ended, with its grace: it draws nothing more with which to send.
    async fn check_licence(&self, account: &crate::storage::Account, moment: Moment) -> Result<(), ErrorReply> {
        let tenant = self.storage.tenant(account.tenant).await.map_err(storage_failed)?;
        let ended = tenant.is_some_and(|tenant| tenant.terms.standing(moment.now_ms) == Standing::Ended);
        if ended { Err(refuse(ErrorCode::LicenceEnded)) } else { Ok(()) }
    }

    /// Refuses an account that is suspended, itself or with its tenant. One whose licence has ended may fetch what waits.
    fn check_not_suspended(account: &crate::storage::Account) -> Result<(), ErrorReply> {
        match (account.suspended, account.tenant_suspended) {
            (true, _) => Err(refuse(ErrorCode::AccountSuspended)),
            (false, true) => Err(refuse(ErrorCode::TenantSuspended)),
            (false, false) => Ok(()),
        }
    }
}

/// An error without details.
fn refuse(code: ErrorCode) -> ErrorReply {
    let message = match code {
        ErrorCode::HelloRequired => "say Hello first",
        ErrorCode::ProofRequired => "this request needs a proof of device on this connection",
        ErrorCode::WrongConnection => "anonymous requests and proofs of device do not go over one connection",
        ErrorCode::ProofRefused => "the proof of device does not verify",
        ErrorCode::ExporterRequired => "the proof of device must cover the TLS exporter",
        ErrorCode::UnknownAccount => "no such account",
        ErrorCode::UnknownDevice => "no such device",
        ErrorCode::UnknownBlob => "no such blob",
        ErrorCode::BlobMismatch => "the secret, the length or the piece does not fit the blob",
        ErrorCode::WrongIncarnation => "the cursor belongs to another incarnation of the store",
        ErrorCode::UnknownGroupLog => "no such group log",
        ErrorCode::GroupLogExists => "the group log exists and began with another epoch",
        ErrorCode::GroupAccessRefused => "the signature is not by the key of the epoch",
        ErrorCode::StaleGroupEpoch => "the epoch is closed",
        ErrorCode::EntryIdReused => "the id has been used for another entry",
        ErrorCode::UnknownIssuerKey => "no such issuer key, or it does not issue any more",
        ErrorCode::TokenRefused => "a token does not verify",
        ErrorCode::TokenSpent => "a token has been spent",
        ErrorCode::TokensDrawn => "the tokens of this day have been drawn",
        ErrorCode::VouchersDrawn => "the vouchers of this day have been drawn",
        ErrorCode::VoucherRefused => "the voucher is not good here",
        ErrorCode::VoucherExpired => "the voucher is of another day",
        ErrorCode::VoucherSpent => "the voucher has paid for another batch",
        ErrorCode::AccountSuspended => "the account is suspended",
        ErrorCode::TenantSuspended => "the tenant is suspended",
        ErrorCode::LicenceEnded => "the licence has ended",
        ErrorCode::WrongDomain => "the address is not of this server's domain",
        _ => "",
    };
    ErrorReply::new(code, message)
}

fn rate_limited(retry_after_ms: u64) -> ErrorReply {
    ErrorReply::new(ErrorCode::RateLimited, "too many requests").retry_after(retry_after_ms)
}

/// What a client is told when the store fails; the log is told the rest.
fn storage_failed(error: StorageError) -> ErrorReply {
    match error {
        StorageError::Failed(_) | StorageError::Unavailable(_) => {
            tracing::error!(%error, "the store failed");
            ErrorReply::new(ErrorCode::StorageUnavailable, "the store cannot take or give anything now")
                .retry_after(STORAGE_RETRY_MS)
        }
        StorageError::Corrupt(_) => {
            tracing::error!(%error, "the store is damaged");
            ErrorReply::new(ErrorCode::Internal, "a record of the store is damaged")
        }
        StorageError::LowSpace { .. } => {
            ErrorReply::new(ErrorCode::StorageUnavailable, "the disk is nearly full").retry_after(STORAGE_RETRY_MS)
        }
        StorageError::Oversize { .. } => ErrorReply::new(ErrorCode::TooLarge, error.to_string()),
    }
}

fn queue_failed(error: QueueError) -> ErrorReply {
    match error {
        QueueError::UnknownDevice => refuse(ErrorCode::UnknownDevice),
        QueueError::Corrupt { sequence } => {
            tracing::error!(sequence, "an envelope is damaged");
            ErrorReply::new(ErrorCode::Internal, "an envelope is damaged")
        }
        QueueError::Storage(error) => storage_failed(error),
    }
}

/// So many KiB, the last one begun, as limits of bytes are counted.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// What cannot happen has happened.
fn internal(what: &'static str) -> ErrorReply {
    tracing::error!(what, "internal error");
    ErrorReply::new(ErrorCode::Internal, what)
}
