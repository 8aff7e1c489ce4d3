//! Patterns of file names: `*`, `?` and `[...]`.

/// A character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph {
    /// The character.
    pub is: char,
    /// Whether it stands for itself.
    pub is_literal: bool,
}

/// A pattern in which nothing is quoted.
pub fn plain(text: &str) -> Vec<Glyph> {
    text.chars().map(|is| Glyph { is, is_literal: false }).collect()
}

/// Whether a pattern has anything that does not stand for itself.
pub fn is_pattern(pattern: &[Glyph]) -> bool {
    pattern.iter().any(|glyph| !glyph.is_literal && "*?[".contains(glyph.is))
}

/// Whether the whole text is as the pattern says.
pub fn matches(pattern: &[Glyph], text: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    // The last star, and how far the text was when it was met.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(Glyph { is: '*', is_literal: false }) => {
                star = Some((at, read));
                at += 1;
                continue;
            }
            Some(_) => {
                if let Some(length) = one(&pattern[at..], text[read]) {
                    at += length;
                    read += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((star_at, covered)) = star else { return false };
        star = Some((star_at, covered + 1));
        (at, read) = (star_at + 1, covered + 1);
    }
    pattern[at..].iter().all(|glyph| glyph.is == '*' && !glyph.is_literal)
}

/// How much of the pattern the character takes, if it fits.
fn one(pattern: &[Glyph], c: char) -> Option<usize> {
    let first = pattern.first()?;
    if first.is_literal {
        return (first.is == c).then_some(1);
    }
    match first.is {
        '?' => Some(1),
        '[' => match class(pattern) {
            Some(length) => in_class(&pattern[1..length - 1], c).then_some(length),
            None => (c == '[').then_some(1),
        },
        is => (is == c).then_some(1),
    }
}

/// The length of a bracket expression, if it is one.
fn class(pattern: &[Glyph]) -> Option<usize> {
    let start = if pattern.get(1).is_some_and(|glyph| "!^".contains(glyph.is)) { 3 } else { 2 };
    let mut at = start;
    while at < pattern.len() {
        let glyph = pattern[at];
        if glyph.is == '[' && pattern.get(at + 1).is_some_and(|next| next.is == ':') {
            at += 2;
            while at + 1 < pattern.len() && !(pattern[at].is == ':' && pattern[at + 1].is == ']') {
                at += 1;
            }
            at += 2;
            continue;
        }
        if glyph.is == ']' && !glyph.is_literal {
            return Some(at + 1);
        }
        at += 1;
    }
    None
}

fn in_class(class: &[Glyph], c: char) -> bool {
    let is_negated = class.first().is_some_and(|glyph| "!^".contains(glyph.is) && !glyph.is_literal);
    let text: Vec<char> = class[usize::from(is_negated)..].iter().map(|glyph| glyph.is).collect();
    set_holds(&text, c) != is_negated
}

/// Whether a set such as `a-z_[:digit:]` holds a character.
pub fn set_holds(set: &[char], c: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == '[' && set.get(at + 1) == Some(&':') {
            let end = (at + 2..set.len()).find(|end| set[*end] == ':').unwrap_or(set.len());
            let name: String = set[at + 2..end].iter().collect();
            if has_kind(&name, c) {
                return true;
            }
            at = end + 2;
        } else if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            if (set[at]..=set[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else if set[at] == c {
            return true;
        } else {
            at += 1;
        }
    }
    false
}

/// Whether a character is of a kind that has a name.
fn has_kind(name: &str, c: char) -> bool {
    match name {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "space" => c.is_whitespace(),
        "blank" => c == ' ' || c == '\t',
        "punct" => c.is_ascii_punctuation(),
        "xdigit" => c.is_ascii_hexdigit(),
        "print" => !c.is_control(),
        "cntrl" => c.is_control(),
        _ => false,
    }
}
