//! Where a device is woken, held to the little that it needs: a Web Push subscription (RFC 8030), or an app's token at Apple's or
//! Google's push service.
//!
//! It is one text, and read in one way only, so that what is held against a list of allowed hosts is what is called:
//!
//! - `https://HOST[:PORT]/PATH`: a push subscription. Nobody's name or password, no letters beyond ASCII. With
//!   `#p256dh=KEY&auth=SECRET` behind it, both in base64url as browsers and UnifiedPush hand them out, what is sent is
//!   encrypted for the subscription (RFC 8291); the fragment itself goes to no push service.
//! - `apns:APP/TOKEN`: the app's bundle id, and its device token in lower-case hexadecimal digits.
//! - `fcm:PROJECT/TOKEN`: the Firebase project, and the app's registration token.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

use crate::limits::{APNS_TOKEN_DIGITS_MAX, PUSH_APP_LENGTH_MAX, PUSH_ENDPOINT_LENGTH_MAX};

/// The port that a URL without one means.
const HTTPS_PORT: u16 = 443;

/// Where a device is woken. It is a capability: whoever has it can wake the device, so it prints without what wakes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushEndpoint {
    text: String,
    service: PushService,
}

/// What a [`PushEndpoint`] says, by the kind of push service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PushService {
    /// RFC 8030.
    Web {
        /// In lower case; an IPv6 address without its brackets.
        host: String,
        /// 443 unless the URL says otherwise.
        port: u16,
        /// For whom what is sent is encrypted; without keys it is empty.
        keys: Option<WebPushKeys>,
    },
    /// Apple's.
    Apns {
        /// Bundle id of the app.
        app: String,
        /// An even number of lower-case hexadecimal digits.
        token: String,
    },
    /// Google's, Firebase Cloud Messaging.
    Fcm {
        /// Firebase project of the app.
        project: String,
        /// Registration token of the app on the device.
        token: String,
    },
}

/// The keys of a push subscription: RFC 8291, section 2.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebPushKeys {
    /// P-256, an uncompressed point. That it is on the curve is found by whoever encrypts.
    pub p256dh: [u8; 65],
    /// Shared by the subscription and those who send to it.
    pub auth: [u8; 16],
}

/// Why a text is no [`PushEndpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushEndpointError {
    /// It is longer than [`PUSH_ENDPOINT_LENGTH_MAX`].
    #[error("the address of a push service has at most {PUSH_ENDPOINT_LENGTH_MAX} bytes")]
    TooLong,
    /// It begins with none of `https://`, `apns:` and `fcm:`.
    #[error("the address of a push service begins with https://, apns: or fcm:")]
    Scheme,
    /// It has no host, a host of other letters than names and addresses have, or no port after a colon.
    #[error("the address of a push service names a host, and after a colon a port")]
    Host,
    /// It names a user, or has letters that a URL must not have.
    #[error("the address of a push service has no user and no other letters than URLs have")]
    Letters,
    /// What follows the `#` is not the keys of a subscription.
    #[error("the keys of a push subscription are #p256dh=KEY&auth=SECRET, of 65 and 16 bytes in base64url")]
    Keys,
    /// Behind `apns:` or `fcm:` is not an app, a slash and a token.
    #[error("an app's token is apns:APP/TOKEN or fcm:PROJECT/TOKEN, in the letters that Apple and Google use")]
    Token,
}

impl PushEndpoint {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it says.
    #[must_use]
    pub const fn service(&self) -> &PushService {
        &self.service
    }

    /// Which push service is called, for logs and for bounds: `https://HOST:PORT`, `apns` or `fcm`.
    #[must_use]
    pub fn service_name(&self) -> String {
        match &self.service {
            PushService::Web { host, port, .. } => format!("https://{}:{port}", bracketed(host)),
            PushService::Apns { .. } => "apns".to_owned(),
            PushService::Fcm { .. } => "fcm".to_owned(),
        }
    }

    /// The URL of a Web Push subscription, without its keys; `None` if it is none.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        let url = self.text.split('#').next();
        if matches!(self.service, PushService::Web { .. }) { url } else { None }
    }
}

impl FromStr for PushEndpoint {
    type Err = PushEndpointError;

