//! The frames of draft-ietf-quic-qmux-02 that a client meets which opens every stream itself.

use super::Violation;
use super::varint::{read, write};

const PADDING: u64 = 0x00;
const RESET_STREAM: u64 = 0x04;
const STOP_SENDING: u64 = 0x05;
const STREAM: u64 = 0x08;
const STREAM_LAST: u64 = 0x0f;
const STREAM_HAS_OFFSET: u64 = 0x04;
const STREAM_HAS_LENGTH: u64 = 0x02;
const STREAM_ENDS: u64 = 0x01;
const MAX_DATA: u64 = 0x10;
const MAX_STREAM_DATA: u64 = 0x11;
const MAX_STREAMS_BOTH_WAYS: u64 = 0x12;
const MAX_STREAMS_ONE_WAY: u64 = 0x13;
const DATA_BLOCKED: u64 = 0x14;
const STREAM_DATA_BLOCKED: u64 = 0x15;
const STREAMS_BLOCKED_BOTH_WAYS: u64 = 0x16;
const STREAMS_BLOCKED_ONE_WAY: u64 = 0x17;
const CONNECTION_CLOSE: u64 = 0x1c;
const APPLICATION_CLOSE: u64 = 0x1d;
const TRANSPORT_PARAMETERS: u64 = 0x3f51_5330_0d0a_0d0a;
const PING: u64 = 0x348c_6752_9ef8_c7bd;
const PONG: u64 = 0x348c_6752_9ef8_c7be;

const PARAMETER_MAX_IDLE_TIMEOUT: u64 = 0x01;
const PARAMETER_MAX_DATA: u64 = 0x04;
const PARAMETER_MAX_STREAM_DATA_LOCAL: u64 = 0x05;
const PARAMETER_MAX_STREAM_DATA_REMOTE: u64 = 0x06;
const PARAMETER_MAX_STREAMS: u64 = 0x08;
const PARAMETER_MAX_RECORD_SIZE: u64 = 0x0571_c594_29cd_0845;

/// The longest record where a peer does not say otherwise, in bytes.
const RECORD_LENGTH: u64 = 16_382;

/// What one end allows the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Bytes over all streams.
    pub(super) max_data: u64,
    /// Bytes on each stream that the sender of these parameters opened.
    pub(super) max_stream_data_local: u64,
    /// Bytes on each stream that the other end opened.
    pub(super) max_stream_data_remote: u64,
    /// Streams that the other end may open.
    pub(super) max_streams: u64,
    /// Bytes of a record.
    pub(super) max_record: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Parameters(Parameters),
    Stream {
        id: u64,
        offset: u64,
        data: &'a [u8],
        ends: bool,
    },
    Reset {
        id: u64,
        code: u64,
        length: u64,
    },
    Stop {
        id: u64,
        code: u64,
    },
    MaxData(u64),
    MaxStreamData {
        id: u64,
        max: u64,
    },
    MaxStreams(u64),
    Close {
        code: u64,
        reason: String,
    },
    Ping(u64),
    Pong,
    /// What asks for nothing.
    Nothing,
}

impl<'a> Frame<'a> {
    /// Cuts a frame off the front of a record.
    pub(super) fn read(bytes: &mut &'a [u8]) -> Result<Self, Violation> {
        let kind = number(bytes)?;
        Ok(match kind {
            PADDING => Self::Nothing,
            STREAM..=STREAM_LAST => {
                let id = number(bytes)?;
                let offset = if kind & STREAM_HAS_OFFSET == 0 { 0 } else { number(bytes)? };
                let length = if kind & STREAM_HAS_LENGTH == 0 { bytes.len() as u64 } else { number(bytes)? };
                Self::Stream { id, offset, data: cut(bytes, length)?, ends: kind & STREAM_ENDS != 0 }
            }
            RESET_STREAM => Self::Reset { id: number(bytes)?, code: number(bytes)?, length: number(bytes)? },
            STOP_SENDING => Self::Stop { id: number(bytes)?, code: number(bytes)? },
            MAX_DATA => Self::MaxData(number(bytes)?),
            MAX_STREAM_DATA => Self::MaxStreamData { id: number(bytes)?, max: number(bytes)? },
            MAX_STREAMS_BOTH_WAYS => Self::MaxStreams(number(bytes)?),
            MAX_STREAMS_ONE_WAY | DATA_BLOCKED | STREAMS_BLOCKED_BOTH_WAYS | STREAMS_BLOCKED_ONE_WAY => {
                number(bytes)?;
                Self::Nothing
            }
            STREAM_DATA_BLOCKED => {
                number(bytes)?;
                number(bytes)?;
                Self::Nothing
            }
            CONNECTION_CLOSE | APPLICATION_CLOSE => {
                let code = number(bytes)?;
                if kind == CONNECTION_CLOSE {
                    number(bytes)?;
                }
                let length = number(bytes)?;
                Self::Close { code, reason: String::from_utf8_lossy(cut(bytes, length)?).into_owned() }
            }
            TRANSPORT_PARAMETERS => {
                let length = number(bytes)?;
                Self::Parameters(Parameters::read(cut(bytes, length)?)?)
            }
            PING => Self::Ping(number(bytes)?),
            PONG => {
                number(bytes)?;
                Self::Pong
            }
            _ => return Err(Violation::Frame(kind)),
        })
    }
}

