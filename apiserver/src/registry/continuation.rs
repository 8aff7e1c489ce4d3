//! The tokens by which lists go on: at which moment, and after which object. Written as Kubernetes writes them.

use api::{Key, Revision, Status};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

const VERSION: &str = "meta.k8s.io/v1";

/// What stands for a revision if the list is to go on as things are now.
const LATEST: i64 = -1;

/// Where a list goes on, and at which moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Continuation {
    /// None: as things are now, which may not fit what was listed before.
    pub revision: Option<Revision>,
    pub after: Key,
}

/// The parts of a token.
#[derive(Deserialize, Serialize)]
struct Token {
    #[serde(rename = "v", default)]
    version: String,
    #[serde(rename = "rv", default)]
    revision: i64,
    #[serde(default)]
    start: String,
}

impl Token {
    fn write(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Continuation {
    /// The token in a list of `namespace`; an empty one is the cluster or all namespaces.
    pub fn write(&self, namespace: &str) -> String {
        let Key { namespace: own, name } = &self.after;
        // The first text after a name is the name with a NUL.
        let start = match namespace.is_empty() && !own.is_empty() {
            true => format!("{own}/{name}\0"),
            false => format!("{name}\0"),
        };
        let revision = self.revision.map_or(Some(LATEST), |revision| i64::try_from(revision.0).ok());
        Token { version: VERSION.to_owned(), revision: revision.unwrap_or(LATEST), start }.write()
    }

    /// The same token for as things are now.
    pub fn latest(token: &str) -> Option<String> {
        let token = Token { revision: LATEST, ..decode(token).ok()? };
        Some(token.write())
    }

    /// Reads a token that came with a list of `namespace`.
    pub fn read(token: &str, namespace: &str, namespaced: bool) -> Result<Self, Status> {
        let Token { version, revision, start } = decode(token).map_err(invalid)?;
        let refuse = |words: &str| Err(invalid(words.to_owned()));
        if version != VERSION {
            let words = "continue key is not valid: server does not recognize this encoded version";
            return refuse(format!("{words} {version}").trim_end());
        }
        if revision == 0 {
            return refuse(
                "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            );
        }
        if start.is_empty() {
            return refuse("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)");
        }
        if !is_clean(&start) {
            return refuse(&format!("continue key is not valid: {start}"));
        }
        let start = start.strip_prefix('/').unwrap_or(&start);
        let after = match start.split_once('/') {
            Some((own, name)) if namespaced && namespace.is_empty() => Key::new(own, name),
            _ => Key::new(namespace, start),
        };
        let revision = u64::try_from(revision).ok().map(Revision);
        Ok(Self { revision, after })
    }
}

fn decode(token: &str) -> Result<Token, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("continue key is not valid: {error}");
    let json = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&json).map_err(|error| wrong(&error))
}

/// Whether no segment leads elsewhere than it says.
fn is_clean(start: &str) -> bool {
    let path = start.strip_prefix('/').unwrap_or(start);
    path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

fn invalid(words: String) -> Status {
    Status::bad_request(format!("invalid continue token: {words}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were() {
        let row = |revision: Option<u64>, after: Key, namespace: &str, start: &str| {
            let revision = revision.map(Revision);
            let token = Continuation { revision, after: after.clone() }.write(namespace);
            let read = Continuation::read(&token, namespace, !after.namespace.is_empty()).unwrap();
            let next = Key::new(&*after.namespace, format!("{}\0", after.name));
            assert_eq!((read.revision, &read.after), (revision, &next));
            let json = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
            assert!(String::from_utf8(json).unwrap().contains(start));
        };
        row(Some(7), Key::new("a", "b"), "a", r#""rv":7,"start":"b\u0000""#);
        row(Some(7), Key::new("a", "b"), "", r#""rv":7,"start":"a/b\u0000""#);
        row(Some(7), Key::cluster("b"), "", r#""start":"b\u0000""#);
        row(None, Key::cluster("b"), "", r#""rv":-1"#);
    }

    #[test]
    fn made_up_tokens_are_refused_in_kubernetes_words() {
        let row = |json: &str, words: &str| {
            let token = BASE64_URL_SAFE_NO_PAD.encode(json);
            let status = Continuation::read(&token, "", true).unwrap_err();
            let words = format!("invalid continue token: continue key is not valid: {words}");
            assert_eq!((status.code, status.message), (400, words), "{json}");
        };
        row(r#"{"v":"v9","rv":1,"start":"a"}"#, "server does not recognize this encoded version v9");
        row(
            r#"{"v":"meta.k8s.io/v1","start":"a"}"#,
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        );
        row(r#"{"v":"meta.k8s.io/v1","rv":1}"#, "encoded start key empty (version meta.k8s.io/v1)");
        row(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a/../b"}"#, "a/../b");
        assert_eq!(Continuation::read("x y", "", true).unwrap_err().code, 400);
        assert_eq!(Continuation::read("", "", true).unwrap_err().code, 400);
    }
}
