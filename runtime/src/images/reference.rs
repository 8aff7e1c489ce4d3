//! The name of an image, `host/path:tag@digest`, read the way container runtimes read it.

use std::fmt;
use std::str::FromStr;

/// Where images without a host in their name come from.
const DEFAULT_HOST: &str = "docker.io";
/// Where images without a folder lie on the default host.
const DEFAULT_FOLDER: &str = "library";
/// Where images lie that were imported from a file: never asked over the network.
const LOCAL_HOST: &str = "localhost";
/// Where images lie that Peapod brings with it: never asked either.
const OWN_HOST: &str = "peapod.dev";
const DEFAULT_TAG: &str = "latest";
/// As registries allow.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// The name of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// The text is no name of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid reference format: `{text}`: {problem}")]
pub struct InvalidReference {
    text: String,
    problem: &'static str,
}

impl Reference {
    /// The name of an image imported from a file: `NAME[:TAG]`, with or without the host `localhost/` before it.
    pub fn local(name: &str) -> Result<Self, InvalidReference> {
        let name = name.strip_prefix("localhost/").unwrap_or(name);
        format!("{LOCAL_HOST}/{name}").parse()
    }

    /// Whether it can only be in the store: it was imported there, or came with Peapod.
    pub fn is_local(&self) -> bool {
        self.host == LOCAL_HOST || self.host == OWN_HOST
    }

    /// The registry, with its port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository within its registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and path, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// The tag; none if there is only a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, `sha256:...`, if it names one.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The last part of the path: what the image is called for short.
    pub fn short_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        parse(text).map_err(|problem| InvalidReference { text: text.to_owned(), problem })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err("a digest is `sha256:` and 64 hexadecimal digits in lower case");
    }
    let (host, rest) = match rest.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == LOCAL_HOST => (host, rest),
        _ => (DEFAULT_HOST, rest),
    };
    if !is_host(host) {
        return Err("a host is letters, digits, `.` and `-`, with `:PORT` after it if need be");
    }
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(
            "a tag is up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
        );
    }
    if !path.split('/').all(is_component) {
        return Err("a name is lower case letters and digits, separated by single `.`, `_`, `-` or `/`");
    }
    if host.len() + 1 + path.len() > LONGEST_NAME {
        return Err("the name is longer than 255 characters");
    }
    let path = if host == DEFAULT_HOST && !path.contains('/') {
        format!("{DEFAULT_FOLDER}/{path}")
    } else {
        path.to_owned()
    };
    let tag = match (tag, digest) {
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        (tag, _) => tag.map(str::to_owned),
    };
    Ok(Reference { host: host.to_owned(), path, tag, digest: digest.map(str::to_owned) })
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_tag(text: &str) -> bool {
    text.len() <= LONGEST_TAG
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Words of `a-z0-9`, between them `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators_fit =
        text.split(|character: char| character.is_ascii() && is_word(character as u8)).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        });
    text.bytes().next().is_some_and(is_word)
        && text.bytes().next_back().is_some_and(is_word)
        && separators_fit
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_completed_as_container_runtimes_do() {
        let check = |text: &str, expected: &str| {
            let reference: Reference = text.parse().expect("a name");
            assert_eq!(reference.to_string(), expected);
            assert_eq!(expected.parse(), Ok(reference), "{expected} is stable");
        };
        check("hello", "docker.io/library/hello:latest");
        check("hello:1", "docker.io/library/hello:1");
        check("team/hello", "docker.io/team/hello:latest");
        check("localhost/hello", "localhost/hello:latest");
        check("localhost:5000/hello", "localhost:5000/hello:latest");
        check("ghcr.io/a/b:v1.2_x", "ghcr.io/a/b:v1.2_x");
        check("a__b/c---d", "docker.io/a__b/c---d:latest");
        let digest = format!("sha256:{}", "0f".repeat(32));
        check(&format!("reg.io/a@{digest}"), &format!("reg.io/a@{digest}"));
        check(&format!("reg.io/a:1@{digest}"), &format!("reg.io/a:1@{digest}"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(256);
        let texts = [
            "",
            "Hello",
            "a/",
            "/a",
            "a//b",
            "a:",
            "a:-x",
            "a..b",
            "a_-b",
            "-a",
            "a-",
            "a b",
            "a___b",
            "ä",
            "reg.io:port/a",
            "-.io/a",
            "a@sha256:00",
            "a@md5:00",
            "../a",
            &long,
        ];
        for text in texts {
            let refused = text.parse::<Reference>().expect_err(text);
            assert!(refused.to_string().starts_with("invalid reference format: "), "{refused}");
        }
    }

    #[test]
    fn imported_images_are_local() {
        for name in ["hello", "localhost/hello", "localhost/hello:latest"] {
            let reference = Reference::local(name).expect("a name");
            assert_eq!(reference.to_string(), "localhost/hello:latest");
            assert!(reference.is_local());
        }
        let reference: Reference = "localhost:5000/team/hello".parse().expect("a name");
        assert!(!reference.is_local());
        assert!("peapod.dev/toolbox".parse::<Reference>().expect("a name").is_local());
        assert_eq!(reference.short_name(), "hello");
    }
}
