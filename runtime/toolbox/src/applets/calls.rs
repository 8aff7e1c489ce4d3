//! Programs that call others: `env`, `xargs`, `timeout`, `nohup`, `which`.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

use super::system::span;
use crate::commands::{self, Found};
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, failure};
use crate::stream::Input;
use crate::task;

/// As much as all arguments of a call may be long.
const MOST_ARGUMENT_BYTES: usize = 128 << 10;

pub async fn env(process: &mut Process) -> Outcome {
    let mut words = process.args.clone().into_iter().skip(1).peekable();
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        match option.as_str() {
            "-i" | "-" => process.env.clear(),
            "-u" => drop(words.next().and_then(|name| process.env.remove(&name))),
            "--" => break,
            other => return Err(failure(format!("unrecognized option '{other}'"))),
        }
    }
    while let Some(word) = words.next_if(|word| word.contains('=')) {
        if let Some((name, value)) = word.split_once('=') {
            process.env.insert(name.to_owned(), value.to_owned());
        }
    }
    let command: Vec<String> = words.collect();
    if !command.is_empty() {
        return Ok(commands::run(process.call(command)).await);
    }
    let lines: String = process.env.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    process.print(lines).await?;
    Ok(0)
}

pub async fn nohup(process: &mut Process) -> Outcome {
    let command = process.args[1..].to_vec();
    if command.is_empty() {
        return Err(failure("missing operand"));
    }
    Ok(commands::run(process.call(command)).await)
}

pub async fn timeout(process: &mut Process) -> Outcome {
    const TIMED_OUT: i32 = 124;
    let mut words = process.args.clone().into_iter().skip(1).skip_while(|word| word.starts_with('-'));
    let limit = span(&words.next().ok_or_else(|| failure("missing operand"))?)?;
    let command: Vec<String> = words.collect();
    if command.is_empty() {
        return Err(failure("missing operand"));
    }
    let mut running = commands::run(process.call(command));
    let mut limit = Box::pin(task::sleep(limit));
    let code = poll_fn(|context| {
        if let Poll::Ready(code) = running.as_mut().poll(context) {
            return Poll::Ready(code);
        }
        limit.as_mut().poll(context).map(|()| TIMED_OUT)
    });
    Ok(code.await)
}

pub async fn which(process: &mut Process) -> Outcome {
    let mut code = 0;
    for name in process.args[1..].to_vec() {
        match commands::find(process, &name) {
            Some(Found::Applet(_)) => {
                let place = if name.contains('/') { name } else { format!("/bin/{name}") };
                process.print(format!("{place}\n")).await?;
            }
            Some(Found::File(path)) => process.print(format!("{path}\n")).await?,
            None => code = 1,
        }
    }
    Ok(code)
}

pub async fn xargs(process: &mut Process) -> Outcome {
    let split = process.args.iter().skip(1).scan(false, |takes, word| {
        // The first word that is no option, nor the value of one, is the command.
        let is_option = *takes || (word.len() > 1 && word.starts_with('-'));
        *takes = !*takes && ["-n", "-I", "-P", "-s"].contains(&word.as_str());
        is_option.then_some(())
    });
    let count = split.count() + 1;
    let mut command = process.args.split_off(count);
    let options = Options::read(process, "0rt", "nIPs", &[("null", '0'), ("no-run-if-empty", 'r')])?;
    if command.is_empty() {
        command.push("echo".to_owned());
    }
    let text = process.stdin.read_all(16 << 20).await?;
    let items = items(&text, options.has('0'), options.has('I'));
    let mut most = options.number('n')?.map_or(usize::MAX, |most| (most as usize).max(1));
    if options.has('I') {
        most = 1;
    }
    let code = Cell::new(0);
    let mut items = items.into_iter().peekable();
    let mut is_first = true;
    while items.peek().is_some() || (is_first && !options.has('r') && !options.has('I')) {
        is_first = false;
        let (mut group, mut bytes) = (Vec::new(), 0);
        while group.len() < most && bytes < MOST_ARGUMENT_BYTES {
            let Some(item) = items.next() else { break };
            bytes += item.len() + 1;
            group.push(item);
        }
        let words: Vec<String> = match options.value('I') {
            Some(sign) => command.iter().map(|word| word.replace(sign, &group.concat())).collect(),
            None => command.iter().chain(&group).cloned().collect(),
        };
        if options.has('t') {
            process.stderr.write(format!("{}\n", words.join(" ")).as_bytes()).await?;
        }
        let mut called = process.call(words);
        called.stdin = Input::nothing();
        match commands::run(called).await {
            0 => {}
            255 => {
                return Err(Failure {
                    code: 124,
                    words: "command exited with status 255; aborting".to_owned(),
                });
            }
            // It would not be found the next time either.
            not_run @ (126 | 127) => return Ok(not_run),
            _ => code.set(123),
        }
    }
    Ok(code.get())
}

/// The words of the input, in which quotes and backslashes protect.
fn items(text: &[u8], by_null: bool, by_line: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    if by_null || by_line {
        let end = if by_null { '\0' } else { '\n' };
        return text
            .split(end)
            .map(str::trim_start)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect();
    }
    let (mut items, mut current, mut is_begun) = (Vec::new(), String::new(), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                is_begun = true;
                current.extend(chars.by_ref().take_while(|next| *next != c));
            }
            '\\' => {
                is_begun = true;
                current.extend(chars.next());
            }
            c if c.is_whitespace() => {
                if is_begun {
                    items.push(std::mem::take(&mut current));
                    is_begun = false;
                }
            }
            c => {
                is_begun = true;
                current.push(c);
            }
        }
    }
    if is_begun {
        items.push(current);
    }
    items
}
