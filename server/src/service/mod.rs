//! What the server promises, one file a request. Nothing here knows how a request came in.
//!
//! A [`Connection`] is what the transport knows of a client; [`Service::answer`] takes it through the table of
//! [`access`] and on to the request's own file.

pub mod access;
mod acknowledge;
mod append_group_entry;
mod authenticate;
mod begin_blob;
mod connection;
mod create_group_log;
mod delete_account;
mod delete_blob;
mod draw_tokens;
mod fetch_blob;
mod fetch_group_entries;
mod fetch_key_packages;
mod fetch_own_data;
mod fetch_prekeys;
mod fetch_statement;
mod fetch_tenant;
mod group_logs;
mod group_signals;
mod hello;
mod invite;
mod issuer;
mod key_package_status;
mod payment;
mod prekey_status;
mod publish_key_packages;
mod publish_prekeys;
mod publish_statement;
mod put_blob_piece;
mod register;
mod set_delivery_keys;
mod set_group_wake;
mod signal_group;
mod submit;
mod subscribe;
mod subscriptions;
mod uploads;
mod watch_group_logs;

use std::net::IpAddr;
use std::sync::{Arc, RwLock};

use medipeps_core::Address;
use medipeps_core::tenant::Standing;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, watch};

pub use connection::Connection;
pub use draw_tokens::VoucherKeys;
pub use invite::{InviteError, NewInvitation, invite};
pub use subscribe::{Sink, SinkClosed, Subscription};
pub use watch_group_logs::GroupWatch;

use crate::config::Config;
use crate::deletion_log::DeletionLog;
use crate::environment::Environment;
use crate::frame::FrameMemory;
use crate::limits::{GROUP_ANSWER_MEMORY_MAX, REFUSED_PAYMENTS, SHUTDOWN_RETRY_MS, STORAGE_RETRY_MS};
use crate::network_address::NetworkAddress;
use crate::rate_limit::RateLimiter;
use crate::server_key::ServerKey;
use crate::storage::{QueueError, Storage, StorageError};
use crate::wake::Wakes;
use access::Admission;
use connection::ProvedDevice;
use group_signals::GroupSignals;
use issuer::Issuer;
use subscriptions::Subscriptions;

/// Milliseconds in a day.
pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;

/// Answers requests over one store.
pub struct Service {
    storage: Arc<dyn Storage>,
    environment: Arc<dyn Environment>,
    domain: String,
    server_key: ServerKey,
    envelope_retention_ms: u64,
    blob_retention_ms: u64,
    /// Bytes of the largest blob that is taken.
    largest_blob: u64,
    group_entry_retention_ms: u64,
    group_log_retention_ms: u64,
    group_signals: GroupSignals,
    wakes: Arc<Wakes>,
    /// Bytes of entries of group logs that are on their way to readers.
    group_answers: FrameMemory,
    limiters: Limiters,
    issuer: Issuer,
    voucher_keys: RwLock<Arc<dyn VoucherKeys>>,
    subscriptions: Subscriptions,
    deletion_log: DeletionLog,
    stopping: watch::Sender<bool>,
}

struct Limiters {
    submit_per_recipient: RateLimiter<Address>,
    submit_per_address: RateLimiter<NetworkAddress>,
    requests_per_recipient: RateLimiter<Address>,
    redemptions_per_address: RateLimiter<NetworkAddress>,
    /// Payments that were none; see [`payment`].
    refused_payments: RateLimiter<NetworkAddress>,
    prekeys_per_recipient: RateLimiter<Address>,
    prekeys_per_address: RateLimiter<NetworkAddress>,
    statements_per_address: RateLimiter<NetworkAddress>,
    registrations_per_address: RateLimiter<NetworkAddress>,
    publications_per_address: RateLimiter<NetworkAddress>,
    blob_begins_per_address: RateLimiter<NetworkAddress>,
    /// In KiB.
    blob_upload_per_address: RateLimiter<NetworkAddress>,
    /// In KiB.
    blob_download_per_address: RateLimiter<NetworkAddress>,
    proofs_per_address: RateLimiter<NetworkAddress>,
    key_packages_per_recipient: RateLimiter<Address>,
    group_creations_per_address: RateLimiter<NetworkAddress>,
    group_appends_per_log: RateLimiter<[u8; 32]>,
    group_appends_per_address: RateLimiter<NetworkAddress>,
    group_reads_per_address: RateLimiter<NetworkAddress>,
    group_signals_per_address: RateLimiter<NetworkAddress>,
    /// In KiB.
    group_upload_per_address: RateLimiter<NetworkAddress>,
    /// In KiB.
    group_download_per_address: RateLimiter<NetworkAddress>,
}

