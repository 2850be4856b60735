//! `spec/vectors/attachment.json`.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{AttachmentKey, Layout, Sealer, part_digest, root};
use crate::vectors::{check, hex, secret};

#[test]
fn attachment_vectors() {
    let cases = [0_u64, 1, 65_536, 65_537, 200_000, 4 << 20, (4 << 20) + 1].map(|length| {
        let key = AttachmentKey::from(secret(0x41));
        // Byte i of the plaintext is (i * 31 + 7) mod 251.
        let plaintext: Vec<u8> = (0..length).map(|index| ((index * 31 + 7) % 251) as u8).collect();
        let layout = Layout::new(length).unwrap();
        let sealer = Sealer::new(&key, layout);
        let (mut sealed, mut part_bytes, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for part in 0..layout.parts() {
            let range = layout.part(part).unwrap();
            let bytes = &plaintext[range.start as usize..range.end as usize];
            sealer.seal_part(part, bytes, &mut part_bytes).unwrap();
            sealed.extend_from_slice(&part_bytes);
            if part < layout.plaintext_parts() {
                digests.push(part_digest(bytes));
            }
        }
        let tail = layout.tail();
        json!({
            "length": length,
            "padded_length": layout.padded_length(),
            "chunks": layout.chunks(),
            "sealed_length": layout.sealed_length(),
            "tail": [tail.start, tail.end],
            "first_32_sealed": hex(&sealed[..32]),
            "commitment": hex(&sealed[sealed.len() - 32..]),
            "sealed_sha256": hex(Sha256::digest(&sealed)),
            "part_digests": digests.iter().map(hex).collect::<Vec<_>>(),
            "root": hex(root(length, &digests)),
        })
    });
    check("attachment", &json!({ "key": hex([0x41; 32]), "cases": cases }));
}
