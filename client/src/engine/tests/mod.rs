//! Engines wired back to back, without a network.
