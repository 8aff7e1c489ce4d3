//! What a shell does itself: because it changes the shell, or because it must not be called as a program.

use super::run::{Flow, Ran};
use super::{MOST_SCRIPT_BYTES, Shell, Variable};
use crate::commands::{self, Found};
use crate::process::{Failure, failure};

const BUILTINS: [&str; 28] = [
    ":", ".", "break", "cd", "command", "continue", "eval", "exec", "exit", "export", "getopts", "jobs",
    "kill", "let", "local", "read", "readonly", "return", "set", "shift", "source", "trap", "type", "ulimit",
    "umask", "unset", "wait", "times",
];

impl Shell {
    pub(super) fn is_builtin(name: &str) -> bool {
        BUILTINS.contains(&name)
    }

    pub(super) async fn builtin(&mut self, arguments: &[String]) -> Ran {
        let rest = &arguments[1..];
        let outcome = match arguments[0].as_str() {
            "." | "source" => return self.source(rest).await,
            "eval" => return self.run_commands(&rest.join(" "), self.line).await,
            "exec" => return self.exec(rest).await,
            "command" => return self.command(rest).await,
            "break" | "continue" | "return" | "exit" => return self.leave(&arguments[0], rest).await,
            "wait" => Ok(self.wait(rest).await),
            "read" => self.read(rest).await,
            "jobs" => self.list_jobs().await,
            "type" => self.types(rest).await,
            "cd" => self.change_folder(rest).await,
            "set" => self.set(rest).await,
            "export" | "readonly" => self.mark(&arguments[0], rest).await,
            name => self.quiet_builtin(name, rest),
        };
        match outcome {
            Ok(code) => {
                self.status = code;
                Ok(code)
            }
            Err(mut problem) => {
                if !problem.words.is_empty() && !self.is_over {
                    problem.words = format!("{}: {}", arguments[0], problem.words);
                }
                self.fail(problem).await
            }
        }
    }

    /// Those that write nothing.
    fn quiet_builtin(&mut self, name: &str, rest: &[String]) -> Result<i32, Failure> {
        match name {
            "shift" => {
                let count = number(rest.first(), 1)?;
                if count > self.parameters.len() {
                    return Err(failure("can't shift that many"));
                }
                self.parameters.drain(..count);
            }
            "unset" => self.unset(rest)?,
            "local" => self.local(rest)?,
            "trap" => self.trap(rest)?,
            "kill" => return self.kill(rest),
            "getopts" => return self.next_option(rest),
            "let" => {
                let mut value = 0;
                for expression in rest {
                    value = self.arithmetic(expression)?;
                }
                return Ok(i32::from(value == 0));
            }
            "ulimit" | "umask" | "times" => return Err(failure("containers here have no such thing")),
            _ => {}
        }
        Ok(0)
    }

    async fn print(&self, text: &str) -> Result<(), Failure> {
        Ok(self.streams.output.write(text.as_bytes()).await?)
    }

    async fn source(&mut self, rest: &[String]) -> Ran {
        let Some(name) = rest.first() else { return Ok(0) };
        let opened = self.process(vec![String::new()]).open(name);
        let read = match opened {
            Ok(input) => input.read_all(MOST_SCRIPT_BYTES).await.map_err(Failure::from),
            Err(problem) => Err(problem),
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(problem) => {
                let words = format!(".: can't open {}", problem.words);
                return self.fail(Failure { words, ..problem }).await;
            }
        };
        self.depth += 1;
        if self.depth > 50 {
            self.is_over = true;
            return self.fail(failure("scripts read each other too deeply")).await;
        }
        let ran = Box::pin(self.run_commands(&String::from_utf8_lossy(&bytes), 1)).await;
        self.depth -= 1;
        match ran {
            Err(Flow::Return(code)) => Ok(code),
            ran => ran,
        }
    }

    /// The command is the last this shell runs.
    async fn exec(&mut self, rest: &[String]) -> Ran {
        if rest.is_empty() {
            return Ok(0);
        }
        let code = self.call_command(rest.to_vec(), Vec::new()).await;
        Err(Flow::Exit(code))
    }

