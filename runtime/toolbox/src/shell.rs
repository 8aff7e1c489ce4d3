//! A small POSIX shell. Pipelines, subshells and jobs are tasks that take turns in this one instance; there are no processes.

mod arithmetic;
mod builtins;
mod expand;
mod here;
mod parse;
mod redirect;
mod run;
mod syntax;
mod words;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::files;
use crate::process::{Failure, Outcome, Process, failure};
use crate::stream::{Input, Output};
use crate::task::{self, Job};
use parse::{Parser, SyntaxError};
use syntax::Command;

/// What a script may be long.
const MOST_SCRIPT_BYTES: usize = 16 << 20;
const USAGE_ERROR: i32 = 2;
const INTERRUPTED: i32 = 130;
const NOT_FOUND: i32 = 127;

/// A variable.
#[derive(Clone, Default)]
struct Variable {
    value: Option<String>,
    is_exported: bool,
    is_readonly: bool,
}

/// What `set` turns on.
#[derive(Clone, Default)]
struct Options {
    exit_on_error: bool,
    no_unset: bool,
    trace: bool,
    no_glob: bool,
    pipe_fail: bool,
    export_all: bool,
}

/// A stream beside the three usual ones.
#[derive(Clone)]
enum Extra {
    In(Input),
    Out(Output),
}

/// Where a shell reads and writes.
#[derive(Clone)]
struct Streams {
    input: Input,
    output: Output,
    errors: Output,
    extra: BTreeMap<u32, Extra>,
}

/// A shell, or a part of one that runs apart.
#[derive(Clone)]
struct Shell {
    name: String,
    parameters: Vec<String>,
    variables: BTreeMap<String, Variable>,
    functions: BTreeMap<String, Rc<Command>>,
    options: Options,
    folder: String,
    streams: Streams,
    status: i32,
    /// A command was substituted: where nothing else ran, its status counts.
    substituted: bool,
    /// Failures within are being looked at, so they end nothing.
    looked_at: usize,
    /// How many functions and scripts are running within one another.
    depth: usize,
    loops: usize,
    line: usize,
    jobs: Vec<(u32, Job)>,
    last_job: Option<u32>,
    on_exit: Option<String>,
    /// What local variables hide, by function.
    hidden: Vec<Vec<(String, Option<Variable>)>>,
    /// An error that a script does not survive.
    is_over: bool,
    is_interactive: bool,
}

/// The shell as a command: `sh`, `sh -c SCRIPT`, `sh FILE`.
pub async fn main(process: &mut Process) -> Outcome {
    let mut shell = Shell::of(process);
    let mut args = process.args.clone().into_iter().skip(1).peekable();
    let (mut script, mut from_input) = (None, false);
    while let Some(option) = args.next_if(|arg| arg.len() > 1 && arg.starts_with(['-', '+'])) {
        if option == "--" {
            break;
        }
        match option.as_str() {
            "-o" | "+o" => {
                let name = args.next().unwrap_or_default();
                shell.option(&name, option.starts_with('-'))?;
                continue;
            }
            _ => {}
        }
        for letter in option.chars().skip(1) {
            match letter {
                'c' => script = Some(String::new()),
                's' => from_input = true,
                'i' => shell.is_interactive = true,
                'l' => {}
                letter => shell.letter(letter, option.starts_with('-'))?,
            }
        }
    }
    if script.is_some() {
        let text = args.next();
        let words = "-c requires an argument";
        script = Some(text.ok_or(Failure { code: USAGE_ERROR, words: words.to_owned() })?);
        shell.name = args.next().unwrap_or_else(|| process.name().to_owned());
    } else if !from_input && let Some(file) = args.next() {
        let absent =
            |failure: Failure| Failure { code: NOT_FOUND, words: format!("can't open {}", failure.words) };
        let bytes = process.open(&file).map_err(absent)?.read_all(MOST_SCRIPT_BYTES).await?;
        script = Some(String::from_utf8_lossy(&bytes).into_owned());
        shell.name = file;
    }
    shell.parameters = args.collect();
    Ok(match script {
        Some(script) => shell.run_script(&script).await,
        None => shell.run_input().await,
    })
}

impl Shell {
    fn of(process: &Process) -> Self {
        let exported = |(name, value): (&String, &String)| {
            (name.clone(), Variable { value: Some(value.clone()), is_exported: true, is_readonly: false })
        };
        let mut shell = Self {
            name: process.name().to_owned(),
            parameters: Vec::new(),
            variables: process.env.iter().map(exported).collect(),
            functions: BTreeMap::new(),
            options: Options::default(),
            folder: process.folder.clone(),
            streams: Streams {
                input: process.stdin.clone(),
                output: process.stdout.clone(),
                errors: process.stderr.clone(),
                extra: BTreeMap::new(),
            },
            status: 0,
            substituted: false,
            looked_at: 0,
            depth: 0,
            loops: 0,
            line: 1,
            jobs: Vec::new(),
            last_job: None,
            on_exit: None,
            hidden: Vec::new(),
            is_over: false,
            is_interactive: false,
        };
        for (name, value) in [("IFS", " \t\n"), ("PWD", &process.folder), ("OPTIND", "1"), ("PS4", "+ ")] {
            shell.variables.entry(name.to_owned()).or_default().value = Some(value.to_owned());
        }
        shell
    }

