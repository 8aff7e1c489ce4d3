//! Reads the text of managed fields in place. What it reads was written by this program, so anything else is no text.

use super::set::{Element, Set};
use super::text::{DEEPEST, kind};

/// A place in a text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// Passes a byte if it is the next one.
    pub fn pass(&mut self, byte: u8) -> bool {
        let is_next = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes a byte that must be the next one.
    pub fn expect(&mut self, byte: u8) -> Option<()> {
        self.pass(byte).then_some(())
    }

    /// What stands between the quotes of a string, as it stands there.
    pub fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at - 1)
    }

    /// A set of fields.
    pub fn set(&mut self) -> Option<Set<'a>> {
        self.contents(0).map(|(_, set)| set)
    }

    /// A set of fields, and the text it was read from.
    pub fn set_and_text(&mut self) -> Option<(Set<'a>, &'a str)> {
        let start = self.at;
        let set = self.set()?;
        Some((set, self.text.get(start..self.at)?))
    }

    fn contents(&mut self, depth: usize) -> Option<(bool, Set<'a>)> {
        self.expect(b'{')?;
        let mut set = Set::default();
        if self.pass(b'}') {
            return Some((true, set));
        }
        if depth > DEEPEST {
            return None;
        }
        let mut is_member = false;
        loop {
            let step = self.string()?;
            self.expect(b':')?;
            let (member, below) = self.contents(depth + 1)?;
            if step == "." {
                is_member = true;
            } else {
                let element = Element { kind: kind(step.as_bytes())?, text: step.get(2..)?.into() };
                set.push(element, member, below);
            }
            if self.pass(b'}') {
                set.sort();
                return Some((is_member, set));
            }
            self.expect(b',')?;
        }
    }
}
