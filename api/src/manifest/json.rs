//! Reads JSON texts one after the other, with the lines of their fields.

use serde_json::{Number, Value};

use super::tree::{Fields, Tree};
use super::{Again, DEPTH_LIMIT, Problem, Roots, Wrong};

/// All values of the text.
pub(super) fn read(text: &str) -> Result<Roots, Wrong> {
    let mut reader = Reader { rest: text, line: 1, again: Vec::new() };
    let mut values = Vec::new();
    while reader.peek().is_some() {
        values.push((reader.line, reader.value(0)?));
    }
    Ok(Roots { values, again: reader.again })
}

const WRONG_STRING: &str = "a string with a control character or a wrong escape";

struct Reader<'text> {
    rest: &'text str,
    line: usize,
    again: Vec<Again>,
}

impl<'text> Reader<'text> {
    /// The first byte of the next token.
    fn peek(&mut self) -> Option<u8> {
        let token = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let skipped = &self.rest.as_bytes()[..self.rest.len() - token.len()];
        self.line += skipped.iter().filter(|byte| **byte == b'\n').count();
        self.rest = token;
        token.bytes().next()
    }

    /// Passes the byte if it is the next token.
    fn pass(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn wrong(&self, problem: Problem) -> Wrong {
        Wrong::new(self.line, problem)
    }

    fn expected(&mut self, what: &str) -> Wrong {
        self.peek();
        self.wrong(Problem::Syntax(match self.rest.chars().next() {
            Some(found) => format!("found {found:?}, expected {what}"),
            None => format!("found the end of the text, expected {what}"),
        }))
    }

    fn value(&mut self, depth: usize) -> Result<Tree, Wrong> {
        if depth > DEPTH_LIMIT {
            return Err(self.wrong(Problem::TooDeep));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Tree::scalar(Value::String(self.string()?))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Tree, Wrong> {
        self.pass(b'{');
        let mut fields = Fields::default();
        if self.pass(b'}') {
            return Ok(fields.into_tree());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let key_line = self.line;
            let key = self.string()?;
            if !self.pass(b':') {
                return Err(self.expected("':' after a key"));
            }
            self.peek();
            let line = self.line;
            let value = self.value(depth + 1)?;
            fields.insert((key_line, line), key, value, &mut self.again);
            if self.pass(b'}') {
                return Ok(fields.into_tree());
            }
            if !self.pass(b',') {
                return Err(self.expected("',' or '}'"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Wrong> {
        self.pass(b'[');
        let mut items = Vec::new();
        if self.pass(b']') {
            return Ok(Tree::list(items));
        }
        loop {
            self.peek();
            items.push((self.line, self.value(depth + 1)?));
            if self.pass(b']') {
                return Ok(Tree::list(items));
            }
            if !self.pass(b',') {
                return Err(self.expected("',' or ']'"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Wrong> {
        let mut escaped = true;
        let end = self.rest.bytes().position(|byte| {
            let closes = byte == b'"' && !escaped || byte == b'\n';
            // The opening quote counts as escaped.
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let closed = end.filter(|end| self.rest.as_bytes()[*end] == b'"');
        let end = closed.ok_or_else(|| self.wrong(Problem::Syntax("a string is not closed".into())))?;
        let quoted = self.take(end + 1);
        serde_json::from_str(quoted).map_err(|_| self.wrong(Problem::Syntax(WRONG_STRING.into())))
    }

    fn number(&mut self) -> Result<Tree, Wrong> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let digits = self.take(end);
        let number: Option<Number> = serde_json::from_str(digits).ok();
        let number = match number {
            // serde_json takes the last digit less than exactly.
            Some(float) if float.is_f64() => digits.parse().ok().and_then(Number::from_f64),
            other => other,
        };
        let wrong = || self.wrong(Problem::Syntax(format!("{digits} is not a number")));
        Ok(Tree::scalar(Value::Number(number.ok_or_else(wrong)?)))
    }

    fn word(&mut self) -> Result<Tree, Wrong> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let value = match &self.rest[..end] {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => return Err(self.expected("a value")),
        };
        self.take(end);
        Ok(Tree::scalar(value))
    }

    fn take(&mut self, end: usize) -> &'text str {
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}
