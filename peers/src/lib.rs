//! Nothing but tests and benches: groups beside other implementations of MLS.
//!
//! `tests/openmls.rs` lets members of OpenMLS and ours share a group. `benches/groups` times ours beside `mls-rs` with its
//! own provider and beside OpenMLS, in one run.
