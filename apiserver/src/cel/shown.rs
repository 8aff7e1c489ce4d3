//! Maps as `format` shows them: in the order of their keys, which libraries do not know.

use super::value::{Key, Value};
use super::{Failure, library};

/// The arguments of `format` with texts for what holds maps; none if nothing does.
pub fn arguments<'a>(arguments: &[Value<'a>]) -> Option<Result<Value<'a>, Failure>> {
    let [list] = arguments else {
        return None;
    };
    let items = list.items().filter(|items| items.iter().any(holds_map))?;
    let shown = |item: Value<'a>| if holds_map(&item) { text(&item).map(Value::text) } else { Ok(item) };
    Some(items.into_iter().map(shown).collect::<Result<_, _>>().map(Value::list))
}

fn holds_map(value: &Value<'_>) -> bool {
    value.entries().is_some() || value.items().is_some_and(|items| items.iter().any(holds_map))
}

fn text(value: &Value<'_>) -> Result<String, Failure> {
    if let Some(entries) = value.entries() {
        let entry = |(key, value): (Key<'_>, Value<'_>)| {
            Ok(format!("{}:{}", text(&key.into_value())?, text(&value)?))
        };
        let entries: Vec<String> = entries.into_iter().map(entry).collect::<Result<_, Failure>>()?;
        return Ok(format!("{{{}}}", entries.join(", ")));
    }
    if let Some(items) = value.items() {
        let items: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
        return Ok(format!("[{}]", items.join(", ")));
    }
    if let Value::Text(text) = value {
        return Ok(format!("\"{text}\""));
    }
    match library::call("format", Some(&Value::text("%s")), &[Value::list(vec![value.clone()])])? {
        Value::Text(text) => Ok(text.into_owned()),
        other => super::evaluate::failed(format!("no such overload: {}", other.kind())),
    }
}
