//! Waking a device: where, and by which push services. `spec/push.md`.

use crate::limits::PUSH_APPS_MAX;
use crate::push_endpoint::{PushEndpoint, is_app};
use crate::wire::{WireError, proto};

/// Which push services a server calls; what is at none of them it refuses, and Web Push at hosts that it does not list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchPushServicesReply {
    /// The key with which the server signs its calls to Web Push services (RFC 8292), P-256, an uncompressed point; whoever
    /// subscribes names it. `None`: it does not sign.
    pub vapid_key: Option<[u8; 65]>,
    /// Bundle ids of the apps that it wakes through Apple's service.
    pub apns: Vec<String>,
    /// Ids of the Firebase projects whose apps it wakes through Google's service.
    pub fcm: Vec<String>,
}

impl FetchPushServicesReply {
    pub(super) fn to_proto(&self) -> proto::FetchPushServicesReply {
        proto::FetchPushServicesReply {
            vapid_key: self.vapid_key.map_or_else(Vec::new, |key| key.to_vec()),
            apns: self.apns.clone(),
            fcm: self.fcm.clone(),
        }
    }

    pub(super) fn from_proto(message: proto::FetchPushServicesReply) -> Result<Self, WireError> {
        let vapid_key = match message.vapid_key.as_slice() {
            [] => None,
            key => {
                Some(<[u8; 65]>::try_from(key).ok().filter(|key| key[0] == 4).ok_or(WireError::Bounds("vapid_key"))?)
            }
        };
        let apps = |apps: Vec<String>, field| {
            let fits = apps.len() <= PUSH_APPS_MAX && apps.iter().all(|app| is_app(app));
            if fits { Ok(apps) } else { Err(WireError::Bounds(field)) }
        };
        Ok(Self { vapid_key, apns: apps(message.apns, "apns")?, fcm: apps(message.fcm, "fcm")? })
    }
}

pub(super) fn device_wake(endpoint: Option<&PushEndpoint>) -> proto::SetDeviceWake {
    proto::SetDeviceWake { endpoint: text(endpoint) }
}

/// Nothing for none.
pub(super) fn text(endpoint: Option<&PushEndpoint>) -> String {
    endpoint.map(|endpoint| endpoint.as_str().to_owned()).unwrap_or_default()
}

/// An empty text is none.
pub(super) fn endpoint(text: &str) -> Result<Option<PushEndpoint>, WireError> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| WireError::Bounds("endpoint")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transport::{Request, Response};

    #[test]
    fn requests_and_replies_come_back_as_they_were_written() {
        for endpoint in [None, Some("https://push.example/1"), Some("apns:app/00"), Some("fcm:project/t")] {
            let request = Request::SetDeviceWake(endpoint.map(|endpoint| endpoint.parse().unwrap()));
            assert_eq!(Request::decode(&request.clone().encode()), Ok(request));
        }
        assert_eq!(Request::decode(&Request::FetchPushServices.encode()), Ok(Request::FetchPushServices));
        let app = |name: &str| vec![name.to_owned()];
        let reply = FetchPushServicesReply { vapid_key: Some([4; 65]), apns: app("example.App"), fcm: app("clinic-7") };
        for reply in [FetchPushServicesReply::default(), reply] {
            let response = Response::FetchPushServices(reply);
            assert_eq!(Response::decode(&response.clone().encode()), Ok(response));
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let decode = |vapid_key: Vec<u8>, apns: Vec<String>| {
            FetchPushServicesReply::from_proto(proto::FetchPushServicesReply { vapid_key, apns, fcm: Vec::new() })
        };
        assert_eq!(decode(vec![4; 64], Vec::new()), Err(WireError::Bounds("vapid_key")));
        assert_eq!(decode(vec![3; 65], Vec::new()), Err(WireError::Bounds("vapid_key")));
        assert_eq!(decode(Vec::new(), vec!["a b".to_owned()]), Err(WireError::Bounds("apns")));
        assert_eq!(decode(Vec::new(), vec!["a".to_owned(); PUSH_APPS_MAX + 1]), Err(WireError::Bounds("apns")));
    }
}
