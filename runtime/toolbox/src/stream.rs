//! What commands read and write: files, pipes between stages, text, and the container's own streams.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::task::Poll;

use crate::{stdin, task};

/// As much lies between two stages of a pipeline.
const PIPE_BYTES: usize = 64 << 10;
/// As much is read from a source at once.
const CHUNK_BYTES: usize = 32 << 10;
/// As much of a command's output is kept for a substitution.
const MOST_CAPTURED_BYTES: usize = 16 << 20;
/// Longer lines are an error, not a reason to take all memory.
pub const LONGEST_LINE: usize = 16 << 20;

/// Something to read. Clones share what was read ahead, so nobody takes more than it uses.
#[derive(Clone)]
pub struct Input(Rc<Reader>);

struct Reader {
    ahead: RefCell<VecDeque<u8>>,
    source: Source,
}

enum Source {
    Nothing,
    Stdin,
    File(File),
    Pipe(PipeReader),
}

impl Input {
    fn new(source: Source, ahead: VecDeque<u8>) -> Self {
        Self(Rc::new(Reader { ahead: RefCell::new(ahead), source }))
    }

    /// Nothing to read.
    pub fn nothing() -> Self {
        Self::new(Source::Nothing, VecDeque::new())
    }

    /// The container's own standard input.
    pub fn stdin() -> Self {
        Self::new(Source::Stdin, VecDeque::new())
    }

    /// A file, from where it stands.
    pub fn file(file: File) -> Self {
        Self::new(Source::File(file), VecDeque::new())
    }

    /// A text.
    pub fn text(text: String) -> Self {
        Self::new(Source::Nothing, text.into_bytes().into())
    }

    /// Whether it comes from a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self.0.source, Source::Stdin) && stdin::is_terminal()
    }

    /// Some bytes; none at the end.
    pub async fn read(&self) -> io::Result<Vec<u8>> {
        let ahead: Vec<u8> = self.0.ahead.borrow_mut().drain(..).collect();
        if ahead.is_empty() { self.fetch().await } else { Ok(ahead) }
    }

    async fn fetch(&self) -> io::Result<Vec<u8>> {
        match &self.0.source {
            Source::Nothing => Ok(Vec::new()),
            Source::Stdin => Ok(poll_fn(|_| match stdin::take(CHUNK_BYTES) {
                Some(bytes) => Poll::Ready(bytes),
                None => {
                    task::wants_input();
                    Poll::Pending
                }
            })
            .await),
            Source::File(file) => {
                task::yield_now().await;
                let mut bytes = vec![0; CHUNK_BYTES];
                let mut file = file;
                let read = file.read(&mut bytes)?;
                bytes.truncate(read);
                Ok(bytes)
            }
            Source::Pipe(pipe) => Ok(pipe.read().await),
        }
    }

    /// All there is, up to a bound.
    pub async fn read_all(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let bytes = self.read().await?;
            if bytes.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&bytes);
            if all.len() > most {
                return Err(io::Error::other(format!("input is larger than {} MiB", most >> 20)));
            }
        }
    }

    /// Exactly so many bytes, or fewer at the end.
    pub async fn read_exactly(&self, count: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < count {
            let mut bytes = self.read().await?;
            if bytes.is_empty() {
                break;
            }
            if all.len() + bytes.len() > count {
                let rest = bytes.split_off(count - all.len());
                self.put_back(rest);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    /// A line with its end; nothing at the end of the input.
    pub async fn line(&self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let mut bytes = self.read().await?;
            if bytes.is_empty() {
                return Ok((!line.is_empty()).then_some(line));
            }
            if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                self.put_back(bytes.split_off(end + 1));
                line.extend_from_slice(&bytes);
                return Ok(Some(line));
            }
            line.extend_from_slice(&bytes);
            if line.len() > LONGEST_LINE {
                return Err(io::Error::other("line too long"));
            }
        }
    }

    fn put_back(&self, bytes: Vec<u8>) {
        let mut ahead = self.0.ahead.borrow_mut();
        for byte in bytes.into_iter().rev() {
            ahead.push_front(byte);
        }
    }
}

/// Somewhere to write. Clones write to the same place.
#[derive(Clone)]
pub enum Output {
    /// What is written is lost.
    Nowhere,
    /// The container's own output.
    Stdout,
    /// The container's own errors.
    Stderr,
    /// A file.
    File(Rc<File>),
    /// The next stage of a pipeline.
    Pipe(PipeWriter),
    /// A text that somebody waits for.
    Capture(Rc<RefCell<Vec<u8>>>),
}

impl Output {
    /// Whether it leads to a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout | Self::Stderr) && stdin::is_terminal()
    }

    /// Writes all of it.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Nowhere => {}
            Self::Stdout => written(io::stdout().lock(), bytes)?,
            Self::Stderr => written(io::stderr().lock(), bytes)?,
            Self::File(file) => {
                let mut file: &File = file;
                file.write_all(bytes)?;
            }
            Self::Pipe(pipe) => return pipe.write(bytes).await,
            Self::Capture(text) => {
                let mut text = text.borrow_mut();
                if text.len() + bytes.len() > MOST_CAPTURED_BYTES {
                    return Err(io::Error::other("output is too large to be substituted"));
                }
                text.extend_from_slice(bytes);
            }
        }
        task::yield_now().await;
        Ok(())
    }
}

fn written(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// Bytes on their way from one stage to the next.
#[derive(Default)]
struct Pipe {
    bytes: RefCell<VecDeque<u8>>,
    readers: Cell<usize>,
    writers: Cell<usize>,
}

/// A pipe: what is written to the one end is read from the other.
pub fn pipe() -> (PipeWriter, Input) {
    let pipe = Rc::new(Pipe::default());
    pipe.readers.set(1);
    pipe.writers.set(1);
    let reader = PipeReader(Rc::clone(&pipe));
    (PipeWriter(pipe), Input::new(Source::Pipe(reader), VecDeque::new()))
}

struct PipeReader(Rc<Pipe>);

impl PipeReader {
    async fn read(&self) -> Vec<u8> {
        poll_fn(|_| {
            let mut bytes = self.0.bytes.borrow_mut();
            if bytes.is_empty() && self.0.writers.get() > 0 {
                return Poll::Pending;
            }
            task::moved();
            Poll::Ready(bytes.drain(..).collect())
        })
        .await
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.readers.set(self.0.readers.get() - 1);
        task::moved();
    }
}

/// The end of a pipe that is written to.
pub struct PipeWriter(Rc<Pipe>);

impl PipeWriter {
    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        poll_fn(|_| {
            if self.0.readers.get() == 0 {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            }
            let mut between = self.0.bytes.borrow_mut();
            let (now, later) = rest.split_at(rest.len().min(PIPE_BYTES.saturating_sub(between.len())));
            if !now.is_empty() {
                between.extend(now);
                task::moved();
            }
            rest = later;
            if rest.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }
}

impl Clone for PipeWriter {
    fn clone(&self) -> Self {
        self.0.writers.set(self.0.writers.get() + 1);
        Self(Rc::clone(&self.0))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.writers.set(self.0.writers.get() - 1);
        task::moved();
    }
}
