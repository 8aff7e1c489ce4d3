//! Programs that make and name files: `mkdir`, `rmdir`, `touch`, `ln`, `readlink`, `realpath`, `mktemp`; and what has no meaning.

use std::fs::{self, FileTimes, OpenOptions};
use std::time::SystemTime;

use crate::files;
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, about, failure};

pub async fn no_owners(_: &mut Process) -> Outcome {
    Err(failure(
        "files have no owners and modes in a WebAssembly container: its mounts say what may be written",
    ))
}

pub async fn mkdir(process: &mut Process) -> Outcome {
    let options = Options::read(process, "pv", "m", &[("parents", 'p')])?;
    let mut code = 0;
    for name in &options.rest {
        let path = process.path(name);
        let made = if options.has('p') && files::is_folder(&path) {
            Ok(())
        } else if options.has('p') {
            make_all(&path)
        } else {
            fs::create_dir(&path)
        };
        if let Err(error) = made {
            let words = format!("can't create directory '{name}': {}", files::words(&error));
            process.complain(&words).await;
            code = 1;
        }
    }
    Ok(code)
}

/// Makes a folder and those around it: the ones that lead to mounts are there already.
pub fn make_all(path: &str) -> std::io::Result<()> {
    if files::is_folder(path) {
        return Ok(());
    }
    if path != "/" {
        make_all(files::parent(path))?;
    }
    fs::create_dir(path)
}

pub async fn rmdir(process: &mut Process) -> Outcome {
    let options = Options::read(process, "p", "", &[])?;
    for name in &options.rest {
        fs::remove_dir(process.path(name)).map_err(|error| about(&format!("'{name}'"), &error))?;
    }
    Ok(0)
}

pub async fn touch(process: &mut Process) -> Outcome {
    let options = Options::read(process, "acm", "dtr", &[("no-create", 'c')])?;
    for name in &options.rest {
        let path = process.path(name);
        let exists = files::facts(&path).is_ok();
        if !exists && options.has('c') {
            continue;
        }
        let opened = OpenOptions::new().create(!exists).append(true).open(&path);
        let touched = opened.and_then(|file| {
            let now = SystemTime::now();
            file.set_times(FileTimes::new().set_accessed(now).set_modified(now))
        });
        match touched {
            // Folders cannot be opened to write.
            Err(_) if files::is_folder(&path) => {}
            touched => touched.map_err(|error| about(name, &error))?,
        }
    }
    Ok(0)
}

pub async fn ln(process: &mut Process) -> Outcome {
    let options = Options::read(process, "sfnTv", "", &[("symbolic", 's'), ("force", 'f')])?;
    let [target, rest @ ..] = options.rest.as_slice() else { return Err(failure("missing file operand")) };
    let name = rest.first().map_or(files::base(target), String::as_str);
    let mut path = process.path(name);
    if files::is_folder(&path) && !options.has('n') && !options.has('T') {
        path = files::within(&path, files::base(target));
    }
    if options.has('f') && files::own_facts(&path).is_ok() {
        fs::remove_file(&path).map_err(|error| about(name, &error))?;
    }
    let linked =
        if options.has('s') { link(target, &path) } else { fs::hard_link(process.path(target), &path) };
    linked.map_err(|error| about(name, &error))?;
    Ok(0)
}

/// Makes a symbolic link.
pub fn link(target: &str, path: &str) -> std::io::Result<()> {
    // The standard library has no stable name for it on this target, but WASI has.
    let (folder, rest) = files::preopen_of(path).ok_or(std::io::ErrorKind::NotFound)?;
    folder.symlink_at(target, &rest).map_err(files::error_of)
}

pub async fn readlink(process: &mut Process) -> Outcome {
    let options = Options::read(process, "fen", "", &[])?;
    let name = options.rest.first().ok_or_else(|| failure("missing operand"))?;
    let path = process.path(name);
    let target = if options.has('f') || options.has('e') {
        resolve(&path)?
    } else {
        match fs::read_link(&path) {
            Ok(target) => target.to_string_lossy().into_owned(),
            Err(_) => return Ok(1),
        }
    };
    process.print(format!("{target}{}", if options.has('n') { "" } else { "\n" })).await?;
    Ok(0)
}

pub async fn realpath(process: &mut Process) -> Outcome {
    for name in process.args[1..].to_vec() {
        let path = process.path(&name);
        files::facts(&path).map_err(|error| about(&name, &error))?;
        let line = format!("{}\n", resolve(&path)?);
        process.print(line).await?;
    }
    Ok(0)
}

/// Where a path leads in the end.
fn resolve(path: &str) -> Result<String, Failure> {
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = files::absolute(files::parent(&path), &target.to_string_lossy()),
            Err(_) => return Ok(path),
        }
    }
    Err(failure(format!("{path}: Too many levels of symbolic links")))
}

pub async fn mktemp(process: &mut Process) -> Outcome {
    let options = Options::read(process, "dqtu", "p", &[("tmpdir", 'p')])?;
    let folder = options.value('p').map(str::to_owned).or_else(|| process.env.get("TMPDIR").cloned());
    let folder = folder.filter(|folder| !folder.is_empty()).unwrap_or_else(|| "/tmp".to_owned());
    let template = options.rest.first().cloned().unwrap_or_else(|| files::within(&folder, "tmp.XXXXXX"));
    let start = template.trim_end_matches('X');
    let random = wasi::random::random::get_random_u64();
    let path = process.path(&format!("{start}{:06x}", random & 0xff_ffff));
    let made = if options.has('d') { fs::create_dir(&path) } else { files::create(&path, false).map(drop) };
    made.map_err(|error| about(&path, &error))?;
    process.print(format!("{path}\n")).await?;
    Ok(0)
}
