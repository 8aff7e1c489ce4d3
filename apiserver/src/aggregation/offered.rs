//! What another server says it serves in a group-version, in the form in which clients are told of everything at once.

use serde_json::{Map, Value, json};

use crate::tree;

/// The most resources and subresources of one group-version: each is told to every client.
const MOST_RESOURCES: usize = 1_000;

/// What a server serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// Its resources, as aggregated discovery shows them.
    pub resources: Vec<Value>,
    /// The names that requests may be counted under.
    pub names: Vec<String>,
    /// Whether this is what was heard last, and nothing can be heard now.
    pub is_stale: bool,
    /// Where its document of OpenAPI v3 is, with the hash of that; none if it has none.
    pub openapi: Option<String>,
}

impl Default for Offered {
    fn default() -> Self {
        Self { resources: Vec::new(), names: Vec::new(), is_stale: true, openapi: None }
    }
}

impl Offered {
    /// Reads an APIResourceList.
    pub fn read(list: &Value, group: &str, version: &str) -> Result<Self, String> {
        if list["kind"] != "APIResourceList" {
            return Err(format!("expected an APIResourceList, got {}", list["kind"]));
        }
        let listed = list["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
        if listed.len() > MOST_RESOURCES {
            return Err(format!("{} resources are more than {MOST_RESOURCES}", listed.len()));
        }
        let (mut resources, mut names) = (Vec::<Value>::new(), Vec::<String>::new());
        for one in listed {
            let name = tree::text(one, "name").unwrap_or_default();
            let kind = kind_of(one, group, version);
            let Some((parent, part)) = name.split_once('/') else {
                names.push(name.to_owned());
                resources.push(resource(one, name, kind));
                continue;
            };
            let place = match names.iter().position(|known| known == parent) {
                Some(place) => place,
                None => {
                    names.push(parent.to_owned());
                    resources.push(json!({"resource": parent, "scope": scope(one), "responseKind": {}}));
                    resources.len() - 1
                }
            };
            let part = json!({"subresource": part, "responseKind": kind, "verbs": one["verbs"]});
            match &mut resources[place]["subresources"] {
                Value::Array(parts) => parts.push(part),
                parts => *parts = json!([part]),
            }
        }
        Ok(Self { resources, names, is_stale: false, openapi: None })
    }

    /// Where an index of OpenAPI v3 says that the document of a group-version is.
    pub fn openapi_of(index: &Value, group: &str, version: &str) -> Option<String> {
        let path = format!("apis/{group}/{version}");
        let url = tree::text(&index["paths"][path.as_str()], "serverRelativeURL")?;
        // Only that place is passed on.
        let rest = url.strip_prefix("/openapi/v3/")?.strip_prefix(&path)?;
        (rest.is_empty() || rest.starts_with('?')).then(|| url.to_owned())
    }
}

fn resource(listed: &Value, name: &str, kind: Value) -> Value {
    let mut shown = Map::from_iter([
        ("resource".to_owned(), name.into()),
        ("responseKind".to_owned(), kind),
        ("scope".to_owned(), scope(listed).into()),
        ("singularResource".to_owned(), tree::text(listed, "singularName").unwrap_or_default().into()),
        ("verbs".to_owned(), listed["verbs"].clone()),
    ]);
    for field in ["shortNames", "categories"] {
        shown.extend(listed.get(field).map(|list| (field.to_owned(), list.clone())));
    }
    shown.into()
}

fn scope(listed: &Value) -> &'static str {
    if listed["namespaced"] == true { "Namespaced" } else { "Cluster" }
}

/// The kind of what is answered; of the same group-version if nothing else is said.
fn kind_of(listed: &Value, group: &str, version: &str) -> Value {
    let text = |field| tree::text(listed, field);
    let kind = text("kind").unwrap_or_default();
    match text("version") {
        Some(version) => {
            json!({"group": text("group").unwrap_or_default(), "version": version, "kind": kind})
        }
        None => json!({"group": group, "version": version, "kind": kind}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_resources_become_what_aggregated_discovery_shows() {
        let list = json!({"kind": "APIResourceList", "groupVersion": "g/v1", "resources": [
            {"name": "orphans/part", "namespaced": true, "kind": "Part", "verbs": ["get"]},
            {"name": "fish", "singularName": "fish", "namespaced": true, "kind": "Fish", "verbs": ["get", "list"], "shortNames": ["f"]},
            {"name": "fish/scale", "namespaced": true, "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get"]},
        ]});
        let offered = Offered::read(&list, "g", "v1").expect("a list");
        let kind = |group: &str, kind: &str| json!({"group": group, "version": "v1", "kind": kind});
        let expected = json!([
            {"resource": "orphans", "scope": "Namespaced", "responseKind": {},
                "subresources": [{"subresource": "part", "responseKind": kind("g", "Part"), "verbs": ["get"]}]},
            {"resource": "fish", "scope": "Namespaced", "responseKind": kind("g", "Fish"), "singularResource": "fish",
                "verbs": ["get", "list"], "shortNames": ["f"],
                "subresources": [{"subresource": "scale", "responseKind": kind("autoscaling", "Scale"), "verbs": ["get"]}]},
        ]);
        assert_eq!(Value::from(offered.resources), expected);
        assert_eq!(offered.names, ["orphans", "fish"]);
        let many = json!({"kind": "APIResourceList", "resources": vec![json!({}); MOST_RESOURCES + 1]});
        assert!(Offered::read(&many, "g", "v1").is_err());
        let refused = Offered::read(&json!({"kind": "Status"}), "g", "v1").expect_err("no list");
        assert_eq!(refused, "expected an APIResourceList, got \"Status\"");
    }

    #[test]
    fn only_the_document_of_the_group_version_is_found_in_an_index() {
        let row = |url: &str, expected: Option<&str>| {
            let index = json!({"paths": {"apis/g/v1": {"serverRelativeURL": url}}});
            assert_eq!(Offered::openapi_of(&index, "g", "v1").as_deref(), expected);
        };
        let hashed = "/openapi/v3/apis/g/v1?hash=AB";
        row(hashed, Some(hashed));
        row("/openapi/v3/apis/g/v1", Some("/openapi/v3/apis/g/v1"));
        row("/openapi/v3/apis/g/v10?hash=AB", None);
        row("/api/v1/secrets", None);
        assert_eq!(Offered::openapi_of(&json!({}), "g", "v1"), None);
    }
}
