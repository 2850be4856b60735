//! Where a device is woken when its app is not open.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use medipeps_client::engine::Wakes;
use medipeps_core::push_endpoint::{PushEndpoint as Endpoint, PushService};
use medipeps_core::wire::client_records::WakeRecord;
use medipeps_core::wire::transport::FetchPushServicesReply;

use crate::MedipepsError;

/// What the device's system, or a distributor of UnifiedPush, has given the app to be woken by.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum PushEndpoint {
    /// A subscription of Web Push: UnifiedPush, or a browser.
    WebPush {
        /// An `https` address.
        url: String,
        /// Its keys, where it has some: then what is sent is encrypted for it.
        keys: Option<PushKeys>,
    },
    /// A device token of Apple's push service.
    Apns {
        /// Bundle id of the app.
        app: String,
        /// As `didRegisterForRemoteNotificationsWithDeviceToken` has it.
        token: Vec<u8>,
    },
    /// A registration token of Firebase Cloud Messaging.
    Fcm {
        /// Id of the Firebase project.
        project: String,
        /// As `onNewToken` has it.
        token: String,
    },
}

/// The keys of a subscription of Web Push (RFC 8291), in base64url without padding, as UnifiedPush and browsers hand them out.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct PushKeys {
    /// Of 65 bytes.
    pub p256dh: String,
    /// Of 16 bytes.
    pub auth: String,
}

/// Where this device is woken.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Wake {
    /// Where.
    pub endpoint: PushEndpoint,
    /// Whether the account's server has it.
    pub state: WakeState,
}

/// Whether a server has it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum WakeState {
    /// It has.
    Set,
    /// It was not told yet; it is, with the next sync.
    Waiting,
    /// It does not call this push service; it is asked again after a day.
    Refused {
        /// A word out of `spec/errors.md`.
        reason: String,
    },
}

/// By which push services the account's server wakes devices.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PushServices {
    /// Its key for subscriptions of Web Push (VAPID, RFC 8292), in base64url without padding: to be named when one is made.
    pub vapid_key: Option<String>,
    /// Bundle ids of the apps that it wakes through Apple's service.
    pub apns: Vec<String>,
    /// Ids of the Firebase projects whose apps it wakes.
    pub fcm: Vec<String>,
}

impl std::fmt::Debug for PushEndpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::WebPush { .. } => "WebPush(..)",
            Self::Apns { .. } => "Apns(..)",
            Self::Fcm { .. } => "Fcm(..)",
        })
    }
}

impl std::fmt::Debug for PushKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PushKeys(..)")
    }
}

impl PushEndpoint {
    /// As the core has it.
    pub(crate) fn read(&self) -> Result<Endpoint, MedipepsError> {
        let text = match self {
            Self::WebPush { url, .. } if url.contains('#') => {
                return Err(MedipepsError::argument("endpoint", "the address of a subscription has no fragment"));
            }
            Self::WebPush { url, keys: None } => url.clone(),
            Self::WebPush { url, keys: Some(PushKeys { p256dh, auth }) } => {
                format!("{url}#p256dh={p256dh}&auth={auth}")
            }
            Self::Apns { app, token } => format!("apns:{app}/{}", HEXLOWER.encode(token)),
            Self::Fcm { project, token } => format!("fcm:{project}/{token}"),
        };
        text.parse().map_err(|error| MedipepsError::argument("endpoint", &format!("{error}")))
    }
}

impl From<&Endpoint> for PushEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint.service() {
            PushService::Web { keys, .. } => Self::WebPush {
                url: endpoint.url().unwrap_or_default().to_owned(),
                keys: keys.as_ref().map(|keys| PushKeys {
                    p256dh: BASE64URL_NOPAD.encode(&keys.p256dh),
                    auth: BASE64URL_NOPAD.encode(&keys.auth),
                }),
            },
            PushService::Apns { app, token } => {
                // The core has read it as digits in pairs.
                Self::Apns { app: app.clone(), token: HEXLOWER.decode(token.as_bytes()).unwrap_or_default() }
            }
            PushService::Fcm { project, token } => Self::Fcm { project: project.clone(), token: token.clone() },
        }
    }
}

impl Wake {
    /// What is known of the account's own server; `None` where this device is not woken.
    pub(crate) fn of(wakes: Wakes) -> Option<Self> {
        let WakeRecord { endpoint, told, problem, .. } = wakes.own?;
        let state = match (told, problem) {
            (true, _) => WakeState::Set,
            (false, Some(reason)) => WakeState::Refused { reason },
            (false, None) => WakeState::Waiting,
        };
        Some(Self { endpoint: PushEndpoint::from(&endpoint?), state })
    }
}

impl From<FetchPushServicesReply> for PushServices {
    fn from(reply: FetchPushServicesReply) -> Self {
        let FetchPushServicesReply { vapid_key, apns, fcm } = reply;
        Self { vapid_key: vapid_key.map(|key| BASE64URL_NOPAD.encode(&key)), apns, fcm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_shown_as_apps_have_them() {
        let keys = PushKeys {
            p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
                .to_owned(),
            auth: "BTBZMqHH6r4Tts7J_aSIgg".to_owned(),
        };
        let url = || "https://push.example/up/1".to_owned();
        for (endpoint, text) in [
            (PushEndpoint::WebPush { url: url(), keys: None }, url()),
            (
                PushEndpoint::WebPush { url: url(), keys: Some(keys.clone()) },
                format!("{}#p256dh={}&auth={}", url(), keys.p256dh, keys.auth),
            ),
            (
                PushEndpoint::Apns { app: "example.clinic.App".to_owned(), token: vec![0, 0xfc] },
                "apns:example.clinic.App/00fc".to_owned(),
            ),
            (
                PushEndpoint::Fcm { project: "clinic-7".to_owned(), token: "bk3:R_w".to_owned() },
                "fcm:clinic-7/bk3:R_w".to_owned(),
            ),
        ] {
            let read = endpoint.read().unwrap();
            assert_eq!(read.as_str(), text);
            assert_eq!(PushEndpoint::from(&read), endpoint);
            assert!(!format!("{endpoint:?}").contains("push.example"));
        }
        for wrong in [
            PushEndpoint::WebPush { url: "http://push.example/".to_owned(), keys: None },
            PushEndpoint::WebPush { url: format!("{}#a", url()), keys: Some(keys) },
            PushEndpoint::Apns { app: "example.clinic.App".to_owned(), token: Vec::new() },
            PushEndpoint::Fcm { project: "a/b".to_owned(), token: "c".to_owned() },
        ] {
            assert!(matches!(wrong.read(), Err(MedipepsError::Argument { .. })), "{wrong:?}");
        }
    }
}
