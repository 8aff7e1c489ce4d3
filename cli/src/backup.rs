//! `peapod backup` and `peapod restore`: one consistent state of every object, as a file.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use apiserver::store::{self, Store};

use crate::data_dir::{self, DataDir};
use crate::https::{self, Identity};
use crate::image::size;
use crate::terminal::Terminal;

/// The path at which a server gives its backup.
const PATH: &str = "/peapod/v1/backup";

/// Writes a backup of the store in `data_dir` to a new file: from its server if one runs, else from the store itself.
pub fn backup(file: &Path, data_dir: &Path, terminal: &Terminal) -> Result<()> {
    ensure!(!file.exists(), "{} exists; a backup replaces nothing", file.display());
    ensure!(data_dir::store(data_dir).exists(), "there is no store in {}", data_dir.display());
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = || format!("write {}", file.display());
    let mut written = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    let mut out = BufWriter::new(written.as_file_mut());
    match DataDir::take(data_dir) {
        Ok(data_dir) => copy(&Store::open(&data_dir.store(), true)?, &mut out)?,
        Err(_) => fetch(data_dir, &mut out)?,
    }
    out.flush().with_context(failed)?;
    drop(out);
    written.as_file().sync_all().with_context(failed)?;
    let summary = store::verify(BufReader::new(written.reopen()?)).context("check what was written")?;
    written.persist_noclobber(file).with_context(failed)?;
    let bytes = size(fs::metadata(file)?.len());
    let words = format!("{} objects at revision {}, {bytes}", summary.objects, summary.revision);
    terminal.line(&format!("{} {}  {}", terminal.good("written "), file.display(), terminal.dim(&words)));
    Ok(())
}

fn copy(store: &Store, out: &mut impl Write) -> Result<()> {
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for chunk in threads.block_on(store.backup())? {
        out.write_all(&chunk)?;
    }
    Ok(())
}

/// Asks the server that holds the data directory, as its administrator.
fn fetch(data_dir: &Path, out: &mut impl Write) -> Result<()> {
    let holder = data_dir::holder(data_dir).filter(|holder| !holder.server.is_empty());
    let holder = holder.context("the data directory is in use, but not yet served; try again")?;
    let read = |name: &str| {
        let path = data_dir::keys(data_dir).join(name);
        fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let (ca, certificate, key) = (read("ca.crt")?, read("admin.crt")?, read("admin.key")?);
    let client = https::client(&ca, Some(Identity { certificate: &certificate, key: &key }))?;
    let url = format!("{}{PATH}", holder.server);
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    threads.block_on(async {
        let mut answer = client.get(&url).send().await.with_context(|| format!("ask {url}"))?;
        if !answer.status().is_success() {
            bail!("{url} answered {}: {}", answer.status(), answer.text().await.unwrap_or_default());
        }
        while let Some(chunk) = answer.chunk().await.with_context(|| format!("read {url}"))? {
            out.write_all(&chunk)?;
        }
        Ok(())
    })
}

/// Makes the store of a data directory that has none from a backup.
pub fn restore(file: &Path, data_dir: &Path, terminal: &Terminal) -> Result<()> {
    let backup = File::open(file).with_context(|| format!("read {}", file.display()))?;
    let data_dir = DataDir::take(data_dir)?;
    let summary = store::restore(BufReader::new(backup), &data_dir.store())
        .with_context(|| format!("restore {} to {}", file.display(), data_dir.path().display()))?;
    let words = format!("{} objects at revision {}", summary.objects, summary.revision);
    let path = data_dir.path().display();
    terminal.line(&format!("{} {path}  {}", terminal.good("restored"), terminal.dim(&words)));
    Ok(())
}
