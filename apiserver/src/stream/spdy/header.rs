//! Blocks of headers: names and values, compressed with what went before them on the connection.

use std::collections::BTreeMap;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::dictionary::DICTIONARY;

/// The largest block, unpacked: clients send a handful of short headers.
const LARGEST_BLOCK: usize = 64 << 10;

/// How much is unpacked or packed at a time.
const STEP: usize = 4 << 10;

/// The headers of a stream by their names in lower case. Several values of one name are apart by a zero byte.
pub type Headers = BTreeMap<String, String>;

/// The headers cannot be read; with them the connection is lost, as all later ones build on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is not compressed as it must be.
    #[error("headers are not compressed with the dictionary of SPDY/3")]
    Compression,
    /// It is larger than anything a client has to say.
    #[error("headers of more than {LARGEST_BLOCK} bytes")]
    TooLarge,
    /// A length leads out of the block.
    #[error("headers whose lengths do not fit")]
    Lengths,
    /// A name or a value is no text.
    #[error("headers that are no UTF-8")]
    Text,
}

/// Reads the blocks of one connection, in their order.
pub struct Unpacker(Decompress);

/// Writes the blocks of one connection.
pub struct Packer(Compress);

impl Default for Unpacker {
    fn default() -> Self {
        Self(Decompress::new(true))
    }
}

impl Unpacker {
    /// Reads the next block.
    pub fn read(&mut self, block: &[u8]) -> Result<Headers, HeaderError> {
        parse(&self.unpack(block)?)
    }

    fn unpack(&mut self, mut block: &[u8]) -> Result<Vec<u8>, HeaderError> {
        let mut bytes = Vec::new();
        let mut step = [0; STEP];
        loop {
            let (taken_before, given_before) = (self.0.total_in(), self.0.total_out());
            let result = self.0.decompress(block, &mut step, FlushDecompress::Sync);
            let taken = usize::try_from(self.0.total_in() - taken_before).unwrap_or(usize::MAX);
            let given = usize::try_from(self.0.total_out() - given_before).unwrap_or(usize::MAX);
            block = block.get(taken..).ok_or(HeaderError::Compression)?;
            bytes.extend_from_slice(step.get(..given).ok_or(HeaderError::Compression)?);
            if bytes.len() > LARGEST_BLOCK {
                return Err(HeaderError::TooLarge);
            }
            match result {
                Ok(Status::StreamEnd) => return Err(HeaderError::Compression),
                // Nothing went in and nothing came out: there is nothing left.
                Ok(_) if taken == 0 && given == 0 => break,
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY).map_err(|_| HeaderError::Compression)?;
                }
                Err(_) => return Err(HeaderError::Compression),
            }
        }
        if block.is_empty() { Ok(bytes) } else { Err(HeaderError::Compression) }
    }
}

impl Packer {
    /// The first block.
    ///
    /// # Panics
    /// If a new stream cannot take the dictionary: there is no such case.
    pub fn new() -> Self {
        let mut compress = Compress::new(Compression::fast(), true);
        compress.set_dictionary(&DICTIONARY).expect("a stream that has just begun takes a dictionary");
        Self(compress)
    }

    /// The next block.
    pub fn write(&mut self, headers: &Headers) -> Result<Vec<u8>, HeaderError> {
        let plain = format(headers);
        let mut rest = plain.as_slice();
        let mut block = Vec::new();
        let mut step = [0; STEP];
        loop {
            let (taken_before, given_before) = (self.0.total_in(), self.0.total_out());
            let result = self.0.compress(rest, &mut step, FlushCompress::Sync);
            result.map_err(|_| HeaderError::Compression)?;
            let taken = usize::try_from(self.0.total_in() - taken_before).unwrap_or(usize::MAX);
            let given = usize::try_from(self.0.total_out() - given_before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).ok_or(HeaderError::Compression)?;
            block.extend_from_slice(step.get(..given).ok_or(HeaderError::Compression)?);
            // Room that was left says that all has come out.
            if rest.is_empty() && given < STEP {
                return Ok(block);
            }
        }
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

fn parse(mut bytes: &[u8]) -> Result<Headers, HeaderError> {
    let mut headers = Headers::new();
    for _ in 0..number(&mut bytes)? {
        let name = text(&mut bytes)?.to_ascii_lowercase();
        let value = text(&mut bytes)?;
        headers.insert(name, value.to_owned());
    }
    if bytes.is_empty() { Ok(headers) } else { Err(HeaderError::Lengths) }
}

fn number(bytes: &mut &[u8]) -> Result<u32, HeaderError> {
    let (first, rest) = bytes.split_first_chunk().ok_or(HeaderError::Lengths)?;
    *bytes = rest;
    Ok(u32::from_be_bytes(*first))
}

fn text<'b>(bytes: &mut &'b [u8]) -> Result<&'b str, HeaderError> {
    let length = number(bytes)? as usize;
    let (text, rest) = bytes.split_at_checked(length).ok_or(HeaderError::Lengths)?;
    *bytes = rest;
    std::str::from_utf8(text).map_err(|_| HeaderError::Text)
}

fn format(headers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::from((headers.len() as u32).to_be_bytes());
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend((text.len() as u32).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cannot_be_read_is_refused() {
        let row = |plain: &[u8], expected: HeaderError| assert_eq!(parse(plain), Err(expected));
        row(b"", HeaderError::Lengths);
        row(b"\0\0\0\x01", HeaderError::Lengths);
        row(b"\xff\xff\xff\xff\0\0\0\0", HeaderError::Lengths);
        row(b"\0\0\0\x01\xff\xff\xff\xffab", HeaderError::Lengths);
        row(b"\0\0\0\x01\0\0\0\x01\xff\0\0\0\0", HeaderError::Text);
        row(b"\0\0\0\0more", HeaderError::Lengths);
        assert_eq!(Unpacker::default().read(b"not zlib"), Err(HeaderError::Compression));
        let bomb = Headers::from([("a".to_owned(), "x".repeat(1 << 20))]);
        let block = Packer::new().write(&bomb).unwrap();
        assert_eq!(Unpacker::default().read(&block), Err(HeaderError::TooLarge));
    }

    proptest! {
        #[test]
        fn blocks_are_read_as_they_were_written(
            blocks in prop::collection::vec(prop::collection::btree_map("[a-z-]{1,12}", "\\PC{0,40}", 0..8), 1..6)
        ) {
            let (mut packer, mut unpacker) = (Packer::new(), Unpacker::default());
            for headers in blocks {
                let block = packer.write(&headers).unwrap();
                prop_assert_eq!(unpacker.read(&block), Ok(headers));
            }
        }

        #[test]
        fn no_block_breaks_the_reader(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
            let mut unpacker = Unpacker::default();
            for block in &blocks {
                let _ = unpacker.read(block);
                let _ = parse(block);
            }
        }

        #[test]
        fn no_damage_to_a_block_breaks_the_reader(place in 0..60_usize, byte: u8) {
            let headers = Headers::from([("streamtype".to_owned(), "data".to_owned()), ("port".to_owned(), "8080".to_owned())]);
            let mut block = Packer::new().write(&headers).unwrap();
            let place = place % block.len();
            block[place] = byte;
            let _ = Unpacker::default().read(&block);
        }
    }
}
