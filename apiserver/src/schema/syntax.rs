//! What Go's reader says of a text that is no JSON: the words that users of Kubernetes know.

/// What is wrong with a text; none if Go finds nothing, which knows of no wrong letters or too large numbers here. How
/// deeply it is nested is for others to say.
pub fn mistake(text: &[u8]) -> Option<String> {
    Scanner { text, at: 0, open: Vec::new() }.document().err()
}

/// What may come next.
#[derive(Clone, Copy)]
enum Next {
    Value,
    FirstItem,
    FirstKey,
    Key,
    Colon,
    AfterValue,
}

#[derive(Clone, Copy, PartialEq)]
enum Collection {
    Object,
    List,
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    /// The collections around this place, the innermost last.
    open: Vec<Collection>,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), String> {
        let mut next = Next::Value;
        loop {
            self.pass_spaces();
            if self.at == self.text.len() && self.open.is_empty() && matches!(next, Next::AfterValue) {
                return Ok(());
            }
            let byte = self.byte()?;
            next = match next {
                Next::FirstItem if byte == b']' => self.close(),
                Next::Value | Next::FirstItem => self.value(byte)?,
                Next::FirstKey if byte == b'}' => self.close(),
                Next::FirstKey | Next::Key if byte == b'"' => self.string(Next::Colon)?,
                Next::FirstKey | Next::Key => {
                    return wrong(byte, "looking for beginning of object key string");
                }
                Next::Colon if byte == b':' => Next::Value,
                Next::Colon => return wrong(byte, "after object key"),
                Next::AfterValue => self.after_value(byte)?,
            };
        }
    }

    fn pass_spaces(&mut self) {
        let is_space = |byte: &u8| b" \t\r\n".contains(byte);
        self.at += self.text[self.at..].iter().take_while(|byte| is_space(byte)).count();
    }

    /// Takes the next byte.
    fn byte(&mut self) -> Result<u8, String> {
        let byte = *self.text.get(self.at).ok_or("unexpected end of JSON input")?;
        self.at += 1;
        Ok(byte)
    }

    /// The same within a word, a number or an escape, where Go takes the end of the text for a space.
    fn byte_within(&mut self) -> u8 {
        self.byte().unwrap_or(b' ')
    }

    fn value(&mut self, first: u8) -> Result<Next, String> {
        match first {
            b'{' => Ok(self.begin(Collection::Object, Next::FirstKey)),
            b'[' => Ok(self.begin(Collection::List, Next::FirstItem)),
            b'"' => self.string(Next::AfterValue),
            b'-' | b'0'..=b'9' => self.number(first),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => wrong(first, "looking for beginning of value"),
        }
    }

    fn begin(&mut self, collection: Collection, next: Next) -> Next {
        self.open.push(collection);
        next
    }

    fn close(&mut self) -> Next {
        self.open.pop();
        Next::AfterValue
    }

    fn after_value(&mut self, byte: u8) -> Result<Next, String> {
        match (self.open.last(), byte) {
            (Some(Collection::Object), b',') => Ok(Next::Key),
            (Some(Collection::List), b',') => Ok(Next::Value),
            (Some(Collection::Object), b'}') | (Some(Collection::List), b']') => Ok(self.close()),
            (Some(Collection::Object), _) => wrong(byte, "after object key:value pair"),
            (Some(Collection::List), _) => wrong(byte, "after array element"),
            (None, _) => wrong(byte, "after top-level value"),
        }
    }

    fn string(&mut self, next: Next) -> Result<Next, String> {
        loop {
            match self.byte()? {
                b'"' => return Ok(next),
                b'\\' => self.escape()?,
                byte @ 0..0x20 => return wrong(byte, "in string literal"),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.byte_within() {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => (0..4).try_for_each(|_| match self.byte_within() {
                byte if byte.is_ascii_hexdigit() => Ok(()),
                byte => wrong(byte, r"in \u hexadecimal character escape"),
            }),
            byte => wrong(byte, "in string escape code"),
        }
    }

    fn word(&mut self, word: &str) -> Result<Next, String> {
        for expected in word.bytes().skip(1) {
            let byte = self.byte_within();
            if byte != expected {
                return wrong(byte, &format!("in literal {word} (expecting '{}')", char::from(expected)));
            }
        }
        Ok(Next::AfterValue)
    }

    fn number(&mut self, first: u8) -> Result<Next, String> {
        let leading = if first == b'-' { self.digit("in numeric literal")? } else { first };
        if leading != b'0' {
            self.pass_digits();
        }
        if self.passes(b".") {
            self.digit("after decimal point in numeric literal")?;
            self.pass_digits();
        }
        if self.passes(b"eE") {
            self.passes(b"+-");
            self.digit("in exponent of numeric literal")?;
            self.pass_digits();
        }
        Ok(Next::AfterValue)
    }

    fn digit(&mut self, place: &str) -> Result<u8, String> {
        let byte = self.byte_within();
        if byte.is_ascii_digit() { Ok(byte) } else { wrong(byte, place) }
    }

    fn pass_digits(&mut self) {
        self.at += self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    }

    /// Passes the next byte if it is one of these.
    fn passes(&mut self, bytes: &[u8]) -> bool {
        let found = self.text.get(self.at).is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(found);
        found
    }
}

/// What is to be said of a byte, shown as Go does: what is no letter is escaped, and what is beyond ASCII is taken for
/// Latin.
fn wrong<T>(byte: u8, place: &str) -> Result<T, String> {
    let shown = match byte {
        b'\'' => r"\'".to_owned(),
        b'"' => "\"".to_owned(),
        b'\\' => r"\\".to_owned(),
        b'\n' => r"\n".to_owned(),
        b'\r' => r"\r".to_owned(),
        b'\t' => r"\t".to_owned(),
        0x07 => r"\a".to_owned(),
        0x08 => r"\b".to_owned(),
        0x0b => r"\v".to_owned(),
        0x0c => r"\f".to_owned(),
        byte @ (0..0x20 | 0x7f) => format!(r"\x{byte:02x}"),
        byte @ (0x80..=0xa0 | 0xad) => format!(r"\u{byte:04x}"),
        byte => char::from(byte).to_string(),
    };
    Err(format!("invalid character '{shown}' {place}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn mistakes_are_told_in_the_words_of_go() {
        let row = |text: &[u8], words: &str| {
            assert_eq!(
                mistake(text).as_deref().unwrap_or_default(),
                words,
                "{}",
                String::from_utf8_lossy(text)
            );
        };
        row(b"{}", "");
        row(b" [1, -0.5e+3, true, null, \"\\u00e4\\n\", {\"a\": {}}] ", "");
        row(b"", "unexpected end of JSON input");
        row(b"{", "unexpected end of JSON input");
        row(b"{\"a\":1", "unexpected end of JSON input");
        row(b"\"a", "unexpected end of JSON input");
        row(b"1.", "invalid character ' ' after decimal point in numeric literal");
        row(b"tru", "invalid character ' ' in literal true (expecting 'e')");
        row(b"nonsense", "invalid character 'o' in literal null (expecting 'u')");
        row(b"x", "invalid character 'x' looking for beginning of value");
        row(b"[1,]", "invalid character ']' looking for beginning of value");
        row(b"{\"a\":}", "invalid character '}' looking for beginning of value");
        row(b"{a:1}", "invalid character 'a' looking for beginning of object key string");
        row(b"{\"a\":1,}", "invalid character '}' looking for beginning of object key string");
        row(b"{'a':1}", r"invalid character '\'' looking for beginning of object key string");
        row(b"{\"a\" 1}", "invalid character '1' after object key");
        row(b"{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair");
        row(b"[1 2]", "invalid character '2' after array element");
        row(b"{} x", "invalid character 'x' after top-level value");
        row(b"01", "invalid character '1' after top-level value");
        row(b"\"a\nb\"", r"invalid character '\n' in string literal");
        row(b"\"\\x\"", "invalid character 'x' in string escape code");
        row(b"\"\\u12g4\"", r"invalid character 'g' in \u hexadecimal character escape");
        row(b"-x", "invalid character 'x' in numeric literal");
        row(b"1.x", "invalid character 'x' after decimal point in numeric literal");
        row(b"1e+x", "invalid character 'x' in exponent of numeric literal");
        row(b"NaN", "invalid character 'N' looking for beginning of value");
        row(b"\x00", r"invalid character '\x00' looking for beginning of value");
        row(b"\xff", "invalid character '\u{ff}' looking for beginning of value");
        row(b"\x80", r"invalid character '\u0080' looking for beginning of value");
        row(&b"[".repeat(1 << 20), "unexpected end of JSON input");
    }

    proptest! {
        /// Letters are chosen so that much of it is JSON, or nearly.
        #[test]
        fn what_is_json_has_no_mistake(text in "[\\[\\]{},:\"\\\\ 01.e+\\-ntrul]{0,12}") {
            let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            prop_assert_eq!(mistake(text.as_bytes()).is_none(), is_json, "{:?}", mistake(text.as_bytes()));
        }
    }
}
