//! Reads a script: one complete command, or line of commands, at a time.

use std::rc::Rc;

use super::here::{Awaited, fill_list};
use super::syntax::{Command, CommandKind, Entry, List, Pipeline, Redirection, Target, Word};
use super::words;

/// A script that is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// More is needed to tell.
    Incomplete,
    /// In this line, for this reason.
    Wrong(usize, String),
}

/// What reading gives.
pub type Parsed<T> = Result<T, SyntaxError>;

const RESERVED: [&str; 13] =
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "}", "{"];
/// Scripts within scripts: deeper ones are refused before the stack is full.
const DEEPEST: usize = 100;

/// Reads a text from its start.
pub struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) depth: usize,
    /// Here-documents whose text comes after this line, by what ends them.
    awaited: Vec<Awaited>,
    /// The texts of here-documents read since, in order.
    texts: Vec<Word>,
    first_line: usize,
}

impl<'a> Parser<'a> {
    /// Reads `text`, which begins in this line of a script.
    pub fn new(text: &'a str, first_line: usize) -> Self {
        Self { text: text.as_bytes(), at: 0, depth: 0, awaited: Vec::new(), texts: Vec::new(), first_line }
    }

    /// How much was read.
    pub fn read(&self) -> usize {
        self.at
    }

    /// The commands up to the end of a line; none at the end of the text.
    pub fn next(&mut self) -> Parsed<Option<List>> {
        self.skip_lines()?;
        if self.peek().is_none() {
            return Ok(None);
        }
        let start = self.texts.len();
        let mut list = Vec::new();
        loop {
            let (entry, is_over) = self.entry()?;
            list.push(entry);
            self.blanks();
            match self.peek() {
                None => break,
                Some(b'\n') => {
                    self.newline()?;
                    break;
                }
                Some(_) if is_over && self.peek() != Some(b')') => {}
                Some(_) => return Err(self.unexpected()),
            }
        }
        if !self.awaited.is_empty() {
            return Err(SyntaxError::Incomplete);
        }
        let mut texts = self.texts.split_off(start).into_iter();
        fill_list(&mut list, &mut texts);
        Ok(Some(list))
    }

