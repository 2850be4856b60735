//! The client's half of draft-ietf-quic-qmux-02, as `spec/transport.md` uses it: streams over the messages of a WebSocket.
//!
//! Pure: records go in and come out, and the caller has socket and clock. The crate `qmux`, which programs and the server use,
//! stands on tokio's clock and tasks, which a page has not; the tests hold this against it.

mod frame;
mod varint;

use std::collections::{BTreeMap, VecDeque};

use frame::{Frame, Parameters};
use thiserror::Error;

/// More than any connection carries: the windows of the streams are what bounds it.
const NO_CONNECTION_WINDOW: u64 = 1 << 60;
/// What is kept free in a record for all of a frame but its data, in bytes.
const FRAME_HEAD_LENGTH: u64 = 32;
/// The longest record that is ever written, in bytes, whatever the server would take: some read no more in one frame.
const RECORD_LENGTH_MAX: u64 = 16_352;

/// What the server must not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Violation {
    /// A record ends within a frame.
    #[error("a record is cut short")]
    Short,
    /// There is no such frame.
    #[error("there is no frame of the kind {0}")]
    Frame(u64),
    /// Something came before the parameters, or these came twice.
    #[error("the parameters must come first, and once")]
    Parameters,
    /// A stream that was never opened.
    #[error("there is no stream {0}")]
    Stream(u64),
    /// More than was allowed, out of order, or past its end.
    #[error("the data of stream {0} does not fit it")]
    Data(u64),
}

/// What there is on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// More bytes.
    Data,
    /// Nothing now.
    Nothing,
    /// The end, and nothing before it that was not read.
    End,
    /// The server has let go of it, with this code.
    Reset(u64),
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Multiplexer {
    /// Bytes of each stream that the server may send ahead.
    window: u64,
    /// What the server allows; `None` before it has said so.
    allowed: Option<Parameters>,
    opened: u64,
    streams: BTreeMap<u64, Stream>,
    /// Data of all streams so far, in bytes.
    sent: u64,
    /// Whole frames that are to be sent before any data.
    control: VecDeque<Vec<u8>>,
    pings: u64,
    closed: Option<(u64, String)>,
}

#[derive(Debug, Default)]
struct Stream {
    unsent: VecDeque<u8>,
    sent: u64,
    send_limit: u64,
    /// All of it is sent, or the server does not want the rest.
    sending_ended: bool,
    arrived: Vec<u8>,
    received: u64,
    receive_limit: u64,
    ended: bool,
    reset: Option<u64>,
}

impl Multiplexer {
    /// With a window for each stream, in bytes.
    pub(crate) fn new(window: u64) -> Self {
        let ours = Parameters {
            max_data: NO_CONNECTION_WINDOW,
            max_stream_data_local: window,
            // This end opens every stream.
            max_stream_data_remote: 0,
            max_streams: 0,
            max_record: 0,
        };
        Self {
            window,
            allowed: None,
            opened: 0,
            streams: BTreeMap::new(),
            sent: 0,
            control: VecDeque::from([ours.frame()]),
            pings: 0,
            closed: None,
        }
    }

    /// Opens a stream, to send these bytes on it and end it. `None` while the server allows no further one.
    pub(crate) fn open(&mut self, bytes: &[u8]) -> Option<u64> {
        let allowed = self.allowed.as_ref().filter(|allowed| self.opened < allowed.max_streams)?;
        // The two lowest bits say that the client opened it, and that it goes both ways.
        let id = self.opened << 2;
        self.opened += 1;
        let stream = Stream {
            unsent: bytes.iter().copied().collect(),
            send_limit: allowed.max_stream_data_remote,
            receive_limit: self.window,
            ..Stream::default()
        };
        self.streams.insert(id, stream);
        Some(id)
    }

