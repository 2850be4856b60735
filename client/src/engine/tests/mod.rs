//! Engines wired back to back by a server in memory, without a network: the client's hard cases.

mod both_sides;
mod crash;
mod delivery;
mod identity_change;
mod prekeys;
mod sending;
mod simulation;
mod two_processes;
mod world;
