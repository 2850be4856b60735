//! Invitations: from the control socket of a server of our own, or from a file.

use std::fs;
use std::path::Path;

use medipeps_core::invitation::Invitation;
use medipeps_core::wire::control::{ControlInvite, ControlRequest, ControlResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::error::LoadError;

/// Invitations asked for at once: they share commits.
const PARALLEL: usize = 32;
/// Milliseconds for which they are good: a day.
const VALID_MS: u64 = 24 * 3600 * 1000;
/// Bytes of the answer, which is a code or an error.
const ANSWER_LENGTH_MAX: usize = 64 << 10;

/// So many from the server that listens on this socket.
pub(crate) async fn draw(socket: &Path, count: usize) -> Result<Vec<Invitation>, LoadError> {
    let (mut tasks, mut invitations, mut asked) = (JoinSet::new(), Vec::with_capacity(count), 0);
    loop {
        while tasks.len() < PARALLEL && asked < count {
            asked += 1;
            let socket = socket.to_owned();
            tasks.spawn(async move { invite(&socket).await });
        }
        let Some(invited) = tasks.join_next().await else { return Ok(invitations) };
        invitations.push(invited.map_err(|error| LoadError::server("a task")(&error))??);
    }
}

/// So many from a file, one a line.
pub(crate) fn read(path: &Path, count: usize) -> Result<Vec<Invitation>, LoadError> {
    let wrong = |problem: String| LoadError::Invitations { path: path.to_owned(), problem };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty()).take(count);
    let invitations =
        lines.map(|(number, line)| line.parse().map_err(|_| wrong(format!("line {number} is no invitation"))));
    let invitations: Vec<Invitation> = invitations.collect::<Result<_, _>>()?;
    let (found, first) = (invitations.len(), invitations.first());
    if found < count {
        return Err(wrong(format!("it has {found} invitations, {count} clients need one each")));
    }
    if invitations.iter().any(|one| first.is_some_and(|first| first.server_key_hash != one.server_key_hash)) {
        return Err(wrong("its invitations are of several servers".to_owned()));
    }
    Ok(invitations)
}

async fn invite(socket: &Path) -> Result<Invitation, LoadError> {
    let failed = LoadError::server("the control socket");
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        let request =
            ControlRequest::Invite(ControlInvite { organisation: None, valid: VALID_MS, tenant: 0, address: None })
                .encode();
        stream.write_u32(u32::try_from(request.len()).unwrap_or(u32::MAX)).await?;
        stream.write_all(&request).await?;
        let mut frame = vec![0; ANSWER_LENGTH_MAX.min(stream.read_u32().await? as usize)];
        stream.read_exact(&mut frame).await?;
        Ok::<_, std::io::Error>(frame)
    };
    let frame = exchange.await.map_err(|error| failed(&error))?;
    match ControlResponse::decode(&frame).map_err(|error| failed(&error))? {
        ControlResponse::Invitation(code) => code.parse().map_err(|_| failed(&"the code is none")),
        other => Err(failed(&format!("answered with {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_file_must_have_enough_of_one_server() {
        let folder = std::env::temp_dir().join(format!("medipeps-load-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("invitations");
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut code = |server: u8| Invitation::random([server; 32], &mut rng).code();
        let same = format!("{}\n\n {} \n", code(1), code(1));
        let two_servers = format!("{same}{}\n", code(2));
        for (text, count, problem) in [
            (&*same, 2, None),
            (&same, 3, Some("has 2 invitations, 3 clients")),
            (&two_servers, 2, None),
            (&two_servers, 3, Some("several servers")),
            ("x\n", 1, Some("line 1 is no invitation")),
        ] {
            fs::write(&path, text).unwrap();
            match (read(&path, count), problem) {
                (Ok(invitations), None) => assert_eq!(invitations.len(), count),
                (Err(error), Some(problem)) => assert!(error.to_string().contains(problem), "{error}"),
                (read, _) => panic!(
                    "{}, expected {problem:?}",
                    read.map_or_else(|error| error.to_string(), |_| "read".to_owned())
                ),
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
