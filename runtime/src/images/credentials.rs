//! Who to be at which registry: Docker's configuration files, and the Secrets that hold one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::Reference;

/// The largest configuration file that is read.
const LARGEST: u64 = 1 << 20;

/// Who to be at the registries that a pattern fits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credential {
    /// Host, port and path; a `*` in a part of the host stands for any.
    pattern: String,
    pub(super) login: Login,
}

/// How to say who one is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Login {
    Password {
        user: String,
        password: String,
    },
    /// To be exchanged for a token at each use.
    Refresh(String),
}

/// Nobody reads secrets in logs.
impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credential({})", self.pattern)
    }
}

/// The text holds no credentials.
#[derive(Debug, thiserror::Error)]
#[error("it is no Docker configuration: {0}")]
pub struct NoCredentials(String);

/// A Docker configuration file.
#[derive(Clone, Debug, Default)]
pub struct DockerConfig {
    /// Who to be where.
    pub credentials: Vec<Credential>,
    /// The registries whose credentials are in the care of another program; `*` for all.
    pub(super) helped: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConfig {
    auths: BTreeMap<String, RawAuth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawAuth {
    auth: String,
    username: String,
    password: String,
    #[serde(alias = "identityToken")]
    identitytoken: String,
}

impl DockerConfig {
    /// Reads the form of `~/.docker/config.json` and of Secrets of type `kubernetes.io/dockerconfigjson`.
    pub fn parse(text: &[u8]) -> Result<Self, NoCredentials> {
        let raw: RawConfig = serde_json::from_slice(text).map_err(|error| NoCredentials(shown(&error)))?;
        let all = (!raw.creds_store.is_empty()).then(|| "*".to_owned());
        Ok(Self {
            credentials: credentials(raw.auths)?,
            helped: raw.cred_helpers.into_keys().chain(all).collect(),
        })
    }

    /// Reads the older form, of `~/.dockercfg` and of Secrets of type `kubernetes.io/dockercfg`.
    pub fn parse_old(text: &[u8]) -> Result<Self, NoCredentials> {
        let raw = serde_json::from_slice(text).map_err(|error| NoCredentials(shown(&error)))?;
        Ok(Self { credentials: credentials(raw)?, helped: Vec::new() })
    }

    /// Reads a file; one that is not there holds none.
    pub(super) fn read(path: &Path) -> Result<Self, NoCredentials> {
        match std::fs::metadata(path) {
            Err(_) => return Ok(Self::default()),
            Ok(metadata) if metadata.len() > LARGEST => {
                return Err(NoCredentials(format!("it has more than {LARGEST} bytes")));
            }
            Ok(_) => {}
        }
        let text = std::fs::read(path).map_err(|error| NoCredentials(error.to_string()))?;
        Self::parse(&text)
    }

    /// The file of this user: `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`.
    pub fn path_of_user() -> Option<PathBuf> {
        let given = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let folder = given.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
        Some(folder.join("config.json"))
    }

    /// Whether another program would have to be asked for the credentials of a registry.
    pub(super) fn is_helped(&self, host: &str) -> bool {
        self.helped.iter().any(|helped| helped == "*" || plain(helped).0 == host)
    }
}

/// A syntax error without what stands there: it may be a password.
fn shown(error: &serde_json::Error) -> String {
    format!("it cannot be read at line {} column {}", error.line(), error.column())
}

fn credentials(auths: BTreeMap<String, RawAuth>) -> Result<Vec<Credential>, NoCredentials> {
    let credential = |(pattern, auth): (String, RawAuth)| match login(&auth) {
        Ok(Some(login)) => Some(Ok(Credential { pattern, login })),
        Ok(None) => None,
        Err(()) => Some(Err(NoCredentials(format!("what stands for {pattern:?} is no user and password")))),
    };
    auths.into_iter().filter_map(credential).collect()
}

fn login(auth: &RawAuth) -> Result<Option<Login>, ()> {
    if !auth.identitytoken.is_empty() {
        return Ok(Some(Login::Refresh(auth.identitytoken.clone())));
    }
    if !auth.username.is_empty() {
        return Ok(Some(Login::Password { user: auth.username.clone(), password: auth.password.clone() }));
    }
    let packed = auth.auth.trim();
    if packed.is_empty() {
        return Ok(None);
    }
    let unpacked = STANDARD.decode(packed).or_else(|_| STANDARD_NO_PAD.decode(packed)).map_err(drop)?;
    let unpacked = String::from_utf8(unpacked).map_err(drop)?;
    let (user, password) = unpacked.split_once(':').ok_or(())?;
    // Docker pads passwords with zero bytes.
    let password = password.trim_end_matches('\0');
    Ok(Some(Login::Password { user: user.to_owned(), password: password.to_owned() }))
}

/// Those that fit an image, each once, the most special pattern first, as the kubelet tries them.
pub(super) fn fitting<'a>(
    credentials: impl IntoIterator<Item = &'a Credential>,
    reference: &Reference,
) -> Vec<&'a Credential> {
    let repository = reference.repository();
    let mut fitting: Vec<&Credential> =
        credentials.into_iter().filter(|credential| fits(&credential.pattern, &repository)).collect();
    fitting.sort_by(|left, right| plain(&right.pattern).cmp(&plain(&left.pattern)));
    fitting.dedup();
    fitting
}

