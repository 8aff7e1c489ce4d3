//! What a pod can be told of itself: fields of its metadata, and what its containers ask for and may use.

use std::collections::BTreeMap;

use api::quantity::{Format, Quantity};
use k8s_openapi::api::core::v1::{Container, DownwardAPIVolumeFile, Pod, ResourceFieldSelector};

/// What a container may use that sets no limit: what its node has for pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocatable {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of disk.
    pub storage_bytes: u64,
}

/// The value of a field of the pod's metadata; none if it is not one of those that can be asked for.
pub fn metadata_field(pod: &Pod, path: &str) -> Option<String> {
    let metadata = &pod.metadata;
    let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
    match path {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        _ => {
            let subscript = |field| path.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']");
            let of = |map: &Option<BTreeMap<String, String>>, key| {
                map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default()
            };
            let label = subscript("metadata.labels").map(|key| of(&metadata.labels, key));
            label.or_else(|| subscript("metadata.annotations").map(|key| of(&metadata.annotations, key)))
        }
    }
}

/// The amount that `selector` names, in units of its divisor and rounded up. `own` is the container that asks.
pub fn resource_field(
    pod: &Pod,
    own: Option<&Container>,
    selector: &ResourceFieldSelector,
    allocatable: &Allocatable,
) -> Result<String, String> {
    let first = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let containers = first.chain(pod.spec.iter().flat_map(|spec| &spec.containers));
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => { containers }.find(|container| container.name == *name),
        None => own,
    };
    let container = container.ok_or_else(|| {
        format!("container {} not found", selector.container_name.as_deref().unwrap_or_default())
    })?;
    let amount = amount(container, &selector.resource, allocatable)
        .ok_or_else(|| format!("unsupported container resource : {}", selector.resource))?;
    let divisor = selector.divisor.as_ref().and_then(|divisor| Quantity::try_from(divisor).ok());
    let divisor = divisor.filter(|divisor| !divisor.is_zero());
    let divisor = divisor.unwrap_or(Quantity::from_units(1, Format::DecimalSi));
    let (amount, divisor) = match selector.resource.ends_with(".cpu") {
        true => (amount.millis(), divisor.millis()),
        false => (amount.value(), divisor.value()),
    };
    Ok(u64::try_from(amount).unwrap_or(0).div_ceil(u64::try_from(divisor).unwrap_or(1).max(1)).to_string())
}

fn amount(container: &Container, resource: &str, allocatable: &Allocatable) -> Option<Quantity> {
    let (list, name) = resource.split_once('.')?;
    let units = |units: u64, format| Quantity::from_units(i64::try_from(units).unwrap_or(i64::MAX), format);
    let whole = match name {
        "cpu" => Quantity::from_millis(i64::try_from(allocatable.cpu_millis).unwrap_or(i64::MAX)),
        "memory" => units(allocatable.memory_bytes, Format::BinarySi),
        "ephemeral-storage" => units(allocatable.storage_bytes, Format::BinarySi),
        _ => return None,
    };
    let resources = container.resources.as_ref();
    let (amounts, otherwise) = match list {
        "limits" => (resources.and_then(|resources| resources.limits.as_ref()), whole),
        "requests" => (resources.and_then(|resources| resources.requests.as_ref()), Quantity::ZERO),
        _ => return None,
    };
    let set = amounts.and_then(|amounts| Quantity::try_from(amounts.get(name)?).ok());
    Some(set.filter(|amount| !amount.is_zero()).unwrap_or(otherwise))
}

