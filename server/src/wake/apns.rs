//! Apple Push Notification service: "Sending notification requests to APNs" and "Establishing a token-based connection to APNs" in
//! Apple's documentation for developers.
//!
//! What is sent shows a notice without content (its text is the app's own, under the key `medipeps_notice`), and lets the app's
//! notification extension put what it has fetched in its place. A push without any notice would wake no app that a person has
//! swiped away.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Version, header};
use medipeps_core::push_endpoint::{PushEndpoint, PushService as Named};
use serde::Deserialize;
use serde_json::json;

use super::http::{Answer, HttpClient};
use super::service::{Outcome, PushError, PushService};
use super::signing::EcKey;
use crate::config::Push;
use crate::limits::{APNS_TOKEN_SECONDS, WAKE_TTL_SECONDS};

/// One that waits is replaced by the next.
const COLLAPSE_ID: &str = "medipeps";

/// Apple's push service for the apps of one team.
pub(super) struct Apns {
    http: HttpClient,
    host: String,
    key: EcKey,
    key_id: String,
    team: String,
    apps: Vec<String>,
    /// The token that is used, and when it was made, in seconds since 1970.
    token: Mutex<Option<(String, u64)>>,
}

/// What Apple says of a call that it did not take.
#[derive(Deserialize)]
struct Refusal {
    reason: String,
}

impl Apns {
    /// As the configuration says; `None` if it says nothing of Apple.
    pub(super) fn open(config: &Push, http: &HttpClient) -> Result<Option<Self>, PushError> {
        let (Some(path), Some(key_id), Some(team)) = (&config.apns_key, &config.apns_key_id, &config.apns_team) else {
            return Ok(None);
        };
        Ok(Some(Self {
            http: http.clone(),
            host: config.apns_host.clone(),
            key: EcKey::from_file(path)?,
            key_id: key_id.clone(),
            team: team.clone(),
            apps: config.apns_apps.clone(),
            token: Mutex::new(None),
        }))
    }

    fn request(&self, endpoint: &PushEndpoint, now: SystemTime) -> Option<Request<Full<Bytes>>> {
        let Named::Apns { app, token } = endpoint.service() else { return None };
        if !self.apps.contains(app) {
            return None;
        }
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let notice = json!({ "aps": { "alert": { "loc-key": "medipeps_notice" }, "mutable-content": 1 } });
        Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!("https://{}/3/device/{token}", self.host))
            .header(header::AUTHORIZATION, format!("bearer {}", self.token(seconds)?))
            .header("apns-topic", app)
            .header("apns-push-type", "alert")
            .header("apns-priority", 10)
            .header("apns-expiration", seconds + u64::from(WAKE_TTL_SECONDS))
            .header("apns-collapse-id", COLLAPSE_ID)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(notice.to_string()))
            .ok()
    }

    /// The provider token: made anew when it is old, and no sooner, or Apple refuses it (`TooManyProviderTokenUpdates`).
    fn token(&self, now: u64) -> Option<String> {
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((token, made)) if (*made..made + APNS_TOKEN_SECONDS).contains(&now) => Some(token.clone()),
            _ => {
                let token = self.key.token(Some(&self.key_id), &json!({ "iss": self.team, "iat": now }))?;
                *kept = Some((token.clone(), now));
                Some(token)
            }
        }
    }

    /// "Handling notification responses from APNs".
    fn read(&self, answer: &Answer, now: SystemTime) -> Outcome {
        let reason = serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.reason).unwrap_or_default();
        match (answer.status, reason.as_str()) {
            (StatusCode::GONE, _) | (StatusCode::BAD_REQUEST, "BadDeviceToken" | "DeviceTokenNotForTopic") => {
                Outcome::Gone
            }
            (StatusCode::FORBIDDEN, "ExpiredProviderToken") => {
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Outcome::Later(None)
            }
            _ => {
                let outcome = Outcome::of_status(answer, now);
                if outcome == Outcome::Refused {
                    tracing::warn!(status = answer.status.as_u16(), reason, "Apple's push service refuses");
                }
                outcome
            }
        }
    }
}

