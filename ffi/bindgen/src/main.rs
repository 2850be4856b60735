//! `uniffi-bindgen generate LIBRARY --language kotlin --out-dir DIR`; see `cargo xtask bindings`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
