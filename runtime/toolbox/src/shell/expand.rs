//! Replaces what stands in words: parameters, commands, arithmetic; then splits fields and finds files.

use std::rc::Rc;

use super::Shell;
use super::syntax::{Change, Parameter, Part, Word};
use crate::files;
use crate::pattern::{self, Glyph};
use crate::process::{Failure, failure};
use crate::task::Boxed;

/// What words become is no longer than this.
const MOST_BYTES: usize = 32 << 20;

/// The fields that come of a word.
#[derive(Default)]
struct Fields {
    done: Vec<Vec<Glyph>>,
    current: Vec<Glyph>,
    /// There is a field, though perhaps an empty one.
    is_begun: bool,
    /// The field before ended with a blank.
    after_blank: bool,
}

impl Fields {
    fn push(&mut self, text: &str, is_literal: bool) {
        self.is_begun |= is_literal || !text.is_empty();
        self.after_blank = false;
        self.current.extend(text.chars().map(|is| Glyph { is, is_literal }));
    }

    fn end(&mut self) {
        if self.is_begun {
            self.done.push(std::mem::take(&mut self.current));
            self.is_begun = false;
        }
    }

    /// Adds a value that is cut where it has one of these characters.
    fn split(&mut self, value: &str, separators: &str) {
        for is in value.chars() {
            if !separators.contains(is) {
                self.current.push(Glyph { is, is_literal: false });
                self.is_begun = true;
                self.after_blank = false;
            } else if is.is_whitespace() {
                self.after_blank |= self.is_begun;
                self.end();
            } else {
                self.is_begun |= !self.after_blank;
                self.after_blank = false;
                self.end();
            }
        }
    }
}

/// How a word is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Into fields.
    Fields,
    /// Into one, whatever it holds.
    Whole,
}

impl Shell {
    /// The arguments that words become.
    pub(super) async fn arguments(&mut self, words: &[Word]) -> Result<Vec<String>, Failure> {
        let mut arguments = Vec::new();
        for word in words {
            let mut fields = Fields::default();
            self.expand(word, false, Mode::Fields, &mut fields).await?;
            fields.end();
            for field in fields.done {
                let found = if self.options.no_glob { Vec::new() } else { self.glob(&field) };
                if found.is_empty() { arguments.push(text_of(&field)) } else { arguments.extend(found) }
            }
        }
        Ok(arguments)
    }

    /// The text that a word becomes where it is not split.
    pub(super) async fn text(&mut self, word: &Word) -> Result<String, Failure> {
        self.pattern(word).await.map(|glyphs| text_of(&glyphs))
    }

    /// The same as a pattern.
    pub(super) async fn pattern(&mut self, word: &Word) -> Result<Vec<Glyph>, Failure> {
        let mut fields = Fields::default();
        self.expand(word, false, Mode::Whole, &mut fields).await?;
        fields.end();
        Ok(fields.done.into_iter().next().unwrap_or_default())
    }

