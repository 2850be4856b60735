//! `backup.json`: what a backup begins with, its chunks and records.

use serde_json::json;

use super::{check, hex, secret};
use crate::test_rng::rng;

#[test]
fn backup_vectors() {
    use crate::backup::{CHUNK_LENGTH, RecoveryCode, Sealer};
    use crate::wire::backup::{BackupEnd, BackupEntry, BackupHeader, BackupRecord};
    use crate::wire::client_store::PassphraseLock;

    let lock = PassphraseLock { salt: [1; 16], memory_kib: 65_536, passes: 3, lanes: 1 };
    let header = BackupHeader { lock, salt: [2; 32], recovery_code: true, created: 1_700_000_000_000 };
    let (mut sealer, begin) = Sealer::begin(&header, &secret(3)).unwrap();
    let mut first = vec![4; CHUNK_LENGTH];
    sealer.seal(&mut first, false).unwrap();
    let mut last = b"the end".to_vec();
    sealer.seal(&mut last, true).unwrap();
    let entry = BackupRecord::Entry(BackupEntry { class: 4, name: vec![5; 16], value: vec![6, 7].into() });
    let code = RecoveryCode::random(&mut rng(8));
    check(
        "backup",
        &json!({
            "about": "spec/backup.md: what a backup begins with, its chunks, records. The passphrase is stretched already; Argon2id is in client-store.json.",
            "header": hex(header.encode()),
            "stretched": hex([3; 32]),
            "begins_with": hex(&begin),
            "first_chunk": { "plaintext": "65536 bytes 04", "begins_with": hex(&first[..32]), "tag": hex(&first[CHUNK_LENGTH..]) },
            "last_chunk": { "plaintext": hex(b"the end"), "sealed": hex(&last) },
            "entry": { "class": 4, "name": hex([5; 16]), "value": "0607", "encoded": hex(&*entry.encode()) },
            "end": { "entries": 1, "copies": 0, "encoded": hex(&*BackupRecord::End(BackupEnd { entries: 1, copies: 0 }).encode()) },
            "recovery_code": { "text": *code.text(), "letters": *code.letters() },
        }),
    );
}
