//! Reads from a path what a request is about: a resource of the API, or something else.

use super::query::decode;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Objects of the API.
    Resource(Address),
    /// Something that is no resource, such as `/healthz`: its segments.
    Other(Vec<String>),
}

/// Where objects of the API are, as a path says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    pub group: String,
    pub version: String,
    pub namespace: Option<String>,
    pub plural: String,
    pub name: Option<String>,
    /// The subresource; empty for the object itself.
    pub part: String,
    /// Whether the path itself asks to watch, as older clients do.
    pub is_watch: bool,
}

/// Reads a path. What is no address of a resource in form is something else, and may well be nothing.
pub(super) fn parse(path: &str) -> Target {
    let segments: Vec<String> =
        path.trim_matches('/').split('/').map(|segment| decode(segment, false)).collect();
    let texts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let address = match texts.as_slice() {
        // Whatever follows is for the one behind the proxy.
        ["api", version, "namespaces", _, "pods" | "services", _, "proxy", ..] => {
            texts.get(2..7).and_then(within).map(|address| address.of("", version))
        }
        ["api", version, "nodes", _, "proxy", ..] => {
            texts.get(2..5).and_then(within).map(|address| address.of("", version))
        }
        all if all.contains(&"") => None,
        ["api", version, rest @ ..] => at(rest).map(|address| address.of("", version)),
        ["apis", group, version, rest @ ..] => at(rest).map(|address| address.of(group, version)),
        _ => None,
    };
    address.map_or(Target::Other(segments), Target::Resource)
}

/// Reads a path at which another server answers: what comes after a subresource is for that server.
pub(super) fn parse_short(path: &str) -> Target {
    let read = |path: &str| match parse(path) {
        Target::Resource(address) => Some(Target::Resource(address)),
        Target::Other(_) => None,
    };
    let cut = || {
        let mut ends = path.trim_end_matches('/').rmatch_indices('/').map(|(end, _)| &path[..end]);
        ends.find_map(read)
            .filter(|found| matches!(found, Target::Resource(address) if !address.part.is_empty()))
    };
    read(path).or_else(cut).unwrap_or_else(|| parse(path))
}

/// The rest of a path, after the group and its version.
fn at(rest: &[&str]) -> Option<Address> {
    match rest {
        ["watch", rest @ ..] => within(rest).map(|address| Address { is_watch: true, ..address }),
        _ => within(rest),
    }
}

fn within(rest: &[&str]) -> Option<Address> {
    let (namespace, rest) = match rest {
        // The parts of a namespace itself have their names for themselves: no resource is called so.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
        _ => (None, rest),
    };
    let (plural, name, part) = match rest {
        [plural] => (plural, None, ""),
        [plural, name] => (plural, Some(*name), ""),
        [plural, name, part] => (plural, Some(*name), *part),
        _ => return None,
    };
    Some(Address {
        namespace: namespace.map(str::to_owned),
        plural: (*plural).to_owned(),
        name: name.map(str::to_owned),
        part: part.to_owned(),
        ..Address::default()
    })
}

impl Address {
    fn of(self, group: &str, version: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_resources_are_taken_apart() {
        let row = |path: &str, expected: &str| {
            let found = match parse(path) {
                Target::Resource(address) => {
                    let Address { group, version, namespace, plural, name, part, is_watch } = address;
                    let shown = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
                    let watch = if is_watch { "watch " } else { "" };
                    format!("{watch}{group}|{version}|{}|{plural}|{}|{part}", shown(namespace), shown(name))
                }
                Target::Other(segments) => segments.join(" "),
            };
            assert_eq!(found, expected, "{path}");
        };
        row("/api/v1/pods", "|v1|-|pods|-|");
        row("/api/v1/namespaces/a/pods", "|v1|a|pods|-|");
        row("/api/v1/namespaces/a/pods/", "|v1|a|pods|-|");
        row("/api/v1/namespaces/a/pods/b", "|v1|a|pods|b|");
        row("/api/v1/namespaces/a/pods/b/log", "|v1|a|pods|b|log");
        row("/api/v1/namespaces", "|v1|-|namespaces|-|");
        row("/api/v1/namespaces/a", "|v1|-|namespaces|a|");
        row("/api/v1/namespaces/a/status", "|v1|-|namespaces|a|status");
        row("/api/v1/namespaces/a/finalize", "|v1|-|namespaces|a|finalize");
        row("/api/v1/nodes/n/status", "|v1|-|nodes|n|status");
        row("/apis/apps/v1/deployments", "apps|v1|-|deployments|-|");
        row("/apis/apps/v1/namespaces/a/deployments/b/scale", "apps|v1|a|deployments|b|scale");
        row("/apis/apps/v1/namespaces/a/deployments/x%3Ay", "apps|v1|a|deployments|x:y|");
        row("/api/v1/namespaces/a/services/http:b:web/proxy", "|v1|a|services|http:b:web|proxy");
        row("/api/v1/namespaces/a/pods/b/proxy//c/d?e", "|v1|a|pods|b|proxy");
        row("/api/v1/nodes/n/proxy/metrics/", "|v1|-|nodes|n|proxy");
        row("/api/v1/namespaces//pods/b/proxy/c", "|v1||pods|b|proxy");
        row("/api/v1/watch/pods", "watch |v1|-|pods|-|");
        row("/api/v1/watch/namespaces/a", "watch |v1|-|namespaces|a|");
        row("/apis/apps/v1/watch/namespaces/a/deployments/b", "watch apps|v1|a|deployments|b|");
        row("/api/v1/watch", "api v1 watch");
        row("/api", "api");
        row("/api/v1", "api v1");
        row("/apis/apps/v1", "apis apps v1");
        row("/healthz/ping", "healthz ping");
        row("/", "");
        row("/api/v1/namespaces/a//b", "api v1 namespaces a  b");
        row("/api/v1/namespaces/a/pods/b/log/more", "api v1 namespaces a pods b log more");
        row("/openapi/v3/apis/apps/v1", "openapi v3 apis apps v1");
    }

    #[test]
    fn what_comes_after_a_subresource_is_for_the_server_that_has_it() {
        let row = |path: &str, expected: Option<&str>| {
            let found = match parse_short(path) {
                Target::Resource(address) => Some(format!("{}/{}", address.plural, address.part)),
                Target::Other(_) => None,
            };
            assert_eq!(found.as_deref(), expected, "{path}");
        };
        row("/apis/g/v1/namespaces/a/fish/b/bowl/x//y", Some("fish/bowl"));
        row("/apis/g/v1/namespaces/a/fish/b/bowl/x/", Some("fish/bowl"));
        row("/apis/g/v1/namespaces/a/fish/b", Some("fish/"));
        row("/apis/g/v1/fish/b/bowl/x/y", Some("fish/bowl"));
        row("/apis/g/v1", None);
        row("/apis/g/v1/", None);
        row("/openapi/v3/apis/g/v1", None);
    }
}
