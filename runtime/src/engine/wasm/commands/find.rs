//! Finds what a command's name stands for: a program among the container's files, its own program, or one of the toolbox.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::super::super::ExecError;
use super::super::Kind;
use super::super::toolbox::{self, Toolbox, hex};
use super::Inside;
use crate::images::{ImageKind, LARGEST_PROGRAM};

/// Where the programs of the toolbox seem to lie.
const FOLDERS: [&str; 6] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// A program, and what it is called with.
pub(super) struct Found {
    pub(super) kind: Arc<Kind>,
    pub(super) args: Vec<String>,
    pub(super) folder: String,
}

/// What a file holds.
enum Content {
    Program(Vec<u8>, ImageKind),
    Script,
    Other,
}

impl Inside {
    /// Finds a command, in the order in which a shell of the container would.
    pub(super) async fn find(&self, command: &[String]) -> Result<Found, ExecError> {
        let place = &self.0;
        let folder = if place.working_dir.is_empty() { "/".to_owned() } else { place.working_dir.clone() };
        let name = command.first().map_or("", String::as_str);
        let paths = if name.contains('/') { vec![absolute(&folder, name)] } else { self.paths(name) };
        let found = |kind, args: Vec<String>| Found { kind, args, folder };
        for path in &paths {
            match self.read(path) {
                Ok(Content::Program(bytes, kind)) => {
                    return Ok(found(self.compile(name, bytes, kind).await?, command.to_vec()));
                }
                Ok(Content::Script) if name.contains('/') => {
                    let args = [vec!["sh".to_owned(), path.clone()], command[1..].to_vec()].concat();
                    return Ok(found(self.toolbox().await?, args));
                }
                Ok(_) if name.contains('/') => return Err(failure(name, "exec format error")),
                Err(error) if name.contains('/') && error.kind() != ErrorKind::NotFound => {
                    return Err(failure(name, "permission denied"));
                }
                _ => {}
            }
        }
        if place.args.first().is_some_and(|own| own == name || base(own) == name) && !name.is_empty() {
            return Ok(found(Arc::clone(&place.own), command.to_vec()));
        }
        let (parent, applet) = name.rsplit_once('/').unwrap_or((FOLDERS[0], name));
        if Toolbox::has(applet) && FOLDERS.contains(&parent) {
            return Ok(found(self.toolbox().await?, command.to_vec()));
        }
        Err(match name.contains('/') {
            true => failure(name, &format!("stat {name}: no such file or directory")),
            false => failure(name, "executable file not found in $PATH"),
        })
    }

    /// Where a name is looked for.
    fn paths(&self, name: &str) -> Vec<String> {
        let env = self.environment(false);
        let path = env.iter().find(|(known, _)| known == "PATH").map_or("", |(_, value)| value);
        let folders = path.split(':').filter(|folder| folder.starts_with('/') && !name.is_empty());
        folders
            .flat_map(|folder| [absolute(folder, name), absolute(folder, &format!("{name}.wasm"))])
            .collect()
    }

    fn read(&self, path: &str) -> io::Result<Content> {
        let bytes = self.0.directories.read_file(path, LARGEST_PROGRAM)?;
        Ok(match bytes.get(..8) {
            Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => Content::Program(bytes, ImageKind::Module),
            Some([0, b'a', b's', b'm', ..]) => Content::Program(bytes, ImageKind::Component),
            _ if bytes.starts_with(b"#!") => Content::Script,
            _ => Content::Other,
        })
    }

    /// A program that the toolbox found among the container's files.
    pub(super) async fn program_at(&self, path: &str) -> Result<Arc<Kind>, ExecError> {
        match self.read(path) {
            Ok(Content::Program(bytes, kind)) => self.compile(path, bytes, kind).await,
            Ok(_) => Err(failure(path, "exec format error")),
            Err(error) => Err(failure(path, &error.to_string())),
        }
    }

    /// The toolbox, compiled when it is first needed.
    async fn toolbox(&self) -> Result<Arc<Kind>, ExecError> {
        let programs = &self.0.programs;
        let image = programs.toolbox.image();
        let image = image.map_err(|error| ExecError { message: format!("write the toolbox: {error}") })?;
        let program = programs.program(&image).await;
        Ok(Arc::clone(&program.map_err(|error| ExecError { message: error.message })?.kind))
    }

    /// Compiles a copy that no guest can change: its hash names the code from now on.
    async fn compile(&self, name: &str, bytes: Vec<u8>, kind: ImageKind) -> Result<Arc<Kind>, ExecError> {
        let programs = &self.0.programs;
        let folder = programs.shared.scratch.clone();
        let copy = move || -> io::Result<_> {
            std::fs::create_dir_all(&folder)?;
            let mut file = tempfile::Builder::new().prefix("program-").tempfile_in(folder)?;
            file.write_all(&bytes)?;
            let digest = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
            let image = toolbox::image("localhost/program:latest", file.path(), &digest, kind)?;
            Ok((file, image))
        };
        let (_file, image) = copy().map_err(|error| failure(name, &error.to_string()))?;
        let program = programs.program(&image).await;
        program.map(|program| Arc::clone(&program.kind)).map_err(|error| failure(name, &error.message))
    }
}

/// In the words of a container runtime.
fn failure(name: &str, words: &str) -> ExecError {
    ExecError { message: format!("failed to exec in container: exec: {name:?}: {words}") }
}

/// The whole path of a name, without `.` and `..`.
fn absolute(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let start = if name.starts_with('/') { "" } else { folder };
    for part in start.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The last part of a path, without what says that it is WebAssembly.
fn base(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".wasm").unwrap_or(name)
}
