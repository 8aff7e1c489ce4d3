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

/// What to say of limits that are not enforced yet, and of processes that are to be shared where there are none; none if
/// there is nothing of this. Requests for what is not limited are harmless.
pub(super) fn ignored(spec: &PodSpec) -> Option<String> {
    let names = |resources: &Option<ResourceRequirements>| {
        let limits = resources.as_ref().and_then(|resources| resources.limits.as_ref());
        let names = limits.into_iter().flat_map(|limits| limits.keys());
        names.filter(|name| !ENFORCED.contains(&name.as_str())).cloned().collect::<Vec<_>>()
    };
    let shares =
        (spec.share_process_namespace == Some(true)).then(|| "spec.shareProcessNamespace".to_owned());
    let of_pod = names(&spec.resources).into_iter().map(|name| format!("spec.resources.limits.{name}"));
    let of_containers = lists(spec).flat_map(|(list, index, container)| {
        let names = names(&container.resources).into_iter();
        names.map(move |name| format!("spec.{list}[{index}].resources.limits.{name}"))
    });
    let fields: Vec<String> = shares.into_iter().chain(of_pod).chain(of_containers).collect();
    (!fields.is_empty()).then(|| format!("{}: not enforced yet, the pod runs without", fields.join(", ")))
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
    let os = spec.os.as_ref().map(|os| os.name.as_str());
    choose([
        ("dnsConfig", spec.dns_config.is_some()),
        ("dnsPolicy", !dns_policy.starts_with("ClusterFirst")),
        ("hostAliases", is_filled(&spec.host_aliases)),
        ("hostIPC", spec.host_ipc == Some(true)),
        ("hostNetwork", spec.host_network == Some(true)),
        ("hostPID", spec.host_pid == Some(true)),
        ("os", os.is_some_and(|name| name != "linux")),
        ("resourceClaims", is_filled(&spec.resource_claims)),
        ("setHostnameAsFQDN", spec.set_hostname_as_fqdn == Some(true)),
    ])
}

fn of_container(container: &Container) -> Option<&'static str> {
    let mut ports = container.ports.iter().flatten();
    let security = container.security_context.as_ref();
    choose([
        ("ports[].hostPort", ports.any(|port| port.host_port.is_some_and(|port| port != 0))),
        ("securityContext.privileged", security.is_some_and(|security| security.privileged == Some(true))),
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
        let words = "spec.shareProcessNamespace: not enforced yet, the pod runs without";
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
