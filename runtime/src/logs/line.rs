//! One line of a log in the CRI format: `2026-01-01T00:00:00.000000000Z stdout F text`.

use std::io::Write;

use jiff::Timestamp;

/// Which of its outputs a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogStream {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One line a container wrote, or a part of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub time: Timestamp,
    /// Where it was written to.
    pub stream: LogStream,
    /// Whether the line ends here; if not, its next part follows.
    pub whole: bool,
    /// The text without the line's end.
    pub text: String,
}

/// One line as the container wrote it, or a part of a long one: bytes that need not be text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When it was written.
    pub time: Timestamp,
    /// Where it was written to.
    pub stream: LogStream,
    /// Whether the line ends here; if not, its next part follows.
    pub whole: bool,
    /// The bytes without the line's end.
    pub bytes: Vec<u8>,
}

impl From<LogEntry> for LogLine {
    fn from(entry: LogEntry) -> Self {
        let LogEntry { time, stream, whole, bytes } = entry;
        Self { time, stream, whole, text: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

/// More than the time, the stream and the tag take.
pub(super) const LONGEST_HEAD: usize = 48;

/// Cuts output into lines: adds `bytes` to the line begun before and hands each finished line, or part of `longest`
/// bytes, to `entry` with whether it is finished. What has no end yet stays in `unfinished`.
pub(super) fn split(
    unfinished: &mut Vec<u8>,
    bytes: &[u8],
    longest: usize,
    mut entry: impl FnMut(&[u8], bool),
) {
    let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
    while let Some(mut piece) = pieces.next() {
        let ends = pieces.peek().is_some();
        while unfinished.len() + piece.len() > longest {
            let (part, rest) = piece.split_at(longest - unfinished.len());
            unfinished.extend_from_slice(part);
            entry(unfinished, false);
            unfinished.clear();
            piece = rest;
        }
        if ends && unfinished.is_empty() {
            entry(piece, true);
        } else {
            unfinished.extend_from_slice(piece);
            if ends {
                entry(unfinished, true);
                unfinished.clear();
            }
        }
    }
}

/// Appends the entry of one line, or part of one, to `entries`.
pub(super) fn encode(entries: &mut Vec<u8>, time: Timestamp, stream: LogStream, whole: bool, text: &[u8]) {
    let tag = if whole { 'F' } else { 'P' };
    write!(entries, "{time:.9} {} {tag} ", stream.as_str()).expect("a vector takes all bytes");
    entries.extend_from_slice(text);
    entries.push(b'\n');
}

/// Reads the entry of one line, without its end; none if it is not in the format.
pub(super) fn decode(entry: &[u8]) -> Option<LogEntry> {
    let mut fields = entry.splitn(4, |byte| *byte == b' ');
    let mut field = || fields.next();
    let time = std::str::from_utf8(field()?).ok()?.parse().ok()?;
    let stream = match field()? {
        b"stdout" => LogStream::Stdout,
        b"stderr" => LogStream::Stderr,
        _ => return None,
    };
    let whole = field()? == b"F";
    let bytes = field()?.to_vec();
    Some(LogEntry { time, stream, whole, bytes })
}
