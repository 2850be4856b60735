//! The generator as whoever calls it sees it.

use std::process::Command;

#[test]
fn wrong_use_is_told() {
    let call = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_medipeps-wasm-bindgen")).args(words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, error) = call(&["only-one.wasm"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("FILE.wasm FOLDER"), "{error}");
    let (code, error) = call(&["no-such-file.wasm", "nowhere"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no-such-file.wasm"), "{error}");
}
