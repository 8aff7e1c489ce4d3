//! Containers: names, images, ports, mounts, and what holds between them.

use std::collections::{BTreeMap, BTreeSet};

use api::field::FieldError;
use k8s_openapi::api::core::v1::{Container, PodSpec, VolumeMount};

use super::{
    PROTOCOLS, amounts, environment, one_of, probes, require, require_name, restart_rules, security,
};
use crate::names::{Form, port_mistake, port_name_mistakes};
use crate::path::Path;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["FallbackToLogsOnError", "File"];
const LARGEST_MESSAGE_PATH: usize = 4096;

/// Checks all containers of a pod. `volumes` are the names of its volumes.
pub fn check(spec: &PodSpec, volumes: &BTreeSet<&str>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    let containers_path = path.child("containers");
    if spec.containers.is_empty() {
        errors.push(FieldError::required(containers_path, ""));
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let path = containers_path.index(index);
        check_container(container, volumes, &mut names, &path, errors);
        probes::check_all(container, &path, errors);
        restart_rules::check(container, &path, errors);
    }
    let init_path = path.child("initContainers");
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        let path = init_path.index(index);
        check_container(container, volumes, &mut names, &path, errors);
        check_init(container, &path, errors);
    }
    check_host_ports(&spec.containers, &containers_path, errors);
}

/// Checks what holds for every container; `names` are those that are taken.
pub(super) fn check_container<'a>(
    container: &'a Container,
    volumes: &BTreeSet<&str>,
    names: &mut BTreeSet<&'a str>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    require_name(&container.name, Form::Label, path.child("name"), errors);
    if !container.name.is_empty() && !names.insert(&container.name) {
        errors.push(FieldError::duplicate(path.child("name"), container.name.as_str()));
    }
    check_image(container.image.as_deref().unwrap_or_default(), path.child("image"), errors);
    one_of(container.image_pull_policy.as_deref(), &PULL_POLICIES, path.child("imagePullPolicy"), errors);
    one_of(
        container.termination_message_policy.as_deref(),
        &MESSAGE_POLICIES,
        path.child("terminationMessagePolicy"),
        errors,
    );
    if container.termination_message_path.as_ref().is_some_and(|path| path.len() > LARGEST_MESSAGE_PATH) {
        errors.push(FieldError::too_long(path.child("terminationMessagePath"), LARGEST_MESSAGE_PATH));
    }
    check_ports(container, &path.child("ports"), errors);
    environment::check(container, path, errors);
    check_mounts(container, volumes, &path.child("volumeMounts"), errors);
    security::check_container(container.security_context.as_ref(), path, errors);
    if let Some(resources) = &container.resources {
        amounts::check(resources, &path.child("resources"), errors);
    }
}

fn check_image(image: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if image.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if image.trim() != image {
        errors.push(FieldError::invalid(path, image, "must not have leading or trailing whitespace"));
    }
}

/// Init containers end before the others start, unless they restart always: then they run beside them.
fn check_init(container: &Container, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    restart_rules::check(container, path, errors);
    match container.restart_policy.as_deref() {
        Some("Always") => probes::check_all(container, path, errors),
        _ => {
            let words = "may not be set for init containers without restartPolicy=Always";
            let given = [
                ("lifecycle", container.lifecycle.is_some()),
                ("livenessProbe", container.liveness_probe.is_some()),
                ("readinessProbe", container.readiness_probe.is_some()),
                ("startupProbe", container.startup_probe.is_some()),
            ];
            for (field, _) in given.iter().filter(|(_, given)| *given) {
                errors.push(FieldError::forbidden(path.child(field), words));
            }
        }
    }
}

fn check_ports(container: &Container, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let path = path.index(index);
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let mistakes = port_name_mistakes(name);
            if mistakes.is_empty() && !names.insert(name) {
                errors.push(FieldError::duplicate(path.child("name"), name));
            }
            let mistakes = mistakes.into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.child("name"), name, words)));
        }
        match (port.container_port, port_mistake(port.container_port)) {
            (0, _) => errors.push(FieldError::required(path.child("containerPort"), "")),
            (port, Some(words)) => {
                errors.push(FieldError::invalid(path.child("containerPort"), port, words));
            }
            (_, None) => {}
        }
        let host_port = port.host_port.filter(|port| *port != 0);
        if let Some((port, words)) = host_port.and_then(|port| Some((port, port_mistake(port)?))) {
            errors.push(FieldError::invalid(path.child("hostPort"), port, words));
        }
        one_of(port.protocol.as_deref(), &PROTOCOLS, path.child("protocol"), errors);
    }
}

fn check_host_ports(containers: &[Container], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|port| *port != 0) else {
                continue;
            };
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let place = format!("{protocol}/{}/{number}", port.host_ip.as_deref().unwrap_or_default());
            if !taken.insert(place.clone()) {
                let path = path.index(index);
                errors.push(FieldError::duplicate(path.child("hostPort"), place));
            }
        }
    }
}

fn check_mounts(
    container: &Container,
    volumes: &BTreeSet<&str>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut places = BTreeMap::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = path.index(index);
        if mount.name.is_empty() {
            errors.push(FieldError::required(path.child("name"), ""));
        } else if !volumes.contains(mount.name.as_str()) {
            errors.push(FieldError::not_found(path.child("name"), mount.name.as_str()));
        }
        require(&mount.mount_path, path.child("mountPath"), errors);
        if !mount.mount_path.is_empty() && places.insert(&mount.mount_path, index).is_some() {
            let place = mount.mount_path.as_str();
            errors.push(FieldError::invalid(path.child("mountPath"), place, "must be unique"));
        }
        check_sub_path(mount, &path, errors);
    }
}

fn check_sub_path(mount: &VolumeMount, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (sub_path, expression) = (given(&mount.sub_path), given(&mount.sub_path_expr));
    if let (Some(_), Some(expression)) = (&sub_path, &expression) {
        let words = "subPathExpr and subPath are mutually exclusive";
        errors.push(FieldError::invalid(path.child("subPathExpr"), expression.as_str(), words));
    }
    for (field, inner) in [("subPath", sub_path), ("subPathExpr", expression)] {
        let Some(inner) = inner else { continue };
        if let Some(words) = local_path_mistake(&inner) {
            errors.push(FieldError::invalid(path.child(field), inner, words));
        }
    }
}

/// What is wrong with a path that must stay below where it starts.
pub fn local_path_mistake(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        Some("must be a relative path")
    } else if path.split('/').any(|part| part == "..") {
        Some("must not contain '..'")
    } else {
        None
    }
}
