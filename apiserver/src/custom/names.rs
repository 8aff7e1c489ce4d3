//! Decides which names a custom kind gets: two kinds of one group cannot share one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The names a definition gets, and why it does not get others.
#[derive(Debug, PartialEq)]
pub struct Acceptance {
    /// `status.acceptedNames`.
    pub names: Value,
    /// Status, reason and message of the condition `NamesAccepted`.
    pub condition: [String; 3],
}

/// Decides the names of a definition; `others` are the accepted names of the other kinds of its group.
pub fn accept<'a>(spec: &Value, accepted: &Value, others: impl Iterator<Item = &'a Value>) -> Acceptance {
    let (mut resources, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for other in others {
        let texts = |field: &str| other[field].as_str();
        resources.extend(texts("plural").into_iter().chain(texts("singular")));
        resources.extend(other["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str));
        kinds.extend(texts("kind").into_iter().chain(texts("listKind")));
    }
    let mut names: Map<String, Value> = accepted.as_object().cloned().unwrap_or_default();
    let mut conflict = None;
    let used = |name: &str| format!("{name:?} is already in use");
    for (field, known, reason) in [
        ("plural", &resources, "PluralConflict"),
        ("singular", &resources, "SingularConflict"),
        ("shortNames", &resources, "ShortNamesConflict"),
        ("kind", &kinds, "KindConflict"),
        ("listKind", &kinds, "ListKindConflict"),
    ] {
        let wanted = spec.get(field).cloned().unwrap_or_default();
        let own: Vec<&str> = texts(&accepted[field]);
        let taken: Vec<&str> =
            texts(&wanted).into_iter().filter(|name| known.contains(name) && !own.contains(name)).collect();
        match taken.as_slice() {
            [] => set(&mut names, field, wanted),
            [name] => conflict = Some([reason.to_owned(), used(name)]),
            several => {
                let several: Vec<String> = several.iter().map(|name| used(name)).collect();
                conflict = Some([reason.to_owned(), format!("[{}]", several.join(", "))]);
            }
        }
    }
    set(&mut names, "categories", spec.get("categories").cloned().unwrap_or_default());
    // Both are texts that must be there, whether or not they were accepted.
    for field in ["plural", "kind"] {
        names.entry(field).or_insert_with(|| "".into());
    }
    let condition = match conflict {
        Some([reason, message]) => ["False".to_owned(), reason, message],
        None => ["True".to_owned(), "NoConflicts".to_owned(), "no conflicts found".to_owned()],
    };
    Acceptance { names: names.into(), condition }
}

fn set(names: &mut Map<String, Value>, field: &str, value: Value) {
    match value {
        Value::Null => names.remove(field),
        value => names.insert(field.to_owned(), value),
    };
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_in_use_are_not_given_twice() {
        let names = |plural: &str, kind: &str, short: &[&str]| json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"), "shortNames": short});
        let row = |wanted: Value, others: &[Value], condition: [&str; 3], kept: Value| {
            let found = accept(&wanted, &json!(null), others.iter());
            assert_eq!(found.condition, condition.map(str::to_owned));
            assert_eq!(found.names, kept);
        };
        let cron = names("crontabs", "CronTab", &["ct"]);
        row(cron.clone(), &[], ["True", "NoConflicts", "no conflicts found"], cron.clone());
        let mut without = cron.clone();
        without.as_object_mut().map(|names| names.remove("shortNames"));
        row(
            cron.clone(),
            &[names("others", "Other", &["ct"])],
            ["False", "ShortNamesConflict", "\"ct\" is already in use"],
            without,
        );
        let found = accept(&cron, &json!(null), [names("x", "CronTab", &[])].iter());
        assert_eq!(found.condition[1], "KindConflict".to_owned().replace("Kind", "ListKind"));
        let own = accept(&cron, &cron, std::iter::empty());
        assert_eq!(own.names, cron);
    }
}
