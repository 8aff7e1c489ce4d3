//! A part of `sed`: `s`, `d`, `p`, `q`, `y`-less, with addresses, `-n`, `-e`, `-E` and `-i`.

use std::io::Write;

use regex_lite::{Captures, Regex};

use crate::expression::{Style, compile};
use crate::files;
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, about, failure};

enum Address {
    Line(usize),
    Last,
    Expression(Regex),
}

enum Order {
    Substitute { expression: Regex, by: String, all: bool, nth: usize, prints: bool },
    Delete,
    Print,
    Quit,
    Number,
    Append(String),
    Insert(String),
    Change(String),
}

struct Step {
    from: Option<Address>,
    to: Option<Address>,
    is_negated: bool,
    order: Order,
    /// Within a range of lines.
    is_within: bool,
}

pub async fn sed(process: &mut Process) -> Outcome {
    let mut options = Options::read(process, "nErsi", "ef", &[("quiet", 'n'), ("regexp-extended", 'E')])?;
    let mut scripts: Vec<String> = options.values('e').map(str::to_owned).collect();
    if let Some(file) = options.value('f') {
        let all = process.open(file)?.read_all(1 << 20).await?;
        scripts.push(String::from_utf8_lossy(&all).into_owned());
    }
    if scripts.is_empty() {
        if options.rest.is_empty() {
            return Err(failure("usage: sed [-nEi] SCRIPT [FILE]..."));
        }
        scripts.push(options.rest.remove(0));
    }
    let style = if options.has('E') || options.has('r') { Style::Extended } else { Style::Basic };
    let script = scripts.join("\n");
    if !options.has('i') {
        let mut lines = Vec::new();
        for name in options.files() {
            let all = process.open(&name)?.read_all(64 << 20).await?;
            lines.extend(String::from_utf8_lossy(&all).lines().map(str::to_owned));
        }
        let output = edit(&mut Script::new(&script, style).steps()?, &lines, options.has('n'));
        process.print(output).await?;
        return Ok(0);
    }
    for name in options.rest.clone() {
        let all = process.open(&name)?.read_all(64 << 20).await?;
        let lines: Vec<String> = String::from_utf8_lossy(&all).lines().map(str::to_owned).collect();
        let output = edit(&mut Script::new(&script, style).steps()?, &lines, options.has('n'));
        let written =
            files::create(&process.path(&name), false).and_then(|mut file| file.write_all(output.as_bytes()));
        written.map_err(|error| about(&name, &error))?;
    }
    Ok(0)
}

fn edit(steps: &mut [Step], lines: &[String], is_quiet: bool) -> String {
    let mut output = String::new();
    for (place, line) in lines.iter().enumerate() {
        let (mut line, mut is_gone, mut is_last, mut appended) = (line.clone(), false, false, String::new());
        let mut say = |text: &str| {
            output.push_str(text);
            output.push('\n');
        };
        for step in steps.iter_mut() {
            if step.applies(&line, place + 1, place + 1 == lines.len()) == step.is_negated {
                continue;
            }
            match &step.order {
                Order::Substitute { expression, by, all, nth, prints } => {
                    let (text, changed) = substitute(expression, &line, by, *all, *nth);
                    line = text;
                    if changed && *prints {
                        say(&line);
                    }
                }
                Order::Print => say(&line),
                Order::Number => say(&(place + 1).to_string()),
                Order::Append(text) => appended.push_str(&format!("{text}\n")),
                Order::Insert(text) => say(text),
                Order::Change(text) => {
                    say(text);
                    is_gone = true;
                }
                Order::Delete => is_gone = true,
                Order::Quit => is_last = true,
            }
            if is_gone || is_last {
                break;
            }
        }
        if !is_gone && !is_quiet {
            say(&line);
        }
        output.push_str(&appended);
        if is_last {
            break;
        }
    }
    output
}

impl Step {
    fn applies(&mut self, line: &str, number: usize, is_last: bool) -> bool {
        let fits = |address: &Address| match address {
            Address::Line(wanted) => *wanted == number,
            Address::Last => is_last,
            Address::Expression(expression) => expression.is_match(line),
        };
        let Some(from) = &self.from else { return true };
        let Some(to) = &self.to else { return fits(from) };
        if self.is_within {
            self.is_within = !fits(to) && !matches!(to, Address::Line(end) if *end <= number);
            return true;
        }
        let begins = fits(from);
        self.is_within = begins && !matches!(to, Address::Line(end) if *end <= number) && !is_last;
        begins
    }
}

