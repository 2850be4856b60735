//! Web Push: RFC 8030, with the encryption of RFC 8291 where a subscription has keys, and signed as RFC 8292 has it.

use std::time::SystemTime;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use medipeps_core::push_endpoint::{PushEndpoint, PushService as Named, WebPushKeys};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::http::{Answer, HttpClient};
use super::service::{Outcome, PushService};
use super::signing::EcKey;
use crate::limits::{VAPID_LIFETIME_SECONDS, WAKE_TTL_SECONDS};

/// Of RFC 8030, section 5.4: a wake that waits at the push service is replaced by the next one, whatever it is for. It is the same
/// for all, so that the push service cannot tell what for.
const TOPIC: &str = "medipeps";
/// Bytes of a record of RFC 8188; ours has one, which is shorter.
const RECORD_SIZE: u32 = 4096;
/// Of RFC 8188, section 2: the last record ends with it.
const LAST_RECORD: u8 = 2;

/// All Web Push services.
pub(super) struct WebPush {
    http: HttpClient,
    /// The key that signs, and where whoever runs the server is reached.
    vapid: Option<(EcKey, String)>,
    random: SystemRandom,
}

impl WebPush {
    pub(super) fn new(http: HttpClient, vapid: Option<(EcKey, String)>) -> Self {
        Self { http, vapid, random: SystemRandom::new() }
    }

    /// RFC 8030, section 5. `None` if it cannot be made for this endpoint.
    fn request(&self, endpoint: &PushEndpoint, now: SystemTime) -> Option<Request<Full<Bytes>>> {
        let Named::Web { host, port, keys } = endpoint.service() else { return None };
        let body = match keys {
            Some(keys) => encrypt(&[], keys, &self.random)?,
            None => Vec::new(),
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(endpoint.url()?)
            // Without it some servers ask for a length (411).
            .header(header::CONTENT_LENGTH, body.len())
            .header("ttl", WAKE_TTL_SECONDS)
            .header("urgency", "normal")
            .header("topic", TOPIC);
        if keys.is_some() {
            request = request
                .header(header::CONTENT_ENCODING, "aes128gcm")
                .header(header::CONTENT_TYPE, "application/octet-stream");
        }
        if let Some((key, contact)) = &self.vapid {
            request = request.header(header::AUTHORIZATION, vapid(key, contact, &origin(host, *port), now)?);
        }
        request.body(Full::from(body)).ok()
    }
}

#[async_trait]
impl PushService for WebPush {
    async fn wake(&self, endpoint: &PushEndpoint, now: SystemTime) -> Outcome {
        let Some(request) = self.request(endpoint, now) else { return Outcome::Refused };
        match self.http.send(request, &endpoint.service_name()).await {
            Ok(answer) => read(&answer, now),
            Err(reason) => reason.into(),
        }
    }
}

/// 404 and 410 end a subscription: RFC 8030, section 7.3.
fn read(answer: &Answer, now: SystemTime) -> Outcome {
    match answer.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Gone,
        _ => Outcome::of_status(answer, now),
    }
}

/// RFC 6454, section 6.2: the port only where it is not the usual one.
fn origin(host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

/// RFC 8292, sections 2 and 3: by whom a push service is called.
fn vapid(key: &EcKey, contact: &str, audience: &str, now: SystemTime) -> Option<String> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let claims = json!({ "aud": audience, "exp": now + VAPID_LIFETIME_SECONDS, "sub": contact });
    Some(format!("vapid t={}, k={}", key.token(None, &claims)?, BASE64URL_NOPAD.encode(&key.public()?)))
}

/// RFC 8291, section 4: `plaintext` for a subscription. `None` if its key is no point of the curve.
fn encrypt(plaintext: &[u8], keys: &WebPushKeys, random: &SystemRandom) -> Option<Vec<u8>> {
    let secret = EphemeralPrivateKey::generate(&ECDH_P256, random).ok()?;
    let public: [u8; 65] = secret.compute_public_key().ok()?.as_ref().try_into().ok()?;
    let mut salt = [0; 16];
    random.fill(&mut salt).ok()?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, &keys.p256dh);
    agree_ephemeral(secret, &peer, |shared| seal(plaintext, keys, &public, &salt, shared)).ok()?
}

