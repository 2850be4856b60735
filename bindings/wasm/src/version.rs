//! Which version of the package this is.

use wasm_bindgen::prelude::*;

/// The version of the package, which `js/client.js` and `js/worker.js` must have too.
#[wasm_bindgen]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