    fn from_str(text: &str) -> Result<Self, PushEndpointError> {
        if text.len() > PUSH_ENDPOINT_LENGTH_MAX {
            return Err(PushEndpointError::TooLong);
        }
        let service = if let Some(rest) = text.strip_prefix("https://") {
            read_subscription(rest)?
        } else if let Some(rest) = text.strip_prefix("apns:") {
            read_apns(rest).ok_or(PushEndpointError::Token)?
        } else if let Some(rest) = text.strip_prefix("fcm:") {
            read_fcm(rest).ok_or(PushEndpointError::Token)?
        } else {
            return Err(PushEndpointError::Scheme);
        };
        Ok(Self { text: text.to_owned(), service })
    }
}

fn read_subscription(rest: &str) -> Result<PushService, PushEndpointError> {
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') || !path.bytes().all(is_of_a_path) {
        return Err(PushEndpointError::Letters);
    }
    let (host, port) = read_authority(authority).ok_or(PushEndpointError::Host)?;
    let keys = fragment.map(|fragment| read_keys(fragment).ok_or(PushEndpointError::Keys)).transpose()?;
    Ok(PushService::Web { host, port, keys })
}

/// `p256dh=KEY&auth=SECRET`.
fn read_keys(fragment: &str) -> Option<WebPushKeys> {
    let (p256dh, auth) = fragment.strip_prefix("p256dh=")?.split_once("&auth=")?;
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    let keys = WebPushKeys { p256dh: decode(p256dh)?.try_into().ok()?, auth: decode(auth)?.try_into().ok()? };
    // SEC 1, section 2.3.3: an uncompressed point.
    (keys.p256dh[0] == 4).then_some(keys)
}

fn read_apns(rest: &str) -> Option<PushService> {
    let (app, token) = rest.split_once('/')?;
    let digits = token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let fits = !token.is_empty() && token.len() % 2 == 0 && token.len() <= APNS_TOKEN_DIGITS_MAX;
    (is_app(app) && digits && fits).then(|| PushService::Apns { app: app.to_owned(), token: token.to_owned() })
}

fn read_fcm(rest: &str) -> Option<PushService> {
    let (project, token) = rest.split_once('/')?;
    let letters = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':'));
    (is_app(project) && letters && !token.is_empty())
        .then(|| PushService::Fcm { project: project.to_owned(), token: token.to_owned() })
}

/// Whether a text can be the bundle id of an app or the id of a Firebase project.
#[must_use]
pub fn is_app(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    letters && !text.is_empty() && text.len() <= PUSH_APP_LENGTH_MAX
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The host and the port of `host`, `host:port`, `[address]` or `[address]:port`, the host in lower case.
///
/// `None` if it is none of these.
#[must_use]
pub fn read_authority(authority: &str) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            let letters = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
            // An empty label would make two spellings of one name.
            let labels = !host.split('.').any(str::is_empty);
            if !letters || !labels {
                return None;
            }
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0)?
        }
        None if port.is_empty() => HTTPS_PORT,
        _ => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// RFC 3986: what paths and queries are made of, escapes not looked into.
const fn is_of_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'?'
        )
}

impl fmt::Debug for PushEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PushEndpoint({}/..)", self.service_name())
    }
}

impl fmt::Debug for PushService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web { host, port, .. } => write!(formatter, "Web({}:{port})", bracketed(host)),
            Self::Apns { app, .. } => write!(formatter, "Apns({app})"),
            Self::Fcm { project, .. } => write!(formatter, "Fcm({project})"),
        }
    }
}

