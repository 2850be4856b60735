//! A file is sealed by parts, a page of it is read, and a truncated copy is refused:
//! `cargo run --package medipeps-core --example attachment`.

use std::error::Error;
use std::ops::Range;

use chacha20::ChaCha20Rng;
use medipeps_core::attachment::{AttachmentError, AttachmentKey, Layout, Opener, Sealer, part_digest, root};
use rand_core::SeedableRng;

/// Runs the example.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // Ten million bytes stand for a file. Where a part lies follows from the file's length alone.
    let file: Vec<u8> = (0..10_000_000_u32).map(|index| (index / 4096) as u8).collect();
    let layout = Layout::new(file.len() as u64)?;

    // One key for one file: it travels inside a message. A client seeds with 32 bytes of the operating system.
    let key = AttachmentKey::random(&mut ChaCha20Rng::from_seed([7; 32]));

    // Parts of 4 MiB, in any order and on any number of threads: no part needs another. Each goes to the server as it is
    // made. A client stores a part's digest BEFORE its sealed form leaves: were the file changed when an upload is resumed,
    // two plaintexts would be sealed under one key and nonce.
    let sealer = Sealer::new(&key, layout);
    let mut server = Vec::new();
    let mut digests = Vec::new();
    let mut sealed = Vec::new();
    for part in 0..layout.parts() {
        let plaintext = slice(&file, layout.part(part)?)?;
        if part < layout.plaintext_parts() {
            digests.push(part_digest(plaintext));
        }
        sealer.seal_part(part, plaintext, &mut sealed)?;
        server.extend_from_slice(&sealed);
    }
    assert_eq!(server.len() as u64, layout.sealed_length());
    println!("{} bytes, {} on the server: the padding hides the length", file.len(), server.len());

    // The message says the key, the length and the root of the digests. The recipient asks for the end first: it proves
    // that this is the whole file, under this key and no other.
    let root_in_message = root(layout.length(), &digests);
    let opener = Opener::new(&key, layout, slice(&server, layout.tail())?.to_vec())?;

    // A range, wherever it lies: only the chunks that hold it are fetched.
    let page = 5_000_000..5_001_000;
    let mut buffer = slice(&server, layout.sealed_range(&page)?)?.to_vec();
    let fetched = buffer.len();
    opener.open_range(&page, &mut buffer)?;
    assert_eq!(buffer, slice(&file, page)?);
    println!("{} bytes were read, {fetched} fetched", buffer.len());

    // The whole, part by part. Its root is compared before the file gets its name.
    let mut digests = Vec::new();
    for part in 0..layout.parts() {
        let mut buffer = slice(&server, layout.sealed_part(part)?)?.to_vec();
        opener.open_part(part, &mut buffer)?;
        assert_eq!(buffer, slice(&file, layout.part(part)?)?);
        if part < layout.plaintext_parts() {
            digests.push(part_digest(&buffer));
        }
    }
    assert_eq!(root(layout.length(), &digests), root_in_message);

    // A server that lost the end cannot pass off the rest as the file, whatever it says about the length.
    server.truncate(server.len() / 2);
    let shorter = Layout::new(file.len() as u64 / 2)?;
    for (layout, what) in [(layout, "the file's own length"), (shorter, "half of it")] {
        let tail = layout.tail();
        let end = server.len() as u64;
        let shown = slice(&server, tail.start.min(end)..tail.end.min(end))?.to_vec();
        let Err(refused) = Opener::new(&key, layout, shown) else { return Err("a truncated file was opened".into()) };
        assert_eq!(refused, AttachmentError::Commitment);
        println!("Truncated, with {what}: {refused}");
    }
    Ok(())
}

/// A range of bytes, as a server or a file would give it.
fn slice(bytes: &[u8], range: Range<u64>) -> Result<&[u8], Box<dyn Error>> {
    let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
    bytes.get(range).ok_or_else(|| "the range is not there".into())
}
