//! What a call costs from Rust, without any other language between. `cargo xtask bench calls` prints it beside the same calls from
//! Python, Kotlin and Swift, which `bindings/*/` measure in the same way.

use std::hint::black_box;
use std::time::Instant;

use medipeps_ffi::{Client, StoreLock, library_version};

/// Calls of each kind, after a tenth of them that are not counted.
const CALLS: u32 = 20_000;
const ASYNC_CALLS: u32 = 2_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let folder = tempfile::tempdir()?;
    let home = folder.path().join("account").display().to_string();
    let lock = StoreLock::Passphrase { passphrase: "a long passphrase".to_owned() };
    let client = runtime.block_on(Client::create(home, lock))?;
    tell("version", CALLS, || drop(black_box(library_version())));
    tell("account", ASYNC_CALLS, || drop(black_box(runtime.block_on(client.account()))));
    runtime.block_on(client.shut_down());
    Ok(())
}

fn tell(name: &str, calls: u32, mut call: impl FnMut()) {
    (0..calls / 10).for_each(|_| call());
    let begun = Instant::now();
    (0..calls).for_each(|_| call());
    println!("value calls/rust/{name} {}", begun.elapsed().as_nanos() / u128::from(calls));
}
