//! Runs commands: lists, pipelines, loops, functions, and what is called by name.

use std::rc::Rc;

use super::syntax::{Command, CommandKind, Entry, List, Pipeline, Redirection, Word};
use super::{Shell, Streams, Variable};
use crate::commands;
use crate::pattern;
use crate::process::{Failure, Process, failure};
use crate::stream::{Input, Output, pipe};
use crate::task::{self, Boxed, Job};

/// Functions within functions: deeper ones are refused before the stack is full.
const DEEPEST: usize = 200;
/// Jobs at a time.
const MOST_JOBS: usize = 64;

/// Why what follows does not run.
pub(super) enum Flow {
    /// Out of so many loops.
    Break(usize),
    /// To the next turn of this loop, counted from the innermost.
    Continue(usize),
    /// Out of the function or script.
    Return(i32),
    /// Out of the shell.
    Exit(i32),
}

/// A status, or why what follows does not run.
pub(super) type Ran = Result<i32, Flow>;

impl Shell {
    /// Runs a list as a shell of its own does; gives its exit code.
    pub(super) async fn run_all(&mut self, list: &List) -> i32 {
        let code = match self.run_list(list).await {
            Ok(code) | Err(Flow::Exit(code) | Flow::Return(code)) => code,
            Err(Flow::Break(_) | Flow::Continue(_)) => self.status,
        };
        self.end(code).await
    }

    pub(super) fn run_list<'a>(&'a mut self, list: &'a List) -> Boxed<'a, Ran> {
        Box::pin(async move {
            for entry in list {
                if entry.in_background {
                    self.start_job(entry).await;
                } else {
                    self.run_entry(entry).await?;
                }
            }
            Ok(self.status)
        })
    }

    async fn run_entry(&mut self, entry: &Entry) -> Ran {
        let mut left = entry.rest.len();
        let mut status = self.run_pipeline(&entry.first, left > 0).await?;
        for (after_success, pipeline) in &entry.rest {
            left -= 1;
            if (status == 0) == *after_success {
                status = self.run_pipeline(pipeline, left > 0).await?;
            }
        }
        Ok(status)
    }

    async fn start_job(&mut self, entry: &Entry) {
        self.jobs.retain(|(_, job)| job.status().is_none());
        if self.jobs.len() >= MOST_JOBS {
            self.complain("too many jobs").await;
            self.status = 1;
            return;
        }
        let number = self.last_job.unwrap_or(1) + 1;
        let mut inner = self.subshell();
        if !self.is_interactive || self.streams.input.is_terminal() {
            inner.streams.input = Input::nothing();
        }
        let list = vec![Entry { in_background: false, ..entry.clone() }];
        let job = Job::start(Box::pin(async move { inner.run_all(&list).await }));
        self.jobs.push((number, job));
        self.last_job = Some(number);
        self.status = 0;
    }

    /// Runs a pipeline; `looked_at` says that its failure is looked at.
    async fn run_pipeline(&mut self, pipeline: &Pipeline, looked_at: bool) -> Ran {
        let looked_at = looked_at || pipeline.is_negated;
        self.looked_at += usize::from(looked_at);
        let ran = match pipeline.stages.as_slice() {
            [only] => self.run_command(only).await,
            stages => Ok(self.run_stages(stages).await),
        };
        self.looked_at -= usize::from(looked_at);
        let status = ran?;
        self.status = if pipeline.is_negated { i32::from(status == 0) } else { status };
        let is_fatal = self.status != 0 && self.options.exit_on_error && self.looked_at == 0 && !looked_at;
        let is_whole = pipeline.stages.len() > 1
            || matches!(pipeline.stages[0].kind, CommandKind::Simple(..) | CommandKind::Subshell(_));
        if is_fatal && is_whole {
            return Err(Flow::Exit(self.status));
        }
        Ok(self.status)
    }

    async fn run_stages(&mut self, stages: &[Command]) -> i32 {
        let mut running: Vec<Boxed<'_, i32>> = Vec::new();
        let mut input = self.streams.input.clone();
        for (place, stage) in stages.iter().enumerate() {
            let mut inner = self.subshell();
            inner.streams.input = input;
            input = Input::nothing();
            if place + 1 < stages.len() {
                let (writer, reader) = pipe();
                inner.streams.output = Output::Pipe(writer);
                input = reader;
            }
            running.push(Box::pin(async move {
                match inner.run_command(stage).await {
                    Ok(code) | Err(Flow::Exit(code) | Flow::Return(code)) => code,
                    Err(_) => inner.status,
                }
            }));
        }
        drop(input);
        let codes = task::join_all(running).await;
        let failed = codes.iter().rev().find(|code| **code != 0).filter(|_| self.options.pipe_fail);
        failed.or(codes.last()).copied().unwrap_or(0)
    }

