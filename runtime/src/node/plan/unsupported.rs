//! Fields that would change what a pod does and that Peapod does not act on yet. A pod that sets one does not start, so
//! that nothing is ignored in silence. Fields that only restrict a guest further than its sandbox does already, such as
//! those of `securityContext`, are not among them.

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};

/// What to say of the first such field; none if there is none.
pub(super) fn first(spec: &PodSpec) -> Option<String> {
    let mut containers = lists(spec);
    let of_containers = containers.find_map(|(list, index, container)| {
        let field = of_container(container)?;
        Some(format!("spec.{list}[{index}].{field}"))
    });
    let field = of_pod(spec).map(|field| format!("spec.{field}")).or(of_containers)?;
    Some(format!("{field}: not supported yet"))
}

/// What to say of the first such field of an ephemeral container: only the container does not start.
pub(super) fn of_ephemeral(index: usize, container: &Container) -> Option<String> {
    let field = of_container(container)?;
    Some(format!("spec.ephemeralContainers[{index}].{field}: not supported yet"))
}

/// What to say of what the pod asks for in vain, since it runs without; none if there is nothing of this. Requests for what is
/// not limited are harmless.
pub(super) fn ignored(spec: &PodSpec) -> Option<String> {
    let sentences = [
        (unlimited(spec), "not enforced yet, the pod runs without"),
        (
            meaningless(spec),
            "there are no processes and no devices of the host in a sandbox, the pod runs without",
        ),
    ];
    let sentences = sentences.into_iter().filter(|(fields, _)| !fields.is_empty());
    let sentences: Vec<String> =
        sentences.map(|(fields, words)| format!("{}: {words}", fields.join(", "))).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

/// Limits that do not hold.
fn unlimited(spec: &PodSpec) -> Vec<String> {
    let names = |resources: &Option<ResourceRequirements>| {
        let limits = resources.as_ref().and_then(|resources| resources.limits.as_ref());
        let names = limits.into_iter().flat_map(|limits| limits.keys());
        names.filter(|name| !ENFORCED.contains(&name.as_str())).cloned().collect::<Vec<_>>()
    };
    let of_pod = names(&spec.resources).into_iter().map(|name| format!("spec.resources.limits.{name}"));
    let of_containers = lists(spec).flat_map(|(list, index, container)| {
        let names = names(&container.resources).into_iter();
        names.map(move |name| format!("spec.{list}[{index}].resources.limits.{name}"))
    });
    of_pod.chain(of_containers).collect()
}

/// What would let guests at the host or at each other, where there is nothing of the kind.
fn meaningless(spec: &PodSpec) -> Vec<String> {
    let of_pod = [
        ("hostIPC", spec.host_ipc),
        ("hostPID", spec.host_pid),
        ("shareProcessNamespace", spec.share_process_namespace),
    ];
    let of_pod = of_pod.into_iter().filter(|(_, wish)| *wish == Some(true));
    let of_pod = of_pod.map(|(field, _)| format!("spec.{field}"));
    let is_privileged = |container: &Container| {
        container.security_context.as_ref().is_some_and(|security| security.privileged == Some(true))
    };
    let privileged = lists(spec).filter(|(_, _, container)| is_privileged(container));
    let privileged =
        privileged.map(|(list, index, _)| format!("spec.{list}[{index}].securityContext.privileged"));
    of_pod.chain(privileged).collect()
}

/// The containers that come first and those that make up the pod, with the list they are in.
fn lists(spec: &PodSpec) -> impl Iterator<Item = (&'static str, usize, &Container)> {
    let first = spec.init_containers.iter().flatten().enumerate();
    let first = first.map(|(index, container)| ("initContainers", index, container));
    let own = spec.containers.iter().enumerate();
    first.chain(own.map(|(index, container)| ("containers", index, container)))
}

/// The limits that hold.
const ENFORCED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

fn of_pod(spec: &PodSpec) -> Option<&'static str> {
    let dns_policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    choose([
        ("dnsConfig", spec.dns_config.is_some()),
        ("dnsPolicy", !dns_policy.starts_with("ClusterFirst")),
        ("hostNetwork", spec.host_network == Some(true)),
        ("resourceClaims", is_filled(&spec.resource_claims)),
    ])
}

fn of_container(container: &Container) -> Option<&'static str> {
    let mut ports = container.ports.iter().flatten();
    choose([
        ("ports[].hostPort", ports.any(|port| port.host_port.is_some_and(|port| port != 0))),
        ("volumeDevices", is_filled(&container.volume_devices)),
    ])
}

fn choose<const N: usize>(fields: [(&'static str, bool); N]) -> Option<&'static str> {
    fields.into_iter().find(|(_, is_set)| *is_set).map(|(field, _)| field)
}

fn is_filled<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_does_not_hold_is_named() {
        let spec = json!({"containers": [{"name": "a"}], "shareProcessNamespace": true});
        let spec: PodSpec = serde_json::from_value(spec).expect("a spec");
        let words = "spec.shareProcessNamespace: there are no processes and no devices of the host in a sandbox, the pod runs \
            without";
        assert_eq!(ignored(&spec).as_deref(), Some(words));
        let check = |resources: Value, words: Option<&str>| {
            let spec = json!({"containers": [{"name": "a"}, {"name": "b", "resources": resources}]});
            let spec: PodSpec = serde_json::from_value(spec).expect("a spec");
            assert_eq!(ignored(&spec).as_deref(), words);
        };
        check(json!({}), None);
        check(
            json!({"requests": {"hugepages-2Mi": "1Gi"}, "limits": {"cpu": "1", "ephemeral-storage": "1Gi"}}),
            None,
        );
        check(
            json!({"limits": {"cpu": "1", "example.com/gpu": "1"}}),
            Some(
                "spec.containers[1].resources.limits.example.com/gpu: not enforced yet, the pod runs without",
            ),
        );
    }

    #[test]
    fn the_first_field_in_the_way_is_named() {
        let check = |spec: Value, words: Option<&str>| {
            let spec: PodSpec = serde_json::from_value(spec).expect("a spec");
            assert_eq!(first(&spec).as_deref(), words);
        };
        check(json!({"containers": [{"name": "a", "tty": true}], "dnsPolicy": "ClusterFirst"}), None);
        check(
            json!({"containers": [], "initContainers": [{"name": "a"}, {"name": "b", "volumeDevices": [{"name": "d", "devicePath": "/d"}]}]}),
            Some("spec.initContainers[1].volumeDevices: not supported yet"),
        );
        check(
            json!({"containers": [{"name": "a"}, {"name": "b", "volumeDevices": [{"name": "d", "devicePath": "/d"}]}]}),
            Some("spec.containers[1].volumeDevices: not supported yet"),
        );
        check(
            json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 80}]}]}),
            Some("spec.containers[0].ports[].hostPort: not supported yet"),
        );
    }
}
