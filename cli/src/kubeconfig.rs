//! Puts a cluster into a kubeconfig: entries of one name come and go, everything else stays as it is.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// How a client reaches a cluster and shows who it is.
#[derive(Clone, Debug)]
pub struct Access {
    /// The name of the context, the cluster and the user.
    pub name: String,
    /// The server, as `https://127.0.0.1:6443`.
    pub server: String,
    /// The cluster's CA, in PEM.
    pub ca: String,
    /// The client's certificate, in PEM.
    pub certificate: String,
    /// The client's key, in PEM.
    pub key: String,
}

/// What became of a kubeconfig.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Whether its current context is now the cluster's.
    pub is_current: bool,
}

/// The kubeconfig of this user: the first file of `KUBECONFIG`, or `~/.kube/config`.
pub fn of_user() -> Result<PathBuf> {
    let listed = env::var_os("KUBECONFIG").unwrap_or_default();
    let first = env::split_paths(&listed).find(|path| !path.as_os_str().is_empty());
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    first.or_else(home).context("no place for a kubeconfig: HOME is not set; name a file with --kubeconfig")
}

/// Adds the cluster to a kubeconfig, or replaces what has its name; makes the file if there is none. The current
/// context changes only if there was none.
pub fn write(path: &Path, access: &Access) -> Result<Written> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().context("the kubeconfig has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    let _lock = Lock::take(&path)?;
    let mut config = read(&path)?;
    let is_current = merge(&mut config, access)?;
    replace(&path, &api::manifest::write(&config))?;
    Ok(Written { path, is_current })
}

fn read(path: &Path) -> Result<Value> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("read {}", path.display()))?,
    };
    let mut documents = api::manifest::read(&path.display().to_string(), &text)?;
    match (documents.pop(), documents.is_empty()) {
        (None, _) => Ok(json!({"apiVersion": "v1", "kind": "Config"})),
        (Some(config), true) if config.value["kind"].as_str().is_none_or(|kind| kind == "Config") => {
            Ok(config.value)
        }
        _ => bail!("{} is not a kubeconfig; nothing was changed", path.display()),
    }
}

/// Says whether the cluster's context is the current one.
fn merge(config: &mut Value, access: &Access) -> Result<bool> {
    let Access { name, server, ca, certificate, key } = access;
    let encode = |pem: &str| STANDARD.encode(pem);
    let cluster = json!({"server": server, "certificate-authority-data": encode(ca)});
    let user = json!({"client-certificate-data": encode(certificate), "client-key-data": encode(key)});
    let context = json!({"cluster": name, "user": name});
    let entries =
        [("clusters", "cluster", cluster), ("users", "user", user), ("contexts", "context", context)];
    let fields = config.as_object_mut().context("the kubeconfig is not a mapping")?;
    for (list, field, value) in entries {
        put(fields, list, name, json!({"name": name, field: value}))?;
    }
    let current = fields.entry("current-context").or_insert_with(|| "".into());
    if current.as_str().is_none_or(str::is_empty) {
        *current = name.as_str().into();
    }
    Ok(*current == name.as_str())
}

/// Replaces the entry with this name where it stands, or adds it at the end.
fn put(fields: &mut Map<String, Value>, list: &str, name: &str, entry: Value) -> Result<()> {
    let entries = fields.entry(list).or_insert(Value::Null);
    if entries.is_null() {
        *entries = json!([]);
    }
    let entries =
        entries.as_array_mut().with_context(|| format!("{list} of the kubeconfig is not a list"))?;
    match entries.iter_mut().find(|known| known["name"] == name) {
        // A namespace that the user chose for the context stays.
        Some(known) if list == "contexts" => merge_fields(&mut known["context"], &entry["context"]),
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
    Ok(())
}

fn merge_fields(known: &mut Value, entry: &Value) {
    for (field, value) in entry.as_object().into_iter().flatten() {
        known[field] = value.clone();
    }
}

/// The file has the old content or the new one, never a part.
fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("the kubeconfig has no folder")?;
    let failed = || format!("write {}", path.display());
    // Temporary files are for their owner only, as the key in this one must be.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(())
}

/// Keeps kubectl from changing the file at the same time, in kubectl's own way.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let made: std::io::Result<File> =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock);
        match made {
            Ok(_) => Ok(Self(lock)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!(
                    "{} is being changed; if no program is at it, remove {}",
                    path.display(),
                    lock.display()
                )
            }
            Err(error) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // What cannot be removed was removed already.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn access(server: &str) -> Access {
        let text = |text: &str| text.to_owned();
        Access {
            name: text("peapod"),
            server: text(server),
            ca: text("ca"),
            certificate: text("cert"),
            key: text("key"),
        }
    }

    #[test]
    fn a_new_file_has_the_cluster_as_its_current_context() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/config");
        assert!(write(&path, &access("https://a:1")).unwrap().is_current);
        let config = read(&path).unwrap();
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://a:1");
        assert_eq!(config["users"][0]["user"]["client-key-data"], "a2V5");
        assert_eq!(config["current-context"], "peapod");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no lock is left");
    }

    #[test]
    fn others_stay_and_an_older_entry_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let theirs = "apiVersion: v1\nkind: Config\npreferences: {}\nclusters:\n- name: other\n  cluster: {server: x}\n\
            - {name: peapod, cluster: {server: old}}\nusers:\ncontexts: [{name: peapod, context: {user: u, namespace: mine}}]\ncurrent-context: other\n";
        fs::write(&path, theirs).unwrap();
        assert!(!write(&path, &access("https://b:2")).unwrap().is_current);
        let config = read(&path).unwrap();
        assert_eq!(config["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(config["clusters"][0], json!({"name": "other", "cluster": {"server": "x"}}));
        assert_eq!(config["clusters"][1]["cluster"]["server"], "https://b:2");
        assert_eq!(config["current-context"], "other");
        assert_eq!(config["preferences"], json!({}));
        let context = json!({"cluster": "peapod", "namespace": "mine", "user": "peapod"});
        assert_eq!(config["contexts"], json!([{"name": "peapod", "context": context}]));
    }

    #[test]
    fn what_is_no_kubeconfig_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["kind: Pod\n", "a: 1\n---\nb: 2\n", "clusters: 3\n", "{{"] {
            let path = folder.path().join("config");
            fs::write(&path, text).unwrap();
            assert!(write(&path, &access("https://a:1")).is_err(), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_locked_file_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(folder.path().join("config.lock"), "").unwrap();
        let error = write(&path, &access("https://a:1")).unwrap_err().to_string();
        assert!(error.contains("config.lock"), "{error}");
        assert!(!path.exists());
    }
}
