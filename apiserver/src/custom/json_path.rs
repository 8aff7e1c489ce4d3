//! Simple JSON paths, by which a custom kind says what its columns, its scale and its selectable fields are.
//!
//! `.spec.replicas`, `.metadata.labels['a.b']`, `.status.conditions[?(@.type=="Ready")].status`, `.spec.items[0]`.

use serde_json::Value;

/// A path has at most so many steps.
const LARGEST: usize = 64;

/// A path, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Chosen { path: Vec<Step>, equal: bool, value: Value },
}

impl JsonPath {
    /// Reads a path, which begins with a dot or a bracket.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        if !rest.starts_with(['.', '[']) {
            return Err(format!("{text:?} does not begin with a dot"));
        }
        while !rest.is_empty() {
            if steps.len() == LARGEST {
                return Err(format!("{text:?} has more than {LARGEST} steps"));
            }
            let (step, after) =
                step(rest).ok_or_else(|| format!("{rest:?} in {text:?} is no step of a path"))?;
            steps.push(step);
            rest = after;
        }
        Ok(Self(steps))
    }

    /// The names of the fields, if there is nothing else in the path.
    pub fn fields<'a>(&'a self) -> Option<Vec<&'a str>> {
        let name = |step: &'a Step| match step {
            Step::Field(name) => Some(name.as_str()),
            _ => None,
        };
        self.0.iter().map(name).collect()
    }

    /// The first value the path leads to.
    pub fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        first(&self.0, value)
    }
}

fn first<'a>(steps: &[Step], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    match step {
        Step::Field(name) => first(rest, value.get(name)?),
        Step::Index(index) => {
            let items = value.as_array()?;
            let at = if *index < 0 { items.len() as i64 + index } else { *index };
            first(rest, items.get(usize::try_from(at).ok()?)?)
        }
        Step::All => match value {
            Value::Array(items) => items.iter().find_map(|item| first(rest, item)),
            Value::Object(fields) => fields.values().find_map(|field| first(rest, field)),
            _ => None,
        },
        Step::Chosen { path, equal, value: wanted } => {
            let is_chosen =
                |item: &&Value| first(path, item).is_some_and(|found| (found == wanted) == *equal);
            value.as_array()?.iter().filter(is_chosen).find_map(|item| first(rest, item))
        }
    }
}

/// The first step, and what follows it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        return bracket(rest);
    }
    let rest = text.strip_prefix('.')?;
    if rest.starts_with('[') {
        return step(rest);
    }
    if let Some(rest) = rest.strip_prefix('*') {
        return Some((Step::All, rest));
    }
    let mut name = String::new();
    let mut letters = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            '.' | '[' => {
                end = at;
                break;
            }
            ' ' | ']' | '(' | ')' | '=' | '!' | '{' | '}' => return None,
            letter => name.push(letter),
        }
    }
    (!name.is_empty()).then_some((Step::Field(name), &rest[end..]))
}

/// What stands between brackets, of which the first was passed.
fn bracket(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix("?(@") {
        return choice(rest);
    }
    if let Some(quote) = text.chars().next().filter(|letter| ['\'', '"'].contains(letter)) {
        let (name, rest) = text[1..].split_once(quote)?;
        return Some((Step::Field(name.to_owned()), rest.strip_prefix(']')?));
    }
    let (inner, rest) = text.split_once(']')?;
    match inner.trim() {
        "*" => Some((Step::All, rest)),
        index => Some((Step::Index(index.parse().ok()?), rest)),
    }
}

/// `.type=="Ready")]`: a condition on each item.
fn choice(text: &str) -> Option<(Step, &str)> {
    let at = text.find("==").or_else(|| text.find("!="))?;
    let (path, condition) = text.split_at(at);
    let mut steps = Vec::new();
    let mut path = path.trim();
    while !path.is_empty() {
        // A condition within a condition is not simple any more.
        let (next, after) = step(path).filter(|(step, _)| !matches!(step, Step::Chosen { .. }))?;
        steps.push(next);
        path = after;
    }
    let wanted = condition[2..].trim_start();
    let (value, rest) = match wanted.chars().next()? {
        quote @ ('\'' | '"') => {
            let (text, rest) = wanted[1..].split_once(quote)?;
            (Value::from(text), rest)
        }
        _ => {
            let (text, _) = wanted.split_once(')')?;
            (serde_json::from_str(text.trim()).ok()?, &wanted[text.len()..])
        }
    };
    let rest = rest.trim_start().strip_prefix(")]")?;
    Some((Step::Chosen { path: steps, equal: condition.starts_with("=="), value }, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_values() {
        let object = json!({
            "metadata": {"labels": {"a.b": "x", "c": "y"}},
            "spec": {"n": 3, "items": [{"v": 1}, {"v": 2}]},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}, {"n": 4, "on": true}]},
        });
        let row = |path: &str, expected: Value| {
            let found = JsonPath::read(path).unwrap().first(&object).cloned().unwrap_or_default();
            assert_eq!(found, expected, "{path}");
        };
        row(".spec.n", json!(3));
        row(".spec.missing.n", json!(null));
        row(".metadata.labels['a.b']", json!("x"));
        row(".metadata.labels.a\\.b", json!("x"));
        row(".metadata.labels[\"c\"]", json!("y"));
        row(".spec.items[1].v", json!(2));
        row(".spec.items[-1].v", json!(2));
        row(".spec.items[*].v", json!(1));
        row(".status.conditions[?(@.type==\"Ready\")].status", json!("True"));
        row(".status.conditions[?(@.type == 'Ready')].status", json!("True"));
        row(".status.conditions[?(@.n==4)].on", json!(true));
        row(".status.conditions[?(@.type!='A')].status", json!("True"));
        row(".status.conditions[?(@.type=='None')].status", json!(null));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "spec",
            ".",
            ".spec.",
            ".a[",
            ".a[x]",
            ".a[?(@.b)]",
            ".a[?(@.b=='c'",
            ".a b",
            ".a[?(@[?(@.b==1)]==1)]",
        ] {
            assert!(JsonPath::read(text).is_err(), "{text}");
        }
        assert!(JsonPath::read(&".a".repeat(100)).is_err());
    }
}