fn fits(pattern: &str, repository: &str) -> bool {
    let (host, path) = plain(pattern);
    let (own_host, own_path) = repository.split_once('/').unwrap_or((repository, ""));
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let (own_name, own_port) = own_host.split_once(':').unwrap_or((own_host, ""));
    let parts: Vec<&str> = name.split('.').collect();
    let own_parts: Vec<&str> = own_name.split('.').collect();
    port == own_port
        && parts.len() == own_parts.len()
        && parts.iter().zip(own_parts).all(|(part, own)| glob(part, own))
        && own_path.starts_with(path)
}

/// A pattern's host and path, without what Docker writes around them.
fn plain(pattern: &str) -> (&str, &str) {
    let pattern = pattern.strip_prefix("https://").or(pattern.strip_prefix("http://")).unwrap_or(pattern);
    let (host, path) = pattern.split_once('/').unwrap_or((pattern, ""));
    let path = path.trim_end_matches('/');
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    (host, path)
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            let Some(rest) = text.strip_prefix(before) else { return false };
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && glob(after, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn config(auths: serde_json::Value) -> Result<DockerConfig, NoCredentials> {
        DockerConfig::parse(json!({"auths": auths}).to_string().as_bytes())
    }

    #[test]
    fn each_form_of_credentials_is_read() {
        let auths = json!({
            "a.io": {"auth": STANDARD.encode("me:pass:word\0")},
            "b.io": {"username": "you", "password": "p", "auth": "ignored"},
            "c.io": {"identitytoken": "long"},
            "d.io": {"email": "x@y"},
        });
        let read = config(auths.clone()).unwrap();
        let old = DockerConfig::parse_old(auths.to_string().as_bytes()).unwrap();
        assert_eq!(read.credentials, old.credentials);
        let logins: Vec<Login> = read.credentials.into_iter().map(|credential| credential.login).collect();
        let password =
            |user: &str, password: &str| Login::Password { user: user.into(), password: password.into() };
        assert!(logins == [password("me", "pass:word"), password("you", "p"), Login::Refresh("long".into())]);
    }

    #[test]
    fn what_is_none_is_refused_without_showing_it() {
        for auths in
            [json!({"a.io": {"auth": "c2VjcmV0"}}), json!({"a.io": {"auth": "!secret"}}), json!(["secret"])]
        {
            let refused = config(auths).unwrap_err().to_string();
            assert!(
                refused.starts_with("it is no Docker configuration: ") && !refused.contains("secret"),
                "{refused}"
            );
        }
        let read = config(json!({"a.io": {"username": "me", "password": "secret"}})).unwrap();
        assert!(!format!("{read:?}").contains("secret"));
    }

    #[test]
    fn a_pattern_fits_as_the_kubelet_has_it() {
        let check = |pattern: &str, image: &str, expected: bool| {
            let reference: Reference = image.parse().unwrap();
            assert_eq!(fits(pattern, &reference.repository()), expected, "{pattern} {image}");
        };
        check("https://index.docker.io/v1/", "nginx", true);
        check("docker.io/team", "team/app", true);
        check("docker.io/team", "other/app", false);
        check("reg.io:5000", "reg.io:5000/app", true);
        check("reg.io:5000", "reg.io/app", false);
        check("*.reg.io", "eu.reg.io/app", true);
        check("*.reg.io", "reg.io/app", false);
        check("*.reg.io", "a.b.reg.io/app", false);
        check("eu-*.reg.io", "eu-west.reg.io/app", true);
        check("http://reg.io/v2/", "reg.io/app", true);
    }

    #[test]
    fn the_most_special_is_tried_first_and_each_once() {
        let of = |pattern: &str| Credential {
            pattern: pattern.to_owned(),
            login: Login::Refresh(pattern.to_owned()),
        };
        let known = [of("reg.io"), of("reg.io/a/b"), of("other.io"), of("reg.io/a"), of("reg.io/a")];
        let reference: Reference = "reg.io/a/b/c".parse().unwrap();
        let fitting: Vec<&str> =
            fitting(&known, &reference).iter().map(|credential| credential.pattern.as_str()).collect();
        assert_eq!(fitting, ["reg.io/a/b", "reg.io/a", "reg.io"]);
    }

    #[test]
    fn credentials_in_the_care_of_other_programs_are_known() {
        let text = json!({"credHelpers": {"gcr.io": "gcloud"}}).to_string();
        let some = DockerConfig::parse(text.as_bytes()).unwrap();
        assert!(some.is_helped("gcr.io") && !some.is_helped("docker.io"));
        let all = DockerConfig::parse(json!({"credsStore": "desktop"}).to_string().as_bytes()).unwrap();
        assert!(all.is_helped("docker.io"));
    }
}
