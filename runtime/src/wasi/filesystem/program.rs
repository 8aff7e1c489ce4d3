//! Reads a program among the files that a container sees, where its guests may be changing them at the same time.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{Mount, Preopens, open_mounted};

impl Preopens {
    /// The content of a file, by the path at which the container sees it.
    pub fn read_file(&self, guest_path: &str, most_bytes: u64) -> io::Result<Vec<u8>> {
        let (mount, rest) = self.mount_of(guest_path).ok_or(ErrorKind::NotFound)?;
        if rest.is_empty() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let (folder, _) = open_mounted(&mount.host_path)?;
        // A pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        // Links of a root file system begin at its root; those of a volume must not lead out of it.
        let is_root = mount.guest_path == "/";
        let within = if is_root { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
        let resolve = within | ResolveFlags::NO_MAGICLINKS;
        let file = File::from(rustix::fs::openat2(&folder, rest, flags, Mode::empty(), resolve)?);
        if !file.metadata()?.is_file() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let mut bytes = Vec::new();
        file.take(most_bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most_bytes {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    /// The innermost mount that a path leads into, and the way from there.
    fn mount_of<'a>(&self, guest_path: &'a str) -> Option<(&Mount, &'a str)> {
        let ways = self.mounts.iter().filter_map(|mount| {
            let rest = guest_path.strip_prefix(mount.guest_path.trim_end_matches('/'))?;
            let is_within = rest.is_empty() || rest.starts_with('/');
            is_within.then(|| (mount, rest.trim_start_matches('/')))
        });
        ways.min_by_key(|(_, rest)| rest.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_files_within_the_mounts_are_read() {
        let host = tempfile::tempdir().expect("a folder");
        let root = host.path().canonicalize().expect("its path");
        for folder in ["data/bin", "inner", "secret"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        for (file, content) in [("data/bin/tool", "tool"), ("inner/tool", "inner"), ("secret/key", "key")] {
            fs::write(root.join(file), content).expect("a file");
        }
        symlink("../../secret/key", root.join("data/bin/out")).expect("a link");
        symlink(root.join("secret/key"), root.join("data/whole")).expect("a link");
        symlink("bin/tool", root.join("data/within")).expect("a link");
        let mount = |host_path: &str, guest_path: &str| Mount {
            host_path: root.join(host_path),
            guest_path: guest_path.to_owned(),
            read_only: false,
        };
        let mounts = [mount("data", "/data"), mount("inner", "/data/inner")];
        let preopens = Preopens::new(&mounts, &root.join("scratch")).expect("gathered");
        let read = |path: &str, most: u64| {
            preopens.read_file(path, most).map(|bytes| String::from_utf8(bytes).expect("text"))
        };
        assert_eq!(read("/data/bin/tool", 4).expect("read"), "tool");
        assert_eq!(read("/data/inner/tool", 10).expect("read"), "inner");
        assert_eq!(read("/data/within", 10).expect("read"), "tool");
        for path in [
            "/data/bin/out",
            "/data/whole",
            "/data/../secret/key",
            "/secret/key",
            "/data/none",
            "/data",
            "/data/bin",
        ] {
            read(path, 10).expect_err(path);
        }
        assert_eq!(read("/data/bin/tool", 3).expect_err("too large").kind(), ErrorKind::FileTooLarge);
    }
}