    fn run_command<'a>(&'a mut self, command: &'a Command) -> Boxed<'a, Ran> {
        Box::pin(async move {
            self.line = command.line;
            if let CommandKind::Simple(assignments, words) = &command.kind {
                return self.run_simple(assignments, words, &command.redirections).await;
            }
            let before = self.streams.clone();
            let redirected = self.redirect(&command.redirections).await;
            let ran = match redirected {
                Ok(()) => self.run_compound(&command.kind).await,
                Err(failure) => self.fail(failure).await,
            };
            self.streams = before;
            ran
        })
    }

    async fn run_compound(&mut self, kind: &CommandKind) -> Ran {
        let status = match kind {
            CommandKind::Simple(..) => 0,
            CommandKind::Group(list) => return self.run_list(list).await,
            CommandKind::Subshell(list) => self.subshell().run_all(list).await,
            CommandKind::If(branches, otherwise) => return self.run_if(branches, otherwise).await,
            CommandKind::While(condition, until, body) => {
                return self.run_while(condition, *until, body).await;
            }
            CommandKind::For(name, words, body) => return self.run_for(name, words.as_deref(), body).await,
            CommandKind::Case(word, branches) => return self.run_case(word, branches).await,
            CommandKind::Function(name, body) => {
                self.functions.insert(name.clone(), Rc::clone(body));
                0
            }
        };
        self.status = status;
        Ok(status)
    }

    /// Runs commands whose failure is looked at.
    async fn condition(&mut self, list: &List) -> Ran {
        self.looked_at += 1;
        let ran = self.run_list(list).await;
        self.looked_at -= 1;
        ran
    }

    async fn run_if(&mut self, branches: &[(List, List)], otherwise: &List) -> Ran {
        for (condition, list) in branches {
            if self.condition(condition).await? == 0 {
                return self.run_list(list).await;
            }
        }
        self.status = 0;
        self.run_list(otherwise).await
    }

    async fn run_while(&mut self, condition: &List, until: bool, body: &List) -> Ran {
        let mut status = 0;
        self.loops += 1;
        let ran = loop {
            task::yield_now().await;
            match self.condition(condition).await {
                Ok(code) if (code == 0) == until => break Ok(status),
                Ok(_) => {}
                Err(flow) => match around_loop(flow) {
                    Ok(true) => continue,
                    Ok(false) => break Ok(status),
                    Err(flow) => break Err(flow),
                },
            }
            match self.turn(body).await {
                Ok(Some(code)) => status = code,
                Ok(None) => break Ok(self.status),
                Err(flow) => break Err(flow),
            }
        };
        self.loops -= 1;
        if let Ok(status) = ran {
            self.status = status;
        }
        ran
    }

    async fn run_for(&mut self, name: &str, words: Option<&[Word]>, body: &List) -> Ran {
        let values = match words {
            None => self.parameters.clone(),
            Some(words) => match self.arguments(words).await {
                Ok(values) => values,
                Err(failure) => return self.fail(failure).await,
            },
        };
        self.status = 0;
        self.loops += 1;
        let mut ran = Ok(0);
        for value in values {
            task::yield_now().await;
            if let Err(failure) = self.assign(name, value) {
                ran = self.fail(failure).await;
                break;
            }
            match self.turn(body).await {
                Ok(Some(code)) => ran = Ok(code),
                Ok(None) => break,
                Err(flow) => {
                    ran = Err(flow);
                    break;
                }
            }
        }
        self.loops -= 1;
        if ran.is_ok() { Ok(self.status) } else { ran }
    }

    /// One turn of a loop; none if it was the last.
    async fn turn(&mut self, body: &List) -> Result<Option<i32>, Flow> {
        match self.run_list(body).await {
            Ok(code) => Ok(Some(code)),
            Err(flow) => Ok(around_loop(flow)?.then_some(self.status)),
        }
    }

    async fn run_case(&mut self, word: &Word, branches: &[(Vec<Word>, List)]) -> Ran {
        let text: Vec<char> = match self.text(word).await {
            Ok(text) => text.chars().collect(),
            Err(failure) => return self.fail(failure).await,
        };
        self.status = 0;
        for (patterns, list) in branches {
            for pattern in patterns {
                let pattern = match self.pattern(pattern).await {
                    Ok(pattern) => pattern,
                    Err(failure) => return self.fail(failure).await,
                };
                if pattern::matches(&pattern, &text) {
                    return self.run_list(list).await;
                }
            }
        }
        Ok(0)
    }

    /// Says what went wrong. Some errors end a script.
    pub(super) async fn fail(&mut self, failure: Failure) -> Ran {
        if !failure.words.is_empty() {
            self.complain(&failure.words).await;
        }
        self.status = failure.code;
        if self.is_over { Err(Flow::Exit(failure.code)) } else { Ok(failure.code) }
    }