    async fn command(&mut self, rest: &[String]) -> Ran {
        match rest {
            [] => Ok(0),
            [option, names @ ..] if option == "-v" || option == "-V" => {
                let mut code = 0;
                for name in names {
                    match self.place_of(name) {
                        Some(place) => drop(self.print(&format!("{place}\n")).await),
                        None => code = super::NOT_FOUND,
                    }
                }
                self.status = code;
                Ok(code)
            }
            [name, ..] if Self::is_builtin(name) => Box::pin(self.builtin(rest)).await,
            rest => Ok(self.call_command(rest.to_vec(), Vec::new()).await),
        }
    }

    /// What a name stands for, as `command -v` tells it.
    fn place_of(&self, name: &str) -> Option<String> {
        if self.functions.contains_key(name) || Self::is_builtin(name) {
            return Some(name.to_owned());
        }
        match commands::find(&self.process(vec![name.to_owned()]), name)? {
            Found::Applet(_) if name.contains('/') => Some(name.to_owned()),
            Found::Applet(_) => Some(format!("/bin/{name}")),
            Found::File(path) => Some(path),
        }
    }

    async fn types(&mut self, rest: &[String]) -> Result<i32, Failure> {
        let mut code = 0;
        for name in rest {
            let words = if self.functions.contains_key(name) {
                "is a shell function".to_owned()
            } else if Self::is_builtin(name) {
                "is a shell builtin".to_owned()
            } else if let Some(place) = self.place_of(name) {
                format!("is {place}")
            } else {
                code = super::NOT_FOUND;
                "not found".to_owned()
            };
            self.print(&format!("{name} {words}\n")).await?;
        }
        Ok(code)
    }

    async fn leave(&mut self, how: &str, rest: &[String]) -> Ran {
        let given = match rest.first() {
            None => None,
            Some(text) => match text.parse::<i32>() {
                Ok(given) => Some(given),
                Err(_) => {
                    self.is_over = true;
                    let words = format!("{how}: Illegal number: {text}");
                    return self.fail(Failure { code: 2, words }).await;
                }
            },
        };
        let loops = usize::try_from(given.unwrap_or(1)).unwrap_or(1).clamp(1, self.loops.max(1));
        match how {
            "break" | "continue" if self.loops == 0 => Ok(0),
            "break" => Err(Flow::Break(loops)),
            "continue" => Err(Flow::Continue(loops)),
            "return" => Err(Flow::Return(given.unwrap_or(self.status))),
            _ => Err(Flow::Exit(given.unwrap_or(self.status) & 0xff)),
        }
    }

    async fn wait(&mut self, rest: &[String]) -> i32 {
        let wanted: Vec<u32> =
            rest.iter().filter_map(|job| job.trim_start_matches('%').parse().ok()).collect();
        let mut code = 0;
        for (number, job) in self.jobs.clone() {
            if rest.is_empty() || wanted.contains(&number) {
                let ended = job.wait().await;
                code = if rest.is_empty() { 0 } else { ended };
                self.jobs.retain(|(known, _)| *known != number);
            }
        }
        code
    }

    fn kill(&mut self, rest: &[String]) -> Result<i32, Failure> {
        for job in rest.iter().filter(|word| !word.starts_with('-')) {
            let number: Option<u32> = job.trim_start_matches('%').parse().ok();
            let found = self.jobs.iter().find(|(known, _)| Some(*known) == number);
            let (_, job) = found
                .ok_or_else(|| failure(format!("can't kill {job}: only jobs of this shell can be ended")))?;
            job.cancel();
        }
        Ok(0)
    }

    async fn list_jobs(&mut self) -> Result<i32, Failure> {
        for (number, job) in self.jobs.clone() {
            let state = if job.status().is_some() { "Done" } else { "Running" };
            self.print(&format!("[{number}] {state}\n")).await?;
        }
        self.jobs.retain(|(_, job)| job.status().is_none());
        Ok(0)
    }

    async fn change_folder(&mut self, rest: &[String]) -> Result<i32, Failure> {
        let target = match rest.iter().find(|word| *word != "--" && *word != "-P" && *word != "-L") {
            None => self.variable("HOME").unwrap_or_else(|| "/".to_owned()),
            Some(word) if word == "-" => {
                let before = self.variable("OLDPWD").ok_or_else(|| failure("OLDPWD not set"))?;
                self.print(&format!("{before}\n")).await?;
                before
            }
            Some(word) => word.clone(),
        };
        self.enter(&target)?;
        Ok(0)
    }

