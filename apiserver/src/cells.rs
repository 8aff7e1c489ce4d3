//! The columns of tables and what stands in their cells, as kubectl shows them.

use std::collections::BTreeMap;

use api::selector::LabelSelector;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::Value;

use crate::builtin::Column;

/// What stands where there is nothing.
pub const NONE: &str = "<none>";

/// What stands where nothing is known.
pub const UNKNOWN: &str = "<unknown>";

/// The column with the names, which is the first of most tables.
pub const NAME: Column = Column { format: "name", ..text("Name", "Name of the object.") };

/// The column with the ages, see [`age`].
pub const AGE: Column = text("Age", "Time since the object was created.");

/// The column with the moments of creation, for kinds that show no age; see [`created`].
pub const CREATED: Column =
    Column { kind: "date", ..text("Created At", "When the object was created, by the clock of the server.") };

/// The columns for the templates of pods, see [`template`].
pub const CONTAINERS: Column = text("Containers", "Names of the containers in the template.").wide();

/// See [`CONTAINERS`].
pub const IMAGES: Column = text("Images", "Images of the containers in the template.").wide();

/// A column for the selector of pods, see [`selector`] and [`labels`].
pub const SELECTOR: Column = text("Selector", "Labels of the pods that are meant.").wide();

/// A column of texts.
pub const fn text(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", description, priority: 0 }
}

/// A column of whole numbers.
pub const fn number(name: &'static str, description: &'static str) -> Column {
    Column { kind: "integer", ..text(name, description) }
}

/// A column of yes and no.
pub const fn flag(name: &'static str, description: &'static str) -> Column {
    Column { kind: "boolean", ..text(name, description) }
}

impl Column {
    /// The column, shown only with `-o wide`.
    pub const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }
}

/// The name of an object.
pub fn name(metadata: &meta::ObjectMeta) -> Value {
    metadata.name.as_deref().unwrap_or_default().into()
}

/// The text, or `nothing` where there is none.
pub fn or<'a>(text: Option<&'a str>, nothing: &'a str) -> Value {
    text.filter(|text| !text.is_empty()).unwrap_or(nothing).into()
}

/// The texts with commas between them, or `nothing` where there are none.
pub fn joined<'a>(texts: impl IntoIterator<Item = &'a str>, nothing: &str) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    if texts.is_empty() { nothing.to_owned() } else { texts.join(",") }
}

/// The first few texts, and how many more there are.
pub fn first_few<T: AsRef<str>>(texts: &[T], most: usize, nothing: &str) -> String {
    let shown = joined(texts.iter().take(most).map(AsRef::as_ref), nothing);
    match texts.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// Labels that must all be there, as in `app=web,tier=front`.
pub fn labels(labels: Option<&BTreeMap<String, String>>) -> Value {
    let labels = labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}"));
    match labels.collect::<Vec<_>>() {
        none if none.is_empty() => NONE.into(),
        labels => labels.join(",").into(),
    }
}

/// A selector as kubectl takes it.
pub fn selector(selector: Option<&meta::LabelSelector>) -> Value {
    match selector.map(LabelSelector::try_from) {
        None => NONE.into(),
        Some(Err(_)) => "<error>".into(),
        Some(Ok(selector)) if selector.is_everything() => NONE.into(),
        Some(Ok(selector)) => selector.to_string().into(),
    }
}

/// The names and the images of a template's containers.
pub fn template(template: Option<&PodTemplateSpec>) -> [Value; 2] {
    let spec = template.and_then(|template| template.spec.as_ref());
    let containers: &[Container] = spec.map_or(&[], |spec| &spec.containers);
    let images = containers.iter().map(|container| container.image.as_deref().unwrap_or_default());
    let names = containers.iter().map(|container| container.name.as_str());
    [joined(names, "").into(), joined(images, "").into()]
}

/// The time since the object was created.
pub fn age(metadata: &meta::ObjectMeta, now: Timestamp) -> Value {
    since(metadata.creation_timestamp.as_ref().map(|time| time.0), now).into()
}

/// When the object was created.
pub fn created(metadata: &meta::ObjectMeta) -> Value {
    serde_json::to_value(&metadata.creation_timestamp).unwrap_or_default()
}

/// The time since `then`, as in `5d`, `3h12m`, `47s`; `<unknown>` without a moment.
pub fn since(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| UNKNOWN.to_owned(), |then| span(now.duration_since(then).as_secs()))
}

/// A number of seconds in two units at most, the second only where it matters; `<invalid>` if it is well in the future.
pub fn span(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| {
        let (whole, rest) = (seconds / large, seconds % large / small);
        if rest == 0 {
            format!("{whole}{large_unit}")
        } else {
            format!("{whole}{large_unit}{rest}{small_unit}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests;
