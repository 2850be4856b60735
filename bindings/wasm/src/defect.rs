//! A panic ends the Worker: nothing of it is kept, since what an event has done is committed at its end or not at all.

use wasm_bindgen::prelude::*;

use crate::host;

/// Tells the page where it was, and nothing of what was worked with.
#[wasm_bindgen(start)]
fn watch() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        host::defect(&place);
    }));
}