    async fn set(&mut self, rest: &[String]) -> Result<i32, Failure> {
        if rest.is_empty() {
            let lines: String = self
                .variables
                .iter()
                .filter_map(|(name, variable)| Some(format!("{name}={}\n", quoted(variable.value.as_ref()?))))
                .collect();
            self.print(&lines).await?;
            return Ok(0);
        }
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--" => {
                    self.parameters = words.cloned().collect();
                    return Ok(0);
                }
                "-o" | "+o" => {
                    let name = words.next().cloned().unwrap_or_default();
                    self.option(&name, word == "-o")?;
                }
                option if option.len() > 1 && option.starts_with(['-', '+']) => {
                    for letter in option.chars().skip(1) {
                        if letter == 'o' {
                            let name = words.next().cloned().unwrap_or_default();
                            self.option(&name, option.starts_with('-'))?;
                        } else {
                            self.letter(letter, option.starts_with('-'))?;
                        }
                    }
                }
                first => {
                    self.parameters = [first.to_owned()].into_iter().chain(words.cloned()).collect();
                    return Ok(0);
                }
            }
        }
        Ok(0)
    }

    /// `export` and `readonly`.
    async fn mark(&mut self, how: &str, rest: &[String]) -> Result<i32, Failure> {
        let exports = how == "export";
        if rest.is_empty() || rest[0] == "-p" {
            let lines: String = self
                .variables
                .iter()
                .filter(|(_, variable)| if exports { variable.is_exported } else { variable.is_readonly })
                .map(|(name, variable)| {
                    let value = variable.value.as_ref().map(|value| format!("={}", quoted(value)));
                    format!("{how} {name}{}\n", value.unwrap_or_default())
                })
                .collect();
            self.print(&lines).await?;
            return Ok(0);
        }
        let removes = exports && rest[0] == "-n";
        for word in rest.iter().filter(|word| !word.starts_with('-')) {
            let (name, value) = assignment(word)?;
            if let Some(value) = value {
                self.assign(name, value.to_owned())?;
            }
            let variable = self.variables.entry(name.to_owned()).or_default();
            if exports { variable.is_exported = !removes } else { variable.is_readonly = true }
        }
        Ok(0)
    }

    fn unset(&mut self, rest: &[String]) -> Result<(), Failure> {
        let functions = rest.first().is_some_and(|option| option == "-f");
        for name in rest.iter().filter(|word| !word.starts_with('-')) {
            if functions {
                self.functions.remove(name);
                continue;
            }
            if self.variables.get(name).is_some_and(|variable| variable.is_readonly) {
                return Err(Failure { code: 2, words: format!("{name}: is read only") });
            }
            if self.variables.remove(name).is_none() {
                self.functions.remove(name);
            }
        }
        Ok(())
    }

    fn local(&mut self, rest: &[String]) -> Result<(), Failure> {
        for word in rest {
            let (name, value) = assignment(word)?;
            let before = self.variables.get(name).cloned();
            let hidden = self.hidden.last_mut().ok_or_else(|| failure("not in a function"))?;
            hidden.push((name.to_owned(), before));
            let value = value.map(str::to_owned);
            self.variables.insert(name.to_owned(), Variable { value, ..Variable::default() });
        }
        Ok(())
    }

    fn trap(&mut self, rest: &[String]) -> Result<(), Failure> {
        let [script, signals @ ..] = rest else { return Ok(()) };
        for signal in signals {
            match signal.as_str() {
                "EXIT" | "0" => {
                    let is_default = script == "-" || script.is_empty();
                    self.on_exit = (!is_default).then(|| script.clone());
                }
                // They never come, so what would be done is never done.
                "INT" | "TERM" | "HUP" | "QUIT" | "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGQUIT" => {}
                other => return Err(failure(format!("{other}: bad trap"))),
            }
        }
        Ok(())
    }

    /// Reads a line into variables.
    async fn read(&mut self, rest: &[String]) -> Result<i32, Failure> {
        let (mut is_raw, mut names, mut words) = (false, Vec::new(), rest.iter());
        while let Some(word) = words.next() {
            match word.as_str() {
                "-r" => is_raw = true,
                "-p" => {
                    let prompt = words.next().cloned().unwrap_or_default();
                    self.streams.errors.write(prompt.as_bytes()).await?;
                }
                option if option.starts_with('-') => {
                    return Err(Failure { code: 2, words: format!("illegal option {option}") });
                }
                name => names.push(name.to_owned()),
            }
        }
        let mut text = String::new();
        let ended = loop {
            let Some(line) = self.streams.input.line().await? else { break true };
            let has_end = line.ends_with(b"\n");
            text.push_str(String::from_utf8_lossy(&line).trim_end_matches('\n'));
            if is_raw || !text.ends_with('\\') {
                break !has_end;
            }
            text.pop();
        };
        if names.is_empty() {
            names.push("REPLY".to_owned());
        }
        let separators = self.variable("IFS").unwrap_or_else(|| " \t\n".to_owned());
        let text = if is_raw { text } else { unescaped(&text) };
        let mut rest = text.trim_matches(|c: char| separators.contains(c) && c.is_whitespace());
        let last = names.pop().unwrap_or_default();
        for name in names {
            let end = rest.find(|c| separators.contains(c)).unwrap_or(rest.len());
            self.assign(&name, rest[..end].to_owned())?;
            rest = rest[end..].trim_start_matches(|c: char| separators.contains(c) && c.is_whitespace());
            let sign = rest.chars().next().filter(|c| separators.contains(*c) && !c.is_whitespace());
            rest = &rest[sign.map_or(0, char::len_utf8)..];
        }
        self.assign(&last, rest.to_owned())?;
        Ok(i32::from(ended))
    }

    /// `getopts`: the next option of the parameters.
    fn next_option(&mut self, rest: &[String]) -> Result<i32, Failure> {
        let [wanted, name, words @ ..] = rest else {
            return Err(failure("usage: getopts optstring var [arg]"));
        };
        let words = if words.is_empty() { self.parameters.clone() } else { words.to_vec() };
        let place: usize = self.variable("OPTIND").and_then(|text| text.parse().ok()).unwrap_or(1);
        let within: usize = self.variable("OPTPOS").and_then(|text| text.parse().ok()).unwrap_or(1);
        let word = place.checked_sub(1).and_then(|place| words.get(place)).cloned().unwrap_or_default();
        let letter = word.chars().nth(within);
        if !word.starts_with('-') || word == "-" || word == "--" || letter.is_none() {
            self.assign("OPTIND", (place + usize::from(word == "--")).to_string())?;
            self.assign(name, "?".to_owned())?;
            return Ok(1);
        }
        let letter = letter.unwrap_or('?');
        let is_last = word.chars().count() == within + 1;
        let takes_value = wanted.contains(&format!("{letter}:"));
        let (mut found, mut next, mut position) = (letter, place, within + 1);
        if is_last || takes_value {
            (next, position) = (place + 1, 1);
        }
        if !wanted.trim_start_matches(':').contains(letter) || letter == ':' {
            found = '?';
            self.assign("OPTARG", letter.to_string())?;
        } else if takes_value {
            let own: String = word.chars().skip(within + 1).collect();
            let value = if own.is_empty() { words.get(place).cloned() } else { Some(own.clone()) };
            next += usize::from(own.is_empty());
            if value.is_none() {
                found = if wanted.starts_with(':') { ':' } else { '?' };
            }
            self.assign("OPTARG", value.unwrap_or_else(|| letter.to_string()))?;
        }
        self.assign("OPTIND", next.to_string())?;
        self.assign("OPTPOS", position.to_string())?;
        self.assign(name, found.to_string())?;
        Ok(0)
    }
}

fn number(word: Option<&String>, default: usize) -> Result<usize, Failure> {
    let Some(word) = word else { return Ok(default) };
    word.parse().map_err(|_| failure(format!("Illegal number: {word}")))
}

/// A name, and a value if there is one.
fn assignment(word: &str) -> Result<(&str, Option<&str>), Failure> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit());
    if is_name {
        Ok((name, value))
    } else {
        Err(Failure { code: 2, words: format!("{name}: bad variable name") })
    }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// What backslashes protect.
fn unescaped(text: &str) -> String {
    let mut output = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        output.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    output
}
