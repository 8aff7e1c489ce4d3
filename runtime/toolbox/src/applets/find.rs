//! `find`.

use std::time::{Duration, SystemTime};

use crate::commands;
use crate::files::{self, Facts};
use crate::pattern::{self, Glyph};
use crate::process::{Failure, Outcome, Process, about, failure};
use crate::stream::Input;
use crate::task::{self, Boxed};

/// A test, or something to do.
enum Step {
    Name(Vec<Glyph>, bool),
    Path(Vec<Glyph>),
    Kind(char),
    Size(char, u64, u64),
    Empty,
    Newer(SystemTime),
    Minutes(char, u64),
    Print(char),
    Delete,
    Prune,
    Exec(Vec<String>),
    True,
    Not(Box<Step>),
    And(Vec<Step>),
    Or(Vec<Step>),
}

struct Walk {
    step: Step,
    most_depth: usize,
    least_depth: usize,
    depth_first: bool,
    code: i32,
}

pub async fn find(process: &mut Process) -> Outcome {
    let words = process.args[1..].to_vec();
    let is_expression = |word: &String| word.starts_with('-') || word == "!" || word == "(";
    let count = words.iter().position(is_expression).unwrap_or(words.len());
    let starts = if count == 0 { vec![".".to_owned()] } else { words[..count].to_vec() };
    let mut reader = Reader {
        process,
        words: &words[count..],
        at: 0,
        acts: false,
        most: usize::MAX,
        least: 0,
        deep: false,
    };
    let mut step = if count < words.len() { reader.either()? } else { Step::True };
    if reader.at < reader.words.len() {
        return Err(failure(format!("unexpected {}", reader.words[reader.at])));
    }
    if !reader.acts {
        step = Step::And(vec![step, Step::Print('\n')]);
    }
    let mut walk =
        Walk { step, most_depth: reader.most, least_depth: reader.least, depth_first: reader.deep, code: 0 };
    for start in starts {
        walk.visit(process, start, 0).await?;
    }
    Ok(walk.code)
}

struct Reader<'a> {
    process: &'a Process,
    words: &'a [String],
    at: usize,
    acts: bool,
    most: usize,
    least: usize,
    deep: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<&str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.words.get(self.at).is_some_and(|word| words.contains(&word.as_str()));
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, of: &str) -> Result<String, Failure> {
        let missing = failure(format!("{of} requires an argument"));
        self.next().map(str::to_owned).ok_or(missing)
    }

    fn either(&mut self) -> Result<Step, Failure> {
        let mut steps = vec![self.both()?];
        while self.eat(&["-o", "-or"]) {
            steps.push(self.both()?);
        }
        Ok(Step::Or(steps))
    }

    fn both(&mut self) -> Result<Step, Failure> {
        let mut steps = vec![self.not()?];
        loop {
            self.eat(&["-a", "-and"]);
            match self.words.get(self.at).map(String::as_str) {
                None | Some("-o" | "-or" | ")") => return Ok(Step::And(steps)),
                Some(_) => steps.push(self.not()?),
            }
        }
    }

    fn not(&mut self) -> Result<Step, Failure> {
        if self.eat(&["!", "-not"]) {
            return Ok(Step::Not(Box::new(self.not()?)));
        }
        if self.eat(&["("]) {
            let inner = self.either()?;
            return if self.eat(&[")"]) { Ok(inner) } else { Err(failure("missing )")) };
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Step, Failure> {
        let word = self.next().ok_or_else(|| failure("missing expression"))?.to_owned();
        Ok(match word.as_str() {
            "-name" => Step::Name(pattern::plain(&self.value(&word)?), false),
            "-iname" => Step::Name(pattern::plain(&self.value(&word)?.to_lowercase()), true),
            "-path" | "-wholename" => Step::Path(pattern::plain(&self.value(&word)?)),
            "-type" => Step::Kind(self.value(&word)?.chars().next().unwrap_or('f')),
            "-empty" => Step::Empty,
            "-size" => {
                let text = self.value(&word)?;
                let (sign, digits) = signed(&text);
                let unit = digits.chars().last().and_then(|unit| "cwbkMG".find(unit));
                let unit =
                    [1, 2, 512, 1 << 10, 1 << 20, 1 << 30].get(unit.unwrap_or(2)).copied().unwrap_or(512);
                let count = digits.trim_end_matches(|c: char| c.is_alphabetic()).parse();
                Step::Size(sign, count.map_err(|_| failure(format!("invalid number '{text}'")))?, unit)
            }
            "-newer" => {
                let name = self.value(&word)?;
                let facts = files::facts(&self.process.path(&name)).map_err(|error| about(&name, &error))?;
                Step::Newer(facts.modified)
            }
            "-mmin" | "-mtime" => {
                let text = self.value(&word)?;
                let (sign, digits) = signed(&text);
                let count: u64 = digits.parse().map_err(|_| failure(format!("invalid number '{text}'")))?;
                Step::Minutes(sign, count * if word == "-mtime" { 1440 } else { 1 })
            }
            "-maxdepth" | "-mindepth" => {
                let text = self.value(&word)?;
                let depth = text.parse().map_err(|_| failure(format!("invalid number '{text}'")))?;
                if word == "-maxdepth" {
                    self.most = depth
                } else {
                    self.least = depth
                }
                Step::True
            }
            "-depth" | "-xdev" | "-follow" => {
                self.deep |= word == "-depth";
                Step::True
            }
            "-prune" => Step::Prune,
            "-print" | "-print0" | "-delete" | "-exec" => {
                self.acts = true;
                self.deep |= word == "-delete";
                match word.as_str() {
                    "-print" => Step::Print('\n'),
                    "-print0" => Step::Print('\0'),
                    "-delete" => Step::Delete,
                    _ => self.exec()?,
                }
            }
            other => return Err(failure(format!("unrecognized: {other}"))),
        })
    }

    /// A command for each file, also where one for many is asked for.
    fn exec(&mut self) -> Result<Step, Failure> {
        let mut command = Vec::new();
        loop {
            let word = self.value("-exec")?;
            if word == ";" || (word == "+" && command.last().is_some_and(|last| last == "{}")) {
                return Ok(Step::Exec(command));
            }
            command.push(word);
        }
    }
}

fn signed(text: &str) -> (char, &str) {
    match text.chars().next() {
        Some(sign @ ('+' | '-')) => (sign, &text[1..]),
        _ => ('=', text),
    }
}

fn compare(sign: char, value: u64, wanted: u64) -> bool {
    match sign {
        '+' => value > wanted,
        '-' => value < wanted,
        _ => value == wanted,
    }
}

/// A file that was found.
struct Found<'a> {
    shown: &'a str,
    path: &'a str,
    facts: Facts,
}

