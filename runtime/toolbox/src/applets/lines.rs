//! Programs that pass lines on: `cat`, `head`, `tail`, `tac`, `wc`, `tee`.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::files;
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, about, failure};
use crate::stream::Output;
use crate::task;

/// As many bytes as the end of an input may have.
const MOST_KEPT_BYTES: usize = 64 << 20;
/// How often a followed file is looked at.
const LOOK_AGAIN_NANOSECONDS: u64 = 200_000_000;

pub async fn cat(process: &mut Process) -> Outcome {
    let options = Options::read(process, "nuA", "", &[])?;
    let (mut code, mut number) = (0, 0);
    for name in options.files() {
        let input = match process.open(&name) {
            Ok(input) => input,
            Err(problem) => {
                process.complain(&problem.words).await;
                code = 1;
                continue;
            }
        };
        if options.has('n') {
            while let Some(line) = input.line().await? {
                number += 1;
                process.print(format!("{number:6}\t")).await?;
                process.print(line).await?;
            }
            continue;
        }
        loop {
            // Somebody may wait for what there is.
            process.flush().await?;
            let bytes = input.read().await?;
            if bytes.is_empty() {
                break;
            }
            process.print(bytes).await?;
        }
    }
    Ok(code)
}

/// `-20` is `-n 20`.
fn with_count(process: &mut Process) {
    for word in process.args.iter_mut().skip(1) {
        if word.len() > 1 && word.starts_with('-') && word[1..].chars().all(|c| c.is_ascii_digit()) {
            *word = format!("-n{}", &word[1..]);
        }
    }
}

async fn title(process: &mut Process, options: &Options, name: &str, place: usize) -> Result<(), Failure> {
    if (options.rest.len() > 1 && !options.has('q')) || options.has('v') {
        let before = if place > 0 { "\n" } else { "" };
        process.print(format!("{before}==> {name} <==\n")).await?;
    }
    Ok(())
}

pub async fn head(process: &mut Process) -> Outcome {
    with_count(process);
    let options = Options::read(process, "qv", "nc", &[("lines", 'n'), ("bytes", 'c')])?;
    for (place, name) in options.files().into_iter().enumerate() {
        title(process, &options, &name, place).await?;
        let input = process.open(&name)?;
        if let Some(bytes) = options.value('c').map(size).transpose()? {
            let mut left = bytes;
            while left > 0 {
                let part = input.read_exactly(left.min(32 << 10)).await?;
                if part.is_empty() {
                    break;
                }
                left -= part.len();
                process.print(part).await?;
            }
            continue;
        }
        let wanted = options.value('n').unwrap_or("10");
        if let Some(without) = wanted.strip_prefix('-') {
            let mut kept = VecDeque::new();
            while let Some(line) = input.line().await? {
                kept.push_back(line);
                if kept.len() > size(without)? {
                    process.print(kept.pop_front().unwrap_or_default()).await?;
                }
            }
            continue;
        }
        for _ in 0..size(wanted)? {
            let Some(line) = input.line().await? else { break };
            process.print(line).await?;
        }
    }
    Ok(0)
}

/// A count such as `10`, `4k`, `1M`.
fn size(text: &str) -> Result<usize, Failure> {
    let digits = text.trim_end_matches(['k', 'K', 'm', 'M']);
    let unit = match &text[digits.len()..] {
        "" => 1,
        "k" | "K" => 1 << 10,
        _ => 1 << 20,
    };
    let count: usize = digits.parse().map_err(|_| failure(format!("invalid number '{text}'")))?;
    Ok(count.saturating_mul(unit))
}

pub async fn tail(process: &mut Process) -> Outcome {
    with_count(process);
    let options = Options::read(process, "fFqv", "ncs", &[("lines", 'n'), ("bytes", 'c'), ("follow", 'f')])?;
    let follows = options.has('f') || options.has('F');
    let mut last = None;
    for (place, name) in options.files().into_iter().enumerate() {
        title(process, &options, &name, place).await?;
        let input = process.open(&name)?;
        match (options.value('c'), options.value('n').unwrap_or("10")) {
            (Some(bytes), _) => tail_bytes(process, &input, bytes).await?,
            (None, lines) => tail_lines(process, &input, lines).await?,
        }
        last = Some(input);
    }
    if let Some(input) = last.filter(|_| follows) {
        loop {
            process.flush().await?;
            let bytes = input.read().await?;
            if bytes.is_empty() {
                task::sleep(LOOK_AGAIN_NANOSECONDS).await;
            }
            process.print(bytes).await?;
        }
    }
    Ok(0)
}