impl Parameters {
    fn read(mut bytes: &[u8]) -> Result<Self, Violation> {
        let mut parameters = Self {
            max_data: 0,
            max_stream_data_local: 0,
            max_stream_data_remote: 0,
            max_streams: 0,
            max_record: RECORD_LENGTH,
        };
        while !bytes.is_empty() {
            let (id, length) = (number(&mut bytes)?, number(&mut bytes)?);
            let mut value = cut(&mut bytes, length)?;
            let field = match id {
                PARAMETER_MAX_DATA => &mut parameters.max_data,
                PARAMETER_MAX_STREAM_DATA_LOCAL => &mut parameters.max_stream_data_local,
                PARAMETER_MAX_STREAM_DATA_REMOTE => &mut parameters.max_stream_data_remote,
                PARAMETER_MAX_STREAMS => &mut parameters.max_streams,
                PARAMETER_MAX_RECORD_SIZE => &mut parameters.max_record,
                // The idle timeout is the server's own, and what is not known is passed over.
                _ => continue,
            };
            *field = number(&mut value)?;
        }
        Ok(parameters)
    }

    pub(super) fn frame(&self) -> Vec<u8> {
        let mut value = Vec::new();
        let all = [
            // None: a shorter one than its own would make the server send signs of life.
            (PARAMETER_MAX_IDLE_TIMEOUT, 0),
            (PARAMETER_MAX_DATA, self.max_data),
            (PARAMETER_MAX_STREAM_DATA_LOCAL, self.max_stream_data_local),
            (PARAMETER_MAX_STREAM_DATA_REMOTE, self.max_stream_data_remote),
            (PARAMETER_MAX_STREAMS, self.max_streams),
            (PARAMETER_MAX_RECORD_SIZE, self.max_record),
        ];
        for (id, number) in all.into_iter().filter(|(_, number)| *number != 0) {
            let mut encoded = Vec::new();
            write(number, &mut encoded);
            write(id, &mut value);
            write(encoded.len() as u64, &mut value);
            value.extend(encoded);
        }
        let mut frame = numbers(&[TRANSPORT_PARAMETERS, value.len() as u64]);
        frame.extend(value);
        frame
    }
}

/// A frame with data of a stream.
pub(super) fn stream(id: u64, offset: u64, data: &[u8], ends: bool) -> Vec<u8> {
    let kind = STREAM | STREAM_HAS_OFFSET | STREAM_HAS_LENGTH | if ends { STREAM_ENDS } else { 0 };
    let mut frame = numbers(&[kind, id, offset, data.len() as u64]);
    frame.extend_from_slice(data);
    frame
}

pub(super) fn reset(id: u64, sent: u64) -> Vec<u8> {
    numbers(&[RESET_STREAM, id, 0, sent])
}

pub(super) fn stop(id: u64) -> Vec<u8> {
    numbers(&[STOP_SENDING, id, 0])
}

pub(super) fn max_stream_data(id: u64, max: u64) -> Vec<u8> {
    numbers(&[MAX_STREAM_DATA, id, max])
}

pub(super) fn ping(sequence: u64) -> Vec<u8> {
    numbers(&[PING, sequence])
}

pub(super) fn pong(sequence: u64) -> Vec<u8> {
    numbers(&[PONG, sequence])
}

/// The end that an application wants, without a reason.
pub(super) fn close() -> Vec<u8> {
    numbers(&[APPLICATION_CLOSE, 0, 0])
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.iter().for_each(|number| write(*number, &mut bytes));
    bytes
}

fn number(bytes: &mut &[u8]) -> Result<u64, Violation> {
    read(bytes).ok_or(Violation::Short)
}

fn cut<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Violation> {
    let length = usize::try_from(length).map_err(|_| Violation::Short)?;
    let (cut, rest) = bytes.split_at_checked(length).ok_or(Violation::Short)?;
    *bytes = rest;
    Ok(cut)
}
