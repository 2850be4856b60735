//! Files that another app has opened for this one: Android gives a descriptor, and no path.

use std::fs::File;
use std::os::fd::BorrowedFd;

use crate::MedipepsError;

/// A file of its own for an open descriptor, which stays its owner's and open.
pub(crate) fn duplicate(descriptor: i32) -> Result<File, MedipepsError> {
    let refused = |problem: &str| MedipepsError::argument("descriptor", problem);
    if descriptor < 0 {
        return Err(refused("it is negative"));
    }
    // SAFETY: it is not the value that a borrowed descriptor cannot have (-1), and it is borrowed for the one call that
    // duplicates it, during which the app waits for this library; where it is not open, that call says so.
    #[expect(unsafe_code, reason = "an app's number is a descriptor by its word alone")]
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let owned = borrowed.try_clone_to_owned().map_err(|error| refused(&error.to_string()))?;
    Ok(File::from(owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn the_owner_keeps_its_own() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"letter").unwrap();
        let mut own = duplicate(file.as_raw_fd()).unwrap();
        own.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        own.read_to_string(&mut text).unwrap();
        drop(own);
        assert_eq!(text, "letter");
        file.write_all(b"!").unwrap();
        for closed in [-1, i32::MIN, 1 << 20] {
            assert!(matches!(duplicate(closed), Err(MedipepsError::Argument { .. })), "{closed}");
        }
    }
}
