//! Reads the generated source of `k8s-openapi`: definitions with their JSON names, types and kinds.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::sources;

/// A definition by its path without `io.k8s`, as in `api.core.v1.Pod`.
pub type Definitions = BTreeMap<String, Definition>;

/// One type of the API.
#[derive(Debug, Default)]
pub struct Definition {
    /// By JSON name.
    pub fields: BTreeMap<String, Field>,
    /// It has `apiVersion` and `kind` of its own.
    pub type_meta: bool,
    /// Set for what can be asked for by group, version and kind.
    pub resource: Option<Resource>,
}

/// A member of a definition.
#[derive(Debug)]
pub struct Field {
    /// It must be given.
    pub required: bool,
    /// Its type.
    pub of: Type,
    /// How the crate merges the list: `atomic`, `set` or `map`.
    pub merged: Option<String>,
}

/// A type as k8s-openapi writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// A type of Rust, such as `i32`.
    Plain(&'static str),
    /// A definition by its path.
    Named(String),
    /// A list.
    List(Box<Type>),
    /// A map with strings as keys.
    Map(Box<Type>),
}

/// What the `Resource` implementation of a definition says.
#[derive(Debug, Default)]
pub struct Resource {
    /// `apps/v1`, or `v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// `deployments`; for a subresource, its name.
    pub plural: String,
    /// `Namespaced`, `Cluster` or `Subresource`.
    pub scope: String,
    /// `DeploymentList`.
    pub list_kind: Option<String>,
}

/// Reads every definition below `root`.
pub fn read(root: &Path) -> Result<Definitions, String> {
    let mut definitions = Definitions::new();
    for (path, text) in sources::rust_files(root)? {
        let Some(name) =
            text.lines().next().and_then(|line| line.strip_prefix("// Generated from definition io.k8s."))
        else {
            continue;
        };
        if let Some(definition) = parse(&text).map_err(|error| format!("{}: {error}", path.display()))? {
            definitions.insert(name.replace('-', "_"), definition);
        }
    }
    Ok(definitions)
}

/// Nothing for what is no plain structure: unions and types with a syntax of their own.
fn parse(text: &str) -> Result<Option<Definition>, String> {
    let Some(opening) = text.lines().position(|line| line.starts_with("pub struct ")) else {
        return Ok(None);
    };
    let header = text.lines().nth(opening).unwrap_or_default();
    // A structure without members is written as a newtype of any JSON; it accepts an object.
    if header.ends_with("(pub crate::serde_json::Value);") {
        return Ok(Some(Definition::default()));
    }
    if !header.ends_with('{') || header.contains('<') {
        return Ok(None);
    }
    let mut members = HashMap::new();
    for line in text.lines().skip(opening + 1).take_while(|line| *line != "}") {
        if let Some(member) = line.strip_prefix("    pub ") {
            let (name, of) = member
                .strip_suffix(',')
                .and_then(|member| member.split_once(": "))
                .ok_or_else(|| format!("cannot read the member `{member}`"))?;
            members.insert(name, of);
        }
    }
    let merged = list_merges(text);
    let mut definition = Definition { resource: resource(text), ..Definition::default() };
    for (json, name) in json_names(text) {
        match members.remove(name) {
            Some(of) => {
                let (required, of) = match of.strip_prefix("Option<").and_then(|of| of.strip_suffix('>')) {
                    Some(of) => (false, of),
                    None => (true, of),
                };
                let field = Field {
                    required,
                    of: parse_type(of)?,
                    merged: merged.get(name).map(|how| (*how).to_owned()),
                };
                definition.fields.insert(json.to_owned(), field);
            }
            None if json == "apiVersion" => definition.type_meta = true,
            None if json == "kind" => {}
            None => return Err(format!("`{json}` has no member")),
        }
    }
    match members.keys().next() {
        Some(name) => Err(format!("`{name}` has no JSON name")),
        None => Ok(Some(definition)),
    }
}

/// Lines like `"hostIP" => Field::Key_host_ip,`; a definition without members has no such line.
fn json_names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (json, name) = line.trim().strip_suffix(',')?.split_once(" => Field::Key_")?;
        Some((json.strip_prefix('"')?.strip_suffix('"')?, name))
    })
}

/// By member, from calls whose first argument is on the line below: `list::map(` and `&mut self.ports,`.
fn list_merges(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .zip(text.lines().skip(1))
        .filter_map(|(call, argument)| {
            let how = call.trim().strip_prefix("crate::merge_strategies::list::")?;
            let (how, same_line) = how.split_once('(')?;
            let argument = if same_line.is_empty() { argument.trim() } else { same_line };
            let member = argument.strip_prefix("&mut self.")?.split(',').next()?;
            Some((member, how))
        })
        .collect()
}

fn parse_type(text: &str) -> Result<Type, String> {
    let inside = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
    if let Some(item) = inside("std::vec::Vec<") {
        return Ok(Type::List(Box::new(parse_type(item)?)));
    }
    if let Some(value) = inside("std::collections::BTreeMap<std::string::String, ") {
        return Ok(Type::Map(Box::new(parse_type(value)?)));
    }
    if let Some(boxed) = inside("std::boxed::Box<") {
        return parse_type(boxed);
    }
    Ok(match text {
        "std::string::String" => Type::Plain("string"),
        "bool" => Type::Plain("bool"),
        "i32" => Type::Plain("int32"),
        "i64" => Type::Plain("int64"),
        "f64" => Type::Plain("double"),
        "crate::ByteString" => Type::Plain("bytes"),
        _ => match text.strip_prefix("crate::") {
            Some(path) => Type::Named(path.replace("::", ".")),
            None => return Err(format!("unknown type `{text}`")),
        },
    })
}

fn resource(text: &str) -> Option<Resource> {
    text.lines().find(|line| line.starts_with("impl crate::Resource for "))?;
    let constant = |name: &str| {
        let start = format!("    const {name}: &'static str = \"");
        text.lines()
            .find_map(|line| line.strip_prefix(start.as_str())?.strip_suffix("\";"))
            .map(str::to_owned)
    };
    let scope = text.lines().find_map(|line| line.strip_prefix("    type Scope = crate::"))?;
    Some(Resource {
        api_version: constant("API_VERSION")?,
        kind: constant("KIND")?,
        plural: constant("URL_PATH_SEGMENT")?,
        scope: match scope {
            "ClusterResourceScope;" => "Cluster",
            "NamespaceResourceScope;" => "Namespaced",
            _ => "Subresource",
        }
        .to_owned(),
        list_kind: constant("LIST_KIND"),
    })
}
