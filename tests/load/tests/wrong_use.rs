//! The load generator as whoever calls it wrongly sees it.

use std::process::Command;

#[test]
fn wrong_use_is_told_and_exits_with_2() {
    for (words, said) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--idle", "many"][..], "many"),
        (&["--server", "mail.example:4433"][..], "--invitations"),
        (&["--seconds", "0"][..], "--seconds"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_medipeps-load")).args(words).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {error}");
        assert!(error.contains(said), "{words:?}: {error}");
    }
}