#[async_trait]
impl PushService for Apns {
    async fn wake(&self, endpoint: &PushEndpoint, now: SystemTime) -> Outcome {
        let Some(request) = self.request(endpoint, now) else { return Outcome::Refused };
        match self.http.send(request, "apns").await {
            Ok(answer) => self.read(&answer, now),
            Err(reason) => reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::signing::tests::verified_es256;
    use super::*;
    use hyper::HeaderMap;
    use std::time::Duration;

    const TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

    fn apns() -> Apns {
        Apns {
            http: HttpClient::new(false, None).unwrap(),
            host: "api.push.apple.com".to_owned(),
            key: EcKey::from_pkcs8(&EcKey::draw().unwrap()).unwrap(),
            key_id: "ABC123DEFG".to_owned(),
            team: "DEF123GHIJ".to_owned(),
            apps: vec!["example.clinic.App".to_owned()],
            token: Mutex::new(None),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn request(apns: &Apns, endpoint: &str, now: u64) -> Option<Request<Full<Bytes>>> {
        apns.request(&endpoint.parse().unwrap(), at(now))
    }

    /// The header fields and the body that Apple documents, with nothing of ours but a fixed text.
    #[tokio::test]
    async fn a_request_is_as_apple_documents_it() {
        use http_body_util::BodyExt;
        let apns = apns();
        let request = request(&apns, &format!("apns:example.clinic.App/{TOKEN}"), 1_800_000_000).unwrap();
        let (head, body) = request.into_parts();
        assert_eq!((head.method, head.version), (Method::POST, Version::HTTP_2));
        assert_eq!(head.uri.to_string(), format!("https://api.push.apple.com/3/device/{TOKEN}"));
        let mut fields: Vec<_> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        fields.sort_unstable();
        let token = head.headers["authorization"].to_str().unwrap().strip_prefix("bearer ").unwrap();
        let expected = [
            ("apns-collapse-id", "medipeps"),
            ("apns-expiration", "1800086400"),
            ("apns-priority", "10"),
            ("apns-push-type", "alert"),
            ("apns-topic", "example.clinic.App"),
            ("authorization", head.headers["authorization"].to_str().unwrap()),
            ("content-type", "application/json"),
        ];
        assert_eq!(fields, expected);
        let (header, claims) = verified_es256(token, &apns.key.public().unwrap());
        assert_eq!(header, json!({ "alg": "ES256", "kid": "ABC123DEFG" }));
        assert_eq!(claims, json!({ "iss": "DEF123GHIJ", "iat": 1_800_000_000 }));
        let body: serde_json::Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(body, json!({ "aps": { "alert": { "loc-key": "medipeps_notice" }, "mutable-content": 1 } }));
    }

    #[test]
    fn a_token_is_used_for_a_while_and_not_for_ever() {
        let apns = apns();
        let first = apns.token(1_000_000).unwrap();
        assert_eq!(apns.token(1_000_000 + APNS_TOKEN_SECONDS - 1).unwrap(), first);
        assert_ne!(apns.token(1_000_000 + APNS_TOKEN_SECONDS).unwrap(), first);
        assert_ne!(apns.token(999_999).unwrap(), first, "the clock was put back");
    }

    #[test]
    fn other_apps_and_other_services_are_not_called() {
        let apns = apns();
        for endpoint in ["apns:example.other.App/00", "https://push.example/1", "fcm:clinic-7/t"] {
            assert!(request(&apns, endpoint, 1).is_none(), "{endpoint}");
        }
    }

    #[test]
    fn answers_are_read_as_apple_documents_them() {
        let apns = apns();
        let made = apns.token(5).unwrap();
        for (status, body, outcome) in [
            (200, "", Outcome::Woken),
            (400, r#"{"reason":"BadDeviceToken"}"#, Outcome::Gone),
            (400, r#"{"reason":"DeviceTokenNotForTopic"}"#, Outcome::Gone),
            (410, r#"{"reason":"Unregistered","timestamp":1454948015990}"#, Outcome::Gone),
            (400, r#"{"reason":"BadTopic"}"#, Outcome::Refused),
            (403, r#"{"reason":"InvalidProviderToken"}"#, Outcome::Refused),
            (405, "", Outcome::Refused),
            (429, r#"{"reason":"TooManyRequests"}"#, Outcome::Later(None)),
            (500, "not JSON", Outcome::Later(None)),
            (503, r#"{"reason":"ServiceUnavailable"}"#, Outcome::Later(None)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) };
            assert_eq!(apns.read(&answer, at(5)), outcome, "{status} {body}");
            assert_eq!(apns.token(6).unwrap(), made);
        }
        let body = Bytes::from_static(br#"{"reason":"ExpiredProviderToken"}"#);
        let answer = Answer { status: StatusCode::FORBIDDEN, headers: HeaderMap::new(), body };
        assert_eq!(apns.read(&answer, at(5)), Outcome::Later(None));
        assert_ne!(apns.token(6).unwrap(), made, "the next call has another");
    }
}
