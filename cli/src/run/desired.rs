//! The objects that the manifests ask for, checked as a whole before the first is applied.

use std::collections::BTreeMap;

use api::manifest::Document;
use api::resource::NAMESPACES;
use api::{Client, Key, Resource, Status};
use serde_json::Value;

use super::apply::{self, Applied};
use super::mistake::{Mistake, Mistakes};

/// One object that a manifest asks for.
#[derive(Clone)]
pub struct Desired {
    /// What it is.
    pub resource: Resource,
    /// Where it goes.
    pub key: Key,
    /// The manifest, its namespace filled in.
    pub value: Value,
    document: Document,
}

impl Desired {
    /// `Deployment/hello`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.resource.kind, self.key.name)
    }

    /// The mistakes that the server's answer names.
    pub fn mistakes(&self, status: &Status) -> Vec<Mistake> {
        Mistake::from_status(&self.document, &self.name(), status)
    }

    /// One mistake at a field.
    pub fn mistake_at(&self, field: &str, sentence: &str) -> Mistake {
        Mistake::at_field(&self.document, &self.name(), field, sentence)
    }
}

/// Finds out what each document is and where it goes; `find` knows the resources of the server.
pub fn plan(
    documents: Vec<Document>,
    namespace: &str,
    find: impl Fn(&str, &str) -> Result<Resource, String>,
) -> Result<Vec<Desired>, Mistakes> {
    let mut mistakes = Vec::new();
    let mut desired: Vec<Desired> = Vec::new();
    let mut first_lines: BTreeMap<(Resource, Key), String> = BTreeMap::new();
    for document in documents {
        let one = match identify(document, namespace, &find) {
            Ok(one) => one,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        let place = format!("{}:{}", one.document.source, one.document.line);
        let id = (one.resource.clone(), one.key.clone());
        if let Some(first) = first_lines.get(&id) {
            mistakes.push(
                one.mistake_at("metadata.name", &format!("is described a second time, first at {first}")),
            );
        }
        first_lines.entry(id).or_insert(place);
        desired.push(one);
    }
    desired.sort_by_key(|one| one.resource != NAMESPACES);
    Mistakes::none_or(mistakes).map(|()| desired)
}

fn identify(
    mut document: Document,
    namespace: &str,
    find: impl Fn(&str, &str) -> Result<Resource, String>,
) -> Result<Desired, Mistake> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&document.value["metadata"]["name"]);
    let (api_version, kind) = (text(&document.value["apiVersion"]), text(&document.value["kind"]));
    for (field, given) in [("apiVersion", &api_version), ("kind", &kind), ("metadata.name", &name)] {
        if given.is_empty() {
            return Err(Mistake::at_field(&document, "", field, "Required value"));
        }
    }
    let resource =
        find(&api_version, &kind).map_err(|sentence| Mistake::at_field(&document, "", "kind", &sentence))?;
    let mut key = Key::cluster(name);
    if resource.namespaced {
        let given = text(&document.value["metadata"]["namespace"]);
        let inside = if given.is_empty() { namespace.to_owned() } else { given };
        document.value["metadata"]["namespace"] = inside.as_str().into();
        key = Key::new(inside, key.name);
    }
    Ok(Desired { resource, key, value: document.value.clone(), document })
}

/// Asks the server about each object, with nothing stored.
pub async fn check(client: &Client, desired: &[Desired], applied: &Applied) -> Result<(), Mistakes> {
    let mut mistakes = Vec::new();
    for one in desired {
        let last = applied.last(&one.resource, &one.key);
        match apply::attempt(client, one, last, true).await {
            Err(status) if !awaits_namespace(&status, one, desired) => mistakes.extend(one.mistakes(&status)),
            _ => {}
        }
    }
    Mistakes::none_or(mistakes)
}

/// Whether the only trouble is a namespace that these manifests themselves bring.
fn awaits_namespace(status: &Status, one: &Desired, desired: &[Desired]) -> bool {
    let brought =
        desired.iter().any(|other| other.resource == NAMESPACES && other.key.name == one.key.namespace);
    brought && status.is_not_found()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::resource::CONFIG_MAPS;

    fn find(api_version: &str, kind: &str) -> Result<Resource, String> {
        [CONFIG_MAPS, NAMESPACES]
            .into_iter()
            .find(|known| known.api_version() == api_version && known.kind == kind)
            .ok_or_else(|| format!("{kind:?} is unknown"))
    }

    fn row(text: &str, expected: &str) {
        let documents = api::manifest::read("a.yaml", text).expect("readable");
        let found = match plan(documents, "default", find) {
            Ok(desired) => {
                let names = desired.iter().map(|one| format!("{} in {:?}", one.name(), one.key.namespace));
                names.collect::<Vec<_>>().join(", ")
            }
            Err(mistakes) => mistakes.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn objects_find_their_place_and_mistakes_their_line() {
        let namespaced = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
        row(namespaced, r#"ConfigMap/a in "default""#);
        row(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n",
            r#"Namespace/x in "", ConfigMap/a in "x""#,
        );
        row(
            "apiVersion: v1\nkind: ConfigMop\nmetadata: {name: a}\n",
            r#"a.yaml:2: kind: "ConfigMop" is unknown"#,
        );
        row("apiVersion: v1\nkind: ConfigMap\n", "a.yaml:1: metadata.name: Required value");
        row(
            &format!("{namespaced}\n---\n{namespaced}\n"),
            "a.yaml:3: ConfigMap/a: metadata.name: is described a second time, first at a.yaml:1",
        );
    }
}