    /// Takes a record of the server's.
    pub(crate) fn receive(&mut self, mut record: &[u8]) -> Result<(), Violation> {
        while !record.is_empty() {
            let frame = Frame::read(&mut record)?;
            match (&frame, &self.allowed) {
                (Frame::Parameters(parameters), None) => self.allowed = Some(*parameters),
                (Frame::Parameters(_), Some(_)) | (_, None) => return Err(Violation::Parameters),
                (_, Some(_)) => self.take(frame)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        match frame {
            Frame::Stream { id, offset, data, ends } => {
                let Some(stream) = self.stream(id)? else { return Ok(()) };
                let length = data.len() as u64;
                // What a reliable transport carries comes in order.
                if stream.ended || offset != stream.received || length > stream.receive_limit - stream.received {
                    return Err(Violation::Data(id));
                }
                stream.received += length;
                stream.arrived.extend_from_slice(data);
                stream.ended = ends;
            }
            Frame::Reset { id, code, .. } => {
                if let Some(stream) = self.stream(id)? {
                    stream.reset = Some(code);
                    stream.ended = true;
                }
            }
            Frame::Stop { id, .. } => {
                let mut sent = None;
                if let Some(stream) = self.stream(id)?.filter(|stream| !stream.sending_ended) {
                    stream.unsent.clear();
                    stream.sending_ended = true;
                    sent = Some(stream.sent);
                }
                self.control.extend(sent.map(|sent| frame::reset(id, sent)));
            }
            Frame::MaxData(max) => self.allow(|allowed| &mut allowed.max_data, max),
            Frame::MaxStreams(max) => self.allow(|allowed| &mut allowed.max_streams, max),
            Frame::MaxStreamData { id, max } => {
                if let Some(stream) = self.stream(id)? {
                    stream.send_limit = stream.send_limit.max(max);
                }
            }
            Frame::Close { code, reason } => self.closed = Some((code, reason)),
            Frame::Ping(sequence) => self.control.push_back(frame::pong(sequence)),
            Frame::Parameters(_) | Frame::Pong | Frame::Nothing => {}
        }
        Ok(())
    }

    /// Allowances never shrink.
    fn allow(&mut self, which: impl Fn(&mut Parameters) -> &mut u64, max: u64) {
        if let Some(allowed) = &mut self.allowed {
            let field = which(allowed);
            *field = max.max(*field);
        }
    }

    /// The stream, unless it was let go of.
    fn stream(&mut self, id: u64) -> Result<Option<&mut Stream>, Violation> {
        if id & 3 != 0 || id >> 2 >= self.opened {
            return Err(Violation::Stream(id));
        }
        Ok(self.streams.get_mut(&id))
    }

    /// The next record to send, if something may be sent now.
    pub(crate) fn next_record(&mut self) -> Option<Vec<u8>> {
        if let Some(frame) = self.control.pop_front() {
            return Some(frame);
        }
        let allowed = self.allowed.as_ref()?;
        let room = allowed.max_record.min(RECORD_LENGTH_MAX).saturating_sub(FRAME_HEAD_LENGTH);
        let of_all = allowed.max_data.saturating_sub(self.sent);
        for (id, stream) in self.streams.iter_mut().filter(|(_, stream)| !stream.sending_ended) {
            let may = room.min(of_all).min(stream.send_limit.saturating_sub(stream.sent));
            let length = stream.unsent.len().min(usize::try_from(may).unwrap_or(usize::MAX));
            let ends = length == stream.unsent.len();
            if length == 0 && !ends {
                continue;
            }
            let data: Vec<u8> = stream.unsent.drain(..length).collect();
            let record = frame::stream(*id, stream.sent, &data, ends);
            stream.sent += length as u64;
            stream.sending_ended = ends;
            self.sent += length as u64;
            return Some(record);
        }
        None
    }

    /// Moves what has come on a stream into `buffer`, and lets the server send as much again.
    pub(crate) fn read(&mut self, id: u64, buffer: &mut Vec<u8>) -> Arrived {
        let Some(stream) = self.streams.get_mut(&id) else { return Arrived::End };
        if let Some(code) = stream.reset {
            return Arrived::Reset(code);
        }
        if stream.arrived.is_empty() {
            return if stream.ended { Arrived::End } else { Arrived::Nothing };
        }
        buffer.append(&mut stream.arrived);
        if !stream.ended && stream.receive_limit - stream.received < self.window / 2 {
            stream.receive_limit = stream.received + self.window;
            self.control.push_back(frame::max_stream_data(id, stream.receive_limit));
        }
        Arrived::Data
    }

    /// Nobody reads a stream any more.
    pub(crate) fn let_go(&mut self, id: u64) {
        let Some(stream) = self.streams.remove(&id) else { return };
        if !stream.sending_ended {
            self.control.push_back(frame::reset(id, stream.sent));
        }
        if !stream.ended {
            self.control.push_back(frame::stop(id));
        }
    }

    /// Asks the server for a sign of life.
    pub(crate) fn ping(&mut self) {
        self.control.push_back(frame::ping(self.pings));
        self.pings += 1;
    }

    /// Tells the server that this is the end.
    pub(crate) fn close(&mut self) {
        self.control.push_back(frame::close());
    }

    /// With which code, and why, the server has ended the connection.
    pub(crate) const fn closed(&self) -> Option<&(u64, String)> {
        self.closed.as_ref()
    }
}

#[cfg(test)]
mod tests;
