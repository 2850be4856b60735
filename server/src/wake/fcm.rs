//! Firebase Cloud Messaging: `projects.messages.send` of its HTTP v1 API, with a token by which a service account acts (OAuth 2.0,
//! RFC 7523), as Google documents both.

use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use medipeps_core::push_endpoint::{PushEndpoint, PushService as Named, is_app};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::http::{Answer, HttpClient};
use super::service::{Outcome, PushError, PushService};
use super::signing::{RsaKey, failed, read};
use crate::config::Push;
use crate::limits::{FCM_TOKEN_MARGIN_SECONDS, WAKE_TTL_SECONDS};

/// What the token is good for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// RFC 7523, section 2.1.
const GRANT_TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
/// Seconds for which Google lets an assertion be good at the most.
const ASSERTION_SECONDS: u64 = 3600;

/// Google's push service for the apps of one Firebase project.
pub(super) struct Fcm {
    http: HttpClient,
    host: String,
    account: Account,
    /// Held while one is fetched, so that a hundred wakes fetch one.
    token: Mutex<Option<AccessToken>>,
}

struct Account {
    project: String,
    email: String,
    token_uri: String,
    key_id: String,
    key: RsaKey,
}

struct AccessToken {
    token: Zeroizing<String>,
    /// Seconds since 1970.
    expires: u64,
}

/// A service account, as Google hands it out.
#[derive(Deserialize)]
struct AccountFile {
    project_id: String,
    private_key_id: String,
    private_key: Zeroizing<String>,
    client_email: String,
    token_uri: String,
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: Zeroizing<String>,
    expires_in: u64,
}

impl Fcm {
    /// As the configuration says; `None` if it says nothing of Google.
    pub(super) fn open(config: &Push, http: &HttpClient) -> Result<Option<Self>, PushError> {
        let Some(path) = &config.fcm_account else { return Ok(None) };
        let account = Account::read(path)?;
        Ok(Some(Self { http: http.clone(), host: config.fcm_host.clone(), account, token: Mutex::new(None) }))
    }

    /// The id of the Firebase project.
    pub(super) fn project(&self) -> &str {
        &self.account.project
    }

    fn request(&self, endpoint: &PushEndpoint, access_token: &str) -> Option<Request<Full<Bytes>>> {
        let Named::Fcm { project, token } = endpoint.service() else { return None };
        if *project != self.account.project {
            return None;
        }
        let message = json!({ "message": {
            "token": token,
            // A message with data wakes the app itself; one with a notification would be shown without it.
            "data": { "medipeps": "wake" },
            "android": { "priority": "HIGH", "ttl": format!("{WAKE_TTL_SECONDS}s"), "collapse_key": "medipeps" },
        }});
        Request::builder()
            .method(Method::POST)
            .uri(format!("https://{}/v1/projects/{project}/messages:send", self.host))
            .header(header::AUTHORIZATION, format!("Bearer {access_token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(message.to_string()))
            .ok()
    }

    /// A token that is good, fetched if there is none.
    async fn access_token(&self, now: SystemTime) -> Result<Zeroizing<String>, Outcome> {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Outcome::Refused)?.as_secs();
        let mut kept = self.token.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| known.expires > seconds + FCM_TOKEN_MARGIN_SECONDS) {
            return Ok(known.token.clone());
        }
        let request = self.account.token_request(seconds).ok_or(Outcome::Refused)?;
        let answer = self.http.send(request, "fcm").await?;
        if answer.status != StatusCode::OK {
            tracing::warn!(status = answer.status.as_u16(), "Google gives no token for the service account");
            return Err(Outcome::of_status(&answer, now));
        }
        let reply: TokenReply = serde_json::from_slice(&answer.body).map_err(|_| Outcome::Later(None))?;
        let expires = seconds.saturating_add(reply.expires_in);
        *kept = Some(AccessToken { token: reply.access_token.clone(), expires });
        Ok(reply.access_token)
    }

    /// "Error codes" of the API.
    async fn read(&self, answer: &Answer, now: SystemTime) -> Outcome {
        let error: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = error["error"]["details"]
            .as_array()
            .and_then(|details| details.iter().find_map(|detail| detail["errorCode"].as_str()).map(ToOwned::to_owned));
        match (answer.status, code.as_deref()) {
            (StatusCode::NOT_FOUND, _) | (_, Some("UNREGISTERED" | "SENDER_ID_MISMATCH")) => Outcome::Gone,
            (StatusCode::UNAUTHORIZED, _) => {
                *self.token.lock().await = None;
                Outcome::Later(None)
            }
            _ => {
                let outcome = Outcome::of_status(answer, now);
                if outcome == Outcome::Refused {
                    tracing::warn!(status = answer.status.as_u16(), code, "Google's push service refuses");
                }
                outcome
            }
        }
    }
}

#[async_trait]
impl PushService for Fcm {
    async fn wake(&self, endpoint: &PushEndpoint, now: SystemTime) -> Outcome {
        let token = match self.access_token(now).await {
            Ok(token) => token,
            Err(outcome) => return outcome,
        };
        let Some(request) = self.request(endpoint, &token) else { return Outcome::Refused };
        match self.http.send(request, "fcm").await {
            Ok(answer) => self.read(&answer, now).await,
            Err(reason) => reason.into(),
        }
    }
}

impl Account {
    fn read(path: &Path) -> Result<Self, PushError> {
        let file: AccountFile = serde_json::from_slice(&read(path)?)
            .map_err(|error| failed(path, format!("this is no service account: {error}")))?;
        let key = RsaKey::from_pem(&file.private_key)
            .ok_or_else(|| failed(path, "its private key is no RSA key in PEM (PKCS#8)"))?;
        if !is_app(&file.project_id) {
            return Err(failed(path, "its project id has other letters than project ids have"));
        }
        let is_uri = file.token_uri.starts_with("https://") && file.token_uri.parse::<hyper::Uri>().is_ok();
        if !is_uri {
            return Err(failed(path, "its token_uri is no https address"));
        }
        let AccountFile { project_id, private_key_id, client_email, token_uri, .. } = file;
        Ok(Self { project: project_id, email: client_email, token_uri, key_id: private_key_id, key })
    }

