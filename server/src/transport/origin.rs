//! Which web pages may connect. A browser names the page's origin (RFC 6454) with WebTransport and with WebSocket, and no
//! page can make it name another.

use http::HeaderMap;
use http::header::ORIGIN;

/// The path of WebTransport and WebSocket.
pub(super) const PATH: &str = "/medipeps/1";

/// Who asks for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A program that names no origin: no browser.
    Program,
    /// A page of an origin that is allowed.
    Page,
    /// A page of another origin, or something that names two or none that can be read.
    Stranger,
}

/// Who it is by the headers of the request.
pub(super) fn asker(headers: &HeaderMap, allowed: &[String]) -> Asker {
    let mut named = headers.get_all(ORIGIN).iter();
    match (named.next(), named.next()) {
        (None, _) => Asker::Program,
        (Some(origin), None) if allowed.iter().any(|allowed| origin.as_bytes() == allowed.as_bytes()) => Asker::Page,
        _ => Asker::Stranger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_the_very_origin_is_allowed() {
        let allowed = ["https://mail.clinic.example".to_owned()];
        let of = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            asker(&headers, &allowed)
        };
        assert_eq!(of(&[]), Asker::Program);
        assert_eq!(of(&["https://mail.clinic.example"]), Asker::Page);
        for other in [
            "",
            "null",
            "https://mail.clinic.example.evil.example",
            "https://mail.clinic.example:8443",
            "http://mail.clinic.example",
            "https://MAIL.clinic.example",
        ] {
            assert_eq!(of(&[other]), Asker::Stranger, "{other}");
        }
        assert_eq!(of(&["https://mail.clinic.example", "https://mail.clinic.example"]), Asker::Stranger);
    }
}