/// What a request is answered with.
pub enum Answer {
    /// One response, and the stream ends.
    Response(Response),
    /// One response that takes a share of a memory until it is written.
    Held(Response, OwnedSemaphorePermit),
    /// Responses until the watch ends: see [`GroupWatch::run`].
    GroupWatch(GroupWatch),
    /// Responses until the subscription ends: see [`Subscription::run`].
    Subscription(Subscription),
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
        let rates = &config.rate;
        let limiters = Limiters {
            submit_per_recipient: RateLimiter::new(rates.submit_per_recipient),
            submit_per_address: RateLimiter::new(rates.submit_per_address),
            requests_per_recipient: RateLimiter::new(rates.requests_per_recipient),
            redemptions_per_address: RateLimiter::new(rates.redemptions_per_address),
            refused_payments: RateLimiter::new(REFUSED_PAYMENTS),
            prekeys_per_recipient: RateLimiter::new(rates.prekeys_per_recipient),
            prekeys_per_address: RateLimiter::new(rates.prekeys_per_address),
            statements_per_address: RateLimiter::new(rates.statements_per_address),
            registrations_per_address: RateLimiter::new(rates.registrations_per_address),
            publications_per_address: RateLimiter::new(rates.publications_per_address),
            blob_begins_per_address: RateLimiter::new(rates.blob_begins_per_address),
            blob_upload_per_address: RateLimiter::new(rates.blob_upload_kib_per_address),
            blob_download_per_address: RateLimiter::new(rates.blob_download_kib_per_address),
            proofs_per_address: RateLimiter::new(rates.proofs_per_address),
            key_packages_per_recipient: RateLimiter::new(rates.key_packages_per_recipient),
            group_creations_per_address: RateLimiter::new(rates.group_creations_per_address),
            group_appends_per_log: RateLimiter::new(rates.group_appends_per_log),
            group_appends_per_address: RateLimiter::new(rates.group_appends_per_address),
            group_reads_per_address: RateLimiter::new(rates.group_reads_per_address),
            group_signals_per_address: RateLimiter::new(rates.group_signals_per_address),
            group_upload_per_address: RateLimiter::new(rates.group_upload_kib_per_address),
            group_download_per_address: RateLimiter::new(rates.group_download_kib_per_address),
        };
        Arc::new(Self {
            storage,
            environment,
            domain: config.domain.clone(),
            server_key,
            envelope_retention_ms: u64::from(config.retention.envelope_days) * DAY_MS,
            blob_retention_ms: u64::from(config.retention.blob_days) * DAY_MS,
            largest_blob: config.largest_blob(),
            group_entry_retention_ms: u64::from(config.group.entry_days) * DAY_MS,
            group_log_retention_ms: u64::from(config.group.log_days) * DAY_MS,
            group_signals: GroupSignals::default(),
            wakes: Wakes::new(&config.group),
            group_answers: FrameMemory::new(GROUP_ANSWER_MEMORY_MAX),
            limiters,
            issuer: Issuer::new(config.tokens.clone()),
            voucher_keys: RwLock::new(Arc::new(config.federation.keys())),
            subscriptions: Subscriptions::default(),
            deletion_log: DeletionLog::at(config.deletion_log()),
            stopping: watch::Sender::new(false),
        })
    }

    /// Answers one request of a connection that comes from `address`.
    pub async fn answer(self: &Arc<Self>, connection: &Connection, address: IpAddr, request: Request) -> Answer {
        let moment = Moment { now_ms: self.environment.now_ms(), network: address.into() };
        self.dispatch(connection, moment, request)
            .await
            .unwrap_or_else(|error| Answer::Response(Response::Error(error)))
    }

    /// From now on every request is answered with `ShuttingDown`, and open subscriptions end with it.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
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
        if *self.stopping.borrow() {
            return Err(shutting_down());
        }
        let response = match connection.admit(request)? {
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
            Admission::Subscribe(device) => return self.subscribe(device).await.map(Answer::Subscription),
        };
        Ok(Answer::Response(response))
    }

    /// Milliseconds for which entries of group logs, and logs without any, are kept.
    const fn group_retention(&self) -> (u64, u64) {
        (self.group_entry_retention_ms, self.group_log_retention_ms)
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

fn shutting_down() -> ErrorReply {
    ErrorReply::new(ErrorCode::ShuttingDown, "the server is stopping").retry_after(SHUTDOWN_RETRY_MS)
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