impl Walk {
    fn visit<'a>(
        &'a mut self,
        process: &'a mut Process,
        shown: String,
        depth: usize,
    ) -> Boxed<'a, Result<(), Failure>> {
        Box::pin(async move {
            task::yield_now().await;
            let path = process.path(&shown);
            let facts = match files::own_facts(&path) {
                Ok(facts) => facts,
                Err(error) => {
                    process.complain(&about(&shown, &error).words).await;
                    self.code = 1;
                    return Ok(());
                }
            };
            let found = Found { shown: &shown, path: &path, facts };
            let mut is_pruned = false;
            if !self.depth_first && depth >= self.least_depth {
                apply(&self.step, process, &found, &mut is_pruned).await?;
            }
            if facts.is_folder() && depth < self.most_depth && !is_pruned {
                for name in files::list(&path).unwrap_or_default() {
                    self.visit(process, files::within(&shown, &name), depth + 1).await?;
                }
            }
            if self.depth_first && depth >= self.least_depth {
                apply(&self.step, process, &found, &mut is_pruned).await?;
            }
            Ok(())
        })
    }
}

fn apply<'a>(
    step: &'a Step,
    process: &'a mut Process,
    found: &'a Found<'a>,
    is_pruned: &'a mut bool,
) -> Boxed<'a, Result<bool, Failure>> {
    Box::pin(async move {
        let Found { shown, path, facts } = *found;
        Ok(match step {
            Step::True => true,
            Step::Name(pattern, ignores_case) => {
                let name = files::base(shown);
                let name = if *ignores_case { name.to_lowercase() } else { name.to_owned() };
                pattern::matches(pattern, &name.chars().collect::<Vec<_>>())
            }
            Step::Path(pattern) => pattern::matches(pattern, &shown.chars().collect::<Vec<_>>()),
            Step::Kind(kind) => facts.letter() == if *kind == 'f' { '-' } else { *kind },
            Step::Size(sign, wanted, unit) => compare(*sign, facts.bytes.div_ceil(*unit), *wanted),
            Step::Empty if facts.is_folder() => files::list(path).is_ok_and(|names| names.is_empty()),
            Step::Empty => facts.bytes == 0,
            Step::Newer(than) => facts.modified > *than,
            Step::Minutes(sign, wanted) => {
                let age = SystemTime::now().duration_since(facts.modified).unwrap_or(Duration::ZERO);
                compare(*sign, age.as_secs() / 60, *wanted)
            }
            Step::Print(end) => {
                process.print(format!("{shown}{end}")).await?;
                true
            }
            Step::Delete => {
                let removed =
                    if facts.is_folder() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
                removed.map_err(|error| about(shown, &error))?;
                true
            }
            Step::Prune => {
                *is_pruned = true;
                true
            }
            Step::Exec(command) => {
                process.flush().await?;
                let words = command.iter().map(|word| word.replace("{}", shown)).collect();
                let mut called = process.call(words);
                called.stdin = Input::nothing();
                commands::run(called).await == 0
            }
            Step::Not(inner) => !apply(inner, process, found, is_pruned).await?,
            Step::And(steps) => {
                for step in steps {
                    if !apply(step, process, found, is_pruned).await? {
                        return Ok(false);
                    }
                }
                true
            }
            Step::Or(steps) => {
                for step in steps {
                    if apply(step, process, found, is_pruned).await? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    })
}
