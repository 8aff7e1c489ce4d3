//! What a script is made of.

use std::rc::Rc;

/// A word, before anything in it is replaced.
pub type Word = Vec<Part>;

/// A part of a word.
#[derive(Clone, Debug)]
pub enum Part {
    /// Characters that may be a pattern.
    Plain(String),
    /// Characters that stand for themselves.
    Literal(String),
    /// Parts between double quotes.
    Quoted(Word),
    /// `$name` or `${name...}`.
    Parameter(Parameter),
    /// `$(...)` or backquotes.
    Command(Rc<List>),
    /// `$((...))`.
    Arithmetic(Word),
    /// `~` at the start of a word.
    Home,
}

/// A parameter and what is done with its value.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name, its number, or a special character.
    pub name: String,
    /// What is done.
    pub change: Change,
}

/// What is done with a parameter's value.
#[derive(Clone, Debug)]
pub enum Change {
    /// Nothing.
    None,
    /// `${#name}`
    Length,
    /// `-`, `=`, `?` or `+`; with a colon, an empty value counts as none.
    Default {
        /// Which of them.
        operator: char,
        /// Whether an empty value counts as none.
        or_empty: bool,
        /// What is put in its place.
        word: Word,
    },
    /// `#`, `##`, `%` or `%%`: a pattern taken off the start or the end.
    Strip {
        /// Off the end.
        at_end: bool,
        /// As much as possible.
        greedy: bool,
        /// The pattern.
        pattern: Word,
    },
    /// `/` or `//`: a pattern replaced.
    Replace {
        /// Everywhere.
        all: bool,
        /// The pattern.
        pattern: Word,
        /// What comes in its place.
        by: Word,
    },
    /// `:from:count`
    Slice(Word, Option<Word>),
}

/// Commands one after the other.
pub type List = Vec<Entry>;

/// One of them.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The pipelines; each but the first with whether it runs after a success (`&&`) or a failure (`||`).
    pub first: Pipeline,
    /// Those after it.
    pub rest: Vec<(bool, Pipeline)>,
    /// Whether it goes on in the background.
    pub in_background: bool,
}

/// Commands whose output is the next one's input.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Success and failure are exchanged.
    pub is_negated: bool,
    /// Its stages.
    pub stages: Vec<Command>,
}

/// A command with its redirections.
#[derive(Clone, Debug)]
pub struct Command {
    /// What it is.
    pub kind: CommandKind,
    /// In order.
    pub redirections: Vec<Redirection>,
    /// The line it begins in.
    pub line: usize,
}

/// What a command is.
#[derive(Clone, Debug)]
pub enum CommandKind {
    /// Assignments and words.
    Simple(Vec<(String, Word)>, Vec<Word>),
    /// `( ... )`
    Subshell(List),
    /// `{ ...; }`
    Group(List),
    /// Conditions with what follows them, and what is done otherwise.
    If(Vec<(List, List)>, List),
    /// A condition, whether it ends the loop rather than keeps it, and the body.
    While(List, bool, List),
    /// A name, the words or else the parameters, and the body.
    For(String, Option<Vec<Word>>, List),
    /// A word, and patterns with what is done.
    Case(Word, Vec<(Vec<Word>, List)>),
    /// A name and a body.
    Function(String, Rc<Command>),
}

/// A stream led elsewhere.
#[derive(Clone, Debug)]
pub struct Redirection {
    /// The number of the stream.
    pub stream: u32,
    /// Where it leads.
    pub target: Target,
}

/// Where a stream leads.
#[derive(Clone, Debug)]
pub enum Target {
    /// `<`
    Read(Word),
    /// `>`
    Write(Word),
    /// `>>`
    Append(Word),
    /// `>&` and `<&`: a number, or `-`.
    Same(Word),
    /// `<<`
    Text(Word),
}
