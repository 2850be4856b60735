//! Tests of the server over the wire, with clients that know streams and frames and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, reason = "these are tests")]

#[path = "wire/access.rs"]
mod access;
#[path = "wire/account.rs"]
mod account;
#[path = "wire/admin_port.rs"]
mod admin_port;
#[path = "wire/authorisation.rs"]
mod authorisation;
#[path = "wire/blobs.rs"]
mod blobs;
#[path = "wire/client.rs"]
mod client;
#[path = "wire/clock.rs"]
mod clock;
#[path = "wire/command.rs"]
mod command;
#[path = "wire/delivery_loops.rs"]
mod delivery_loops;
#[path = "wire/device_wakes.rs"]
mod device_wakes;
#[path = "wire/group.rs"]
mod group;
#[path = "wire/group_logs.rs"]
mod group_logs;
#[path = "wire/group_wakes.rs"]
mod group_wakes;
#[path = "wire/group_watch.rs"]
mod group_watch;
#[path = "wire/key_packages.rs"]
mod key_packages;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/limits_accounts.rs"]
mod limits_accounts;
#[path = "wire/limits_handshakes.rs"]
mod limits_handshakes;
#[path = "wire/limits_memory.rs"]
mod limits_memory;
#[path = "wire/limits_slow.rs"]
mod limits_slow;
#[path = "wire/mail.rs"]
mod mail;
#[path = "wire/proof.rs"]
mod proof;
#[path = "wake/push_service.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod push_service;
#[path = "wire/registration.rs"]
mod registration;
#[path = "wire/reload.rs"]
mod reload;
#[path = "wire/server.rs"]
mod server;
#[path = "wire/statement.rs"]
mod statement;
#[path = "wire/stubborn_storage.rs"]
mod stubborn_storage;
#[path = "wire/subscription.rs"]
mod subscription;
#[path = "wire/tenants.rs"]
mod tenants;
#[path = "wire/tokens.rs"]
mod tokens;
#[path = "wire/transport.rs"]
mod transport;
#[path = "wire/transports.rs"]
mod transports;
#[path = "wire/vouchers.rs"]
mod vouchers;
#[path = "wire/websocket.rs"]
mod websocket;
#[path = "wire/webtransport.rs"]
mod webtransport;
#[path = "wire/wire_client.rs"]
mod wire_client;
