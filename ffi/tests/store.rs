//! The library as another crate sees it.

use medipeps_ffi::{lock_account, store_exists};

#[test]
fn a_folder_without_an_account_has_nothing_to_lock() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    assert!(!store_exists(path.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(lock_account(path)).unwrap_err();
    assert!(refused.to_string().contains("no account"), "{refused}");
    assert_eq!(std::fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "not ours");
}