    fn expand<'a>(
        &'a mut self,
        word: &'a Word,
        is_quoted: bool,
        mode: Mode,
        fields: &'a mut Fields,
    ) -> Boxed<'a, Result<(), Failure>> {
        Box::pin(async move {
            for part in word {
                match part {
                    Part::Plain(text) => fields.push(text, is_quoted),
                    Part::Literal(text) => fields.push(text, true),
                    Part::Quoted(inner) => {
                        fields.is_begun |= !is_empty_list(inner);
                        self.expand(inner, true, mode, fields).await?;
                    }
                    Part::Home => fields.push(&self.variable("HOME").unwrap_or_else(|| "/".to_owned()), true),
                    Part::Arithmetic(inner) => {
                        let expression = self.text(inner).await?;
                        let value = self.arithmetic(&expression)?;
                        self.put(&value.to_string(), is_quoted, mode, fields);
                    }
                    Part::Command(list) => {
                        let output = self.substitute(list).await?;
                        self.put(&output, is_quoted, mode, fields);
                    }
                    Part::Parameter(parameter) => self.parameter(parameter, is_quoted, mode, fields).await?,
                }
                let length: usize = fields.done.iter().map(Vec::len).sum();
                if length + fields.current.len() > MOST_BYTES {
                    return Err(failure("argument list too long"));
                }
            }
            Ok(())
        })
    }

    /// Adds a value as it is read here.
    fn put(&self, value: &str, is_quoted: bool, mode: Mode, fields: &mut Fields) {
        match (is_quoted, mode) {
            (true, _) => fields.push(value, true),
            (false, Mode::Whole) => fields.push(value, false),
            (false, Mode::Fields) => {
                let separators = self.variable("IFS").unwrap_or_else(|| " \t\n".to_owned());
                fields.split(value, &separators);
            }
        }
    }

    async fn parameter(
        &mut self,
        parameter: &Parameter,
        is_quoted: bool,
        mode: Mode,
        fields: &mut Fields,
    ) -> Result<(), Failure> {
        let name = parameter.name.as_str();
        if matches!((name, &parameter.change), ("@" | "*", Change::None)) {
            self.all_parameters(name, is_quoted, mode, fields);
            return Ok(());
        }
        let value = self.variable(name);
        let is_set = |or_empty: bool| value.as_ref().is_some_and(|value| !or_empty || !value.is_empty());
        let value = match &parameter.change {
            Change::Default { operator: '-', or_empty, word } if !is_set(*or_empty) => {
                return self.expand(word, is_quoted, mode, fields).await;
            }
            Change::Default { operator: '+', or_empty, word } => {
                if is_set(*or_empty) {
                    return self.expand(word, is_quoted, mode, fields).await;
                }
                return Ok(());
            }
            Change::Default { operator: '=', or_empty, word } if !is_set(*or_empty) => {
                let text = self.text(word).await?;
                self.assign(name, text.clone())?;
                text
            }
            Change::Default { operator: '?', or_empty, word } if !is_set(*or_empty) => {
                let text = self.text(word).await?;
                let words = if text.is_empty() { "parameter not set" } else { &text };
                self.is_over = true;
                return Err(Failure { code: 2, words: format!("{name}: {words}") });
            }
            Change::Default { .. } => value.unwrap_or_default(),
            change => {
                if value.is_none() && self.options.no_unset && !"@*".contains(name) {
                    self.is_over = true;
                    return Err(Failure { code: 2, words: format!("{name}: parameter not set") });
                }
                self.changed(name, value.unwrap_or_default(), change).await?
            }
        };
        self.put(&value, is_quoted, mode, fields);
        Ok(())
    }

    async fn changed(&mut self, name: &str, value: String, change: &Change) -> Result<String, Failure> {
        Ok(match change {
            Change::Length if "@*".contains(name) => self.parameters.len().to_string(),
            Change::Length => value.chars().count().to_string(),
            Change::Strip { at_end, greedy, pattern } => {
                let pattern = self.pattern(pattern).await?;
                strip(&value, &pattern, *at_end, *greedy)
            }
            Change::Replace { all, pattern, by } => {
                let (pattern, by) = (self.pattern(pattern).await?, self.text(by).await?);
                replace(&value, &pattern, &by, *all)
            }
            Change::Slice(from, count) => {
                let from = self.text(from).await?;
                let from = self.arithmetic(&from)?;
                let count = match count {
                    Some(count) => {
                        let count = self.text(count).await?;
                        Some(self.arithmetic(&count)?)
                    }
                    None => None,
                };
                slice(&value, from, count)
            }
            Change::None | Change::Default { .. } => value,
        })
    }

    fn all_parameters(&self, name: &str, is_quoted: bool, mode: Mode, fields: &mut Fields) {
        if mode == Mode::Whole || (is_quoted && name == "*") {
            let separators = self.variable("IFS").unwrap_or_else(|| " ".to_owned());
            let separator: String = separators.chars().next().into_iter().collect();
            let separator = if name == "@" { " " } else { &separator };
            fields.push(&self.parameters.join(separator), is_quoted);
            return;
        }
        for (number, parameter) in self.parameters.iter().enumerate() {
            if number > 0 {
                fields.end();
            }
            self.put(parameter, is_quoted, mode, fields);
        }
    }

    /// The files whose names are as a field says; none if it is no pattern or there are none.
    fn glob(&self, field: &[Glyph]) -> Vec<String> {
        if !pattern::is_pattern(field) {
            return Vec::new();
        }
        let is_absolute = field.first().is_some_and(|glyph| glyph.is == '/');
        let mut found = vec![if is_absolute { "/".to_owned() } else { String::new() }];
        let parts: Vec<&[Glyph]> = field.split(|glyph| glyph.is == '/').collect();
        let count = parts.len();
        for (place, part) in parts.into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            let is_last = place + 1 == count;
            found = found.iter().flat_map(|start| self.step(start, part, is_last)).collect();
        }
        if field.last().is_some_and(|glyph| glyph.is == '/') {
            found.retain(|path| files::is_folder(&files::absolute(&self.folder, path)));
        }
        found
    }

    /// The ways on from a path by one part of a pattern.
    fn step(&self, start: &str, part: &[Glyph], is_last: bool) -> Vec<String> {
        let join = |name: &str| format!("{start}{name}{}", if is_last { "" } else { "/" });
        let folder = files::absolute(&self.folder, start);
        if !pattern::is_pattern(part) {
            let name = text_of(part);
            let there = files::own_facts(&files::within(&folder, &name)).is_ok();
            return there.then(|| join(&name)).into_iter().collect();
        }
        let hidden = part.first().is_some_and(|glyph| glyph.is == '.');
        let names = files::list(&folder).unwrap_or_default().into_iter();
        names
            .filter(|name| hidden || !name.starts_with('.'))
            .filter(|name| pattern::matches(part, &name.chars().collect::<Vec<_>>()))
            .map(|name| join(&name))
            .filter(|path| is_last || files::is_folder(&files::absolute(&self.folder, path)))
            .collect()
    }

    /// The output of commands, without the ends of lines at its end.
    async fn substitute(&mut self, list: &Rc<super::syntax::List>) -> Result<String, Failure> {
        let text = Rc::default();
        let mut inner = self.subshell();
        inner.streams.output = crate::stream::Output::Capture(Rc::clone(&text));
        self.status = inner.run_all(list).await;
        self.substituted = true;
        let mut bytes = text.take();
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        bytes.retain(|byte| *byte != 0);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Quotes with nothing but `$@` in them are no field where there are no parameters.
fn is_empty_list(inner: &Word) -> bool {
    matches!(inner.as_slice(), [Part::Parameter(Parameter { name, change: Change::None })] if name == "@")
}

fn text_of(glyphs: &[Glyph]) -> String {
    glyphs.iter().map(|glyph| glyph.is).collect()
}

fn strip(value: &str, pattern: &[Glyph], at_end: bool, greedy: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let fits = |cut: &usize| {
        let part = if at_end { &text[*cut..] } else { &text[..*cut] };
        pattern::matches(pattern, part)
    };
    let mut cuts = 0..=text.len();
    // The shortest part at the start ends first; at the end, it begins last.
    let cut = if at_end == greedy { cuts.find(fits) } else { cuts.rev().find(fits) };
    match cut {
        Some(cut) if at_end => text[..cut].iter().collect(),
        Some(cut) => text[cut..].iter().collect(),
        None => value.to_owned(),
    }
}

fn replace(value: &str, pattern: &[Glyph], by: &str, all: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let (mut output, mut at, mut is_done) = (String::new(), 0, pattern.is_empty());
    while at < text.len() {
        let end =
            (at + 1..=text.len()).rev().find(|end| !is_done && pattern::matches(pattern, &text[at..*end]));
        match end {
            Some(end) => {
                output.push_str(by);
                at = end;
                is_done = !all;
            }
            None => {
                output.push(text[at]);
                at += 1;
            }
        }
    }
    output
}

fn slice(value: &str, from: i64, count: Option<i64>) -> String {
    let text: Vec<char> = value.chars().collect();
    let length = text.len() as i64;
    let start = if from < 0 { (length + from).max(0) } else { from.min(length) };
    let end = match count {
        None => length,
        Some(count) if count < 0 => (length + count).max(start),
        Some(count) => start.saturating_add(count).min(length),
    };
    text[start as usize..end as usize].iter().collect()
}
