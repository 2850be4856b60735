//! Frames on a stream: four bytes of length, big-endian, and so many bytes. `spec/transport.md`.

use medipeps_core::limits::GROUP_FRAME_LENGTH_MAX;
use medipeps_core::wire::WireError;

use super::carrier::ByteStream;
use super::connection::RequestError;

/// Bytes of a frame's length.
const LENGTH_LENGTH: usize = 4;

/// One frame with its length.
pub(super) fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX); // the server refuses what is over the limit
    [length.to_be_bytes().as_slice(), body].concat()
}

/// Reads frame after frame from a stream. Dropping the future of [`Self::next`] loses nothing.
#[derive(Debug)]
pub(super) struct FrameReader<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: ByteStream> FrameReader<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next frame's body, or `None` where the stream ends between two frames. Memory is taken as bytes come, not
    /// as a length promises.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, RequestError> {
        loop {
            if let Some(body) = take_frame(&mut self.buffer)? {
                return Ok(Some(body));
            }
            if self.stream.read_into(&mut self.buffer).await? {
                continue;
            }
            return if self.buffer.is_empty() { Ok(None) } else { Err(RequestError::Wire(WireError::Bounds("frame"))) };
        }
    }
}

/// Cuts a whole frame off the front of the buffer.
fn take_frame(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, RequestError> {
    let Some((length, rest)) = buffer.split_first_chunk::<LENGTH_LENGTH>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    // What may be so long is for the decoder of the response to say.
    if length > GROUP_FRAME_LENGTH_MAX {
        return Err(RequestError::Wire(WireError::Bounds("frame")));
    }
    if rest.len() < length {
        return Ok(None);
    }
    let body = rest[..length].to_vec();
    buffer.drain(..LENGTH_LENGTH + length);
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_however_they_are_cut() {
        let bodies = [b"one".to_vec(), vec![], vec![7; 70_000]];
        let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for step in [1, 3, 1_000, bytes.len()] {
            let mut buffer = Vec::new();
            let mut taken = Vec::new();
            for chunk in bytes.chunks(step) {
                buffer.extend_from_slice(chunk);
                while let Some(body) = take_frame(&mut buffer).unwrap() {
                    taken.push(body);
                }
            }
            assert_eq!(taken, bodies);
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_by_its_length_alone() {
        let length = u32::try_from(GROUP_FRAME_LENGTH_MAX).unwrap();
        let mut buffer = length.to_be_bytes().to_vec();
        assert!(matches!(take_frame(&mut buffer), Ok(None)));
        let mut buffer = (length + 1).to_be_bytes().to_vec();
        assert!(matches!(take_frame(&mut buffer), Err(RequestError::Wire(WireError::Bounds("frame")))));
    }
}
