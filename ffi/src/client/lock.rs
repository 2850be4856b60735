//! An account's folder locked, or wiped: told to every program that has it open.

use std::path::PathBuf;

use medipeps_client::shell::presence;
use medipeps_client::shell::wipe::{Wiped, wipe};

use crate::MedipepsError;
use crate::error::Code;
use crate::worker::blocking;

/// What has become of a wipe.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum WipeOutcome {
    /// Everything of the account is gone from this device.
    Done {
        /// Files in the folder that are not of Medipeps, and were left.
        foreign: Vec<String>,
    },
    /// These processes have the account open and did not close it: nothing was destroyed.
    InUse {
        /// By their numbers.
        processes: Vec<u32>,
    },
}

/// Tells every program that has the account in a folder open to close it, this one too, and waits for at most ten seconds. Every
/// [`crate::Client`] of the folder ends at once, with its keys; its calls fail with `Closed` and the word `locked`. Gives back the
/// numbers of the processes that have not closed it.
///
/// # Errors
/// `NoStore`, `File`.
#[uniffi::export]
pub async fn lock_account(folder: String) -> Result<Vec<u32>, MedipepsError> {
    if !super::store_exists(folder.clone()) {
        return Err(MedipepsError::new(Code::NoStore, "missing", "there is no account in this folder"));
    }
    blocking(move || Ok(numbers(presence::lock(&PathBuf::from(&folder)).map_err(|error| failed(&folder, &error))?)))
        .await
}

/// Destroys the account in a folder: first its keys, then the rest. It is locked before. The device stays listed at the server until
/// another one of the account revokes it. A wipe that was interrupted is gone on with; what is not there is wiped already.
///
/// # Errors
/// `File`; call it again.
#[uniffi::export]
pub async fn wipe_account(folder: String) -> Result<WipeOutcome, MedipepsError> {
    blocking(move || {
        let wiped = wipe(&PathBuf::from(&folder)).map_err(|error| failed(&folder, &error))?;
        Ok(match wiped {
            Wiped::Done(foreign) => {
                WipeOutcome::Done { foreign: foreign.iter().map(|path| path.display().to_string()).collect() }
            }
            Wiped::InUse(left) => WipeOutcome::InUse { processes: numbers(left) },
        })
    })
    .await
}

/// Each process once.
fn numbers(mut processes: Vec<u32>) -> Vec<u32> {
    processes.sort_unstable();
    processes.dedup();
    processes
}

fn failed(folder: &str, error: &std::io::Error) -> MedipepsError {
    MedipepsError::new(Code::File, "folder", format!("{folder}: {error}"))
}
