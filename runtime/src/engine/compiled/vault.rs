//! A folder of files that nobody but their owner wrote and nobody changed since.
//!
//! Beside each file lies a proof, made with a key that only the owner can read. Its first half is of what the file system
//! says of the file: device, inode, size and times. Nobody else can write in the folder, and whoever could has to change
//! the time of the last change, so this half is enough and costs microseconds. The second half is of the content. It counts
//! where the first does not fit, as after a backup was restored; the first half is then made anew.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The folder. Cheap to clone.
#[derive(Clone)]
pub(super) struct Vault {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

const KEY_BYTES: usize = 32;
const KEY_FILE: &str = "key";
/// The length of each half of a proof.
const HALF_BYTES: usize = 32;

impl Vault {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        refuse_foreign(folder)?;
        let key = match read_key(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(folder)?,
            read => read?,
        };
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// The file of that name, if it is there and ours.
    pub(super) fn get(&self, name: &str) -> Option<PathBuf> {
        let path = self.code_file(name);
        let metadata = fs::metadata(&path).ok()?;
        let proof = fs::read(self.proof_file(name)).ok()?;
        let (state, content) = proof.split_at_checked(HALF_BYTES)?;
        if same(state, &self.prove_state(name, &metadata)) {
            return Some(path);
        }
        let is_ours = same(content, &self.prove_content(name, &fs::read(&path).ok()?));
        if is_ours && let Err(error) = self.place_proof(name, &metadata, content) {
            tracing::warn!(path = %path.display(), %error, "compiled code has to be read whole each time");
        }
        is_ours.then_some(path)
    }

    /// Keeps a file. Synced before it is proven: a file that a power cut tears must not have the size it should have.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.code_file(name);
        self.place(&path, bytes)?;
        self.place_proof(name, &fs::metadata(&path)?, &self.prove_content(name, bytes))
    }

    fn place_proof(&self, name: &str, metadata: &Metadata, content: &[u8]) -> io::Result<()> {
        let proof = [&self.prove_state(name, metadata), content].concat();
        self.place(&self.proof_file(name), &proof)
    }

    /// By renaming, as another process may have the old one mapped.
    fn place(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn code_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.cwasm"))
    }

    fn proof_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.proof"))
    }

    /// Of the name too, so that files cannot be exchanged either.
    fn prove_state(&self, name: &str, file: &Metadata) -> [u8; HALF_BYTES] {
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        let numbers = [file.dev(), file.ino(), file.size()];
        let numbers = numbers.map(u64::to_le_bytes).concat();
        let times = times.map(i64::to_le_bytes).concat();
        hmac(&self.key, &[b"state", name.as_bytes(), &[0], &numbers, &times])
    }

    fn prove_content(&self, name: &str, bytes: &[u8]) -> [u8; HALF_BYTES] {
        hmac(&self.key, &[b"content", name.as_bytes(), &[0], bytes])
    }
}

/// HMAC-SHA-256 (RFC 2104), for keys no longer than a block.
fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    const BLOCK_BYTES: usize = 64;
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK_BYTES];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        Sha256::new().chain_update(block)
    };
    let inner = message.iter().fold(padded(0x36), Digest::chain_update);
    padded(0x5c).chain_update(inner.finalize()).finalize().into()
}

/// In time that does not tell how much was right.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |all, (left, right)| all | (left ^ right));
    left.len() == right.len() && differences == 0
}

/// A folder that someone else made and still owns is not ours, even where this user may write it.
fn refuse_foreign(folder: &Path) -> io::Result<()> {
    let own = tempfile::tempfile_in(folder)?.metadata()?.uid();
    if fs::metadata(folder)?.uid() == own {
        return Ok(());
    }
    Err(io::Error::other("the folder belongs to another user"))
}

fn read_key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut file = File::open(folder.join(KEY_FILE))?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::other("the cache's key can be read by others; remove the folder"));
    }
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key)?;
    Ok(key)
}

/// The first of several processes to make it wins; the others read it.
fn make_key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(folder.join(KEY_FILE)) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => read_key(folder),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_proof_is_hmac_sha_256() {
        // RFC 4231, test case 2.
        let proof = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            crate::engine::compiled::hex(&proof),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_file_is_known_again_after_a_restore_but_not_after_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&folder.path().join("code")).unwrap();
        vault.put("a", b"code").unwrap();
        let (code, proof) = (vault.code_file("a"), vault.proof_file("a"));
        let proven = fs::read(&proof).unwrap();
        assert_eq!(vault.get("a"), Some(code.clone()));
        assert_eq!(fs::read(&proof).unwrap(), proven, "the first half was enough");

        let copy = folder.path().join("copy");
        fs::copy(&code, &copy).unwrap();
        fs::rename(&copy, &code).unwrap();
        assert_eq!(vault.get("a"), Some(code.clone()));
        let renewed = fs::read(&proof).unwrap();
        assert_eq!((renewed == proven, &renewed[HALF_BYTES..]), (false, &proven[HALF_BYTES..]));

        let modified = fs::metadata(&code).unwrap().modified().unwrap();
        fs::write(&code, b"evil").unwrap();
        File::options().write(true).open(&code).unwrap().set_modified(modified).unwrap();
        assert_eq!(vault.get("a"), None);

        vault.put("b", b"code").unwrap();
        fs::rename(vault.code_file("b"), &code).unwrap();
        fs::rename(vault.proof_file("b"), &proof).unwrap();
        assert_eq!(vault.get("a"), None, "a file does not take another's place");
    }
}
