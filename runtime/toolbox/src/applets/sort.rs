//! `sort` and `uniq`.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::files;
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, about, failure};
use crate::stream::Output;

/// Everything has to be there before it is sorted.
const MOST_BYTES: usize = 64 << 20;

/// What is compared of a line.
struct Key {
    from: usize,
    to: usize,
    flags: String,
}

pub async fn sort(process: &mut Process) -> Outcome {
    let options =
        Options::read(process, "bdfhinrsuVcz", "kto", &[("reverse", 'r'), ("unique", 'u'), ("key", 'k')])?;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for name in options.files() {
        let all = process.open(&name)?.read_all(MOST_BYTES).await?;
        lines.extend(all.split_inclusive(|byte| *byte == b'\n').map(|line| match line {
            [line @ .., b'\n'] => line.to_vec(),
            line => line.to_vec(),
        }));
    }
    let flags: String = "fhnrVb".chars().filter(|flag| options.has(*flag)).collect();
    let keys: Vec<Key> = options.values('k').map(|key| read_key(key, &flags)).collect::<Result<_, _>>()?;
    let separator = options.value('t').and_then(|text| text.bytes().next());
    let compare = |left: &Vec<u8>, right: &Vec<u8>| {
        for key in &keys {
            let order = compare(part(left, key, separator), part(right, key, separator), &key.flags);
            if order.is_ne() {
                return order;
            }
        }
        if keys.is_empty() { compare(left, right, &flags) } else { Ordering::Equal }
    };
    if options.has('c') {
        return match lines.windows(2).find(|pair| compare(&pair[0], &pair[1]).is_gt()) {
            Some(pair) => Err(failure(format!("disorder: {}", String::from_utf8_lossy(&pair[1])))),
            None => Ok(0),
        };
    }
    lines.sort_by(|left, right| {
        let order = compare(left, right);
        // Equal ones are told apart by all they hold, unless told not to.
        if options.has('s') || options.has('u') {
            order
        } else {
            order.then_with(|| last_resort(left, right, &flags))
        }
    });
    if options.has('u') {
        lines.dedup_by(|right, left| compare(left, right).is_eq());
    }
    if let Some(name) = options.value('o') {
        let file = files::create(&process.path(name), false).map_err(|error| about(name, &error))?;
        process.stdout = Output::File(Rc::new(file));
    }
    for mut line in lines {
        line.push(b'\n');
        process.print(line).await?;
    }
    Ok(0)
}

fn last_resort(left: &[u8], right: &[u8], flags: &str) -> Ordering {
    let order = left.cmp(right);
    if flags.contains('r') { order.reverse() } else { order }
}

/// `2`, `2,3`, `2nr`, `2.1,2.3`: characters within fields are not told apart.
fn read_key(text: &str, flags: &str) -> Result<Key, Failure> {
    let wrong = || failure(format!("invalid number at field start: '{text}'"));
    let (from, to) = text.split_once(',').unwrap_or((text, ""));
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    let own: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    let from = digits(from).parse().map_err(|_| wrong())?;
    let to = digits(to).parse().unwrap_or(usize::MAX);
    Ok(Key { from, to, flags: if own.is_empty() { flags.to_owned() } else { own } })
}

fn part<'a>(line: &'a [u8], key: &Key, separator: Option<u8>) -> &'a [u8] {
    let mut starts = vec![0];
    match separator {
        Some(separator) => {
            starts.extend(
                line.iter().enumerate().filter(|(_, byte)| **byte == separator).map(|(at, _)| at + 1),
            );
        }
        None => {
            let blank = |at: usize| line[at].is_ascii_whitespace();
            starts.extend((1..line.len()).filter(|at| blank(*at) && !blank(at - 1)));
        }
    }
    let Some(start) = starts.get(key.from.saturating_sub(1)) else { return b"" };
    let end = starts.get(key.to).map_or(line.len(), |next| next - usize::from(separator.is_some()));
    &line[*start..end.max(*start)]
}

fn compare(left: &[u8], right: &[u8], flags: &str) -> Ordering {
    let has = |flag| flags.contains(flag);
    let order = if has('n') || has('h') {
        number(left, has('h')).total_cmp(&number(right, has('h')))
    } else if has('V') {
        compare_versions(left, right)
    } else if has('f') {
        left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase())
    } else if has('b') {
        left.trim_ascii_start().cmp(right.trim_ascii_start())
    } else {
        left.cmp(right)
    };
    if has('r') { order.reverse() } else { order }
}

fn number(text: &[u8], with_unit: bool) -> f64 {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start();
    let length = text.find(|c: char| !c.is_ascii_digit() && !"-.".contains(c)).unwrap_or(text.len());
    let value: f64 = text[..length].parse().unwrap_or(0.0);
    let unit = text[length..].chars().next().and_then(|unit| "KMGTP".find(unit.to_ascii_uppercase()));
    match unit.filter(|_| with_unit) {
        Some(power) => value * 1024_f64.powi(power as i32 + 1),
        None => value,
    }
}

/// Numbers within texts count as numbers.
fn compare_versions(left: &[u8], right: &[u8]) -> Ordering {
    let pieces = |text: &[u8]| -> Vec<(String, u64)> {
        let text = String::from_utf8_lossy(text).into_owned();
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let words = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let digits =
                rest[words..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| words + end);
            pieces.push((rest[..words].to_owned(), rest[words..digits].parse().unwrap_or(0)));
            rest = &rest[digits..];
        }
        pieces
    };
    pieces(left).cmp(&pieces(right))
}

pub async fn uniq(process: &mut Process) -> Outcome {
    let options = Options::read(process, "cdui", "", &[("count", 'c')])?;
    let input = process.open(&options.files()[0])?;
    let mut before: Option<(Vec<u8>, usize)> = None;
    loop {
        let line = input.line().await?.map(|line| line.trim_ascii_end().to_vec());
        let same = |left: &[u8], right: &[u8]| {
            if options.has('i') { left.eq_ignore_ascii_case(right) } else { left == right }
        };
        match (&mut before, &line) {
            (Some((known, count)), Some(line)) if same(known, line) => *count += 1,
            _ => {
                if let Some((known, count)) = before.take() {
                    let shown = (!options.has('d') || count > 1) && (!options.has('u') || count == 1);
                    if shown {
                        let head = if options.has('c') { format!("{count:7} ") } else { String::new() };
                        process.print([head.as_bytes(), &known, b"\n"].concat()).await?;
                    }
                }
                let Some(line) = line else { return Ok(0) };
                before = Some((line, 1));
            }
        }
    }
}
