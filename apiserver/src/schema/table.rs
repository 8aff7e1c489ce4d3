//! Reads the table that the generator writes. It borrows from the text, which is part of the program.

use super::types::{Field, Form, Kind, Leaf, ListType, Schema, Scope, Type};

/// Reads the whole table.
///
/// # Panics
/// On text that the generator would not write: the table is compiled in, and every test reads it.
pub fn parse(text: &'static str) -> Schema {
    let names: Vec<&str> = lines(text).filter(|line| !line.starts_with(' ')).map(first_word).collect();
    let mut types: Vec<Type> = Vec::with_capacity(names.len());
    let mut kinds = Vec::new();
    for line in lines(text) {
        if let Some(member) = line.strip_prefix(' ') {
            let of = types.last_mut().expect("a member follows its type");
            of.fields.push(field(member, &names));
        } else {
            let index = u16::try_from(types.len()).expect("there are fewer than 65,536 types");
            types.push(head(line, index));
            if let Some(kind) = types.last().and_then(|of| of.kind) {
                kinds.push(([kind.group, kind.version, kind.kind], index));
            }
        }
    }
    for of in &mut types {
        of.index();
    }
    kinds.sort_unstable();
    Schema { types, kinds }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

fn first_word(line: &'static str) -> &'static str {
    line.split_once(' ').map_or(line, |(word, _)| word)
}

fn head(line: &'static str, index: u16) -> Type {
    let mut words = line.split(' ');
    let name = words.next().expect("split yields at least one word");
    let mut of = Type {
        name,
        kind: None,
        whole: false,
        leaf: Leaf::Struct(index),
        fields: Vec::new(),
        slots: Vec::new(),
    };
    for word in words {
        match word {
            "meta" => {
                of.fields.extend(["apiVersion", "kind"].map(|name| plain(name, Form::One, Leaf::String)))
            }
            "whole" => of.whole = true,
            _ => of.kind = Some(kind(word.strip_prefix("kind=").expect("the only other word of a type"))),
        }
    }
    of
}

fn kind(words: &'static str) -> Kind {
    let mut words = words.split(',');
    let mut next = || words.next().expect("a kind has four words");
    let (api_version, kind, resource, scope) = (next(), next(), next(), next());
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let scope = match scope {
        "Namespaced" => Scope::Namespaced,
        "Cluster" => Scope::Cluster,
        _ => Scope::Subresource,
    };
    Kind { group, version, api_version, kind, resource, scope, list_kind: words.next() }
}

fn plain(name: &'static str, form: Form, leaf: Leaf) -> Field {
    Field {
        name,
        required: false,
        form,
        leaf,
        list_type: None,
        keeps_zero: false,
        merge_key: None,
        tags: "",
        map_keys: "",
        whole: None,
        patch: "",
        default: None,
    }
}

fn field(line: &'static str, names: &[&str]) -> Field {
    let mut words = line.split(' ');
    let mut next = || words.next().expect("a member has a name, tags and a type");
    let (name, tags, of) = (next(), next(), next());
    let (form, of) = form(of);
    let mut field = Field { tags, ..plain(name.trim_end_matches('!'), form, leaf(of, names)) };
    field.required = name.ends_with('!');
    for word in words {
        match word.split_once('=') {
            Some(("map", keys)) => (field.list_type, field.map_keys) = (Some(ListType::Map), keys),
            Some(("mergeKey", key)) => field.merge_key = Some(key),
            Some(("patch", how)) => field.patch = how,
            Some(("default", json)) => field.default = Some(json),
            None if word == "set" => field.list_type = Some(ListType::Set),
            None if word == "atomic" => field.list_type = Some(ListType::Atomic),
            None if word == "zero" => field.keeps_zero = true,
            None if word == "whole" => field.whole = Some(true),
            None if word == "granular" => field.whole = Some(false),
            _ => panic!("the table has an unknown word `{word}`"),
        }
    }
    field
}

fn form(of: &'static str) -> (Form, &'static str) {
    let prefixes =
        [("{}([]", Form::MapOfLists), ("([]", Form::WrappedList), ("{}", Form::Map), ("[]", Form::List)];
    for (prefix, form) in prefixes {
        if let Some(rest) = of.strip_prefix(prefix) {
            return (form, rest.trim_end_matches(')'));
        }
    }
    (Form::One, of)
}

fn leaf(of: &str, names: &[&str]) -> Leaf {
    match of {
        "string" => Leaf::String,
        "int32" => Leaf::Int32,
        "int64" => Leaf::Int64,
        "bool" => Leaf::Bool,
        "double" => Leaf::Double,
        "bytes" => Leaf::Bytes,
        "Quantity" => Leaf::Quantity,
        "IntOrString" => Leaf::IntOrString,
        "Time" => Leaf::Time,
        "MicroTime" => Leaf::MicroTime,
        "RawExtension" => Leaf::RawExtension,
        "JSON" => Leaf::Json,
        "FieldsV1" => Leaf::FieldsV1,
        "SchemaOrArray" => Leaf::SchemaOrArray,
        "SchemaOrBool" => Leaf::SchemaOrBool,
        "SchemaOrStrings" => Leaf::SchemaOrStrings,
        name => {
            let index = names.binary_search(&name).expect("the table defines every type it names");
            Leaf::Struct(u16::try_from(index).expect("there are fewer than 65,536 types"))
        }
    }
}

#[cfg(test)]
mod tests;
