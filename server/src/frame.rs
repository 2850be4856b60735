//! Frames: four bytes of length, big-endian, and so many bytes. `spec/transport.md`, section "Frames".

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::REQUEST_READ_STEP;

/// Bytes of a frame's length.
const LENGTH_LENGTH: usize = 4;

/// Bytes of frames that may be in memory at once, over all who share it: of one connection, within those of a network address,
/// within those of all.
#[derive(Debug, Clone)]
pub(crate) struct FrameMemory {
    free: Arc<Semaphore>,
    bytes: usize,
    /// What this one is a part of.
    whole: Option<Arc<Self>>,
}

/// A share of a memory, and of all that it is a part of; given back when dropped.
#[derive(Debug)]
pub struct Share {
    own: OwnedSemaphorePermit,
    whole: Option<Box<Self>>,
}

/// A frame, and its share of the memory.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    _share: Option<Share>,
}

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
    /// Too much is in memory already.
    #[error("there is no memory for the frame")]
    NoMemory,
    /// Reading failed.
    #[error("the stream failed: {0}")]
    Read(#[from] io::Error),
}

impl FrameMemory {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes)), bytes, whole: None }
    }

    /// Bytes that are taken.
    pub(crate) fn used(&self) -> usize {
        self.bytes.saturating_sub(self.free.available_permits())
    }

    /// A part of this one that may have so many bytes, and no more than there are.
    pub(crate) fn part(&self, bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes)), bytes, whole: Some(Arc::new(self.clone())) }
    }

    /// A share of so many bytes, for as long as it is held; `None` when there is no room for it.
    pub(crate) fn share(&self, bytes: usize) -> Option<Share> {
        let own = self.free.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()?;
        let whole = match &self.whole {
            Some(whole) => Some(Box::new(whole.share(bytes)?)),
            None => None,
        };
        Some(Share { own, whole })
    }
}

impl Share {
    /// Takes in another share of the same memory.
    pub(crate) fn merge(&mut self, other: Self) {
        self.own.merge(other.own);
        if let (Some(whole), Some(other)) = (&mut self.whole, other.whole) {
            whole.merge(*other);
        }
    }

    /// Takes so many bytes out of it, if it has as many.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Self> {
        let own = self.own.split(bytes)?;
        let whole = match &mut self.whole {
            Some(whole) => Some(Box::new(whole.split(bytes)?)),
            None => None,
        };
        Some(Self { own, whole })
    }
}

/// Where frames come from: a stream of any transport, or whatever tokio reads.
pub(crate) trait ReadSome {
    /// Appends what there is next, at most so many bytes; 0 where the stream ends.
    async fn read_some(&mut self, bytes: &mut Vec<u8>, at_most: usize) -> io::Result<usize>;
}

impl<R: AsyncRead + Unpin> ReadSome for R {
    async fn read_some(&mut self, bytes: &mut Vec<u8>, at_most: usize) -> io::Result<usize> {
        self.take(at_most as u64).read_buf(bytes).await
    }
}

/// Reads one frame of at most `limit` bytes. Memory is taken as the bytes come, not as the length claims.
pub(crate) async fn read_frame(
    reader: &mut impl ReadSome,
    limit: usize,
    memory: &FrameMemory,
) -> Result<Frame, FrameError> {
    let length = read_length(reader, limit).await?;
    read_body(reader, length, memory).await
}

/// Reads the length of a frame of at most `limit` bytes.
pub(crate) async fn read_length(reader: &mut impl ReadSome, limit: usize) -> Result<usize, FrameError> {
    let mut bytes = Vec::with_capacity(LENGTH_LENGTH);
    fill(reader, &mut bytes, LENGTH_LENGTH).await?;
    let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > limit { Err(FrameError::TooLong { length }) } else { Ok(length) }
}

/// Reads what follows a length.
pub(crate) async fn read_body(
    reader: &mut impl ReadSome,
    length: usize,
    memory: &FrameMemory,
) -> Result<Frame, FrameError> {
    let mut bytes = Vec::new();
    let mut share: Option<Share> = None;
    while bytes.len() < length {
        let step = REQUEST_READ_STEP.min(length - bytes.len());
        let there = bytes.len() + step;
        fill(reader, &mut bytes, there).await?;
        // Counted when it is there: whoever only claims a length takes nothing from others.
        let more = memory.share(step).ok_or(FrameError::NoMemory)?;
        match &mut share {
            Some(share) => share.merge(more),
            None => share = Some(more),
        }
    }
    Ok(Frame { bytes, _share: share })
}

/// Reads until there are so many bytes.
async fn fill(reader: &mut impl ReadSome, bytes: &mut Vec<u8>, length: usize) -> Result<(), FrameError> {
    while bytes.len() < length {
        if reader.read_some(bytes, length - bytes.len()).await? == 0 {
            return Err(FrameError::Truncated);
        }
    }
    Ok(())
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
        let memory = FrameMemory::new(3);
        let mut bytes = Vec::new();
        write_frame(&mut bytes, b"abc").await.unwrap();
        assert_eq!(bytes, b"\0\0\0\x03abc");
        assert_eq!(read_frame(&mut bytes.as_slice(), 3, &memory).await.unwrap().bytes, b"abc");
        let refused = read_frame(&mut bytes.as_slice(), 2, &memory).await;
        assert!(matches!(refused, Err(FrameError::TooLong { length: 3 })));
        for cut in 0..bytes.len() {
            let refused = read_frame(&mut &bytes[..cut], 3, &memory).await;
            assert!(matches!(refused, Err(FrameError::Truncated)), "{cut}");
        }
    }

    #[test]
    fn a_part_takes_no_more_than_its_own_and_gives_everything_back() {
        let all = FrameMemory::new(10);
        let [one, other] = [all.part(6), all.part(6)];
        let mut held = one.share(4).unwrap();
        held.merge(one.share(2).unwrap());
        assert!(one.share(1).is_none(), "its own part is used up");
        assert!(other.share(5).is_none(), "of the whole four are left");
        let others = other.share(4).unwrap();
        assert!(other.share(1).is_none() && all.share(1).is_none());
        let kept = held.split(1).unwrap();
        assert!(held.split(9).is_none());
        drop(held);
        assert!(one.share(6).is_none() && one.share(5).is_some(), "what was refused took nothing");
        drop((kept, others));
        assert!(all.share(10).is_some());
    }

    #[tokio::test]
    async fn frames_share_their_memory_and_give_it_back() {
        let length = 2 * REQUEST_READ_STEP + 1;
        let memory = FrameMemory::new(length + 10);
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &vec![7; length]).await.unwrap();
        let first = read_frame(&mut bytes.as_slice(), length, &memory).await.unwrap();
        let second = read_frame(&mut bytes.as_slice(), length, &memory).await;
        assert!(matches!(second, Err(FrameError::NoMemory)));
        drop(first);
        assert_eq!(read_frame(&mut bytes.as_slice(), length, &memory).await.unwrap().bytes, vec![7; length]);
    }
}
