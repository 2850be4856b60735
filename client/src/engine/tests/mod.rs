//! Engines wired back to back by a server in memory, without a network: the client's hard cases.

mod both_sides;
mod broken_session;
mod crash;
mod delivery;
mod devices;
mod healing;
mod identity_change;
mod kept_envelopes;
mod key_change;
mod key_reuse;
mod large_bodies;
mod linking;
mod own_devices;
mod placement;
mod prekeys;
mod repair;
mod rollback;
mod sending;
mod server;
mod several_devices;
mod simulation;
mod transfers;
mod two_processes;
mod uploads;
mod world;