fn substitute(expression: &Regex, line: &str, by: &str, all: bool, nth: usize) -> (String, bool) {
    let (mut output, mut end, mut changed) = (String::new(), 0, false);
    for (place, captures) in expression.captures_iter(line).enumerate() {
        let Some(whole) = captures.get(0) else { continue };
        if place + 1 < nth || (!all && changed) {
            continue;
        }
        output.push_str(&line[end..whole.start()]);
        replacement(by, &captures, &mut output);
        end = whole.end();
        changed = true;
    }
    output.push_str(&line[end..]);
    (output, changed)
}

fn replacement(by: &str, captures: &Captures<'_>, output: &mut String) {
    let group = |number: usize| captures.get(number).map_or("", |group| group.as_str());
    let mut chars = by.chars();
    while let Some(c) = chars.next() {
        match c {
            '&' => output.push_str(group(0)),
            '\\' => match chars.next() {
                Some(digit @ '0'..='9') => output.push_str(group(digit as usize - '0' as usize)),
                Some('n') => output.push('\n'),
                Some('t') => output.push('\t'),
                Some(other) => output.push(other),
                None => output.push('\\'),
            },
            c => output.push(c),
        }
    }
}

struct Script<'a> {
    rest: &'a str,
    style: Style,
}

impl<'a> Script<'a> {
    fn new(text: &'a str, style: Style) -> Self {
        Self { rest: text, style }
    }

    fn steps(mut self) -> Result<Vec<Step>, Failure> {
        let mut steps = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', ';']);
            if self.rest.is_empty() {
                return Ok(steps);
            }
            let from = self.address()?;
            let mut to = None;
            if from.is_some() && self.eat(',') {
                to = Some(self.address()?.ok_or_else(|| failure("unexpected ','"))?);
            }
            self.rest = self.rest.trim_start();
            let is_negated = self.eat('!');
            let order = self.order()?;
            steps.push(Step { from, to, is_negated, order, is_within: false });
        }
    }

    fn eat(&mut self, sign: char) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn address(&mut self) -> Result<Option<Address>, Failure> {
        if self.eat('$') {
            return Ok(Some(Address::Last));
        }
        if self.eat('/') {
            let text = self.until('/')?;
            return Ok(Some(Address::Expression(compile(
                &text,
                self.style,
                self.rest.starts_with('I') && self.eat('I'),
            )?)));
        }
        let digits = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        Ok(number.parse().ok().map(Address::Line))
    }

    /// The text up to a sign, which a backslash protects.
    fn until(&mut self, end: char) -> Result<String, Failure> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == end {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Ok(text);
            }
            if c == '\\' {
                match chars.next() {
                    Some((_, next)) if next == end => text.push(next),
                    Some((_, next)) => text.extend(['\\', next]),
                    None => {}
                }
            } else {
                text.push(c);
            }
        }
        Err(failure(format!("unterminated '{end}'")))
    }

    fn line(&mut self) -> String {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        line.trim_start().trim_start_matches('\\').trim_start().to_owned()
    }

    fn order(&mut self) -> Result<Order, Failure> {
        let mut chars = self.rest.chars();
        let letter = chars.next().ok_or_else(|| failure("missing command"))?;
        self.rest = chars.as_str();
        Ok(match letter {
            'd' => Order::Delete,
            'p' => Order::Print,
            'q' => Order::Quit,
            '=' => Order::Number,
            'a' => Order::Append(self.line()),
            'i' => Order::Insert(self.line()),
            'c' => Order::Change(self.line()),
            's' => {
                let mut chars = self.rest.chars();
                let sign = chars.next().ok_or_else(|| failure("unterminated 's'"))?;
                self.rest = chars.as_str();
                let (text, by) = (self.until(sign)?, self.until(sign)?);
                let length = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
                let (flags, rest) = self.rest.split_at(length);
                self.rest = rest;
                let digits: String = flags.chars().filter(char::is_ascii_digit).collect();
                Order::Substitute {
                    expression: compile(&text, self.style, flags.contains(['i', 'I']))?,
                    by,
                    all: flags.contains('g'),
                    nth: digits.parse().unwrap_or(1),
                    prints: flags.contains('p'),
                }
            }
            other => return Err(failure(format!("unsupported command {other}"))),
        })
    }
}
