//! Containers that are added to a running pod, to look at the others: they may less than those.

use std::collections::BTreeSet;

use api::field::FieldError;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};

use super::containers;
use crate::path::Path;

const NOT_HERE: &str = "cannot be set for an Ephemeral Container";

/// Checks the ephemeral containers of the specification at `path`.
pub fn check_ephemeral(spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let volumes = spec.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    let others = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let targets: BTreeSet<&str> = others.map(|container| container.name.as_str()).collect();
    let list: Vec<(&EphemeralContainer, Container)> =
        spec.ephemeral_containers.iter().flatten().map(|container| (container, plain(container))).collect();
    let mut names = targets.clone();
    let path = path.child("ephemeralContainers");
    for (index, (container, plain)) in list.iter().enumerate() {
        let path = path.index(index);
        containers::check_container(plain, &volumes, &mut names, &path, errors);
        check_fields(container, &path, errors);
        let target = container.target_container_name.as_deref().filter(|target| !target.is_empty());
        if let Some(target) = target.filter(|target| !targets.contains(target)) {
            errors.push(FieldError::not_found(path.child("targetContainerName"), target));
        }
    }
}

fn check_fields(container: &EphemeralContainer, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let has_resources = container.resources.as_ref().is_some_and(|given| *given != Default::default());
    let given = [
        ("ports", container.ports.as_ref().is_some_and(|ports| !ports.is_empty())),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("lifecycle", container.lifecycle.is_some()),
        ("resources", has_resources),
        ("resizePolicy", container.resize_policy.as_ref().is_some_and(|policy| !policy.is_empty())),
        ("restartPolicy", container.restart_policy.is_some()),
    ];
    for (field, _) in given.iter().filter(|(_, given)| *given) {
        errors.push(FieldError::forbidden(path.child(field), NOT_HERE));
    }
    let mounts = path.child("volumeMounts");
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = mounts.index(index);
        let texts = [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)];
        for (field, _) in texts.iter().filter(|(_, text)| text.as_ref().is_some_and(|text| !text.is_empty()))
        {
            errors.push(FieldError::forbidden(path.child(field), NOT_HERE));
        }
    }
}

/// The same as an ordinary container, as far as the same is checked.
fn plain(container: &EphemeralContainer) -> Container {
    let container = container.clone();
    Container {
        args: container.args,
        command: container.command,
        env: container.env,
        env_from: container.env_from,
        image: container.image,
        image_pull_policy: container.image_pull_policy,
        name: container.name,
        termination_message_path: container.termination_message_path,
        termination_message_policy: container.termination_message_policy,
        volume_mounts: container.volume_mounts,
        ..Container::default()
    }
}
