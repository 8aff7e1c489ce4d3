//! `ps` and `top`: what the engine tells of the programs that run in this container.

use crate::host::{self, Process as Running};
use crate::options::Options;
use crate::process::{Outcome, Process};
use crate::stdin;
use crate::task;

pub async fn ps(process: &mut Process) -> Outcome {
    // Whatever is asked for, there is little to choose.
    let mut text = "PID   USER     TIME      VSZ COMMAND\n".to_owned();
    for running in host::processes() {
        text.push_str(&row(&running));
    }
    process.print(text).await?;
    Ok(0)
}

fn row(running: &Running) -> String {
    let seconds = running.cpu_milliseconds / 1000;
    let time = format!("{}:{:02}", seconds / 60, seconds % 60);
    format!("{:>5} root     {time:>5} {:>7}k {}\n", running.id, running.memory_bytes >> 10, running.command)
}

pub async fn top(process: &mut Process) -> Outcome {
    let options = Options::read(process, "bH", "nd", &[])?;
    let rounds = options.number('n')?.unwrap_or(if process.stdout.is_terminal() { u64::MAX } else { 1 });
    let pause = options.number('d')?.unwrap_or(2).max(1) * 1_000_000_000;
    let mut before: Vec<Running> = Vec::new();
    for round in 0..rounds {
        let now = host::processes();
        let memory: u64 = now.iter().map(|running| running.memory_bytes).sum();
        let mut text = format!("Mem: {}K used\n  PID USER        VSZ   TIME %CPU COMMAND\n", memory >> 10);
        for running in &now {
            let earlier = before.iter().find(|earlier| earlier.id == running.id);
            let spent = earlier
                .map_or(0, |earlier| running.cpu_milliseconds.saturating_sub(earlier.cpu_milliseconds));
            let share = spent * 100_000_000 / pause;
            let seconds = running.cpu_milliseconds / 1000;
            text.push_str(&format!(
                "{:>5} root    {:>6}k {:>3}:{:02} {share:>3}% {}\n",
                running.id,
                running.memory_bytes >> 10,
                seconds / 60,
                seconds % 60,
                running.command
            ));
        }
        if process.stdout.is_terminal() && !options.has('b') {
            text.insert_str(0, "\x1b[H\x1b[J");
        }
        process.print(text).await?;
        process.flush().await?;
        before = now;
        if round + 1 < rounds {
            task::sleep(pause).await;
        }
        if stdin::is_terminal() && stdin::take(1).is_some_and(|key| key.is_empty() || key == b"q") {
            break;
        }
    }
    Ok(0)
}
