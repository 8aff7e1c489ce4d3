//! The options of a command: letters, some of which take a value, and what follows them.

use crate::process::{Failure, Process};

/// The options that were given.
pub struct Options {
    given: Vec<(char, String)>,
    /// What follows.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads the options of a command: those in `flags` stand alone, those in `valued` have a value. `long` gives the
    /// letter of long ones.
    pub fn read(
        process: &Process,
        flags: &str,
        valued: &str,
        long: &[(&str, char)],
    ) -> Result<Self, Failure> {
        let mut words = process.args.iter().skip(1).cloned();
        let (mut given, mut rest) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some("-") => {
                    rest.extend(words.by_ref());
                }
                Some(letters) if letters.starts_with('-') => {
                    let (name, value) = letters[1..].split_once('=').unwrap_or((&letters[1..], ""));
                    let (_, letter) = *long
                        .iter()
                        .find(|(known, _)| *known == name)
                        .ok_or_else(|| unknown(&format!("unrecognized option '{word}'")))?;
                    let value = match value {
                        "" if valued.contains(letter) => words.next().ok_or_else(|| needs_value(letter))?,
                        value => value.to_owned(),
                    };
                    given.push((letter, value));
                }
                Some(letters) if !letters.is_empty() => {
                    read_letters(letters, flags, valued, &mut words, &mut given)?;
                }
                _ => rest.push(word),
            }
        }
        Ok(Self { given, rest })
    }

    /// Whether an option was given.
    pub fn has(&self, letter: char) -> bool {
        self.given.iter().any(|(given, _)| *given == letter)
    }

    /// The last value of an option.
    pub fn value(&self, letter: char) -> Option<&str> {
        self.given.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value.as_str())
    }

    /// All values of an option.
    pub fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(given, _)| *given == letter).map(|(_, value)| value.as_str())
    }

    /// An option that is a number.
    pub fn number(&self, letter: char) -> Result<Option<u64>, Failure> {
        let read = |text: &str| text.parse().map_err(|_| unknown(&format!("invalid number '{text}'")));
        self.value(letter).map(read).transpose()
    }

    /// What follows; `-` if nothing does.
    pub fn files(&self) -> Vec<String> {
        if self.rest.is_empty() { vec!["-".to_owned()] } else { self.rest.clone() }
    }
}

fn read_letters(
    letters: &str,
    flags: &str,
    valued: &str,
    words: &mut impl Iterator<Item = String>,
    given: &mut Vec<(char, String)>,
) -> Result<(), Failure> {
    for (place, letter) in letters.char_indices() {
        if flags.contains(letter) {
            given.push((letter, String::new()));
        } else if valued.contains(letter) {
            let value = &letters[place + letter.len_utf8()..];
            let value = if value.is_empty() { words.next() } else { Some(value.to_owned()) };
            given.push((letter, value.ok_or_else(|| needs_value(letter))?));
            return Ok(());
        } else {
            return Err(unknown(&format!("invalid option -- '{letter}'")));
        }
    }
    Ok(())
}

fn needs_value(letter: char) -> Failure {
    unknown(&format!("option requires an argument -- '{letter}'"))
}

fn unknown(words: &str) -> Failure {
    Failure { code: 2, words: words.to_owned() }
}
