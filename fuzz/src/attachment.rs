//! A sealed attachment that someone changed, cut or made longer on the way.

use std::sync::OnceLock;

use medipeps_core::attachment::{AttachmentError, AttachmentKey, Layout, Opener, Sealer};
use medipeps_core::crypto::secret::Secret;

/// Bytes of the plaintext: two chunks, the last one padded.
const LENGTH: u64 = 70_001;

/// The input: three bytes of length that the sealed bytes are cut or made longer to, unless the first is odd; then changes of
/// four bytes each: where (big endian, modulo the length), and what to xor there.
pub(crate) fn refuses(input: &[u8]) {
    static SEALED: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let Some(sealed) = SEALED.get_or_init(|| seal().ok()) else {
        unreachable!("a plaintext of this length can be sealed");
    };
    let Some((length, changes)) = input.split_first_chunk::<3>() else { return };
    let mut altered = sealed.clone();
    if length[0] % 2 == 0 {
        altered.resize(number(*length).min(2 * sealed.len()), 0);
    }
    for change in changes.chunks_exact(4) {
        let place = number([change[0], change[1], change[2]]).checked_rem(altered.len());
        place.into_iter().for_each(|place| altered[place] ^= change[3]);
    }
    let opened = open(&altered);
    if altered == *sealed {
        assert!(opened.is_ok_and(|opened| opened == plaintext()), "unchanged bytes open");
    } else {
        assert!(opened.is_err(), "changed bytes open");
    }
}

fn number(bytes: [u8; 3]) -> usize {
    bytes.into_iter().fold(0, |number, byte| number << 8 | usize::from(byte))
}

fn plaintext() -> Vec<u8> {
    (0..LENGTH).map(|index| (index % 251) as u8).collect()
}

fn key() -> AttachmentKey {
    AttachmentKey::from(Secret::from([1; 32]))
}

fn seal() -> Result<Vec<u8>, AttachmentError> {
    let mut sealed = Vec::new();
    Sealer::new(&key(), Layout::new(LENGTH)?).seal_part(0, &plaintext(), &mut sealed)?;
    Ok(sealed)
}

/// Everything, and the end on its own on the way; a length that is not the right one is noticed by whoever fetches it.
fn open(sealed: &[u8]) -> Result<Vec<u8>, AttachmentError> {
    let layout = Layout::new(LENGTH)?;
    let start = usize::try_from(layout.tail().start).map_err(|_| AttachmentError::Range)?;
    let opener = Opener::new(&key(), layout, sealed.get(start..).unwrap_or_default().to_vec())?;
    let mut buffer = sealed.to_vec();
    opener.open_part(0, &mut buffer)?;
    Ok(buffer)
}
