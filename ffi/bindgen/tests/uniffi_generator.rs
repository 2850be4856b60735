//! The generator as whoever calls it sees it.

use std::process::Command;

#[test]
fn wrong_use_is_told() {
    let call = |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_uniffi-bindgen")).args(words).output().unwrap();
    let help = call(&["generate", "--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8(help.stdout).unwrap().contains("--language"));
    let wrong = call(&["generate", "no-such-library.so", "--language", "cobol", "--out-dir", "nowhere"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("cobol"));
}