/// The content of a file of a downwardAPI volume, or why there is none.
pub(super) fn content(
    pod: &Pod,
    file: &DownwardAPIVolumeFile,
    allocatable: &Allocatable,
) -> Result<String, String> {
    if let Some(reference) = &file.field_ref {
        let path = reference.field_path.as_str();
        return match path {
            "metadata.labels" => Ok(lines(&pod.metadata.labels)),
            "metadata.annotations" => Ok(lines(&pod.metadata.annotations)),
            _ => metadata_field(pod, path).ok_or_else(|| format!("unsupported fieldPath: {path}")),
        };
    }
    match &file.resource_field_ref {
        Some(selector) => resource_field(pod, None, selector, allocatable),
        None => Err(format!("{:?} refers to nothing", file.path)),
    }
}

/// A line `key="value"` for each entry.
fn lines(map: &Option<BTreeMap<String, String>>) -> String {
    let lines = map.iter().flatten().map(|(key, value)| format!("{key}={}", quoted(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// As Go writes a text in quotes: what reads these files elsewhere undoes just that.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match (character, u32::from(character)) {
            ('"' | '\\', _) => quoted.extend(['\\', character]),
            ('\u{7}', _) => quoted.push_str("\\a"),
            ('\u{8}', _) => quoted.push_str("\\b"),
            ('\u{b}', _) => quoted.push_str("\\v"),
            ('\u{c}', _) => quoted.push_str("\\f"),
            ('\n' | '\r' | '\t', _) => quoted.extend(character.escape_default()),
            (_, code @ (0..0x20 | 0x7f)) => quoted.push_str(&format!("\\x{code:02x}")),
            (_, code @ (0x80..=0xa0 | 0xad)) => quoted.push_str(&format!("\\u{code:04x}")),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn check(file: Value, expected: &str) {
        let resources = json!({"limits": {"memory": "64Mi", "cpu": "1500m"}, "requests": {"cpu": "250m"}});
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web", "tier": "a\"b"}},
            "spec": {"containers": [{"name": "main", "resources": resources}, {"name": "free"}]},
        }))
        .unwrap();
        let mut file = file;
        file["path"] = "x".into();
        let file = serde_json::from_value(file).unwrap();
        let allocatable = Allocatable { cpu_millis: 4000, memory_bytes: 1 << 30, storage_bytes: 7 };
        let content = content(&pod, &file, &allocatable).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(content, expected);
    }

    #[test]
    fn fields_of_the_metadata_are_shown() {
        let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
        check(field("metadata.name"), "p");
        check(field("metadata.namespace"), "n");
        check(field("metadata.uid"), "u");
        check(field("metadata.labels['app']"), "web");
        check(field("metadata.labels"), "app=\"web\"\ntier=\"a\\\"b\"");
        check(field("metadata.annotations"), "");
        let odd = "a\"b\\c\n\t\r\0\u{1b}\u{7f}\u{7}\u{8}\u{b}\u{c}\u{85}e\u{301}'ü";
        let expected = r#""a\"b\\c\n\t\r\x00\x1b\x7f\a\b\v\f\u0085"#.to_owned() + "e\u{301}'ü\"";
        assert_eq!(quoted(odd), expected);
        check(field("status.podIP"), "error: unsupported fieldPath: status.podIP");
    }

    #[test]
    fn amounts_are_counted_in_divisors_and_rounded_up() {
        let amount = |container: &str, resource: &str, divisor: &str| json!({"resourceFieldRef": {"containerName": container, "resource": resource, "divisor": divisor}});
        check(amount("main", "limits.cpu", "0"), "2");
        check(amount("main", "limits.cpu", "1m"), "1500");
        check(amount("main", "requests.cpu", "100m"), "3");
        check(amount("main", "limits.memory", "1Mi"), "64");
        check(amount("main", "requests.memory", "1"), "0");
        check(amount("free", "limits.cpu", "1"), "4");
        check(amount("free", "limits.memory", "1Gi"), "1");
        check(amount("free", "limits.ephemeral-storage", "1"), "7");
        check(
            amount("main", "limits.hugepages-1Gi", "1"),
            "error: unsupported container resource : limits.hugepages-1Gi",
        );
        check(amount("none", "limits.cpu", "1"), "error: container none not found");
    }
}
