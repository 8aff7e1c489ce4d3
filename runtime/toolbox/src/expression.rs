//! Regular expressions as `grep` and `sed` write them, made ready to match.

use regex_lite::{Regex, RegexBuilder};

use crate::process::{Failure, failure};

/// How an expression is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Groups, bounds and alternatives have a backslash.
    Basic,
    /// They have none.
    Extended,
    /// Nothing has a meaning of its own.
    Fixed,
}

/// Makes an expression ready.
pub fn compile(text: &str, style: Style, ignores_case: bool) -> Result<Regex, Failure> {
    let translated = match style {
        Style::Fixed => regex_lite::escape(text),
        style => translate(text, style)?,
    };
    let built = RegexBuilder::new(&translated).case_insensitive(ignores_case).build();
    built.map_err(|_| failure(format!("bad regex '{text}'")))
}

fn translate(text: &str, style: Style) -> Result<String, Failure> {
    let chars: Vec<char> = text.chars().collect();
    let (mut output, mut at) = (String::new(), 0);
    while at < chars.len() {
        let c = chars[at];
        match c {
            '[' => {
                let end = class_end(&chars, at)
                    .ok_or_else(|| failure(format!("bad regex '{text}': unmatched [")))?;
                output.push_str(&class(&chars[at..end]));
                at = end;
                continue;
            }
            '\\' => {
                let next = *chars.get(at + 1).ok_or_else(|| failure("bad regex: trailing backslash"))?;
                match next {
                    '(' | ')' | '{' | '}' | '|' | '+' | '?' if style == Style::Basic => output.push(next),
                    '<' => output.push_str(r"\b"),
                    '>' => output.push_str(r"\b"),
                    'w' | 'W' | 's' | 'S' | 'b' | 'B' | 'n' | 't' => output.extend(['\\', next]),
                    '1'..='9' => {
                        return Err(failure(format!(
                            "bad regex '{text}': back references are not supported"
                        )));
                    }
                    next => output.push_str(&regex_lite::escape(&next.to_string())),
                }
                at += 2;
                continue;
            }
            '(' | ')' | '{' | '}' | '|' | '+' | '?' if style == Style::Basic => {
                output.push_str(&regex_lite::escape(&c.to_string()));
            }
            '*' if style == Style::Basic && begins(&output) => output.push_str(r"\*"),
            '^' if style == Style::Basic && !begins(&output) => output.push_str(r"\^"),
            '$' if style == Style::Basic && !ends(&chars[at + 1..]) => output.push_str(r"\$"),
            c => output.push(c),
        }
        at += 1;
    }
    Ok(output)
}

/// Whether nothing to repeat stands before.
fn begins(output: &str) -> bool {
    output.is_empty()
        || output == "^"
        || (output.ends_with('(') || output.ends_with('|')) && !output.ends_with("\\(")
}

fn ends(rest: &[char]) -> bool {
    rest.is_empty() || matches!(rest, ['\\', ')' | '|', ..])
}

fn class_end(chars: &[char], start: usize) -> Option<usize> {
    let mut at = start + 1;
    at += usize::from(chars.get(at) == Some(&'^'));
    at += usize::from(chars.get(at) == Some(&']'));
    while let Some(c) = chars.get(at) {
        if *c == '[' && chars.get(at + 1) == Some(&':') {
            at = (at + 2..chars.len()).find(|end| chars[*end] == ':')? + 2;
        } else if *c == ']' {
            return Some(at + 1);
        } else {
            at += 1;
        }
    }
    None
}

/// The same set in the words of the library: there, a backslash protects.
fn class(chars: &[char]) -> String {
    let mut output = "[".to_owned();
    let inner = &chars[1..chars.len() - 1];
    let mut at = 0;
    while at < inner.len() {
        if inner[at] == '[' && inner.get(at + 1) == Some(&':') {
            let end = (at + 2..inner.len()).find(|end| inner[*end] == ':').map_or(inner.len(), |end| end + 2);
            output.extend(&inner[at..end.min(inner.len())]);
            at = end;
            continue;
        }
        if "[]\\&~".contains(inner[at]) || (inner[at] == '^' && at > 0) {
            output.push('\\');
        }
        output.push(inner[at]);
        at += 1;
    }
    output.push(']');
    output
}