    /// The commands of a line within `$(...)`; none at its end.
    pub(super) fn next_within(&mut self) -> Parsed<Option<List>> {
        self.skip_lines()?;
        if self.peek() == Some(b')') {
            return Ok(None);
        }
        let start = self.texts.len();
        let mut list = Vec::new();
        loop {
            if self.peek().is_none() {
                return Err(SyntaxError::Incomplete);
            }
            let (entry, is_over) = self.entry()?;
            list.push(entry);
            self.blanks();
            match self.peek() {
                Some(b'\n') => {
                    self.newline()?;
                    break;
                }
                Some(b')') if self.awaited.is_empty() => break,
                Some(_) if !is_over => return Err(self.unexpected()),
                _ => {}
            }
        }
        let mut texts = self.texts.split_off(start).into_iter();
        fill_list(&mut list, &mut texts);
        Ok(Some(list))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn starts_with(&self, words: &str) -> bool {
        self.text[self.at..].starts_with(words.as_bytes())
    }

    pub(super) fn eat(&mut self, words: &str) -> bool {
        let found = self.starts_with(words);
        self.at += if found { words.len() } else { 0 };
        found
    }

    /// The line being read.
    pub(super) fn line(&self) -> usize {
        let end = self.at.min(self.text.len());
        self.first_line + self.text[..end].iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn wrong<T>(&self, words: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError::Wrong(self.line(), words.into()))
    }

    pub(super) fn unexpected(&self) -> SyntaxError {
        let rest = String::from_utf8_lossy(&self.text[self.at..]);
        let mut token: String = rest.chars().take_while(|c| !c.is_whitespace()).take(20).collect();
        if let Some(operator) = [";;", "&&", "||", ")", "(", ";", "&", "|", "<", ">"]
            .iter()
            .find(|operator| token.starts_with(**operator))
        {
            token = (*operator).to_owned();
        }
        match token.as_str() {
            "" if rest.is_empty() => SyntaxError::Incomplete,
            "" => SyntaxError::Wrong(self.line(), "syntax error: unexpected newline".to_owned()),
            token => SyntaxError::Wrong(self.line(), format!("syntax error: unexpected \"{token}\"")),
        }
    }

    /// Skips blanks, comments and lines that go on.
    pub(super) fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\\') if self.starts_with("\\\n") => self.at += 2,
                Some(b'#') => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn skip_lines(&mut self) -> Parsed<()> {
        loop {
            self.blanks();
            if self.peek() != Some(b'\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    /// The end of a line, after which here-documents follow.
    fn newline(&mut self) -> Parsed<()> {
        self.at += 1;
        for awaited in std::mem::take(&mut self.awaited) {
            let text = self.here_document(&awaited)?;
            self.texts.push(text);
        }
        Ok(())
    }

    /// Commands until one of the words that end a list; at least one.
    fn list_until(&mut self, ends: &[&str]) -> Parsed<List> {
        let mut list = Vec::new();
        loop {
            self.skip_lines()?;
            if ends.iter().any(|end| self.at_word(end)) {
                if list.is_empty() {
                    return Err(self.unexpected());
                }
                return Ok(list);
            }
            if self.peek().is_none() {
                return Err(SyntaxError::Incomplete);
            }
            let (entry, is_over) = self.entry()?;
            list.push(entry);
            self.blanks();
            let is_end =
                self.peek().is_none_or(|next| next == b'\n') || ends.iter().any(|end| self.at_word(end));
            if !is_over && !is_end {
                return Err(self.unexpected());
            }
        }
    }

    fn at_word(&self, word: &str) -> bool {
        if !self.starts_with(word) {
            return false;
        }
        let is_operator = [")", ";;"].contains(&word);
        is_operator || self.text.get(self.at + word.len()).is_none_or(|next| words::ends_word(*next))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        self.skip_lines()?;
        if self.eat_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Pipelines up to `;`, `&` or the end of the line; and whether one of the two stood there.
    fn entry(&mut self) -> Parsed<(Entry, bool)> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.blanks();
            let after_success = self.starts_with("&&");
            if !after_success && !self.starts_with("||") {
                break;
            }
            self.at += 2;
            self.skip_lines()?;
            rest.push((after_success, self.pipeline()?));
        }
        let in_background = self.peek() == Some(b'&');
        let is_over = in_background || (self.peek() == Some(b';') && !self.starts_with(";;"));
        self.at += usize::from(is_over);
        Ok((Entry { first, rest, in_background }, is_over))
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        self.blanks();
        let mut is_negated = false;
        while self.eat_word("!") {
            is_negated = !is_negated;
            self.blanks();
        }
        let mut stages = vec![self.command()?];
        loop {
            self.blanks();
            if self.peek() != Some(b'|') || self.starts_with("||") {
                return Ok(Pipeline { is_negated, stages });
            }
            self.at += 1;
            self.skip_lines()?;
            stages.push(self.command()?);
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        self.blanks();
        if self.depth > DEEPEST {
            return self.wrong("syntax error: nested too deeply");
        }
        self.depth += 1;
        let line = self.line();
        let compound = self.compound()?;
        let command = match compound {
            Some(kind) => {
                let mut redirections = Vec::new();
                loop {
                    self.blanks();
                    match self.redirection()? {
                        Some(redirection) => redirections.push(redirection),
                        None => break,
                    }
                }
                Command { kind, redirections, line }
            }
            None => self.simple(line)?,
        };
        self.depth -= 1;
        Ok(command)
    }

    fn compound(&mut self) -> Parsed<Option<CommandKind>> {
        let kind = if self.eat("(") {
            let list = self.list_until(&[")"])?;
            self.at += 1;
            CommandKind::Subshell(list)
        } else if self.eat_word("{") {
            let list = self.list_until(&["}"])?;
            self.at += 1;
            CommandKind::Group(list)
        } else if self.eat_word("if") {
            self.if_clause()?
        } else if self.at_word("while") || self.at_word("until") {
            let until = self.at_word("until");
            self.at += 5;
            let condition = self.list_until(&["do"])?;
            CommandKind::While(condition, until, self.body()?)
        } else if self.eat_word("for") {
            self.for_clause()?
        } else if self.eat_word("case") {
            self.case_clause()?
        } else {
            return Ok(None);
        };
        Ok(Some(kind))
    }

    /// `do ... done`
    fn body(&mut self) -> Parsed<List> {
        self.expect_word("do")?;
        let list = self.list_until(&["done"])?;
        self.expect_word("done")?;
        Ok(list)
    }

    fn if_clause(&mut self) -> Parsed<CommandKind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.list_until(&["then"])?;
            self.expect_word("then")?;
            branches.push((condition, self.list_until(&["elif", "else", "fi"])?));
            if !self.eat_word("elif") {
                break;
            }
        }
        let otherwise = if self.eat_word("else") { self.list_until(&["fi"])? } else { Vec::new() };
        self.expect_word("fi")?;
        Ok(CommandKind::If(branches, otherwise))
    }

    fn for_clause(&mut self) -> Parsed<CommandKind> {
        self.blanks();
        let name = self.name().ok_or_else(|| self.unexpected())?;
        self.skip_lines()?;
        let mut values = None;
        if self.eat_word("in") {
            let mut found = Vec::new();
            loop {
                self.blanks();
                match self.word()? {
                    Some(word) => found.push(word),
                    None => break,
                }
            }
            values = Some(found);
        }
        self.blanks();
        self.eat(";");
        Ok(CommandKind::For(name, values, self.body()?))
    }

    fn case_clause(&mut self) -> Parsed<CommandKind> {
        self.blanks();
        let word = self.word()?.ok_or_else(|| self.unexpected())?;
        self.expect_word("in")?;
        let mut branches = Vec::new();
        loop {
            self.skip_lines()?;
            if self.eat_word("esac") {
                return Ok(CommandKind::Case(word, branches));
            }
            self.eat("(");
            let mut patterns = Vec::new();
            loop {
                self.blanks();
                patterns.push(self.word()?.ok_or_else(|| self.unexpected())?);
                self.blanks();
                if !self.eat("|") {
                    break;
                }
            }
            if !self.eat(")") {
                return Err(self.unexpected());
            }
            self.skip_lines()?;
            let is_empty = self.starts_with(";;") || self.at_word("esac");
            let list = if is_empty { Vec::new() } else { self.list_until(&[";;", "esac"])? };
            self.eat(";;");
            branches.push((patterns, list));
        }
    }

    fn simple(&mut self, line: usize) -> Parsed<Command> {
        let (mut assignments, mut words, mut redirections) = (Vec::new(), Vec::new(), Vec::new());
        if RESERVED.iter().any(|reserved| self.at_word(reserved)) || self.at_word(";;") {
            return Err(self.unexpected());
        }
        loop {
            self.blanks();
            if let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
                continue;
            }
            if words.is_empty()
                && let Some(name) = self.assigned_name()
            {
                assignments.push((name, self.word()?.unwrap_or_default()));
                continue;
            }
            if words.is_empty()
                && assignments.is_empty()
                && let Some(name) = self.function_name()
            {
                self.skip_lines()?;
                let body = Rc::new(self.command()?);
                return Ok(Command { kind: CommandKind::Function(name, body), redirections, line });
            }
            match self.word()? {
                Some(word) => words.push(word),
                None => break,
            }
        }
        if assignments.is_empty() && words.is_empty() && redirections.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Command { kind: CommandKind::Simple(assignments, words), redirections, line })
    }

