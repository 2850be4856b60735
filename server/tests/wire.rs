//! Tests of the server over the wire, with a client that knows QUIC and frames and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, reason = "these are tests")]

#[path = "wire/account.rs"]
mod account;
#[path = "wire/client.rs"]
mod client;
#[path = "wire/mail.rs"]
mod mail;
#[path = "wire/server.rs"]
mod server;
