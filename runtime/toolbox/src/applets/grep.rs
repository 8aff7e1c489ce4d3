//! `grep`, `egrep`, `fgrep`.

use std::collections::VecDeque;

use regex_lite::Regex;

use crate::expression::{Style, compile};
use crate::files;
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, failure};

struct Search {
    expressions: Vec<Regex>,
    options: Options,
    shows_names: bool,
    before: usize,
    after: usize,
    most: usize,
}

pub async fn grep(process: &mut Process) -> Outcome {
    let long = [
        ("color", '\0'),
        ("ignore-case", 'i'),
        ("invert-match", 'v'),
        ("count", 'c'),
        ("line-number", 'n'),
        ("recursive", 'r'),
        ("only-matching", 'o'),
        ("quiet", 'q'),
        ("extended-regexp", 'E'),
        ("fixed-strings", 'F'),
        ("files-with-matches", 'l'),
        ("word-regexp", 'w'),
        ("context", 'C'),
        ("max-count", 'm'),
    ];
    let mut options = Options::read(process, "ivcnlLqEFGhHwxorsRa", "eABCmf", &long)?;
    let style = match process.name() {
        _ if options.has('F') => Style::Fixed,
        _ if options.has('E') => Style::Extended,
        "fgrep" => Style::Fixed,
        "egrep" => Style::Extended,
        _ => Style::Basic,
    };
    let mut texts: Vec<String> = options.values('e').map(str::to_owned).collect();
    if let Some(file) = options.value('f') {
        let all = process.open(file)?.read_all(1 << 20).await?;
        texts.extend(String::from_utf8_lossy(&all).lines().map(str::to_owned));
    } else if texts.is_empty() {
        if options.rest.is_empty() {
            return Err(Failure { code: 2, words: "usage: grep [OPTION]... PATTERN [FILE]...".to_owned() });
        }
        texts.push(options.rest.remove(0));
    }
    let texts = texts.iter().flat_map(|text| text.split('\n'));
    let expressions = texts.map(|text| compile(text, style, options.has('i'))).collect::<Result<Vec<_>, _>>();
    let expressions = expressions.map_err(|problem| Failure { code: 2, ..problem })?;
    let recursive = options.has('r') || options.has('R');
    if recursive && options.rest.is_empty() {
        options.rest.push(".".to_owned());
    }
    let mut names = Vec::new();
    for name in options.files() {
        if recursive { collect(process, &name, &mut names)? } else { names.push(name) }
    }
    let context = options.number('C')?.unwrap_or(0);
    let search = Search {
        expressions,
        shows_names: (names.len() > 1 || recursive || options.has('H')) && !options.has('h'),
        before: options.number('B')?.unwrap_or(context) as usize,
        after: options.number('A')?.unwrap_or(context) as usize,
        most: options.number('m')?.map_or(usize::MAX, |most| most as usize),
        options,
    };
    let (mut found, mut code) = (false, 1);
    for name in names {
        match search.file(process, &name).await {
            Ok(some) => found |= some,
            Err(problem) if problem.words.is_empty() => return Err(problem),
            Err(problem) => {
                if !search.options.has('s') {
                    process.complain(&problem.words).await;
                }
                code = 2;
            }
        }
        if found && search.options.has('q') {
            return Ok(0);
        }
    }
    Ok(if found && code == 1 { 0 } else { code })
}

/// All files below a name.
fn collect(process: &Process, name: &str, names: &mut Vec<String>) -> Result<(), Failure> {
    let path = process.path(name);
    if !files::own_facts(&path).is_ok_and(|facts| facts.is_folder()) {
        names.push(name.to_owned());
        return Ok(());
    }
    if names.len() > 100_000 {
        return Err(failure("too many files"));
    }
    for entry in files::list(&path).unwrap_or_default() {
        collect(process, &files::within(name, &entry), names)?;
    }
    Ok(())
}

impl Search {
    async fn file(&self, process: &mut Process, name: &str) -> Result<bool, Failure> {
        if files::is_folder(&process.path(name)) && name != "-" {
            return Err(failure(format!("{name}: Is a directory")));
        }
        let input = process.open(name)?;
        let shown = if name == "-" { "(standard input)" } else { name };
        let (mut number, mut count, mut left, mut last) = (0, 0, 0, 0);
        let mut kept: VecDeque<(usize, String)> = VecDeque::new();
        let silent =
            ["c", "l", "L", "q"].iter().any(|flag| self.options.has(flag.chars().next().unwrap_or('q')));
        while count < self.most || left > 0 {
            let Some(line) = input.line().await? else { break };
            number += 1;
            let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            if count < self.most && self.fits(&line) != self.options.has('v') {
                count += 1;
                if self.options.has('q') {
                    return Ok(true);
                }
                if !silent {
                    let gap = last > 0 && kept.front().map_or(number, |(first, _)| *first) > last + 1;
                    if gap && self.before + self.after > 0 {
                        process.print("--\n").await?;
                    }
                    for (place, text) in kept.drain(..) {
                        self.show(process, shown, place, &text, '-').await?;
                    }
                    self.show_match(process, shown, number, &line).await?;
                    last = number;
                    left = self.after;
                }
            } else if left > 0 {
                left -= 1;
                last = number;
                self.show(process, shown, number, &line, '-').await?;
            } else if self.before > 0 && !silent {
                kept.push_back((number, line));
                if kept.len() > self.before {
                    kept.pop_front();
                }
            }
        }
        if self.options.has('c') {
            let head = if self.shows_names { format!("{shown}:") } else { String::new() };
            process.print(format!("{head}{count}\n")).await?;
        }
        if (self.options.has('l') && count > 0) || (self.options.has('L') && count == 0) {
            process.print(format!("{shown}\n")).await?;
        }
        Ok(count > 0)
    }

    fn fits(&self, line: &str) -> bool {
        self.expressions.iter().any(|expression| {
            expression.find_iter(line).any(|found| {
                let is_whole = found.start() == 0 && found.end() == line.len();
                (!self.options.has('x') || is_whole)
                    && (!self.options.has('w') || is_word(line, found.range()))
            })
        })
    }

    async fn show_match(
        &self,
        process: &mut Process,
        name: &str,
        number: usize,
        line: &str,
    ) -> Result<(), Failure> {
        if !self.options.has('o') {
            return self.show(process, name, number, line, ':').await;
        }
        let found: Vec<String> = self
            .expressions
            .iter()
            .flat_map(|expression| expression.find_iter(line))
            .filter(|found| !found.is_empty() && (!self.options.has('w') || is_word(line, found.range())))
            .map(|found| found.as_str().to_owned())
            .collect();
        for part in found {
            self.show(process, name, number, &part, ':').await?;
        }
        Ok(())
    }

    async fn show(
        &self,
        process: &mut Process,
        name: &str,
        number: usize,
        line: &str,
        sign: char,
    ) -> Result<(), Failure> {
        let name = if self.shows_names { format!("{name}{sign}") } else { String::new() };
        let number = if self.options.has('n') { format!("{number}{sign}") } else { String::new() };
        Ok(process.print(format!("{name}{number}{line}\n")).await?)
    }
}

fn is_word(line: &str, range: std::ops::Range<usize>) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    !line[..range.start].ends_with(in_word) && !line[range.end..].starts_with(in_word)
}