    async fn run_simple(
        &mut self,
        assignments: &[(String, Word)],
        words: &[Word],
        redirections: &[Redirection],
    ) -> Ran {
        self.substituted = false;
        let arguments = match self.arguments(words).await {
            Ok(arguments) => arguments,
            Err(failure) => return self.fail(failure).await,
        };
        let before = self.streams.clone();
        if let Err(failure) = self.redirect(redirections).await {
            self.streams = before;
            let _ = self.fail(failure).await;
            self.status = 1;
            return Ok(1);
        }
        let mut values = Vec::new();
        for (name, word) in assignments {
            match self.text(word).await {
                Ok(value) => values.push((name.clone(), value)),
                Err(failure) => {
                    self.streams = before;
                    return self.fail(failure).await;
                }
            }
            // Those that follow may use it.
            if arguments.is_empty()
                && let Some((name, value)) = values.pop()
                && let Err(failure) = self.assign(&name, value)
            {
                self.streams = before;
                return self.fail(failure).await;
            }
        }
        if arguments.is_empty() {
            self.streams = before;
            self.status = if self.substituted { self.status } else { 0 };
            return Ok(self.status);
        }
        if self.options.trace {
            let line = format!("{}{}\n", self.variable("PS4").unwrap_or_default(), arguments.join(" "));
            let _ = before.errors.write(line.as_bytes()).await;
        }
        let keeps = arguments[0] == "exec" && arguments.len() == 1;
        let ran = self.call(arguments, values).await;
        if !keeps {
            self.streams = before;
        }
        if let Ok(code) = ran {
            self.status = code;
        }
        ran
    }

    /// Calls a function, a builtin or a command, with these variables set for it.
    async fn call(&mut self, arguments: Vec<String>, values: Vec<(String, String)>) -> Ran {
        let function = self.functions.get(&arguments[0]).cloned();
        if function.is_none() && !Self::is_builtin(&arguments[0]) {
            return Ok(self.call_command(arguments, values).await);
        }
        let mut hidden: Vec<(String, Option<Variable>)> = Vec::new();
        for (name, value) in values {
            hidden.push((name.clone(), self.variables.get(&name).cloned()));
            if let Err(failure) = self.assign(&name, value) {
                return self.fail(failure).await;
            }
            self.variables.entry(name).or_default().is_exported = true;
        }
        let ran = match function {
            Some(body) => self.call_function(&body, arguments).await,
            None => self.builtin(&arguments).await,
        };
        self.show(hidden);
        ran
    }

    /// Gives variables back what they were.
    pub(super) fn show(&mut self, hidden: Vec<(String, Option<Variable>)>) {
        for (name, variable) in hidden.into_iter().rev() {
            match variable {
                Some(variable) => drop(self.variables.insert(name, variable)),
                None => drop(self.variables.remove(&name)),
            }
        }
    }

    async fn call_function(&mut self, body: &Rc<Command>, mut arguments: Vec<String>) -> Ran {
        if self.depth >= DEEPEST {
            self.is_over = true;
            return self.fail(failure("functions call each other too deeply")).await;
        }
        arguments.remove(0);
        let parameters = std::mem::replace(&mut self.parameters, arguments);
        let loops = std::mem::take(&mut self.loops);
        self.depth += 1;
        self.hidden.push(Vec::new());
        let ran = self.run_command(body).await;
        let hidden = self.hidden.pop().unwrap_or_default();
        self.show(hidden);
        self.depth -= 1;
        self.loops = loops;
        self.parameters = parameters;
        match ran {
            Err(Flow::Return(code)) => Ok(code),
            ran => ran,
        }
    }

    /// Calls a program, whose end is waited for.
    pub(super) async fn call_command(
        &mut self,
        arguments: Vec<String>,
        values: Vec<(String, String)>,
    ) -> i32 {
        task::yield_now().await;
        let mut process = self.process(arguments);
        process.env.extend(values);
        if commands::find(&process, &process.args[0].clone()).is_none() {
            let name = &process.args[0];
            let code = if name.contains('/') { "No such file or directory" } else { "not found" };
            self.complain(&format!("{name}: {code}")).await;
            return super::NOT_FOUND;
        }
        commands::run(process).await
    }

    /// A command called from here.
    pub(super) fn process(&self, arguments: Vec<String>) -> Process {
        let Streams { input, output, errors, .. } = self.streams.clone();
        Process::new(arguments, self.environment(), self.folder.clone(), (input, output, errors))
    }
}

/// What a loop does about it: whether it goes on, or what those around it are told.
fn around_loop(flow: Flow) -> Result<bool, Flow> {
    match flow {
        Flow::Break(count) if count > 1 => Err(Flow::Break(count - 1)),
        Flow::Break(_) => Ok(false),
        Flow::Continue(count) if count > 1 => Err(Flow::Continue(count - 1)),
        Flow::Continue(_) => Ok(true),
        flow => Err(flow),
    }
}