    /// "Using OAuth 2.0 for server to server applications".
    fn token_request(&self, now: u64) -> Option<Request<Full<Bytes>>> {
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        });
        let assertion = self.key.token(&self.key_id, &claims)?;
        Request::builder()
            .method(Method::POST)
            .uri(&self.token_uri)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(format!("grant_type={GRANT_TYPE}&assertion={assertion}")))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::signing::tests::{ACCOUNT, verified_rs256};
    use super::*;
    use http_body_util::BodyExt;
    use hyper::HeaderMap;

    fn account() -> Account {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service-account.json");
        std::fs::write(&path, ACCOUNT).unwrap();
        Account::read(&path).unwrap()
    }

    fn fcm() -> Fcm {
        let host = "fcm.googleapis.com".to_owned();
        Fcm { http: HttpClient::new(false, None).unwrap(), host, account: account(), token: Mutex::new(None) }
    }

    async fn body(request: Request<Full<Bytes>>) -> Bytes {
        request.into_body().collect().await.unwrap().to_bytes()
    }

    /// The request that Google documents, with nothing of ours but a fixed text.
    #[tokio::test]
    async fn a_request_is_as_google_documents_it() {
        let endpoint = "fcm:clinic-7/bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1".parse().unwrap();
        let request = fcm().request(&endpoint, "ya29.c.token").unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://fcm.googleapis.com/v1/projects/clinic-7/messages:send");
        assert_eq!(request.headers()["authorization"], "Bearer ya29.c.token");
        assert_eq!(request.headers()["content-type"], "application/json");
        let sent: Value = serde_json::from_slice(&body(request).await).unwrap();
        let android = json!({ "priority": "HIGH", "ttl": "86400s", "collapse_key": "medipeps" });
        let token = "bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1";
        let message = json!({ "token": token, "data": { "medipeps": "wake" }, "android": android });
        assert_eq!(sent, json!({ "message": message }));
    }

    #[tokio::test]
    async fn a_token_is_asked_for_as_google_documents_it() {
        let request = account().token_request(1_800_000_000).unwrap();
        assert_eq!(request.uri(), "https://oauth2.googleapis.com/token");
        assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
        let form = body(request).await;
        let form = std::str::from_utf8(&form).unwrap();
        let (grant, assertion) = form.split_once("&assertion=").unwrap();
        assert_eq!(grant, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");
        let (header, claims) = verified_rs256(assertion);
        assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "1f0c0f5a2d" }));
        let expected = json!({
            "iss": "push@clinic-7.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": 1_800_000_000,
            "exp": 1_800_003_600,
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn other_projects_and_other_services_are_not_called() {
        for endpoint in ["fcm:clinic-8/t", "https://push.example/1", "apns:example.App/00"] {
            assert!(fcm().request(&endpoint.parse().unwrap(), "token").is_none(), "{endpoint}");
        }
    }

    #[tokio::test]
    async fn answers_are_read_as_google_documents_them() {
        let error = |status: &str, code: &str| {
            let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
            let details = json!([{ "@type": kind, "errorCode": code }]);
            json!({ "error": { "code": 0, "message": "m", "status": status, "details": details } }).to_string()
        };
        let fcm = fcm();
        for (status, body, outcome) in [
            (200, r#"{"name":"projects/clinic-7/messages/0:1"}"#.to_owned(), Outcome::Woken),
            (404, error("NOT_FOUND", "UNREGISTERED"), Outcome::Gone),
            (403, error("PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Outcome::Gone),
            (400, error("INVALID_ARGUMENT", "INVALID_ARGUMENT"), Outcome::Refused),
            (403, r#"{"error":{"status":"PERMISSION_DENIED"}}"#.to_owned(), Outcome::Refused),
            (429, error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), Outcome::Later(None)),
            (503, error("UNAVAILABLE", "UNAVAILABLE"), Outcome::Later(None)),
            (500, "not JSON".to_owned(), Outcome::Later(None)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: HeaderMap::new(), body: Bytes::from(body.clone()) };
            assert_eq!(fcm.read(&answer, SystemTime::UNIX_EPOCH).await, outcome, "{status} {body}");
        }
        let expires = u64::MAX;
        *fcm.token.lock().await = Some(AccessToken { token: Zeroizing::new("old".to_owned()), expires });
        let (status, headers, body) = (StatusCode::UNAUTHORIZED, HeaderMap::new(), Bytes::new());
        let outcome = fcm.read(&Answer { status, headers, body }, SystemTime::UNIX_EPOCH).await;
        assert_eq!((outcome, fcm.token.lock().await.is_none()), (Outcome::Later(None), true));
    }

    #[test]
    fn what_is_no_service_account_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        let account: Value = serde_json::from_str(ACCOUNT).unwrap();
        let with = |key: &str, value: &str| {
            let mut account = account.clone();
            account[key] = value.into();
            account.to_string()
        };
        for (text, reason) in [
            ("{}".to_owned(), "no service account"),
            (with("private_key", "x"), "no RSA key"),
            (with("project_id", "a/b"), "project ids"),
            (with("token_uri", "http://a.example"), "https address"),
        ] {
            std::fs::write(&path, text).unwrap();
            let refused = Account::read(&path).err().unwrap().to_string();
            assert!(refused.contains(reason) && refused.contains("account.json"), "{refused}");
        }
    }
}
