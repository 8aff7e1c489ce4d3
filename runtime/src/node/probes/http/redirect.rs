//! Where a request goes, and where it is sent on to.

use std::fmt;

use http::Uri;
use http::uri::PathAndQuery;

use super::exchange::Broken;
use crate::node::probes::ask::Target;
use crate::node::probes::plan::HttpGet;

/// The place of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) is_secure: bool,
    /// Without brackets.
    pub(super) host: String,
    /// As it was written, if it was.
    pub(super) port: Option<u16>,
    pub(super) path: PathAndQuery,
}

impl Url {
    /// What the spec asks for.
    pub(super) fn of(get: &HttpGet, target: &Target) -> Result<Self, String> {
        let host = get.host.clone().unwrap_or_else(|| target.address.to_string());
        Ok(Self { is_secure: get.is_secure, host, port: Some(get.port.clone()?), path: path(&get.path) })
    }

    /// The port it is at.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_secure { 443 } else { 80 })
    }

    /// `host:port`, as in the header `Host`.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// Where an answer from here sends the request on to.
    pub(super) fn join(&self, location: &str) -> Result<Self, String> {
        let parsed = || location.parse::<Uri>().ok();
        let unreadable = || format!("failed to parse Location header {location:?}");
        if location.starts_with("http://") || location.starts_with("https://") {
            let uri = parsed().ok_or_else(unreadable)?;
            let host = uri.host().ok_or_else(unreadable)?;
            return Ok(Self {
                is_secure: location.starts_with("https"),
                host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                port: uri.port_u16(),
                path: uri.path_and_query().cloned().unwrap_or_else(|| path("")),
            });
        }
        if let Some(rest) = location.strip_prefix("//") {
            let scheme = if self.is_secure { "https" } else { "http" };
            return self.join(&format!("{scheme}://{rest}"));
        }
        let here = self.path.path();
        let path = match location.chars().next() {
            Some('/') => path(location),
            Some('?') => path(&format!("{here}{location}")),
            _ => path(&format!("{}{location}", &here[..here.rfind('/').map_or(0, |slash| slash + 1)])),
        };
        Ok(Self { path, ..self.clone() })
    }

    /// An error in the words of Go's client.
    pub(super) fn broken(&self, why: &str) -> Broken {
        Broken::Head(format!("Get {:?}: {why}", self.to_string()))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// A path with a query, without what a server never sees, and with what may not stand in one written as Go writes it.
fn path(text: &str) -> PathAndQuery {
    let text = text.split('#').next().unwrap_or_default();
    let mut path = String::from(if text.starts_with('/') { "" } else { "/" });
    for byte in text.bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x7f.. | ..=0x1f => {
                path.push_str(&format!("%{byte:02X}"));
            }
            _ => path.push(byte.into()),
        }
    }
    PathAndQuery::try_from(path).unwrap_or_else(|_| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        let base = Url { is_secure: false, host: String::new(), port: None, path: path("") };
        base.join(text).expect("a place")
    }

    #[test]
    fn redirects_lead_where_they_should() {
        let check = |from: &str, location: &str, expected: &str| {
            assert_eq!(url(from).join(location).map(|url| url.to_string()).as_deref(), Ok(expected));
        };
        check("http://10.0.0.1:80/a/b?c", "/d?e", "http://10.0.0.1:80/d?e");
        check("http://10.0.0.1:80/a/b?c", "d", "http://10.0.0.1:80/a/d");
        check("http://10.0.0.1:80/a/b?c", "?d", "http://10.0.0.1:80/a/b?d");
        check("http://10.0.0.1:80/a", "https://10.0.0.1/x", "https://10.0.0.1/x");
        check("https://10.0.0.1/a", "//other:81", "https://other:81/");
        check("http://[fd00::1]:80/a", "/b", "http://[fd00::1]:80/b");
        assert!(url("http://a/").join("http://[").is_err());
    }

    #[test]
    fn paths_are_made_fit_to_send() {
        let check = |text: &str, expected: &str| assert_eq!(path(text).as_str(), expected);
        check("", "/");
        check("healthz", "/healthz");
        check("/a b?c=\"ä\"#top", "/a%20b?c=%22%C3%A4%22");
    }
}
