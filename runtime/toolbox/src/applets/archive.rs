//! `tar`: makes and reads archives, as `kubectl cp` asks for it.

use std::fs;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::folders::{link, make_all};
use super::system::seconds_since_epoch;
use crate::files::{self, Kind};
use crate::process::{Failure, Outcome, Process, about, failure};
use crate::stream::{Input, Output};
use crate::task::{self, Boxed};

const BLOCK: usize = 512;
/// Names beyond this are a fault of the archive.
const LONGEST_NAME: usize = 64 << 10;

/// What is asked for.
#[derive(Default)]
struct Asked {
    mode: Option<char>,
    file: Option<String>,
    folder: Option<String>,
    keeps_times: bool,
    is_verbose: bool,
    to_output: bool,
    names: Vec<String>,
}

pub async fn tar(process: &mut Process) -> Outcome {
    let asked = read(process)?;
    if let Some(folder) = &asked.folder {
        let path = process.path(folder);
        if !files::is_folder(&path) {
            return Err(failure(format!("can't change directory to '{folder}': No such file or directory")));
        }
        process.folder = path;
    }
    match asked.mode {
        Some('c') => create(process, &asked).await,
        Some('x' | 't') => extract(process, &asked).await,
        _ => Err(failure("you must give one of c, x and t")),
    }
}

fn read(process: &Process) -> Result<Asked, Failure> {
    let mut asked = Asked { keeps_times: true, ..Asked::default() };
    let mut words = process.args.iter().skip(1).peekable();
    let mut is_first = true;
    while let Some(word) = words.next() {
        let is_bundle = std::mem::take(&mut is_first) && !word.starts_with('-');
        if let Some(name) = word.strip_prefix("--") {
            match name {
                "" => asked.names.extend(words.by_ref().cloned()),
                "no-same-permissions"
                | "no-same-owner"
                | "overwrite"
                | "same-permissions"
                | "numeric-owner" => {}
                "touch" => asked.keeps_times = false,
                other => return Err(failure(format!("unrecognized option '--{other}'"))),
            }
            continue;
        }
        if !is_bundle && (!word.starts_with('-') || word == "-") {
            asked.names.push(word.clone());
            continue;
        }
        let mut letters = word.trim_start_matches('-').chars();
        while let Some(letter) = letters.next() {
            match letter {
                'c' | 'x' | 't' => asked.mode = Some(letter),
                'f' | 'C' => {
                    let own = if is_bundle { String::new() } else { letters.by_ref().collect() };
                    let value = if own.is_empty() { words.next().cloned() } else { Some(own) };
                    let value =
                        value.ok_or_else(|| failure(format!("option requires an argument -- '{letter}'")))?;
                    if letter == 'f' { asked.file = Some(value) } else { asked.folder = Some(value) }
                }
                'm' => asked.keeps_times = false,
                'v' => asked.is_verbose = true,
                'O' => asked.to_output = true,
                'p' | 'o' | 'h' => {}
                'z' | 'j' | 'J' => return Err(failure("compressed archives are not supported")),
                other => return Err(failure(format!("invalid option -- '{other}'"))),
            }
        }
    }
    Ok(asked)
}

async fn create(process: &mut Process, asked: &Asked) -> Outcome {
    let output = match asked.file.as_deref() {
        None | Some("-") => process.stdout.clone(),
        Some(name) => {
            let file = files::create(&process.path(name), false).map_err(|error| about(name, &error))?;
            Output::File(Rc::new(file))
        }
    };
    if asked.names.is_empty() {
        return Err(failure("empty archive"));
    }
    let mut code = 0;
    for name in &asked.names {
        let stored = name.trim_start_matches('/');
        if stored.len() < name.len() && stored != name {
            process.complain("Removing leading '/' from member names").await;
        }
        add(process, asked, &output, name, &mut code).await?;
    }
    output.write(&[0; 2 * BLOCK]).await?;
    Ok(code)
}

fn add<'a>(
    process: &'a mut Process,
    asked: &'a Asked,
    output: &'a Output,
    name: &'a str,
    code: &'a mut i32,
) -> Boxed<'a, Result<(), Failure>> {
    Box::pin(async move {
        let path = process.path(name);
        let facts = match files::own_facts(&path) {
            Ok(facts) => facts,
            Err(error) => {
                process.complain(&about(name, &error).words).await;
                *code = 1;
                return Ok(());
            }
        };
        if asked.is_verbose {
            process.stderr.write(format!("{name}\n").as_bytes()).await?;
        }
        let stored = match name.trim_start_matches('/') {
            "" => ".",
            stored => stored,
        };
        let modified = seconds_since_epoch(facts.modified);
        match facts.kind {
            Kind::Folder => {
                let stored = format!("{}/", stored.trim_end_matches('/'));
                head(output, &stored, "", b'5', 0, modified).await?;
                for entry in files::list(&path).map_err(|error| about(name, &error))? {
                    add(process, asked, output, &files::within(name, &entry), code).await?;
                }
            }
            Kind::Link => {
                let target = fs::read_link(&path).map_err(|error| about(name, &error))?;
                head(output, stored, &target.to_string_lossy(), b'2', 0, modified).await?;
            }
            Kind::File => {
                let opened = files::open(&path).map_err(|error| about(name, &error))?;
                head(output, stored, "", b'0', facts.bytes, modified).await?;
                content(output, &Input::file(opened), facts.bytes).await?;
            }
            Kind::Other => {}
        }
        Ok(())
    })
}

