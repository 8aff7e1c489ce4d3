//! The operations of a path: what they take, what they answer, and what they mean to clients.

use serde_json::{Map, Value, json};

use super::components::{Component, Components, KIND};
use super::parameters::{self, Set};

/// In which forms a patch may come.
pub const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// In which forms a patch of a custom resource may come: their types do not say how lists are merged strategically.
pub const CUSTOM_PATCHES: [&str; 3] =
    ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];

/// In which forms objects may come.
const BODIES: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// In which forms objects are answered.
const ANSWERS: [&str; 3] = BODIES;

/// In which forms lists and their changes are answered.
const LISTS: [&str; 5] = [
    "application/json",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/yaml",
];

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Lists or watches objects.
    List,
    /// Creates an object.
    Post,
    /// Deletes all objects that are meant.
    DeleteCollection,
    /// Reads an object.
    Get,
    /// Replaces an object.
    Put,
    /// Changes parts of an object.
    Patch,
    /// Deletes an object.
    Delete,
    /// Reads the log of a container.
    Log,
}

impl Action {
    /// The method of the request.
    pub fn method(self) -> &'static str {
        match self {
            Self::List | Self::Get | Self::Log => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete | Self::DeleteCollection => "delete",
        }
    }

    /// What clients call it.
    fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::DeleteCollection => "deletecollection",
            other => other.method(),
        }
    }

    /// The verb with which its identifier begins.
    fn verb(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Post => "create",
            Self::DeleteCollection => "deleteCollection",
            Self::Get | Self::Log => "read",
            Self::Put => "replace",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    fn describe(self, kind: &str, subresource: &str) -> String {
        let what = match subresource {
            "" => kind.to_owned(),
            subresource => format!("{subresource} of a {kind}"),
        };
        match self {
            Self::List => format!("list or watch objects of kind {what}"),
            Self::Post => format!("create a {what}"),
            Self::DeleteCollection => format!("delete all objects of kind {what} that are meant"),
            Self::Get | Self::Log => format!("read the {what}"),
            Self::Put => format!("replace the {what}"),
            Self::Patch => format!("change parts of the {what}"),
            Self::Delete => format!("delete a {what}"),
        }
    }

    fn queries(self) -> Set {
        match self {
            Self::List => Set::Selection,
            Self::Post | Self::Put => Set::Write,
            Self::DeleteCollection => Set::DeletionOfMany,
            Self::Get => Set::Nothing,
            Self::Patch => Set::Patch,
            Self::Delete => Set::Deletion,
            Self::Log => Set::Log,
        }
    }
}

/// What the operations of a path have in common.
pub struct Subject<'s> {
    /// The kind of the objects in the path, such as `Deployment`.
    pub kind: &'s str,
    /// The name of the subresource; empty for the objects themselves.
    pub subresource: &'s str,
    /// Group and version as identifiers have them, such as `AppsV1`.
    pub prefix: String,
    /// Group and version as tags have them, such as `apps_v1`.
    pub tag: String,
    /// What the path names: `NamespacedDeployment`, `Node`, or `PodForAllNamespaces`.
    pub scope: String,
    /// The type that is sent and answered: the kind's, or the subresource's own.
    pub body: Component<'s>,
    /// The type of lists.
    pub list: Component<'s>,
    /// Group, version and kind of what is sent and answered.
    pub names: (&'s str, &'s str, &'s str),
    /// In which forms a patch may come.
    pub patches: &'static [&'static str],
}

impl<'s> Subject<'s> {
    /// The operation at the path.
    pub fn operation(&self, action: Action, components: &mut Components<'s>) -> Value {
        let subresource = capitalized(self.subresource);
        let mut operation = json!({
            "tags": [self.tag],
            "description": action.describe(self.kind, self.subresource),
            "operationId": format!("{}{}{}{subresource}", action.verb(), self.prefix, self.scope),
            "responses": self.responses(action, components),
            "x-kubernetes-action": action.name(),
        });
        let queries = parameters::query(action.queries());
        if !queries.is_empty() {
            operation["parameters"] = queries.into();
        }
        if let Some(body) = self.request(action, components) {
            operation["requestBody"] = body;
        }
        let (group, version, kind) = self.names;
        operation[KIND] = json!({"group": group, "version": version, "kind": kind});
        operation
    }

    fn request(&self, action: Action, components: &mut Components<'s>) -> Option<Value> {
        let (forms, schema, required): (&[&str], _, _) = match action {
            Action::Post | Action::Put => (&BODIES, components.refer(self.body), true),
            Action::Patch => (self.patches, components.refer(Component::Patch), true),
            Action::Delete | Action::DeleteCollection => {
                (&BODIES, components.named("meta.v1.DeleteOptions"), false)
            }
            Action::List | Action::Get | Action::Log => return None,
        };
        let mut body = json!({"content": content(forms, &schema)});
        if required {
            body["required"] = true.into();
        }
        Some(body)
    }

    fn responses(&self, action: Action, components: &mut Components<'s>) -> Value {
        let (forms, schema): (&[&str], _) = match action {
            Action::List => (&LISTS, components.refer(self.list)),
            Action::Delete | Action::DeleteCollection => {
                (&["application/json"], components.named("meta.v1.Status"))
            }
            Action::Log => (&["text/plain"], json!({"type": "string"})),
            _ => (&ANSWERS, components.refer(self.body)),
        };
        let mut responses = json!({"401": {"description": "Unauthorized"}});
        let mut answer = |code, description| {
            responses[code] = json!({"description": description, "content": content(forms, &schema)});
        };
        if action != Action::Post {
            answer("200", "OK");
        }
        if action == Action::Post {
            answer("201", "Created");
        }
        if action == Action::Delete {
            answer("202", "Accepted");
        }
        responses
    }
}

fn content(forms: &[&str], schema: &Value) -> Value {
    forms.iter().map(|form| ((*form).to_owned(), json!({"schema": schema}))).collect::<Map<_, _>>().into()
}

/// The word with a capital.
pub fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}
