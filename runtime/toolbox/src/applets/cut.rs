//! `cut` and `tr`.

use crate::options::Options;
use crate::pattern::set_holds;
use crate::process::{Failure, Outcome, Process, failure};

pub async fn cut(process: &mut Process) -> Outcome {
    let options =
        Options::read(process, "sn", "fdcb", &[("fields", 'f'), ("delimiter", 'd'), ("characters", 'c')])?;
    let by_field = options.value('f');
    let list = by_field.or(options.value('c')).or(options.value('b'));
    let ranges = ranges(list.ok_or_else(|| failure("expected a list of bytes, characters, or fields"))?)?;
    let holds = |number: usize| ranges.iter().any(|(from, to)| (*from..=*to).contains(&number));
    let delimiter = options.value('d').unwrap_or("\t").to_owned();
    for name in options.files() {
        let input = process.open(&name)?;
        while let Some(line) = input.line().await? {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            let cut = if by_field.is_none() {
                line.chars().zip(1..).filter(|(_, number)| holds(*number)).map(|(c, _)| c).collect()
            } else if !delimiter.is_empty() && line.contains(&delimiter) {
                let fields = line.split(delimiter.as_str()).zip(1..);
                fields
                    .filter(|(_, number)| holds(*number))
                    .map(|(field, _)| field)
                    .collect::<Vec<_>>()
                    .join(&delimiter)
            } else if options.has('s') {
                continue;
            } else {
                line
            };
            process.print(format!("{cut}\n")).await?;
        }
    }
    Ok(0)
}

/// `1,3-5,7-`
fn ranges(list: &str) -> Result<Vec<(usize, usize)>, Failure> {
    let wrong = || failure(format!("invalid list '{list}'"));
    let number =
        |text: &str, default| if text.is_empty() { Ok(default) } else { text.parse().map_err(|_| wrong()) };
    list.split(',')
        .map(|part| match part.split_once('-') {
            Some((from, to)) => Ok((number(from, 1)?, number(to, usize::MAX)?)),
            None => number(part, 0).map(|only| (only, only)),
        })
        .collect()
}

pub async fn tr(process: &mut Process) -> Outcome {
    let options = Options::read(process, "dscC", "", &[])?;
    let mut sets = options.rest.iter().map(|set| unescaped(set));
    let first = sets.next().ok_or_else(|| failure("missing operand"))?;
    let second = sets.next();
    let is_other = options.has('c') || options.has('C');
    let from = characters(&first);
    let to = second.as_deref().map(characters);
    let squeezed = second.as_deref().unwrap_or(&first).to_owned();
    let in_first = |c: char| set_holds(&first, c) != is_other;
    let mut before = None;
    let mut rest = Vec::new();
    loop {
        let bytes = process.stdin.read().await?;
        if bytes.is_empty() && rest.is_empty() {
            return Ok(0);
        }
        let is_over = bytes.is_empty();
        rest.extend(bytes);
        let valid = match std::str::from_utf8(&rest) {
            // A character may not be whole yet.
            Err(error) if !is_over && error.error_len().is_none() => error.valid_up_to(),
            _ => rest.len(),
        };
        let text = String::from_utf8_lossy(&rest[..valid]).into_owned();
        rest.drain(..valid);
        let mut output = String::new();
        for c in text.chars() {
            let mut is = c;
            if in_first(c) {
                if options.has('d') {
                    continue;
                }
                if let Some(to) = &to {
                    let place = if is_other {
                        usize::MAX
                    } else {
                        from.iter().position(|known| *known == c).unwrap_or(0)
                    };
                    is = to.get(place).or(to.last()).copied().unwrap_or(c);
                }
            }
            let holds =
                if options.has('d') || second.is_some() { set_holds(&squeezed, is) } else { in_first(is) };
            if options.has('s') && before == Some(is) && holds {
                continue;
            }
            before = Some(is);
            output.push(is);
        }
        process.print(output).await?;
    }
}

fn unescaped(set: &str) -> Vec<char> {
    let mut output = Vec::new();
    let mut chars = set.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        };
        output.push(c);
    }
    output
}

/// All characters of a set, in its order; of named kinds those of ASCII.
fn characters(set: &[char]) -> Vec<char> {
    let (mut output, mut at) = (Vec::new(), 0);
    while at < set.len() {
        if set[at] == '[' && set.get(at + 1) == Some(&':') {
            let end = (at + 2..set.len()).find(|end| set[*end] == ':').unwrap_or(set.len());
            let kind: Vec<char> = set[at..(end + 2).min(set.len())].to_vec();
            output.extend((0..128_u8).map(char::from).filter(|c| set_holds(&kind, *c)));
            at = end + 2;
        } else if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            output.extend(set[at]..=set[at + 2]);
            at += 3;
        } else {
            output.push(set[at]);
            at += 1;
        }
    }
    output
}