/// The header of an entry; a long name comes before it in an entry of its own.
async fn head(
    output: &Output,
    name: &str,
    target: &str,
    kind: u8,
    bytes: u64,
    modified: i64,
) -> Result<(), Failure> {
    for (text, kind) in [(target, b'K'), (name, b'L')] {
        if text.len() > 100 {
            output.write(&block("././@LongLink", "", kind, text.len() as u64 + 1, 0)).await?;
            let mut padded = text.as_bytes().to_vec();
            padded.resize((text.len() + 1).div_ceil(BLOCK) * BLOCK, 0);
            output.write(&padded).await?;
        }
    }
    Ok(output.write(&block(name, target, kind, bytes, modified)).await?)
}

fn block(name: &str, target: &str, kind: u8, bytes: u64, modified: i64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8], most: usize| {
        let length = text.len().min(most);
        block[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, name.as_bytes(), 100);
    put(100, if kind == b'5' { b"0000755" } else { b"0000644" }, 7);
    put(108, b"0000000", 7);
    put(116, b"0000000", 7);
    // A size that twelve octal digits cannot say is said in binary.
    if bytes < 1 << 33 {
        put(124, format!("{bytes:011o}").as_bytes(), 11);
    } else {
        put(124, &[&[0x80, 0, 0, 0], bytes.to_be_bytes().as_slice()].concat(), 12);
    }
    put(136, format!("{:011o}", modified.max(0)).as_bytes(), 11);
    put(148, b"        ", 8);
    put(156, &[kind], 1);
    put(157, target.as_bytes(), 100);
    put(257, b"ustar  ", 8);
    put(265, b"root", 32);
    put(297, b"root", 32);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

/// The content of a file, exactly as long as its header says.
async fn content(output: &Output, input: &Input, bytes: u64) -> Result<(), Failure> {
    let mut left = bytes;
    while left > 0 {
        let mut part = input.read_exactly(left.min(64 << 10) as usize).await?;
        if part.is_empty() {
            // It has become shorter meanwhile.
            part.resize(left.min(64 << 10) as usize, 0);
        }
        left -= part.len() as u64;
        output.write(&part).await?;
    }
    let rest = (BLOCK as u64 - bytes % BLOCK as u64) % BLOCK as u64;
    Ok(output.write(&vec![0; rest as usize]).await?)
}

/// An entry of an archive.
struct Entry {
    name: String,
    target: String,
    kind: u8,
    bytes: u64,
    modified: u64,
}

async fn extract(process: &mut Process, asked: &Asked) -> Outcome {
    let input = match asked.file.as_deref() {
        None => process.stdin.clone(),
        Some(name) => process.open(name)?,
    };
    let (mut long_name, mut long_target) = (None, None);
    let mut code = 0;
    loop {
        let block = input.read_exactly(BLOCK).await?;
        if block.is_empty() || (block.len() == BLOCK && block.iter().all(|byte| *byte == 0)) {
            return Ok(code);
        }
        let mut entry = entry(&block)?;
        match entry.kind {
            b'L' => long_name = Some(text_of(&input, entry.bytes).await?.trim_end_matches('\0').to_owned()),
            b'K' => long_target = Some(text_of(&input, entry.bytes).await?.trim_end_matches('\0').to_owned()),
            b'x' => {
                let records = text_of(&input, entry.bytes).await?;
                long_name = record(&records, "path").or(long_name);
                long_target = record(&records, "linkpath").or(long_target);
            }
            b'g' => drop(text_of(&input, entry.bytes).await?),
            _ => {
                entry.name = long_name.take().unwrap_or(entry.name);
                entry.target = long_target.take().unwrap_or(entry.target);
                if asked.names.is_empty() || asked.names.iter().any(|wanted| is_below(&entry.name, wanted)) {
                    take_out(process, asked, &entry, &input, &mut code).await?;
                } else {
                    pass_over(&input, entry.bytes).await?;
                }
            }
        }
    }
}

fn is_below(name: &str, wanted: &str) -> bool {
    let (name, wanted) = (name.trim_end_matches('/'), wanted.trim_end_matches('/'));
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn entry(block: &[u8]) -> Result<Entry, Failure> {
    let invalid = || failure("This does not look like a tar archive");
    if block.len() < BLOCK {
        return Err(failure("short read"));
    }
    let octal = |range: std::ops::Range<usize>| {
        let field = &block[range];
        if field[0] & 0x80 != 0 {
            return Some(field[4..12].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
        }
        let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
        if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
    };
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    if octal(148..156) != Some(sum) {
        return Err(invalid());
    }
    let text = |range: std::ops::Range<usize>| {
        let field = &block[range];
        let length = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..length]).into_owned()
    };
    let (name, prefix) = (text(0..100), text(345..500));
    let is_posix = &block[257..263] == b"ustar\0";
    Ok(Entry {
        name: if is_posix && !prefix.is_empty() { format!("{prefix}/{name}") } else { name },
        target: text(157..257),
        kind: block[156],
        bytes: octal(124..136).ok_or_else(invalid)?,
        modified: octal(136..148).unwrap_or(0),
    })
}

/// The text of an entry that says something of the next one.
async fn text_of(input: &Input, bytes: u64) -> Result<String, Failure> {
    let length = usize::try_from(bytes).ok().filter(|length| *length <= LONGEST_NAME);
    let length = length.ok_or_else(|| failure("a name in the archive is too long"))?;
    let text = input.read_exactly(length.div_ceil(BLOCK) * BLOCK).await?;
    Ok(String::from_utf8_lossy(&text[..length.min(text.len())]).into_owned())
}

/// The value of a record such as `30 path=...`.
fn record(records: &str, key: &str) -> Option<String> {
    let mut rest = records;
    while let Some((length, _)) = rest.split_once(' ') {
        let length: usize = length.parse().ok().filter(|length| *length > 0)?;
        let line = rest.get(..length)?;
        if let Some(value) =
            line.split_once(' ').and_then(|(_, pair)| pair.strip_prefix(key)?.strip_prefix('='))
        {
            return Some(value.trim_end_matches('\n').to_owned());
        }
        rest = &rest[length..];
    }
    None
}

async fn pass_over(input: &Input, bytes: u64) -> Result<(), Failure> {
    let mut left = bytes.div_ceil(BLOCK as u64) * BLOCK as u64;
    while left > 0 {
        let part = input.read_exactly(left.min(64 << 10) as usize).await?;
        if part.is_empty() {
            return Err(failure("short read"));
        }
        left -= part.len() as u64;
    }
    Ok(())
}

async fn take_out(
    process: &mut Process,
    asked: &Asked,
    entry: &Entry,
    input: &Input,
    code: &mut i32,
) -> Result<(), Failure> {
    let name = entry.name.trim_start_matches('/');
    if asked.mode == Some('t') {
        process.print(format!("{name}\n")).await?;
        return pass_over(input, entry.bytes).await;
    }
    if name.split('/').any(|part| part == "..") {
        process.complain(&format!("{name}: name with '..' is not extracted")).await;
        *code = 1;
        return pass_over(input, entry.bytes).await;
    }
    if asked.is_verbose {
        process.print(format!("{name}\n")).await?;
    }
    let path = process.path(name);
    let problem = |error: &std::io::Error| failure(format!("can't create '{name}': {}", files::words(error)));
    if asked.to_output && matches!(entry.kind, b'0' | 0) {
        let output = process.stdout.clone();
        return unpack(input, entry.bytes, async |part: &[u8]| Ok(output.write(part).await?)).await;
    }
    if path != "/" {
        make_all(files::parent(&path)).map_err(|error| problem(&error))?;
    }
    match entry.kind {
        b'5' => {
            make_all(&path).map_err(|error| problem(&error))?;
            pass_over(input, entry.bytes).await
        }
        b'2' | b'1' => {
            if files::own_facts(&path).is_ok_and(|facts| !facts.is_folder()) {
                fs::remove_file(&path).map_err(|error| problem(&error))?;
            }
            let made = match entry.kind {
                b'2' => link(&entry.target, &path),
                _ => fs::hard_link(process.path(entry.target.trim_start_matches('/')), &path),
            };
            if let Err(error) = made {
                process.complain(&problem(&error).words).await;
                *code = 1;
            }
            pass_over(input, entry.bytes).await
        }
        b'0' | 0 | b'7' => {
            // Not through a link: it may lead elsewhere than the archive's maker meant.
            if files::own_facts(&path).is_ok_and(|facts| facts.kind == Kind::Link) {
                fs::remove_file(&path).map_err(|error| problem(&error))?;
            }
            let mut file = files::create(&path, false).map_err(|error| problem(&error))?;
            unpack(input, entry.bytes, async |part: &[u8]| {
                task::yield_now().await;
                file.write_all(part).map_err(|error| problem(&error))
            })
            .await?;
            if asked.keeps_times {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.modified.min(1 << 40));
                // Some mounts keep no times.
                let _ = file.set_modified(time);
            }
            Ok(())
        }
        kind => {
            process
                .complain(&format!("{name}: entries of type '{}' are not extracted", char::from(kind)))
                .await;
            *code = 1;
            pass_over(input, entry.bytes).await
        }
    }
}

/// Hands over an entry's content, and passes over what fills its last block.
async fn unpack(
    input: &Input,
    bytes: u64,
    mut take: impl AsyncFnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = bytes;
    while left > 0 {
        let part = input.read_exactly(left.min(64 << 10) as usize).await?;
        if part.is_empty() {
            return Err(failure("short read"));
        }
        left -= part.len() as u64;
        take(&part).await?;
    }
    let fill = (BLOCK as u64 - bytes % BLOCK as u64) % BLOCK as u64;
    input.read_exactly(fill as usize).await?;
    Ok(())
}
