//! Reads words: quotes, parameters, substitutions.

use std::rc::Rc;

use super::parse::{Parsed, Parser, SyntaxError};
use super::syntax::{Change, List, Parameter, Part, Word};

/// Whether a character ends a word that is not quoted.
pub fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

/// Whether a character may be part of a name.
pub fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What ends a word that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A blank or an operator.
    Word,
    /// A double quote.
    Quote,
    /// A brace, or a character before it.
    Brace(u8),
    /// Two parentheses.
    Arithmetic,
    /// Only the end of the text.
    Text,
}

/// The word that a here-document's text is.
pub fn text(text: &str, line: usize, depth: usize) -> Parsed<Word> {
    let mut parser = Parser::new(text, line);
    parser.depth = depth;
    parser.parts(End::Text)
}

impl Parser<'_> {
    /// A word; none where none begins.
    pub(super) fn word(&mut self) -> Parsed<Option<Word>> {
        let start = self.at;
        let mut parts = Vec::new();
        if self.peek() == Some(b'~')
            && self.text.get(start + 1).is_none_or(|byte| *byte == b'/' || ends_word(*byte))
        {
            self.at += 1;
            parts.push(Part::Home);
        }
        parts.extend(self.parts(End::Word)?);
        Ok((self.at > start).then_some(parts))
    }

    fn parts(&mut self, end: End) -> Parsed<Word> {
        let (mut parts, mut plain) = (Vec::new(), Vec::new());
        let mut open = 0;
        let is_quoted = matches!(end, End::Quote | End::Text);
        loop {
            let Some(byte) = self.peek() else {
                if matches!(end, End::Word | End::Text) {
                    break;
                }
                return Err(SyntaxError::Incomplete);
            };
            match (byte, end) {
                (byte, End::Word) if ends_word(byte) => break,
                (b'"', End::Quote) | (b'}', End::Brace(_)) => break,
                (byte, End::Brace(other)) if byte == other => break,
                (b')', End::Arithmetic) if open == 0 => break,
                (b'(', End::Arithmetic) => open += 1,
                (b')', End::Arithmetic) => open -= 1,
                _ => {}
            }
            match byte {
                b'\\' => self.escape(end, &mut parts, &mut plain),
                b'\'' if !is_quoted => {
                    flush(&mut parts, &mut plain, is_quoted);
                    parts.push(self.single_quotes()?);
                }
                b'"' if !is_quoted => {
                    flush(&mut parts, &mut plain, is_quoted);
                    self.at += 1;
                    let inner = self.nested(End::Quote)?;
                    self.at += 1;
                    parts.push(Part::Quoted(inner));
                }
                b'$' => match self.dollar()? {
                    Some(part) => {
                        flush(&mut parts, &mut plain, is_quoted);
                        parts.push(part);
                    }
                    None => {
                        plain.push(b'$');
                        self.at += 1;
                    }
                },
                b'`' => {
                    flush(&mut parts, &mut plain, is_quoted);
                    parts.push(self.backquotes()?);
                }
                byte => {
                    plain.push(byte);
                    self.at += 1;
                }
            }
        }
        flush(&mut parts, &mut plain, is_quoted);
        Ok(parts)
    }

    fn nested(&mut self, end: End) -> Parsed<Word> {
        self.depth += 1;
        if self.depth > 100 {
            return self.wrong("syntax error: nested too deeply");
        }
        let parts = self.parts(end);
        self.depth -= 1;
        parts
    }

    fn escape(&mut self, end: End, parts: &mut Word, plain: &mut Vec<u8>) {
        let is_quoted = matches!(end, End::Quote | End::Text);
        self.at += 1;
        match self.peek() {
            // The line goes on.
            Some(b'\n') => self.at += 1,
            Some(byte)
                if !is_quoted
                    || matches!(byte, b'$' | b'`' | b'\\')
                    || (byte == b'"' && end == End::Quote) =>
            {
                flush(parts, plain, is_quoted);
                let length = character_length(byte).min(self.text.len() - self.at);
                let literal = String::from_utf8_lossy(&self.text[self.at..self.at + length]).into_owned();
                parts.push(Part::Literal(literal));
                self.at += length;
            }
            _ => plain.push(b'\\'),
        }
    }

    fn single_quotes(&mut self) -> Parsed<Part> {
        self.at += 1;
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\'').ok_or(SyntaxError::Incomplete)?;
        self.at += length + 1;
        Ok(Part::Literal(String::from_utf8_lossy(&rest[..length]).into_owned()))
    }

    /// What begins with a dollar; none if it stands for itself.
    fn dollar(&mut self) -> Parsed<Option<Part>> {
        if self.eat("$((") {
            let word = self.nested(End::Arithmetic)?;
            if !self.eat("))") {
                return if self.at + 1 >= self.text.len() {
                    Err(SyntaxError::Incomplete)
                } else {
                    self.wrong("syntax error: missing \"))\"")
                };
            }
            return Ok(Some(Part::Arithmetic(word)));
        }
        if self.eat("$(") {
            let list = self.substitution()?;
            return Ok(Some(Part::Command(Rc::new(list))));
        }
        if self.eat("${") {
            return self.braces().map(Some);
        }
        self.at += 1;
        let name = self.parameter_name(false);
        if name.is_none() {
            self.at -= 1;
        }
        Ok(name.map(|name| Part::Parameter(Parameter { name, change: Change::None })))
    }

    fn parameter_name(&mut self, in_braces: bool) -> Option<String> {
        if let Some(name) = self.name() {
            return Some(name);
        }
        let byte = self.peek()?;
        let mut length = 1;
        if byte.is_ascii_digit() && in_braces {
            length = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        } else if !byte.is_ascii_digit() && !b"?$!#@*-".contains(&byte) {
            return None;
        }
        self.at += length;
        Some(String::from_utf8_lossy(&self.text[self.at - length..self.at]).into_owned())
    }

    /// Commands up to a parenthesis.
    fn substitution(&mut self) -> Parsed<List> {
        let text = std::str::from_utf8(&self.text[self.at..]);
        let text = text.map_err(|_| SyntaxError::Wrong(self.line(), "invalid text".to_owned()))?;
        let mut list = Vec::new();
        let mut parser = Parser::new(text, self.line());
        parser.depth = self.depth + 1;
        if parser.depth > 100 {
            return self.wrong("syntax error: nested too deeply");
        }
        loop {
            match parser.next_within()? {
                Some(more) => list.extend(more),
                None => break,
            }
        }
        self.at += parser.read() + 1;
        Ok(list)
    }

    fn braces(&mut self) -> Parsed<Part> {
        let bad = "syntax error: bad substitution";
        if self.peek() == Some(b'#') && !self.starts_with("#}") {
            self.at += 1;
            let name = self.parameter_name(true);
            return match name {
                Some(name) if self.eat("}") => {
                    Ok(Part::Parameter(Parameter { name, change: Change::Length }))
                }
                _ => self.wrong(bad),
            };
        }
        let Some(name) = self.parameter_name(true) else {
            return if self.peek().is_none() { Err(SyntaxError::Incomplete) } else { self.wrong(bad) };
        };
        let change = self.change()?;
        match self.peek() {
            Some(b'}') => self.at += 1,
            None => return Err(SyntaxError::Incomplete),
            Some(_) => return self.wrong(bad),
        }
        Ok(Part::Parameter(Parameter { name, change }))
    }

    fn change(&mut self) -> Parsed<Change> {
        let plain = End::Brace(b'}');
        if self.eat("##") || self.eat("%%") {
            let at_end = self.text[self.at - 1] == b'%';
            return Ok(Change::Strip { at_end, greedy: true, pattern: self.nested(plain)? });
        }
        if self.eat("#") || self.eat("%") {
            let at_end = self.text[self.at - 1] == b'%';
            return Ok(Change::Strip { at_end, greedy: false, pattern: self.nested(plain)? });
        }
        if self.eat("/") {
            let all = self.eat("/");
            let pattern = self.nested(End::Brace(b'/'))?;
            let by = if self.eat("/") { self.nested(plain)? } else { Vec::new() };
            return Ok(Change::Replace { all, pattern, by });
        }
        let or_empty = self.eat(":");
        match self.peek() {
            Some(operator @ (b'-' | b'=' | b'?' | b'+')) => {
                self.at += 1;
                let word = self.nested(plain)?;
                Ok(Change::Default { operator: operator.into(), or_empty, word })
            }
            _ if or_empty => {
                let from = self.nested(End::Brace(b':'))?;
                let count = if self.eat(":") { Some(self.nested(plain)?) } else { None };
                Ok(Change::Slice(from, count))
            }
            _ => Ok(Change::None),
        }
    }

    /// A command between backquotes, where a backslash protects those within.
    fn backquotes(&mut self) -> Parsed<Part> {
        self.at += 1;
        let mut inner = Vec::new();
        loop {
            match self.peek().ok_or(SyntaxError::Incomplete)? {
                b'`' => break,
                b'\\' if self.text.get(self.at + 1).is_some_and(|byte| b"`\\$".contains(byte)) => {
                    inner.push(self.text[self.at + 1]);
                    self.at += 2;
                }
                byte => {
                    inner.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let inner = String::from_utf8_lossy(&inner).into_owned();
        let mut parser = Parser::new(&inner, self.line());
        parser.depth = self.depth + 1;
        let mut list = Vec::new();
        while let Some(more) = parser.next()? {
            list.extend(more);
        }
        Ok(Part::Command(Rc::new(list)))
    }
}

fn flush(parts: &mut Word, plain: &mut Vec<u8>, is_quoted: bool) {
    if plain.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(&std::mem::take(plain)).into_owned();
    parts.push(if is_quoted { Part::Literal(text) } else { Part::Plain(text) });
}

/// How many bytes the character has that begins with this one.
fn character_length(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}