    /// The same shell, for what runs apart: what it changes stays there.
    fn subshell(&self) -> Self {
        Self { jobs: Vec::new(), on_exit: None, loops: 0, is_interactive: false, ..self.clone() }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let number = |number: usize| match number {
            0 => Some(self.name.clone()),
            number => self.parameters.get(number - 1).cloned(),
        };
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.parameters.len().to_string()),
            "@" | "*" => Some(self.parameters.join(" ")),
            "$" => Some("1".to_owned()),
            "!" => self.last_job.map(|job| job.to_string()),
            "-" => Some(self.letters()),
            "LINENO" => Some(self.line.to_string()),
            "RANDOM" => Some((wasi::random::random::get_random_u64() % 32_768).to_string()),
            name if name.starts_with(|c: char| c.is_ascii_digit()) => number(name.parse().ok()?),
            name => self.variables.get(name)?.value.clone(),
        }
    }

    fn assign(&mut self, name: &str, value: String) -> Result<(), Failure> {
        let is_exported = self.options.export_all;
        let variable = self.variables.entry(name.to_owned()).or_default();
        if variable.is_readonly {
            self.is_over = true;
            return Err(Failure { code: USAGE_ERROR, words: format!("{name}: is read only") });
        }
        variable.is_exported |= is_exported;
        variable.value = Some(value);
        Ok(())
    }

    /// The environment of what it calls.
    fn environment(&self) -> BTreeMap<String, String> {
        let exported = self.variables.iter().filter(|(_, variable)| variable.is_exported);
        exported.filter_map(|(name, variable)| Some((name.clone(), variable.value.clone()?))).collect()
    }

    fn option(&mut self, name: &str, on: bool) -> Result<(), Failure> {
        match name {
            "errexit" => self.options.exit_on_error = on,
            "nounset" => self.options.no_unset = on,
            "xtrace" => self.options.trace = on,
            "noglob" => self.options.no_glob = on,
            "pipefail" => self.options.pipe_fail = on,
            "allexport" => self.options.export_all = on,
            _ => return Err(Failure { code: USAGE_ERROR, words: format!("illegal option -o {name}") }),
        }
        Ok(())
    }

    fn letter(&mut self, letter: char, on: bool) -> Result<(), Failure> {
        let name = match letter {
            'e' => "errexit",
            'u' => "nounset",
            'x' => "xtrace",
            'f' => "noglob",
            'a' => "allexport",
            _ => return Err(Failure { code: USAGE_ERROR, words: format!("illegal option -{letter}") }),
        };
        self.option(name, on)
    }

    fn letters(&self) -> String {
        let options = &self.options;
        let all = [
            (options.export_all, 'a'),
            (options.exit_on_error, 'e'),
            (options.no_glob, 'f'),
            (self.is_interactive, 'i'),
            (options.no_unset, 'u'),
            (options.trace, 'x'),
        ];
        all.into_iter().filter(|(on, _)| *on).map(|(_, letter)| letter).collect()
    }

    async fn run_script(&mut self, script: &str) -> i32 {
        let code = self.run_text(script, 1).await;
        self.end(code).await
    }

    /// Runs what a trap says for the end.
    async fn end(&mut self, code: i32) -> i32 {
        let Some(script) = self.on_exit.take() else { return code };
        self.status = code;
        match self.run_commands(&script, 1).await {
            Err(run::Flow::Exit(code)) => code,
            _ => code,
        }
    }

    async fn run_text(&mut self, script: &str, line: usize) -> i32 {
        match self.run_commands(script, line).await {
            Ok(code) | Err(run::Flow::Exit(code) | run::Flow::Return(code)) => code,
            Err(_) => self.status,
        }
    }

    /// Runs the commands of a text one after the other.
    async fn run_commands(&mut self, script: &str, line: usize) -> Result<i32, run::Flow> {
        let mut parser = Parser::new(script, line);
        loop {
            match parser.next() {
                Ok(None) => return Ok(self.status),
                Ok(Some(list)) => drop(self.run_list(&list).await?),
                Err(error) => return Err(run::Flow::Exit(self.refuse(error).await)),
            }
        }
    }

    async fn refuse(&mut self, error: SyntaxError) -> i32 {
        let words = match error {
            SyntaxError::Incomplete => "syntax error: unexpected end of file".to_owned(),
            SyntaxError::Wrong(line, words) => format!("line {line}: {words}"),
        };
        self.complain(&words).await;
        self.status = USAGE_ERROR;
        USAGE_ERROR
    }

    async fn complain(&self, words: &str) {
        let line = format!("{}: {words}\n", self.name);
        // If nobody reads it, there is nobody to tell.
        let _ = self.streams.errors.write(line.as_bytes()).await;
    }

    /// Runs what it reads, line by line, so that commands can read on.
    async fn run_input(&mut self) -> i32 {
        self.is_interactive |= self.streams.input.is_terminal();
        // An interrupt ends what it runs, never itself.
        let _inner = self.is_interactive.then(task::inner);
        let (mut text, mut line, mut read) = (String::new(), 1, 0);
        loop {
            let prompt = if text.is_empty() { self.prompt() } else { "> ".to_owned() };
            let Some(next) = self.next_line(&prompt).await else {
                text.clear();
                continue;
            };
            let Some(next) = next else { break };
            read += 1;
            text.push_str(&String::from_utf8_lossy(&next));
            if text.len() > MOST_SCRIPT_BYTES {
                self.complain("script too long").await;
                return USAGE_ERROR;
            }
            let parsed = Parser::new(&text, line).next();
            match parsed {
                Err(SyntaxError::Incomplete) => continue,
                Ok(None) => {}
                Ok(Some(_)) => {
                    if let Some(code) = self.run_typed(&text, line).await {
                        return self.end(code).await;
                    }
                }
                Err(error) => {
                    let code = self.refuse(error).await;
                    if !self.is_interactive {
                        return self.end(code).await;
                    }
                }
            }
            text.clear();
            line = read + 1;
        }
        if !text.is_empty() {
            self.status = self.refuse(SyntaxError::Incomplete).await;
        }
        if self.is_interactive {
            let _ = self.streams.errors.write(b"\n").await;
        }
        let status = self.status;
        self.end(status).await
    }

    /// The next line; none at the end of the input, and nothing at all after an interrupt.
    async fn next_line(&mut self, prompt: &str) -> Option<Option<Vec<u8>>> {
        if !self.is_interactive {
            return Some(self.streams.input.line().await.unwrap_or_default());
        }
        let _ = self.streams.errors.write(prompt.as_bytes()).await;
        let line = task::interruptible(self.streams.input.line()).await;
        if line.is_none() {
            self.status = INTERRUPTED;
        }
        line.map(Result::unwrap_or_default)
    }

    /// Runs commands; the answer is the code to leave with, if they say to leave.
    async fn run_typed(&mut self, text: &str, line: usize) -> Option<i32> {
        let ran = if self.is_interactive {
            task::interruptible(self.run_commands(text, line)).await
        } else {
            Some(self.run_commands(text, line).await)
        };
        (self.loops, self.looked_at) = (0, 0);
        match ran {
            None => self.status = INTERRUPTED,
            Some(Err(run::Flow::Exit(code))) if !self.is_interactive || !self.is_over => return Some(code),
            Some(Err(run::Flow::Exit(code))) => (self.status, self.is_over) = (code, false),
            Some(_) => {}
        }
        None
    }

    /// `PS1` with what it names, else where one is.
    fn prompt(&self) -> String {
        if !self.is_interactive {
            return String::new();
        }
        let home = self.variable("HOME").filter(|home| home.len() > 1);
        let place = match home.and_then(|home| Some(self.folder.strip_prefix(&home)?.to_owned())) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("~{rest}"),
            _ => self.folder.clone(),
        };
        let wanted = self.variable("PS1").unwrap_or_else(|| "\\w \\$ ".to_owned());
        let host = self.variable("HOSTNAME").unwrap_or_default();
        let name = files::base(&self.folder);
        [("\\w", place.as_str()), ("\\W", name), ("\\h", &host), ("\\u", "root"), ("\\$", "#")]
            .into_iter()
            .fold(wanted, |prompt, (sign, text)| prompt.replace(sign, text))
    }

    /// Goes to another folder.
    fn enter(&mut self, name: &str) -> Result<(), Failure> {
        let folder = files::absolute(&self.folder, name);
        match files::facts(&folder) {
            Err(error) => Err(failure(format!("can't cd to {name}: {}", files::words(&error)))),
            Ok(facts) if !facts.is_folder() => Err(failure(format!("can't cd to {name}: Not a directory"))),
            Ok(_) => {
                let before = std::mem::replace(&mut self.folder, folder.clone());
                self.assign("OLDPWD", before)?;
                self.assign("PWD", folder)
            }
        }
    }
}
