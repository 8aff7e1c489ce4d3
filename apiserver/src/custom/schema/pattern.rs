//! Patterns of strangers: written for Go, compiled within bounds.

use regex::{Regex, RegexBuilder};

/// The compiled form of one pattern has at most this many bytes; the patterns of well-known kinds need a tenth of it.
const LARGEST: usize = 2 << 20;

/// The text is no pattern, or one too large.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

/// Compiles a pattern in Go's syntax.
pub fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let compiled = RegexBuilder::new(&translated(pattern)).size_limit(LARGEST).build();
    compiled.map_err(|error| match error {
        regex::Error::Syntax(text) => PatternError(text.lines().last().unwrap_or_default().to_owned()),
        other => PatternError(other.to_string()),
    })
}

/// The pattern with what Go reads otherwise: its classes `\d`, `\s` and `\w` are of ASCII, and a bracket in a class, or
/// two signs in a row, are just these signs.
fn translated(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut letters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped) => escape(&mut text, escaped, in_class),
                None => text.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                text.push('[');
                if letters.peek() == Some(&'^') {
                    text.extend(letters.next());
                }
                // A bracket that closes nothing stands for itself.
                if letters.peek() == Some(&']') {
                    letters.next();
                    text.push_str("\\]");
                }
            }
            '[' if letters.peek() == Some(&':') => {
                text.push('[');
                for letter in letters.by_ref() {
                    text.push(letter);
                    if letter == ']' {
                        break;
                    }
                }
            }
            '[' => text.push_str("\\["),
            '&' | '~' if in_class => text.extend(['\\', letter]),
            ']' => {
                in_class = false;
                text.push(']');
            }
            letter => text.push(letter),
        }
    }
    text
}

fn escape(text: &mut String, escaped: char, in_class: bool) {
    let (letters, is_negated) = match escaped {
        'd' | 'D' => ("0-9", escaped == 'D'),
        's' | 'S' => ("\\t\\n\\x0C\\r ", escaped == 'S'),
        'w' | 'W' => ("0-9A-Za-z_", escaped == 'W'),
        other => return text.extend(['\\', other]),
    };
    match (in_class, is_negated) {
        (true, false) => text.push_str(letters),
        (_, true) => text.extend(["[^", letters, "]"]),
        (false, false) => text.extend(["[", letters, "]"]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let row = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(compile(pattern).unwrap().is_match(text), expected, "{pattern} {text}");
        };
        row(r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$", "* * * * */5", true);
        row(r"^\d$", "٣", false);
        row(r"^[\w-]+$", "a-b_c", true);
        row(r"^[\w-]+$", "é", false);
        row(r"^[[a&&b]+$", "[&", true);
        row(r"^[]a]+$", "a]", true);
        row(r"^[^]a]+$", "b", true);
        row(r"^[[:alpha:]-]+$", "a-b", true);
        row(r"^[\D]$", "x", true);
        row(r"b", "abc", true);
    }

    #[test]
    fn patterns_have_a_bound() {
        assert!(compile("(").is_err());
        assert!(compile("((a{1000}){1000}){1000}").is_err());
        assert!(compile(r"a\").is_err());
    }
}
