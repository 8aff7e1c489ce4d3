//! Frames: eight bytes that say what it is and how long, then as much of it.

use super::header::{HeaderError, Headers, Packer, Unpacker};

/// The bytes before what a frame holds.
pub const HEAD_BYTES: usize = 8;

/// The longest control frame that is read; with what it says unpacked it has a bound of its own.
const LONGEST_CONTROL: u32 = 64 << 10;

const VERSION: u16 = 3;
const CONTROL: u32 = 1 << 31;
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

/// Why a stream is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// It does not follow the protocol.
    Protocol = 1,
    /// It is not there.
    Invalid = 2,
    /// It is not wanted.
    Refused = 3,
    /// It is given up.
    Cancel = 5,
}

/// The first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// So many bytes of a stream follow.
    Data {
        /// Which stream.
        stream: u32,
        /// Whether they are its last.
        is_last: bool,
        /// How many.
        length: u32,
    },
    /// A message about streams or the connection follows.
    Control {
        /// What sort of message.
        kind: u16,
        /// Its flags.
        flags: u8,
        /// How many bytes.
        length: u32,
    },
}

/// A message about streams or the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The client opens a stream.
    Open {
        /// Its number, odd and larger than those before.
        stream: u32,
        /// Whether the client sends nothing on it.
        is_last: bool,
        /// What it is for.
        headers: Headers,
    },
    /// A stream is over at once.
    Reset(u32),
    /// To be sent back.
    Ping(u32),
    /// No more streams are opened.
    GoAway,
    /// More headers of a stream, which nobody uses.
    More {
        /// Which stream.
        stream: u32,
        /// Whether it ends.
        is_last: bool,
    },
    /// Something there is nothing to do about: settings, windows, replies, and what is not known.
    Nothing,
}

/// The frame cannot be read; the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another version.
    #[error("a frame of SPDY/{0} where 3 is spoken")]
    Version(u16),
    /// Nothing a client says is so long.
    #[error("a control frame of {0} bytes")]
    TooLong(u32),
    /// Shorter than what it must hold.
    #[error("a control frame that is too short")]
    TooShort,
    /// Its headers cannot be read.
    #[error(transparent)]
    Headers(#[from] HeaderError),
}

impl Head {
    /// Reads the first bytes of a frame.
    pub fn read(bytes: [u8; HEAD_BYTES]) -> Result<Self, FrameError> {
        let [a, b, c, d, flags, e, f, g] = bytes;
        let (word, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([0, e, f, g]));
        if word & CONTROL == 0 {
            return Ok(Self::Data { stream: word, is_last: flags & FIN != 0, length });
        }
        let (version, kind) = (u16::from_be_bytes([a & 0x7f, b]), u16::from_be_bytes([c, d]));
        match (version, length) {
            (version, _) if version != VERSION => Err(FrameError::Version(version)),
            (_, length) if length > LONGEST_CONTROL => Err(FrameError::TooLong(length)),
            _ => Ok(Self::Control { kind, flags, length }),
        }
    }
}

/// Reads a message.
pub fn control(kind: u16, flags: u8, body: &[u8], unpacker: &mut Unpacker) -> Result<Control, FrameError> {
    let number = |at: usize| {
        let bytes = body.get(at..).and_then(<[u8]>::first_chunk).ok_or(FrameError::TooShort)?;
        Ok::<_, FrameError>(u32::from_be_bytes(*bytes))
    };
    let stream = |at: usize| number(at).map(|number| number & !CONTROL);
    let rest = |at: usize| body.get(at..).ok_or(FrameError::TooShort);
    let is_last = flags & FIN != 0;
    Ok(match kind {
        SYN_STREAM => Control::Open { stream: stream(0)?, is_last, headers: unpacker.read(rest(10)?)? },
        SYN_REPLY => {
            unpacker.read(rest(4)?)?;
            Control::Nothing
        }
        HEADERS => {
            unpacker.read(rest(4)?)?;
            Control::More { stream: stream(0)?, is_last }
        }
        RST_STREAM => Control::Reset(stream(0)?),
        PING => Control::Ping(number(0)?),
        GOAWAY => Control::GoAway,
        SETTINGS | WINDOW_UPDATE => Control::Nothing,
        _ => Control::Nothing,
    })
}