async fn tail_bytes(
    process: &mut Process,
    input: &crate::stream::Input,
    wanted: &str,
) -> Result<(), Failure> {
    if let Some(from) = wanted.strip_prefix('+') {
        let mut skipped = size(from)?.saturating_sub(1);
        while skipped > 0 {
            let part = input.read_exactly(skipped.min(32 << 10)).await?;
            if part.is_empty() {
                return Ok(());
            }
            skipped -= part.len();
        }
        loop {
            let bytes = input.read().await?;
            if bytes.is_empty() {
                return Ok(());
            }
            process.print(bytes).await?;
        }
    }
    let most = size(wanted.trim_start_matches('-'))?;
    let mut kept: VecDeque<u8> = VecDeque::new();
    loop {
        let bytes = input.read().await?;
        if bytes.is_empty() {
            break;
        }
        kept.extend(bytes);
        if most > MOST_KEPT_BYTES && kept.len() > MOST_KEPT_BYTES {
            return Err(failure("input is too large"));
        }
        let more = kept.len().saturating_sub(most);
        kept.drain(..more);
    }
    Ok(process.print(Vec::from(kept)).await?)
}

async fn tail_lines(
    process: &mut Process,
    input: &crate::stream::Input,
    wanted: &str,
) -> Result<(), Failure> {
    if let Some(from) = wanted.strip_prefix('+') {
        let mut skipped = size(from)?.saturating_sub(1);
        while let Some(line) = input.line().await? {
            if skipped == 0 {
                process.print(line).await?;
            } else {
                skipped -= 1;
            }
        }
        return Ok(());
    }
    let most = size(wanted.trim_start_matches('-'))?;
    let (mut kept, mut bytes) = (VecDeque::new(), 0);
    while let Some(line) = input.line().await? {
        bytes += line.len();
        kept.push_back(line);
        if kept.len() > most {
            bytes -= kept.pop_front().map_or(0, |line: Vec<u8>| line.len());
        }
        if bytes > MOST_KEPT_BYTES {
            return Err(failure("input is too large"));
        }
    }
    for line in kept {
        process.print(line).await?;
    }
    Ok(())
}

pub async fn tac(process: &mut Process) -> Outcome {
    let options = Options::read(process, "", "", &[])?;
    let mut lines = Vec::new();
    for name in options.files() {
        let all = process.open(&name)?.read_all(MOST_KEPT_BYTES).await?;
        lines.extend(all.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    }
    for line in lines.into_iter().rev() {
        process.print(line).await?;
    }
    Ok(0)
}

pub async fn wc(process: &mut Process) -> Outcome {
    let options = Options::read(process, "lwcmL", "", &[("lines", 'l'), ("words", 'w'), ("bytes", 'c')])?;
    let mut total = [0_usize; 3];
    let wanted = |letters: &str| letters.chars().any(|letter| options.has(letter));
    let all = !wanted("lwcm");
    let shown = [all || wanted("l"), all || wanted("w"), all || wanted("cm")];
    let only = shown.iter().filter(|shown| **shown).count() == 1 && options.rest.len() < 2;
    let row = |counts: &[usize; 3], name: &str| {
        let counts = counts.iter().zip(shown).filter(|(_, shown)| *shown).map(|(count, _)| *count);
        let columns: Vec<String> =
            counts.map(|count| if only { count.to_string() } else { format!("{count:7}") }).collect();
        let name = if name == "-" { String::new() } else { format!(" {name}") };
        format!("{}{name}\n", columns.join(" "))
    };
    for name in options.files() {
        let input = process.open(&name)?;
        let (mut counts, mut in_word) = ([0_usize; 3], false);
        loop {
            let bytes = input.read().await?;
            if bytes.is_empty() {
                break;
            }
            for byte in &bytes {
                counts[0] += usize::from(*byte == b'\n');
                let is_blank = byte.is_ascii_whitespace();
                counts[1] += usize::from(!is_blank && !in_word);
                in_word = !is_blank;
                // The first bytes of characters have another form than those that follow.
                counts[2] += usize::from(!options.has('m') || byte & 0xc0 != 0x80);
            }
        }
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        process.print(row(&counts, &name)).await?;
    }
    if options.rest.len() > 1 {
        process.print(row(&total, "total")).await?;
    }
    Ok(0)
}

pub async fn tee(process: &mut Process) -> Outcome {
    let options = Options::read(process, "ai", "", &[("append", 'a')])?;
    let mut outputs = vec![process.stdout.clone()];
    for name in &options.rest {
        let file =
            files::create(&process.path(name), options.has('a')).map_err(|error| about(name, &error))?;
        outputs.push(Output::File(Rc::new(file)));
    }
    loop {
        let bytes = process.stdin.read().await?;
        if bytes.is_empty() {
            return Ok(0);
        }
        for output in &outputs {
            output.write(&bytes).await?;
        }
    }
}
