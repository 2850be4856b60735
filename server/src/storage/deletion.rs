//! An export without the accounts that were deleted after it was written.

use std::io::{Read, Write};

use medipeps_core::Address;
use medipeps_core::wire::server_storage::ExportRecord;

use super::export::{ExportWriter, read_export};
use super::{ExportError, ImportError};

/// Copies an export and leaves out accounts with all that belongs to them; says how many. The copy is good only if this
/// returns `Ok`.
///
/// # Errors
/// [`ImportError`]: of the export, or that the copy cannot be written.
pub(crate) fn copy_without(
    reader: &mut dyn Read,
    writer: Box<dyn Write + Send>,
    is_deleted: &dyn Fn(&Address, u64) -> bool,
) -> Result<u64, ImportError> {
    let mut copy = ExportWriter::new(writer).map_err(not_written)?;
    let (mut left_out, mut passing_over) = (0, false);
    read_export(reader, &mut |record| {
        match &record {
            ExportRecord::Account { address, account, .. } => {
                passing_over = is_deleted(address, account.created);
                left_out += u64::from(passing_over);
            }
            ExportRecord::Device { .. }
            | ExportRecord::UsedPrekeys { .. }
            | ExportRecord::Envelope { .. }
            | ExportRecord::Submission { .. } => {}
            _ => passing_over = false,
        }
        if passing_over { Ok(()) } else { copy.write(&record).map_err(not_written) }
    })?;
    copy.finish().map_err(not_written)?;
    Ok(left_out)
}

fn not_written(error: ExportError) -> ImportError {
    match error {
        ExportError::Write(error) => ImportError::Read(error),
        ExportError::Storage(error) => ImportError::Storage(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::storage::conformance::{ROOMY, export, register, submission};
    use crate::storage::{MemoryStorage, Storage};

    /// A writer whose bytes can be had afterwards.
    #[derive(Clone, Default)]
    struct Bytes(Arc<Mutex<Vec<u8>>>);

    impl Write for Bytes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_deleted_account_is_left_out_with_all_that_is_its() {
        let source = MemoryStorage::new(ROOMY, [1; 16]);
        let mut accounts = Vec::new();
        for (id, name) in ["a@x", "b@x", "c@x"].into_iter().enumerate() {
            accounts.push(register(&source, name, &[1, 2]).await);
            source.enqueue(submission(&accounts[id], id as u8, &[(1, 100), (2, 100)])).await.unwrap();
        }
        let exported = export(&source).await;
        let written = Bytes::default();
        let left_out = copy_without(&mut Cursor::new(exported.clone()), Box::new(written.clone()), &|address, _| {
            *address == accounts[1]
        });
        assert_eq!(left_out.unwrap(), 1);
        let restored = MemoryStorage::new(ROOMY, [2; 16]);
        let copy = written.0.lock().unwrap().clone();
        restored.import(Box::new(Cursor::new(copy))).await.unwrap();
        assert_eq!(restored.account(&accounts[1]).await, Ok(None));
        for kept in [&accounts[0], &accounts[2]] {
            assert_eq!(restored.account(kept).await, source.account(kept).await);
            assert_eq!(restored.fetch(kept, 2, 0, 9).await, source.fetch(kept, 2, 0, 9).await);
        }
        let cut = exported[..exported.len() - 1].to_vec();
        let refused = copy_without(&mut Cursor::new(cut), Box::new(Bytes::default()), &|_, _| false);
        assert!(matches!(refused, Err(ImportError::Damaged)), "{refused:?}");
    }
}
