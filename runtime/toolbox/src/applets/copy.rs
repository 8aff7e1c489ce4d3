//! `cp`, `mv` and `rm`.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};

use super::folders::link;
use crate::files::{self, Kind};
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, about, failure};
use crate::task::{self, Boxed};

const CHUNK_BYTES: usize = 64 << 10;

/// Sources and the whole paths they go to.
fn targets(process: &Process, options: &Options) -> Result<Vec<(String, String)>, Failure> {
    let (mut sources, folder) = (options.rest.clone(), options.value('t').map(str::to_owned));
    let target = match folder {
        Some(folder) => folder,
        None if sources.len() > 1 => sources.pop().unwrap_or_default(),
        None => return Err(failure("missing file operand")),
    };
    let path = process.path(&target);
    let into = files::is_folder(&path) && !options.has('T');
    if !into && (sources.len() > 1 || target.ends_with('/')) {
        return Err(failure(format!("target '{target}': Not a directory")));
    }
    let goes_to = |source: &String| match into {
        true => files::within(&path, files::base(&process.path(source))),
        false => path.clone(),
    };
    Ok(sources.iter().map(|source| (source.clone(), goes_to(source))).collect())
}

pub async fn cp(process: &mut Process) -> Outcome {
    let options = Options::read(process, "rRafpdvTnPL", "t", &[("recursive", 'r'), ("archive", 'a')])?;
    let recursive = ["r", "R", "a"].iter().any(|flag| options.has(flag.chars().next().unwrap_or('r')));
    let mut code = 0;
    for (source, target) in targets(process, &options)? {
        let path = process.path(&source);
        if options.has('n') && files::facts(&target).is_ok() {
            continue;
        }
        let copied = if files::is_folder(&path) && !recursive {
            Err(failure(format!("omitting directory '{source}'")))
        } else if target == path || target.starts_with(&files::within(&path, "")) {
            Err(failure(format!("'{source}' and '{target}' are the same")))
        } else {
            copy(&path, &target, recursive).await
        };
        if let Err(problem) = copied {
            process.complain(&problem.words).await;
            code = 1;
        }
    }
    Ok(code)
}

fn copy<'a>(source: &'a str, target: &'a str, keeps_links: bool) -> Boxed<'a, Result<(), Failure>> {
    Box::pin(async move {
        task::yield_now().await;
        let facts = if keeps_links { files::own_facts(source) } else { files::facts(source) };
        match facts.map_err(|error| about(source, &error))?.kind {
            Kind::Folder => {
                if !files::is_folder(target) {
                    fs::create_dir(target).map_err(|error| about(target, &error))?;
                }
                for name in files::list(source).map_err(|error| about(source, &error))? {
                    copy(&files::within(source, &name), &files::within(target, &name), keeps_links).await?;
                }
                Ok(())
            }
            Kind::Link => {
                let leads_to = fs::read_link(source).map_err(|error| about(source, &error))?;
                link(&leads_to.to_string_lossy(), target).map_err(|error| about(target, &error))
            }
            _ => copy_file(source, target).await,
        }
    })
}

async fn copy_file(source: &str, target: &str) -> Result<(), Failure> {
    let mut from = files::open(source).map_err(|error| about(source, &error))?;
    let mut to = files::create(target, false).map_err(|error| about(target, &error))?;
    let mut bytes = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut bytes).map_err(|error| about(source, &error))?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..read]).map_err(|error| about(target, &error))?;
        task::yield_now().await;
    }
}

pub async fn mv(process: &mut Process) -> Outcome {
    let options = Options::read(process, "fvTni", "t", &[])?;
    let mut code = 0;
    for (source, target) in targets(process, &options)? {
        let path = process.path(&source);
        if options.has('n') && files::facts(&target).is_ok() {
            continue;
        }
        let moved = match fs::rename(&path, &target) {
            Err(error) if is_elsewhere(&error) && files::own_facts(&path).is_ok() => {
                match copy(&path, &target, true).await {
                    Ok(()) => remove(&path).await.map_err(|error| about(&source, &error)),
                    failed => failed,
                }
            }
            renamed => {
                renamed.map_err(|error| failure(format!("can't rename '{source}': {}", files::words(&error))))
            }
        };
        if let Err(problem) = moved {
            process.complain(&problem.words).await;
            code = 1;
        }
    }
    Ok(code)
}

/// From one mount to another nothing can be renamed.
fn is_elsewhere(error: &io::Error) -> bool {
    const CROSSES: [i32; 3] = [18, 75, 76];
    error.kind() == ErrorKind::CrossesDevices
        || error.raw_os_error().is_some_and(|code| CROSSES.contains(&code))
}

pub async fn rm(process: &mut Process) -> Outcome {
    let options = Options::read(process, "rRfvd", "", &[("recursive", 'r'), ("force", 'f')])?;
    let recursive = options.has('r') || options.has('R');
    if options.rest.is_empty() && !options.has('f') {
        return Err(failure("missing operand"));
    }
    let mut code = 0;
    for name in &options.rest {
        let path = process.path(name);
        let removed = match files::own_facts(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && options.has('f') => Ok(()),
            Err(error) => Err(error),
            Ok(facts) if facts.is_folder() && !recursive => Err(ErrorKind::IsADirectory.into()),
            Ok(_) => remove(&path).await,
        };
        if let Err(error) = removed {
            process.complain(&format!("can't remove '{name}': {}", files::words(&error))).await;
            code = 1;
        }
    }
    Ok(code)
}

fn remove(path: &str) -> Boxed<'_, io::Result<()>> {
    Box::pin(async move {
        task::yield_now().await;
        if !files::own_facts(path)?.is_folder() {
            return fs::remove_file(path);
        }
        for name in files::list(path)? {
            remove(&files::within(path, &name)).await?;
        }
        fs::remove_dir(path)
    })
}
