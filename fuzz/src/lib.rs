//! What the fuzzers call: one function per decoder, each taking whatever bytes a peer might send.
//!
//! A function here panics when a decoder breaks a promise; that a decoder itself panics, hangs or reads out of bounds, the
//! fuzzer sees. `cargo test` replays every committed input through the same functions, with no fuzzer and no C++.
//!
//! A new target is a function in the list below, a file `targets/NAME.rs`, its `[[bin]]` in Cargo.toml and a first input under
//! `corpus/NAME/`; the replay test names what is missing.

use medipeps_core::Address;

/// A fuzz target: its name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Declares the targets and lists them in [`TARGETS`].
macro_rules! targets {
    ($($(#[$documentation:meta])* $name:ident($data:ident) $body:block)+) => {
        $($(#[$documentation])* pub fn $name($data: &[u8]) $body)+

        /// Every target, for the replay of the corpora.
        pub const TARGETS: &[Target] = &[$((stringify!($name), $name)),+];
    };
}

targets! {
    /// Addresses: what is read prints as itself and is read again as the same.
    address(data) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Ok(address) = text.parse::<Address>() {
            assert_eq!(Address::from_canonical(address.as_str()).as_ref(), Ok(&address));
            assert_eq!(format!("{}@{}", address.local(), address.domain()), address.as_str());
        }
        if let Ok(address) = Address::from_canonical(text) {
            assert_eq!(address.as_str(), text);
        }
    }
}
