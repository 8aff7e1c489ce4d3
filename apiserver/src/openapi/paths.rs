//! The paths of a kind: its objects, together and one by one, and their subresources.

use api::Resource;
use api::resource::NAMESPACES;
use serde_json::{Map, Value};

use super::components::Components;
use super::operations::{Action, Subject, capitalized};
use super::parameters;
use crate::builtin::Kind;
use crate::http::catalog::{self, Part};
use crate::schema::{self, Type};

/// Where a group and version is served: `/api/v1`, `/apis/apps/v1`.
pub fn root(resource: &Resource) -> String {
    match resource.group.as_ref() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    }
}

/// Adds the paths of a kind.
///
/// # Panics
/// If the table has no such kind: a test builds the document of every kind.
pub fn add(kind: &dyn Kind, components: &mut Components<'_>, paths: &mut Map<String, Value>) {
    let resource = kind.resource();
    let (group, version) = (resource.group.as_ref(), resource.version.as_ref());
    let of =
        schema::builtin().kind(group, version, &resource.kind).expect("the table has every built-in kind");
    let root = root(resource);
    let mut add = |path: String, subject: Subject<'_>, actions: &[Action]| {
        let mut operations = Map::new();
        for action in actions {
            operations.insert(action.method().to_owned(), subject.operation(*action, components));
        }
        let parameters = parameters::path(&path);
        if !parameters.is_empty() {
            operations.insert("parameters".to_owned(), parameters.into());
        }
        paths.insert(path, operations.into());
    };
    let subject = |subresource, scope, body| Subject {
        kind: &resource.kind,
        subresource,
        prefix: format!("{}{}", capitalized(short_group(resource)), capitalized(version)),
        tag: format!("{}_{version}", short_group(resource)),
        scope,
        body,
    };
    let (scope, collection) = if resource.namespaced {
        let everywhere = subject("", format!("{}ForAllNamespaces", resource.kind), of);
        add(format!("{root}/{}", resource.plural), everywhere, &[Action::List]);
        let scope = format!("Namespaced{}", resource.kind);
        (scope, format!("{root}/namespaces/{{namespace}}/{}", resource.plural))
    } else {
        (resource.kind.to_string(), format!("{root}/{}", resource.plural))
    };
    // Kubernetes deletes namespaces one by one only.
    let many = [Action::List, Action::Post, Action::DeleteCollection];
    let many = if *resource == NAMESPACES { &many[..2] } else { &many };
    let object = format!("{collection}/{{name}}");
    add(collection, subject("", scope.clone(), of), many);
    add(
        object.clone(),
        subject("", scope.clone(), of),
        &[Action::Get, Action::Put, Action::Patch, Action::Delete],
    );
    for part in catalog::parts(kind) {
        let (body, actions) = operations_of(&part, of);
        add(format!("{object}/{}", part.name), subject(part.name, scope.clone(), body), &actions);
    }
}

/// The type of a subresource, and what can be done with it.
fn operations_of(part: &Part, of: &'static Type) -> (&'static Type, Vec<Action>) {
    let document =
        part.document.and_then(|(group, version, kind)| schema::builtin().kind(group, version, kind));
    let action = |verb: &&str| match *verb {
        "get" if part.name == "log" => Some(Action::Log),
        "get" => Some(Action::Get),
        "create" => Some(Action::Post),
        "update" => Some(Action::Put),
        "patch" => Some(Action::Patch),
        _ => None,
    };
    (document.unwrap_or(of), part.verbs.iter().filter_map(action).collect())
}

/// The group as identifiers and tags have it: its first word, or `core`.
fn short_group(resource: &Resource) -> &str {
    match resource.group.split('.').next() {
        None | Some("") => "core",
        Some(word) => word,
    }
}
