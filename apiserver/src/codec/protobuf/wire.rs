//! Protobuf's wire format: tags, numbers and runs of bytes, read without trust.

/// What is wrong with a part of a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The input ends inside a value, or a length leads beyond it.
    #[error("unexpected end of the message")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("number longer than 64 bits")]
    LongNumber,
    /// A tag that no message can have.
    #[error("illegal tag")]
    IllegalTag,
    /// A way of writing a value that Kubernetes does not use.
    #[error("wire type {0} is not supported")]
    WireType(u8),
    /// The value is written in another way than its type demands.
    #[error("wrong wire type: must be {0}")]
    Wrong(&'static str),
    /// A text is not one.
    #[error("must be valid UTF-8")]
    NotText,
    /// A number that JSON cannot have.
    #[error("must be a finite number")]
    NotFinite,
    /// A moment too far away, or with a fraction that is none.
    #[error("must be a time between the years -9999 and 9999")]
    NotTime,
    /// Neither a number nor a text.
    #[error("must be an integer or a string")]
    NeitherIntNorString,
    /// An embedded text is not JSON.
    #[error("invalid JSON: {0}")]
    Json(String),
    /// The body is compressed or the like.
    #[error("a content encoding is not supported")]
    Encoded,
    /// Messages in messages without end.
    #[error("nested deeper than {} levels", crate::schema::LARGEST_DEPTH)]
    TooDeep,
    /// More values than any object needs.
    #[error("an object must not have more than {} values", super::read::MOST_VALUES)]
    TooMany,
    /// A tree that the schema has not accepted is to be written.
    #[error("does not have the type of its field")]
    Unfit,
}

/// A value, as far as the wire knows it.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'b> {
    /// A number that takes as many bytes as it needs.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A run of bytes: text, bytes, a message, or packed numbers.
    Bytes(&'b [u8]),
    /// Four bytes; no type of Kubernetes has it.
    Fixed32,
}

impl<'b> Payload<'b> {
    /// The number.
    pub fn varint(self) -> Result<u64, Flaw> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(Flaw::Wrong("a number")),
        }
    }

    /// The bytes.
    pub fn bytes(self) -> Result<&'b [u8], Flaw> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Flaw::Wrong("a run of bytes")),
        }
    }

    /// The text.
    pub fn text(self) -> Result<&'b str, Flaw> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Flaw::NotText)
    }
}

/// Reads the members of a message one after the other, and stops at the first flaw.
pub struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// Reads this message.
    pub fn new(message: &'b [u8]) -> Self {
        Self { rest: message }
    }

    /// Reads packed numbers.
    pub fn packed_varint(&mut self) -> Option<Result<u64, Flaw>> {
        (!self.rest.is_empty()).then(|| self.varint())
    }

    /// Reads packed eight bytes.
    pub fn packed_fixed64(&mut self) -> Option<Result<u64, Flaw>> {
        (!self.rest.is_empty()).then(|| self.fixed64())
    }

    fn member(&mut self) -> Result<(u32, Payload<'b>), Flaw> {
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).ok().filter(|tag| *tag > 0).ok_or(Flaw::IllegalTag)?;
        let payload = match key & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(self.fixed64()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Flaw::Truncated)?;
                Payload::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Payload::Fixed32)?,
            other => return Err(Flaw::WireType(other as u8)),
        };
        Ok((tag, payload))
    }

    fn varint(&mut self) -> Result<u64, Flaw> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = *self.take(1)? else { return Err(Flaw::Truncated) };
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(Flaw::LongNumber);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Flaw::LongNumber)
    }

    fn fixed64(&mut self) -> Result<u64, Flaw> {
        let bytes = self.take(8)?.try_into().map_err(|_| Flaw::Truncated)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Flaw> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Flaw::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'b> Iterator for Reader<'b> {
    type Item = Result<(u32, Payload<'b>), Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let member = self.member();
        if member.is_err() {
            self.rest = &[];
        }
        Some(member)
    }
}

/// Writes a number.
pub fn varint(bytes: &mut Vec<u8>, tag: u32, number: u64) {
    raw_varint(bytes, u64::from(tag) << 3);
    raw_varint(bytes, number);
}

/// Writes eight bytes.
pub fn fixed64(bytes: &mut Vec<u8>, tag: u32, number: u64) {
    raw_varint(bytes, u64::from(tag) << 3 | 1);
    bytes.extend(number.to_le_bytes());
}

/// Writes a run of bytes.
pub fn run(bytes: &mut Vec<u8>, tag: u32, content: &[u8]) {
    run_head(bytes, tag, content.len());
    bytes.extend_from_slice(content);
}

/// Writes what comes before a run of so many bytes.
pub fn run_head(bytes: &mut Vec<u8>, tag: u32, length: usize) {
    raw_varint(bytes, u64::from(tag) << 3 | 2);
    // A length has at most 64 bits on every machine there is.
    raw_varint(bytes, length as u64);
}

/// Writes a text.
pub fn text(bytes: &mut Vec<u8>, tag: u32, content: &str) {
    run(bytes, tag, content.as_bytes());
}

/// Writes a message.
pub fn nested<E>(
    bytes: &mut Vec<u8>,
    tag: u32,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut message = Vec::new();
    content(&mut message)?;
    run(bytes, tag, &message);
    Ok(())
}

fn raw_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
