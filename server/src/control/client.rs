//! The command's end of the control socket.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;

use medipeps_core::wire::control::{ControlRequest, ControlResponse};
use tokio::net::UnixStream;

use super::ControlError;
use super::socket::reach;
use crate::frame::{FrameMemory, read_frame, write_frame};
use crate::limits::CONTROL_FRAME_LENGTH_MAX;

/// Asks the server that listens on the socket; `None` when there is none.
pub(crate) async fn ask(path: &Path, request: &ControlRequest) -> Result<Option<ControlResponse>, ControlError> {
    let failed = |error| ControlError::Socket { path: path.to_owned(), error };
    let connected = reach(path, |path| StdUnixStream::connect(path));
    let stream = match connected {
        Ok(stream) => stream,
        // A server that was killed leaves its socket behind.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    stream.set_nonblocking(true).map_err(failed)?;
    let mut stream = UnixStream::from_std(stream).map_err(failed)?;
    write_frame(&mut stream, &request.encode()).await.map_err(failed)?;
    let memory = FrameMemory::new(CONTROL_FRAME_LENGTH_MAX);
    let frame = read_frame(&mut stream, CONTROL_FRAME_LENGTH_MAX, &memory).await;
    let frame = frame.map_err(|error| failed(io::Error::other(error)))?;
    Ok(Some(ControlResponse::decode(&frame.bytes)?))
}
