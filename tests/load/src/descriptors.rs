//! File descriptors: a client has up to two sockets, and the server's process inherits the limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::LoadError;

/// What program and server need beside clients: files of the store, sockets, logs.
const BESIDE_CLIENTS: u64 = 256;

/// Raises the soft limit as far as it goes.
pub(crate) fn allow(sockets: usize) -> Result<(), LoadError> {
    let wanted = sockets as u64 + BESIDE_CLIENTS;
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    match getrlimit(Resource::Nofile).current {
        Some(allowed) if allowed < wanted => Err(LoadError::Descriptors { wanted, allowed }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_said() {
        assert!(allow(2).is_ok());
        if getrlimit(Resource::Nofile).maximum.is_some() {
            assert!(matches!(allow(usize::MAX / 8), Err(LoadError::Descriptors { .. })));
        }
    }
}