fn written(kind: u16, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD_BYTES + body.len());
    frame.extend((VERSION | 0x8000).to_be_bytes());
    frame.extend(kind.to_be_bytes());
    frame.push(flags);
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    frame.extend_from_slice(body);
    frame
}

/// Opens a stream, as clients do.
pub fn open(stream: u32, headers: &Headers, packer: &mut Packer) -> Result<Vec<u8>, HeaderError> {
    let mut body = Vec::from(stream.to_be_bytes());
    body.extend([0; 6]);
    body.extend(packer.write(headers)?);
    Ok(written(SYN_STREAM, 0, &body))
}

/// Takes a stream.
pub fn reply(stream: u32, packer: &mut Packer) -> Result<Vec<u8>, HeaderError> {
    let mut body = Vec::from(stream.to_be_bytes());
    body.extend(packer.write(&Headers::new())?);
    Ok(written(SYN_REPLY, 0, &body))
}

/// Ends a stream at once.
pub fn reset(stream: u32, why: Reset) -> Vec<u8> {
    let mut body = Vec::from(stream.to_be_bytes());
    body.extend((why as u32).to_be_bytes());
    written(RST_STREAM, 0, &body)
}

/// Answers a ping, or asks for an answer.
pub fn ping(number: u32) -> Vec<u8> {
    written(PING, 0, &number.to_be_bytes())
}

/// Says goodbye, naming the last stream that was taken.
pub fn go_away(last: u32) -> Vec<u8> {
    let mut body = Vec::from(last.to_be_bytes());
    body.extend([0; 4]);
    written(GOAWAY, 0, &body)
}

/// The head of a frame with bytes of a stream; at most 16 MiB of them.
pub fn data(stream: u32, length: usize, is_last: bool) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = stream.to_be_bytes();
    let [_, e, f, g] = (length as u32).to_be_bytes();
    [a, b, c, d, u8::from(is_last), e, f, g]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn taken(frame: &[u8], unpacker: &mut Unpacker) -> Result<Control, FrameError> {
        let (head, body) = frame.split_first_chunk().unwrap();
        match Head::read(*head)? {
            Head::Control { kind, flags, length } => {
                assert_eq!(length as usize, body.len());
                control(kind, flags, body, unpacker)
            }
            Head::Data { .. } => panic!("no control frame"),
        }
    }

    #[test]
    fn frames_are_read_as_they_are_written() {
        let (mut packer, mut unpacker) = (Packer::new(), Unpacker::default());
        let headers = Headers::from([("streamtype".to_owned(), "error".to_owned())]);
        let opened = open(5, &headers, &mut packer).unwrap();
        assert_eq!(taken(&opened, &mut unpacker), Ok(Control::Open { stream: 5, is_last: false, headers }));
        let replied = reply(5, &mut packer).unwrap();
        assert_eq!(taken(&replied, &mut unpacker), Ok(Control::Nothing));
        assert_eq!(taken(&reset(5, Reset::Refused), &mut unpacker), Ok(Control::Reset(5)));
        assert_eq!(taken(&ping(7), &mut unpacker), Ok(Control::Ping(7)));
        assert_eq!(taken(&go_away(5), &mut unpacker), Ok(Control::GoAway));
        let head = Head::Data { stream: 5, is_last: true, length: 70_000 };
        assert_eq!(Head::read(data(5, 70_000, true)), Ok(head));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(Head::read([0x80, 2, 0, 6, 0, 0, 0, 4]), Err(FrameError::Version(2)));
        assert_eq!(Head::read([0x80, 3, 0, 6, 0, 2, 0, 0]), Err(FrameError::TooLong(131_072)));
        let mut unpacker = Unpacker::default();
        assert_eq!(control(SYN_STREAM, 0, &[0; 9], &mut unpacker), Err(FrameError::TooShort));
        assert_eq!(control(PING, 0, &[0; 3], &mut unpacker), Err(FrameError::TooShort));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(head: [u8; HEAD_BYTES], body in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(Head::Control { flags, .. }) = Head::read(head) {
                for kind in 0..12 {
                    let _ = control(kind, flags, &body, &mut Unpacker::default());
                }
            }
        }
    }
}
