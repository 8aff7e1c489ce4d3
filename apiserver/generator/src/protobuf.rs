//! Reads the generated source of `k8s-pb`: messages with their tags, types and the markers in their comments.

use std::collections::BTreeMap;
use std::path::Path;

use crate::sources;

/// Messages by their path in lower case, as in `api.core.v1.pod`: prost writes `CsiDriver` for `CSIDriver`.
pub type Messages = BTreeMap<String, Message>;

/// One message.
#[derive(Debug, Default)]
pub struct Message {
    /// The markers of the type.
    pub markers: Markers,
    /// In the order of the source.
    pub fields: Vec<Field>,
}

/// A member of a message.
#[derive(Debug)]
pub struct Field {
    /// As prost writes it, without what joins words: `hostip`.
    pub name: String,
    /// Its number on the wire.
    pub tag: u32,
    /// Given once, many times, or by key.
    pub cardinality: Cardinality,
    /// A type of the wire, or the path of a message.
    pub of: Wire,
    /// The markers of the member.
    pub markers: Markers,
}

/// How often a member occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// At most once.
    One,
    /// Any number of times.
    Repeated,
    /// Any number of times, each with a string as its key.
    Map,
}

/// What a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `string`, `int32`, `bytes`...
    Plain(String),
    /// A message by its path in lower case.
    Message(String),
}

/// Lines of comments that begin with `+`, without the plus, in their order.
pub type Markers = Vec<String>;

/// Reads every message below `root`.
pub fn read(root: &Path) -> Result<Messages, String> {
    let mut messages = Messages::new();
    for (path, text) in sources::rust_files(root)? {
        let module: Vec<&str> = path
            .strip_prefix(root)
            .ok()
            .and_then(Path::parent)
            .into_iter()
            .flat_map(Path::iter)
            .filter_map(|part| part.to_str())
            .collect();
        parse(&module, &text, &mut messages).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(messages)
}

fn parse(module: &[&str], text: &str, messages: &mut Messages) -> Result<(), String> {
    let mut markers = Markers::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(marker) = line.strip_prefix("/// +") {
            markers.push(marker.to_owned());
        } else if let Some(name) = line.strip_prefix("pub struct ") {
            let mut message = Message { markers: std::mem::take(&mut markers), fields: Vec::new() };
            let name = name.trim_end_matches(" {}").trim_end_matches(" {");
            if !line.ends_with("{}") {
                message.fields =
                    parse_fields(module, &mut lines).map_err(|error| format!("{name}: {error}"))?;
            }
            messages.insert(path(module, name), message);
        } else if !line.starts_with("//") && !line.starts_with("#[") {
            markers.clear();
        }
    }
    Ok(())
}

fn parse_fields<'t>(
    module: &[&str],
    lines: &mut impl Iterator<Item = &'t str>,
) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut markers = Markers::new();
    let mut attribute = "";
    while let Some(line) = lines.next() {
        if line == "}" {
            return Ok(fields);
        } else if let Some(marker) = line.strip_prefix("/// +") {
            markers.push(marker.to_owned());
        } else if let Some(prost) = line.strip_prefix("#[prost(") {
            attribute = prost.strip_suffix(")]").ok_or_else(|| format!("cannot read `{line}`"))?;
        } else if let Some(start) = line.strip_prefix("pub ") {
            // A long type is wrapped: the member ends with the comma outside of all brackets.
            let mut member = start.to_owned();
            while !member.ends_with(',') || member.matches('<').count() > member.matches('>').count() {
                member.push(' ');
                member.push_str(lines.next().ok_or("the file ends inside a member")?);
            }
            let (name, of) = member.split_once(':').ok_or_else(|| format!("cannot read `{member}`"))?;
            fields.push(parse_field(module, name, of, attribute, std::mem::take(&mut markers))?);
        }
    }
    Err("the file ends inside a structure".to_owned())
}

fn parse_field(
    module: &[&str],
    name: &str,
    of: &str,
    attribute: &str,
    markers: Markers,
) -> Result<Field, String> {
    let cannot_read = || format!("cannot read the attribute `{attribute}` of `{name}`");
    let tag = attribute
        .split_once("tag = \"")
        .and_then(|(_, rest)| rest.strip_suffix('"')?.parse().ok())
        .ok_or_else(cannot_read)?;
    let (cardinality, wire) = if let Some(map) = attribute.strip_prefix("btree_map = \"string, ") {
        (Cardinality::Map, map.split_once('"').ok_or_else(cannot_read)?.0)
    } else {
        let mut parts = attribute.split(", ");
        let wire = parts.next().ok_or_else(cannot_read)?;
        let repeated = parts.any(|part| part == "repeated");
        let cardinality = if repeated { Cardinality::Repeated } else { Cardinality::One };
        (cardinality, wire.split(' ').next().unwrap_or(wire))
    };
    let of = match wire {
        "message" => Wire::Message(resolve(module, of)),
        plain => Wire::Plain(plain.to_owned()),
    };
    Ok(Field { name: bare(name.trim_start_matches("r#")), tag, cardinality, of, markers })
}

/// The message a type such as `Option<Box<super::super::meta::v1::Time>>` is about.
fn resolve(module: &[&str], of: &str) -> String {
    let innermost = of.rsplit(['<', ' ']).find(|part| part.contains(char::is_alphanumeric)).unwrap_or(of);
    let mut parts: Vec<&str> = module.to_vec();
    let mut name = innermost.trim_matches(['>', ',', ' ']);
    while let Some(rest) = name.strip_prefix("super::") {
        parts.pop();
        name = rest;
    }
    match name.rsplit_once("::") {
        Some((below, last)) => {
            parts.extend(below.split("::"));
            path(&parts, last)
        }
        None => path(&parts, name),
    }
}

fn path(module: &[&str], name: &str) -> String {
    format!("{}.{}", module.join("."), name).to_lowercase()
}

/// A name without what the two crates write differently: case and the signs between words.
pub fn bare(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}
