//! Here-documents: texts that follow the line of the command that reads them.

use std::rc::Rc;

use super::parse::{Parsed, Parser, SyntaxError};
use super::syntax::{Command, CommandKind, List, Part, Pipeline, Target, Word};
use super::words;

/// A here-document whose text comes after this line.
pub(super) struct Awaited {
    /// The line that ends it.
    pub(super) end: String,
    /// Tabs at the start of lines are not meant.
    pub(super) strips_tabs: bool,
    /// Nothing in it is replaced.
    pub(super) is_quoted: bool,
}

impl Parser<'_> {
    /// The text of a here-document that begins here.
    pub(super) fn here_document(&mut self, awaited: &Awaited) -> Parsed<Word> {
        let mut text = String::new();
        loop {
            if self.at >= self.text.len() {
                return Err(SyntaxError::Incomplete);
            }
            let rest = &self.text[self.at..];
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let line = String::from_utf8_lossy(&rest[..length]).into_owned();
            let line = if awaited.strips_tabs { line.trim_start_matches('\t') } else { &line };
            self.at = (self.at + length + 1).min(self.text.len());
            if line == awaited.end {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        if awaited.is_quoted {
            return Ok(vec![Part::Literal(text)]);
        }
        words::text(&text, self.line(), self.depth)
    }

    /// What ends a here-document, and whether it was quoted.
    pub(super) fn delimiter(&mut self) -> Parsed<(String, bool)> {
        let start = self.at;
        self.word()?.ok_or_else(|| self.unexpected())?;
        let raw = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        let is_quoted = raw.contains(['\'', '"', '\\']);
        Ok((raw.replace(['\'', '"', '\\'], ""), is_quoted))
    }
}

/// Puts the texts of here-documents where they belong: they come in the order of their redirections.
pub(super) fn fill_list(list: &mut List, texts: &mut impl Iterator<Item = Word>) {
    for entry in list {
        fill_pipeline(&mut entry.first, texts);
        entry.rest.iter_mut().for_each(|(_, pipeline)| fill_pipeline(pipeline, texts));
    }
}

fn fill_pipeline(pipeline: &mut Pipeline, texts: &mut impl Iterator<Item = Word>) {
    pipeline.stages.iter_mut().for_each(|command| fill(command, texts));
}

fn fill(command: &mut Command, texts: &mut impl Iterator<Item = Word>) {
    match &mut command.kind {
        CommandKind::Simple(..) => {}
        CommandKind::Subshell(list) | CommandKind::Group(list) => fill_list(list, texts),
        CommandKind::If(branches, otherwise) => {
            for (condition, list) in branches {
                fill_list(condition, texts);
                fill_list(list, texts);
            }
            fill_list(otherwise, texts);
        }
        CommandKind::While(condition, _, body) => {
            fill_list(condition, texts);
            fill_list(body, texts);
        }
        CommandKind::For(.., body) => fill_list(body, texts),
        CommandKind::Case(_, branches) => branches.iter_mut().for_each(|(_, list)| fill_list(list, texts)),
        CommandKind::Function(_, body) => {
            if let Some(body) = Rc::get_mut(body) {
                fill(body, texts);
            }
        }
    }
    for redirection in &mut command.redirections {
        if let Target::Text(word) = &mut redirection.target
            && let Some(text) = texts.next()
        {
            *word = text;
        }
    }
}