impl fmt::Debug for WebPushKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WebPushKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_in_one_way() {
        for (url, host, port) in [
            ("https://push.example/", "push.example", 443),
            ("https://push.example", "push.example", 443),
            ("https://Push.Example:8443/up?a=b&c=%2f", "push.example", 8443),
            ("https://push.example?token=a@b", "push.example", 443),
            ("https://192.0.2.7:1/x", "192.0.2.7", 1),
            ("https://[2001:DB8::1]/x", "2001:db8::1", 443),
            ("https://[::1]:65535/x", "::1", 65535),
        ] {
            let endpoint: PushEndpoint = url.parse().unwrap();
            let service = PushService::Web { host: host.to_owned(), port, keys: None };
            assert_eq!((endpoint.as_str(), endpoint.url(), endpoint.service()), (url, Some(url), &service));
        }
    }

    /// Of RFC 8291, section 5.
    const KEYS: &str = "p256dh=BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4\
                        &auth=BTBZMqHH6r4Tts7J_aSIgg";

    #[test]
    fn a_subscription_with_keys_is_called_without_them() {
        let text = format!("https://push.example/up/1#{KEYS}");
        let endpoint: PushEndpoint = text.parse().unwrap();
        let PushService::Web { keys: Some(keys), .. } = endpoint.service() else { panic!("{endpoint:?}") };
        assert_eq!((keys.p256dh[..3].to_vec(), keys.auth[15]), (vec![4, 0x25, 0x71], 0x82));
        assert_eq!(endpoint.url(), Some("https://push.example/up/1"));
        for keys in [
            "",
            "p256dh=",
            "auth=BTBZMqHH6r4Tts7J_aSIgg",
            &KEYS.replace("p256dh=BC", "p256dh=CC"),
            &KEYS.replace("&auth=", "&auth=AA"),
            &KEYS.replace('-', "+"),
            &format!("{KEYS}=="),
            &format!("{KEYS}&x=1"),
        ] {
            let text = format!("https://push.example/up/1#{keys}");
            assert_eq!(text.parse::<PushEndpoint>(), Err(PushEndpointError::Keys), "{keys}");
        }
    }

    #[test]
    fn tokens_of_apps_are_read_and_nothing_like_them() {
        let apns: PushEndpoint = "apns:example.clinic.App/00fc13adff".parse().unwrap();
        let expected = PushService::Apns { app: "example.clinic.App".to_owned(), token: "00fc13adff".to_owned() };
        assert_eq!((apns.service(), apns.url(), apns.service_name().as_str()), (&expected, None, "apns"));
        let fcm: PushEndpoint = "fcm:clinic-7/bk3RNwTe3H0:CI2k_HH-wg".parse().unwrap();
        let expected = PushService::Fcm { project: "clinic-7".to_owned(), token: "bk3RNwTe3H0:CI2k_HH-wg".to_owned() };
        assert_eq!((fcm.service(), fcm.url(), fcm.service_name().as_str()), (&expected, None, "fcm"));
        for text in [
            "apns:",
            "apns:app",
            "apns:/00",
            "apns:app/",
            "apns:app/0",
            "apns:app/0G",
            "apns:app/0A",
            "apns:a b/00",
            "apns:app/00/00",
            "fcm:",
            "fcm:p/",
            "fcm:/t",
            "fcm:p/a/b",
            "fcm:p/a b",
            "fcm:p/a?b",
            "fcm:p\u{e4}/a",
            &format!("apns:app/{}", "0".repeat(APNS_TOKEN_DIGITS_MAX + 2)),
            &format!("fcm:{}/t", "p".repeat(PUSH_APP_LENGTH_MAX + 1)),
        ] {
            assert_eq!(text.parse::<PushEndpoint>(), Err(PushEndpointError::Token), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_another_way_is_refused() {
        use PushEndpointError::{Host, Keys, Letters, Scheme, TooLong};
        let long = format!("https://push.example/{}", "a".repeat(PUSH_ENDPOINT_LENGTH_MAX));
        for (url, error) in [
            ("http://push.example/", Scheme),
            ("HTTPS://push.example/", Scheme),
            ("", Scheme),
            ("https:///x", Host),
            ("https://?x", Host),
            ("https://push.example:/", Host),
            ("https://push.example:0/", Host),
            ("https://push.example:+80/", Host),
            ("https://push.example:65536/", Host),
            ("https://push.example./", Host),
            ("https://push..example/", Host),
            ("https://[::1/", Host),
            ("https://[::1]x/", Host),
            ("https://[fe80::1%25eth0]/", Host),
            ("https://püsh.example/", Host),
            ("https://push.example\\@evil.example/", Letters),
            ("https://a@push.example/", Letters),
            ("https://push.example#x", Keys),
            ("https://push.example/#x", Keys),
            ("Apns:app/00", Scheme),
            ("mailto:a@push.example", Scheme),
            ("https://push.example/a b", Letters),
            ("https://push.example/a\r\nHost: b", Letters),
            ("https://push.example/ä", Letters),
            ("https://push.example/\\x", Letters),
            (&long, TooLong),
        ] {
            assert_eq!(url.parse::<PushEndpoint>(), Err(error), "{url}");
        }
    }

    #[test]
    fn it_prints_without_what_wakes() {
        let printed = |text: &str| {
            let endpoint: PushEndpoint = text.parse().unwrap();
            format!("{endpoint:?} {:?}", endpoint.service())
        };
        let web = "PushEndpoint(https://push.example:443/..) Web(push.example:443)";
        assert_eq!(printed("https://push.example/secret"), web);
        assert_eq!(printed(&format!("https://push.example/secret#{KEYS}")), web);
        assert_eq!(printed("apns:app/00"), "PushEndpoint(apns/..) Apns(app)");
        assert_eq!(printed("fcm:app/secret"), "PushEndpoint(fcm/..) Fcm(app)");
    }
}