/// The record of RFC 8188 under the key of RFC 8291, section 3.4.
fn seal(
    plaintext: &[u8],
    keys: &WebPushKeys,
    public: &[u8; 65],
    salt: &[u8; 16],
    shared_secret: &[u8],
) -> Option<Vec<u8>> {
    let info = [b"WebPush: info\0", &keys.p256dh[..], public];
    let input: [u8; 32] = expand(&keys.auth, shared_secret, &info)?;
    let key: [u8; 16] = expand(salt, &input, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = expand(salt, &input, &[b"Content-Encoding: nonce\0"])?;
    let mut record = [plaintext, &[LAST_RECORD]].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record).ok()?;
    let length_of_public = u8::try_from(public.len()).ok()?;
    Some([&salt[..], &RECORD_SIZE.to_be_bytes(), &[length_of_public], public, &record].concat())
}

/// HKDF-SHA-256 (RFC 5869): extract and expand.
fn expand<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Option<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut key = [0; N];
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    prk.expand(info, Length(N)).ok()?.fill(&mut key).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::super::signing::tests::verified_es256;
    use super::*;
    use hyper::HeaderMap;
    use std::time::Duration;

    /// RFC 8291, section 5 and appendix A.
    const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    fn keys() -> WebPushKeys {
        WebPushKeys { p256dh: bytes(P256DH), auth: bytes(AUTH) }
    }

    fn service(vapid: Option<EcKey>) -> WebPush {
        let http = HttpClient::new(false, None).unwrap();
        WebPush::new(http, vapid.map(|key| (key, "mailto:it@clinic.example".to_owned())))
    }

    #[test]
    fn the_example_of_rfc_8291_is_reproduced() {
        let public = bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let shared: [u8; 32] = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw");
        let sealed = seal(b"When I grow up, I want to be a watermelon", &keys(), &public, &salt, &shared);
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml\
                        mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT\
                        pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(BASE64URL_NOPAD.encode(&sealed.unwrap()), expected);
    }

    #[test]
    fn what_is_sent_is_encrypted_and_empty() {
        let endpoint: PushEndpoint = format!("https://push.example/1#p256dh={P256DH}&auth={AUTH}").parse().unwrap();
        let request = service(None).request(&endpoint, SystemTime::UNIX_EPOCH).unwrap();
        let headers = request.headers();
        assert_eq!(request.uri(), "https://push.example/1");
        assert_eq!((&headers["content-encoding"], &headers["ttl"]), (&"aes128gcm".parse().unwrap(), &86400.into()));
        // Salt, record size, key and its length, the mark of the last record, and the tag.
        assert_eq!(headers["content-length"], (16 + 4 + 1 + 65 + 1 + 16).to_string());
        assert!(!headers.contains_key("authorization"));
        let sealed = |random| encrypt(&[], &keys(), &random).unwrap();
        assert_ne!(sealed(SystemRandom::new()), sealed(SystemRandom::new()), "every time under another key");
    }

    #[test]
    fn a_key_that_is_no_point_is_refused() {
        let mut keys = keys();
        keys.p256dh[64] ^= 1;
        assert_eq!(encrypt(&[], &keys, &SystemRandom::new()), None);
    }

    #[test]
    fn calls_are_signed_for_the_push_service_alone() {
        let key = EcKey::from_pkcs8(&EcKey::draw().unwrap()).unwrap();
        let public = key.public().unwrap();
        let service = service(Some(key));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for (url, audience) in [
            ("https://push.example/1", "https://push.example"),
            ("https://push.example:8443/1", "https://push.example:8443"),
            ("https://[2001:db8::1]/1", "https://[2001:db8::1]"),
        ] {
            let request = service.request(&url.parse().unwrap(), now).unwrap();
            let authorization = request.headers()["authorization"].to_str().unwrap();
            let (token, named) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
            assert_eq!(bytes::<65>(named), public);
            let (header, claims) = verified_es256(token, &public);
            assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT" }));
            let expected = json!({ "aud": audience, "exp": 1_800_043_200_u64, "sub": "mailto:it@clinic.example" });
            assert_eq!(claims, expected);
        }
    }

    #[test]
    fn answers_say_whether_to_come_again() {
        let answered = |status: u16, wait: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(wait.map(|wait| (header::RETRY_AFTER, wait.parse().unwrap())));
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() };
            read(&answer, SystemTime::UNIX_EPOCH)
        };
        for woken in [200, 201, 202, 204] {
            assert_eq!(answered(woken, None), Outcome::Woken);
        }
        assert_eq!([404, 410].map(|status| answered(status, None)), [Outcome::Gone; 2]);
        for refused in [301, 302, 307, 308, 400, 401, 403, 413] {
            assert_eq!(answered(refused, Some("5")), Outcome::Refused, "{refused}");
        }
        for later in [408, 429, 500, 502, 503, 599] {
            assert_eq!(answered(later, None), Outcome::Later(None), "{later}");
            assert_eq!(answered(later, Some("120")), Outcome::Later(Some(120_000)), "{later}");
        }
    }
}
