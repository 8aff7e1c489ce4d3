//! What Kubernetes fills in where a pod's specification says nothing.

use serde_json::{Map, Value, json};

use crate::tree::{field, items, object, set_default, set_default_text, text};

/// Files of volumes are readable by everybody: 0644.
const DEFAULT_MODE: i64 = 0o644;

/// What the sources of volumes have where nothing is said: the source, the field, the value.
const SOURCE_DEFAULTS: [(&str, &str, &str); 10] = [
    ("hostPath", "type", ""),
    ("rbd", "pool", "rbd"),
    ("rbd", "user", "admin"),
    ("rbd", "keyring", "/etc/ceph/keyring"),
    ("iscsi", "iscsiInterface", "default"),
    ("azureDisk", "cachingMode", "ReadWrite"),
    ("azureDisk", "kind", "Shared"),
    ("azureDisk", "fsType", "ext4"),
    ("scaleIO", "storageMode", "ThinProvisioned"),
    ("scaleIO", "fsType", "xfs"),
];

/// Fills in a specification, alone or in a template.
pub fn set_spec_defaults(spec: &mut Value) {
    set_default_text(spec, "dnsPolicy", "ClusterFirst");
    set_default_text(spec, "restartPolicy", "Always");
    set_default_text(spec, "schedulerName", "default-scheduler");
    set_default(spec, "terminationGracePeriodSeconds", 30);
    set_default(spec, "securityContext", json!({}));
    set_account_defaults(spec);
    let host_network = spec["hostNetwork"] == true;
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(spec, list) {
            set_container_defaults(container, host_network);
        }
    }
    for volume in items(spec, "volumes") {
        set_volume_defaults(volume);
    }
}

/// The account has two names for its field, and both say the same; where they do not, the newer one counts.
fn set_account_defaults(spec: &mut Value) {
    let name = text(spec, "serviceAccountName").or_else(|| text(spec, "serviceAccount")).map(str::to_owned);
    if let Some(name) = name {
        for field in ["serviceAccountName", "serviceAccount"] {
            crate::tree::set(spec, field, Some(name.as_str().into()));
        }
    }
}

/// Fills in a pod; some fields are filled in there but not in templates.
pub fn set_pod_defaults(spec: &mut Value) {
    set_spec_defaults(spec);
    set_default(spec, "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            request_what_is_limited(container);
        }
    }
}

fn set_container_defaults(container: &mut Value, host_network: bool) {
    if text(container, "imagePullPolicy").is_none() {
        let policy = pull_policy(text(container, "image").unwrap_or_default());
        set_default_text(container, "imagePullPolicy", policy);
    }
    set_default_text(container, "terminationMessagePath", "/dev/termination-log");
    set_default_text(container, "terminationMessagePolicy", "File");
    set_default(container, "resources", json!({}));
    for port in items(container, "ports") {
        set_default_text(port, "protocol", "TCP");
        if host_network && let Some(number) = port.get("containerPort").cloned() {
            set_default(port, "hostPort", number);
        }
    }
    for variable in items(container, "env") {
        if let Some(source) = field(variable, "valueFrom") {
            set_field_ref_defaults(source);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = field(container, probe) {
            set_probe_defaults(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        let hook = field(container, "lifecycle").and_then(|lifecycle| field(lifecycle, hook));
        if let Some(get) = hook.and_then(|hook| field(hook, "httpGet")) {
            set_http_get_defaults(get);
        }
    }
}

/// `latest` may become another image at any time, everything else is taken to stay.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    // A colon before the last slash belongs to the registry's port.
    let last = name.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map(|(_, tag)| tag);
    match (tag, digest) {
        (Some("latest"), _) | (None, None) => "Always",
        _ => "IfNotPresent",
    }
}

fn set_field_ref_defaults(source: &mut Value) {
    if let Some(reference) = field(source, "fieldRef") {
        set_default_text(reference, "apiVersion", "v1");
    }
}

fn set_probe_defaults(probe: &mut Value) {
    // Zero is what clients send that leave a number out.
    for (name, number) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe.get(name).is_none_or(|value| *value == 0) {
            crate::tree::set(probe, name, Some(number.into()));
        }
    }
    if let Some(get) = field(probe, "httpGet") {
        set_http_get_defaults(get);
    }
    if let Some(grpc) = field(probe, "grpc") {
        set_default(grpc, "service", "");
    }
}

fn set_http_get_defaults(get: &mut Value) {
    set_default_text(get, "path", "/");
    set_default_text(get, "scheme", "HTTP");
}

/// Fills in where a volume is, for pods and for volumes of their own.
pub fn set_source_defaults(volume: &mut Value) {
    for (source, name, value) in SOURCE_DEFAULTS {
        if let Some(source) = field(volume, source) {
            set_default(source, name, value);
        }
    }
}

fn set_volume_defaults(volume: &mut Value) {
    if volume.as_object().is_some_and(|fields| fields.keys().all(|field| field == "name")) {
        set_default(volume, "emptyDir", json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = field(volume, source) {
            set_default(source, "defaultMode", DEFAULT_MODE);
        }
    }
    set_source_defaults(volume);
    if let Some(image) = field(volume, "image")
        && text(image, "pullPolicy").is_none()
    {
        let policy = pull_policy(text(image, "reference").unwrap_or_default());
        set_default_text(image, "pullPolicy", policy);
    }
    if let Some(source) = field(volume, "downwardAPI") {
        items(source, "items").for_each(set_field_ref_defaults);
    }
    if let Some(projected) = field(volume, "projected") {
        for source in items(projected, "sources") {
            if let Some(token) = field(source, "serviceAccountToken") {
                set_default(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = field(source, "downwardAPI") {
                items(downward, "items").for_each(set_field_ref_defaults);
            }
        }
    }
    let template = field(volume, "ephemeral").and_then(|source| field(source, "volumeClaimTemplate"));
    if let Some(spec) = template.and_then(|template| field(template, "spec")) {
        set_default_text(spec, "volumeMode", "Filesystem");
    }
}

/// What is limited and not requested is requested as limited.
fn request_what_is_limited(container: &mut Value) {
    let resources = object(container, "resources");
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else {
        return;
    };
    set_default(resources, "requests", Value::Object(Map::new()));
    if let Some(requests) = field(resources, "requests") {
        for (resource, limit) in limits {
            set_default(requests, &resource, limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_decides_how_often_an_image_is_pulled() {
        let row = |image: &str, policy: &str| assert_eq!(pull_policy(image), policy, "{image}");
        row("app", "Always");
        row("app:latest", "Always");
        row("app:1.2", "IfNotPresent");
        row("localhost:5000/app", "Always");
        row("localhost:5000/team/app:1", "IfNotPresent");
        row("app@sha256:00", "IfNotPresent");
        row("app:latest@sha256:00", "Always");
    }
}
