//! The push services, behind one trait: a device is woken without a word of what came, from whom, or for whom.

use std::path::PathBuf;
use std::time::SystemTime;

use async_trait::async_trait;
use medipeps_core::push_endpoint::{PushEndpoint, PushService as Named};
use thiserror::Error;

use super::apns::Apns;
use super::fcm::Fcm;
use super::http::{Answer, HttpClient, NoAnswer};
use super::signing::EcKey;
use super::web_push::WebPush;
use crate::config::Push;
use crate::key_file::KeyFileError;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The push service has taken it.
    Woken,
    /// The subscription or the token is no more.
    Gone,
    /// The push service does not take it, and would not the next time.
    Refused,
    /// It could not be told, or the push service takes nothing now; with the milliseconds that it wants to be left alone.
    Later(Option<u64>),
}

impl Outcome {
    /// What metrics call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Woken => "woken",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Later(_) => "later",
        }
    }

    /// Of statuses that mean the same everywhere: RFC 8030, sections 5 and 8.4, and what Apple and Google say of theirs. A
    /// redirection is not followed: it could lead anywhere.
    pub(super) fn of_status(answer: &Answer, now: SystemTime) -> Self {
        match answer.status.as_u16() {
            200..=299 => Self::Woken,
            408 | 429 | 500..=599 => Self::Later(answer.retry_after(now)),
            _ => Self::Refused,
        }
    }
}

impl From<NoAnswer> for Outcome {
    fn from(reason: NoAnswer) -> Self {
        match reason {
            NoAnswer::Unreachable => Self::Later(None),
            NoAnswer::Private => Self::Refused,
        }
    }
}

/// One kind of push service.
#[async_trait]
pub(super) trait PushService: Send + Sync {
    /// Wakes a device. Endpoints of another kind are refused.
    async fn wake(&self, endpoint: &PushEndpoint, now: SystemTime) -> Outcome;
}

/// Why push services cannot be called at all.
#[derive(Debug, Error)]
pub enum PushError {
    /// The file with further certificate authorities cannot be read, or has none.
    #[error("the certificate authorities of push services: {0}")]
    Authorities(String),
    /// TLS cannot be set up.
    #[error("TLS to push services: {0}")]
    Tls(#[from] rustls::Error),
    /// A file with a key or an account cannot be read, or is none.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key that signs calls cannot be kept.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

/// All push services of a configuration.
pub(super) struct PushServices {
    web: WebPush,
    apns: Option<Apns>,
    fcm: Option<Fcm>,
}

impl PushServices {
    /// As the configuration says; calls to Web Push services are signed with a key if there is one.
    pub(super) fn open(config: &Push, vapid: Option<EcKey>) -> Result<Self, PushError> {
        let http = HttpClient::new(config.private_addresses, config.certificates.as_deref())?;
        Ok(Self {
            apns: Apns::open(config, &http)?,
            fcm: Fcm::open(config, &http)?,
            web: WebPush::new(http, vapid.zip(config.contact.clone())),
        })
    }

    /// The Firebase project whose apps can be woken.
    pub(super) fn fcm_project(&self) -> Option<String> {
        self.fcm.as_ref().map(|fcm| fcm.project().to_owned())
    }
}

#[async_trait]
impl PushService for PushServices {
    async fn wake(&self, endpoint: &PushEndpoint, now: SystemTime) -> Outcome {
        match (endpoint.service(), &self.apns, &self.fcm) {
            (Named::Web { .. }, ..) => self.web.wake(endpoint, now).await,
            (Named::Apns { .. }, Some(apns), _) => apns.wake(endpoint, now).await,
            (Named::Fcm { .. }, _, Some(fcm)) => fcm.wake(endpoint, now).await,
            (Named::Apns { .. } | Named::Fcm { .. }, ..) => Outcome::Refused,
        }
    }
}
