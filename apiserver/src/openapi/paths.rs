//! The paths of a kind: its objects, together and one by one, and their subresources.

use api::Resource;
use api::resource::NAMESPACES;
use serde_json::{Map, Value};

use super::components::{Component, Components};
use super::operations::{Action, PATCHES, Subject, capitalized};
use super::parameters;
use crate::builtin::{COMPONENT_STATUSES, Kind};
use crate::http::catalog::{self, Part};
use crate::schema;

/// Where a group and version is served: `/api/v1`, `/apis/apps/v1`.
pub fn root(resource: &Resource) -> String {
    match resource.group.as_ref() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    }
}

/// A resource as its paths show it.
pub struct Served<'s> {
    /// Its names and scope.
    pub resource: &'s Resource,
    /// The type of its objects.
    pub body: Component<'s>,
    /// The type of its lists.
    pub list: Component<'s>,
    /// Its subresources.
    pub parts: Vec<Part>,
    /// The group as tags have it, such as `apps`.
    pub group: String,
    /// In which forms a patch may come.
    pub patches: &'static [&'static str],
}

/// Adds the paths of a built-in kind in the version of `resource`; none if the table does not know the kind at all.
pub fn add_builtin<'s>(
    kind: &'s dyn Kind,
    resource: &'s Resource,
    components: &mut Components<'s>,
    paths: &mut Map<String, Value>,
) {
    let known =
        |resource: &Resource| schema::builtin().kind(&resource.group, &resource.version, &resource.kind);
    let (body, list) = match (known(resource), known(kind.resource())) {
        (Some(of), _) => (Component::Struct(of), Component::List(of)),
        (None, Some(of)) => (Component::Alias(of, resource), Component::AliasList(of, resource)),
        (None, None) => return,
    };
    let served = Served {
        resource,
        body,
        list,
        parts: catalog::parts(kind).collect(),
        group: short_group(resource).to_owned(),
        patches: &PATCHES,
    };
    add(&served, components, paths);
}

/// Adds the paths of a resource.
pub fn add<'s>(served: &Served<'s>, components: &mut Components<'s>, paths: &mut Map<String, Value>) {
    let resource = served.resource;
    let root = root(resource);
    let mut add = |path: String, subject: Subject<'s>, actions: &[Action]| {
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
    let subject = |subresource, scope| Subject {
        kind: &resource.kind,
        subresource,
        prefix: format!("{}{}", capitalized(&served.group), capitalized(&resource.version)),
        tag: format!("{}_{}", served.group, resource.version),
        scope,
        body: served.body,
        list: served.list,
        names: (&resource.group, &resource.version, &resource.kind),
        patches: served.patches,
    };
    let (scope, collection) = if resource.namespaced {
        let everywhere = subject("", format!("{}ForAllNamespaces", resource.kind));
        add(format!("{root}/{}", resource.plural), everywhere, &[Action::List]);
        let scope = format!("Namespaced{}", resource.kind);
        (scope, format!("{root}/namespaces/{{namespace}}/{}", resource.plural))
    } else {
        (resource.kind.to_string(), format!("{root}/{}", resource.plural))
    };
    // Kubernetes deletes namespaces one by one only.
    let many = [Action::List, Action::Post, Action::DeleteCollection];
    let one = [Action::Get, Action::Put, Action::Patch, Action::Delete];
    let (many, one) = match resource {
        resource if *resource == NAMESPACES => (&many[..2], &one[..]),
        // What is looked at cannot be changed.
        resource if resource == COMPONENT_STATUSES.resource() => (&many[..1], &one[..1]),
        _ => (&many[..], &one[..]),
    };
    let object = format!("{collection}/{{name}}");
    add(collection, subject("", scope.clone()), many);
    add(object.clone(), subject("", scope.clone()), one);
    for part in &served.parts {
        let subject = of_part(part, subject(part.name, scope.clone()));
        add(format!("{object}/{}", part.name), subject, &actions_of(part));
    }
}

/// The subject with the type of the subresource, if that has one of its own.
fn of_part<'s>(part: &Part, subject: Subject<'s>) -> Subject<'s> {
    let own = part.document.and_then(|(group, version, kind)| {
        let of = schema::builtin().kind(group, version, kind)?;
        Some((of, (group, version, kind)))
    });
    match own {
        Some((of, names)) => Subject { body: Component::Struct(of), names, ..subject },
        None => subject,
    }
}

/// What can be done with a subresource.
fn actions_of(part: &Part) -> Vec<Action> {
    let action = |verb: &&str| match *verb {
        "get" if part.name == "log" => Some(Action::Log),
        "get" => Some(Action::Get),
        "create" => Some(Action::Post),
        "update" => Some(Action::Put),
        "patch" => Some(Action::Patch),
        _ => None,
    };
    part.verbs.iter().filter_map(action).collect()
}

/// The group as identifiers and tags have it: its first word, or `core`.
fn short_group(resource: &Resource) -> &str {
    match resource.group.split('.').next() {
        None | Some("") => "core",
        Some(word) => word,
    }
}
