//! Frames: four bytes of length, big-endian, and so many bytes. `spec/transport.md`, section "Frames".

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why no frame was read.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// The frame claims to be longer than it may be.
    #[error("a frame of {length} bytes is over the limit")]
    TooLong {
        /// What it claims.
        length: usize,
    },
    /// The other end stopped in the middle, or before the beginning.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// Reading failed.
    #[error("the stream failed: {0}")]
    Read(#[from] io::Error),
}

/// Reads one frame of at most `limit` bytes. Memory is taken as the bytes come, not as the length claims.
pub(crate) async fn read_frame(reader: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Truncated,
        _ => FrameError::Read(error),
    })?;
    let length = u32::from_be_bytes(length);
    if length as usize > limit {
        return Err(FrameError::TooLong { length: length as usize });
    }
    let mut bytes = Vec::new();
    reader.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() == length as usize { Ok(bytes) } else { Err(FrameError::Truncated) }
}

/// Writes one frame.
pub(crate) async fn write_frame(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    writer.write_all(&length.to_be_bytes()).await?;
    writer.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_comes_back() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, b"abc").await.unwrap();
        assert_eq!(bytes, b"\0\0\0\x03abc");
        assert_eq!(read_frame(&mut bytes.as_slice(), 3).await.unwrap(), b"abc");
        assert!(matches!(read_frame(&mut bytes.as_slice(), 2).await, Err(FrameError::TooLong { length: 3 })));
        for cut in 0..bytes.len() {
            assert!(matches!(read_frame(&mut &bytes[..cut], 3).await, Err(FrameError::Truncated)), "{cut}");
        }
    }
}