    pub(super) fn name(&mut self) -> Option<String> {
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|byte| words::in_name(**byte)).count();
        if length == 0 || rest[0].is_ascii_digit() {
            return None;
        }
        self.at += length;
        Some(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    /// `name=`
    fn assigned_name(&mut self) -> Option<String> {
        let start = self.at;
        let name = self.name().filter(|_| self.eat("="));
        if name.is_none() {
            self.at = start;
        }
        name
    }

    /// `name()`
    fn function_name(&mut self) -> Option<String> {
        let start = self.at;
        let mut name = self.name();
        self.blanks();
        if name.is_some() && self.eat("(") {
            self.blanks();
            name = name.filter(|_| self.eat(")"));
        } else {
            name = None;
        }
        if name.is_none() {
            self.at = start;
        }
        name
    }

    fn redirection(&mut self) -> Parsed<Option<Redirection>> {
        let start = self.at;
        let digits = self.text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        let number = std::str::from_utf8(&self.text[start..self.at]).ok().and_then(|text| text.parse().ok());
        let operators = ["<<-", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">"];
        let Some(operator) = operators.into_iter().find(|operator| self.eat(operator)) else {
            self.at = start;
            return Ok(None);
        };
        let stream = number.unwrap_or(u32::from(operator.starts_with('>')));
        self.blanks();
        if operator.starts_with("<<") {
            let (end, is_quoted) = self.delimiter()?;
            self.awaited.push(Awaited { end, is_quoted, strips_tabs: operator == "<<-" });
            return Ok(Some(Redirection { stream, target: Target::Text(Vec::new()) }));
        }
        let word = self.word()?.ok_or_else(|| self.unexpected())?;
        let target = match operator {
            "<" => Target::Read(word),
            ">>" => Target::Append(word),
            "<&" | ">&" => Target::Same(word),
            "<>" => return self.wrong("<>: opening a file both ways is not supported"),
            _ => Target::Write(word),
        };
        Ok(Some(Redirection { stream, target }))
    }
}
