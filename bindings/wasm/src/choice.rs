//! Which transports this page may take, which it takes first, and what became of it.
//!
//! A Worker has one account, so there is one choice. Which network it is in a page cannot tell: what won last is remembered for the
//! account, in its database.

use std::cell::RefCell;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use medipeps_client::limits::WEBSOCKET_REMEMBERED;
use medipeps_core::wire::transport::Transport;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::error::PageError;
use crate::host::Database;
use crate::record::given;

thread_local! {
    static CURRENT: RefCell<Choice> = RefCell::new(Choice::default());
    static OUTCOME: RefCell<Outcome> = RefCell::new(Outcome::default());
}

/// What may be taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    /// Not allowed, rather than allowed, so that nothing chosen is everything.
    without_webtransport: bool,
    without_websocket: bool,
    certificate_hashes: Vec<[u8; 32]>,
    /// What won last, and since when it does, in milliseconds since 1970.
    last: Option<(Transport, u64)>,
    /// Where that is kept.
    database: Option<Database>,
}

/// What became of it.
#[derive(Debug, Default)]
struct Outcome {
    taken: Option<Transport>,
    problem: Option<String>,
}

/// The connection that was made last.
#[derive(Serialize)]
struct Connection<'a> {
    transport: Option<&'static str>,
    problem: Option<&'a str>,
}

/// Chooses before an account is opened: names of transports, and SHA-256 of certificates that are taken beside those of the Web's
/// PKI, as hexadecimal or base64url digits.
///
/// # Errors
/// An `Error` with the code `argument`.
#[wasm_bindgen(js_name = chooseTransports)]
pub fn choose(transports: Vec<String>, certificate_hashes: Vec<String>) -> Result<(), JsValue> {
    let named = |name: &str| transports.iter().any(|transport| transport == name);
    if let Some(unknown) = transports.iter().find(|name| transport(name).is_none()) {
        return Err(PageError::argument(format!("there is no transport {unknown}")).into());
    }
    if transports.is_empty() {
        return Err(PageError::argument("no transport is left").into());
    }
    let hashes = certificate_hashes.iter().map(|digits| certificate_hash(digits)).collect::<Option<_>>();
    let certificate_hashes =
        hashes.ok_or_else(|| PageError::argument("a certificate's hash has 64 hexadecimal or 43 base64url digits"))?;
    CURRENT.with_borrow_mut(|choice| {
        choice.without_webtransport = !named(name(Transport::WebTransport));
        choice.without_websocket = !named(name(Transport::BrowserWebSocket));
        choice.certificate_hashes = certificate_hashes;
    });
    Ok(())
}

/// What became of the last attempt: `{ transport, problem }`.
///
/// # Errors
/// None.
#[wasm_bindgen]
pub fn connection() -> Result<JsValue, JsValue> {
    OUTCOME.with_borrow(|outcome| {
        given(&Connection { transport: outcome.taken.map(name), problem: outcome.problem.as_deref() })
    })
}

/// Reads what won last from the account's database, and keeps it there from now on.
pub(crate) async fn remember_in(database: &Database) {
    let last = database.transport().await.and_then(|(name, since)| Some((transport(&name)?, since)));
    CURRENT.with_borrow_mut(|choice| {
        choice.last = last;
        choice.database = Some(database.clone());
    });
}

/// A transport has won.
pub(crate) fn note(transport: Transport, now: u64) {
    OUTCOME.with_borrow_mut(|outcome| outcome.taken = Some(transport));
    let kept = CURRENT.with_borrow_mut(|choice| choice.note(transport, now));
    if let Some(database) = kept {
        spawn_local(async move { database.keep_transport(name(transport), now).await });
    }
}

/// A transport has failed.
pub(crate) fn failed(why: String) {
    OUTCOME.with_borrow_mut(|outcome| outcome.problem = Some(why));
}

/// What pages call it.
pub(crate) fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::WebTransport => "webtransport",
        _ => "websocket",
    }
}

fn transport(of: &str) -> Option<Transport> {
    [Transport::WebTransport, Transport::BrowserWebSocket].into_iter().find(|transport| name(*transport) == of)
}

impl Choice {
    /// What holds for the attempt that begins now.
    pub(crate) fn current() -> Self {
        OUTCOME.with_borrow_mut(|outcome| outcome.problem = None);
        CURRENT.with_borrow(Self::clone)
    }

    pub(crate) const fn allows_webtransport(&self) -> bool {
        !self.without_webtransport
    }

    pub(crate) const fn allows_websocket(&self) -> bool {
        !self.without_websocket
    }

    pub(crate) fn certificate_hashes(&self) -> &[[u8; 32]] {
        &self.certificate_hashes
    }

    /// Whether WebSocket won not long ago.
    pub(crate) fn prefers_websocket(&self, now: u64) -> bool {
        matches!(self.last, Some((Transport::BrowserWebSocket, since)) if is_fresh(since, now))
    }

    /// Where to keep it, if that is to be kept: WebSocket counts from when it won against WebTransport, so that its time runs out.
    fn note(&mut self, transport: Transport, now: u64) -> Option<Database> {
        // What was not a race says nothing.
        if self.without_webtransport || self.without_websocket {
            return None;
        }
        let known = match self.last {
            Some((Transport::BrowserWebSocket, since)) => {
                transport == Transport::BrowserWebSocket && is_fresh(since, now)
            }
            Some((last, _)) => last == transport,
            None => false,
        };
        if known {
            return None;
        }
        self.last = Some((transport, now));
        self.database.clone()
    }
}

/// A clock that was put back makes nothing last longer.
fn is_fresh(since: u64, now: u64) -> bool {
    now.checked_sub(since).is_some_and(|age| u128::from(age) <= WEBSOCKET_REMEMBERED.as_millis())
}

/// As `openssl x509 -fingerprint -sha256` has it too, with colons.
fn certificate_hash(digits: &str) -> Option<[u8; 32]> {
    let plain = digits.replace(':', "");
    let hexadecimal = HEXLOWER_PERMISSIVE.decode(plain.as_bytes());
    let bytes = hexadecimal.or_else(|_| BASE64URL_NOPAD.decode(plain.trim_end_matches('=').as_bytes())).ok()?;
    bytes.try_into().ok()
}
