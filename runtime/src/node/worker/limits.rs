//! What a pod's object says that its containers may use.

use std::sync::Arc;

use api::quantity::Quantity;
use api::{Cache, Key, Resource};
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

use crate::limits::cpu::Currency;
use crate::limits::{Amounts, ContainerLimits, PodLimits};

/// The handler of runtime classes whose pods are charged in fuel.
const FUEL: &str = "fuel";
/// Handlers that classes in the world name. Programs tell by themselves what they need, so these all mean the same.
const HANDLERS: [&str; 13] = [
    "wasmtime",
    "wasmedge",
    "wasmer",
    "wasm",
    "wasmtime-spin",
    "wasmtime-spin-v2",
    "spin",
    "wws",
    "lunatic",
    "slight",
    "crun",
    "crun-wasm",
    "crun-wasmtime",
];
/// The classes of a cluster.
pub(in crate::node) const RUNTIME_CLASSES: Resource =
    Resource::new("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false);
/// Before a container's name: the annotation with all the fuel there is for a run of it.
const BUDGET: &str = "peapod.dev/fuel.";

/// What the pod's limits are counted in, as the handler of its runtime class says; an error if nobody knows that.
pub(super) fn currency(pod: &Pod, cache: &Cache) -> Result<Currency, String> {
    let spec = pod.spec.as_ref();
    let Some(class) =
        spec.and_then(|spec| spec.runtime_class_name.as_deref()).filter(|name| !name.is_empty())
    else {
        return Ok(Currency::Time);
    };
    let Some(class) = cache.get(&RUNTIME_CLASSES, &Key::cluster(class)) else {
        return Err(format!("RuntimeClass.node.k8s.io {class:?} not found"));
    };
    match class.value()["handler"].as_str().unwrap_or_default() {
        FUEL => Ok(Currency::Fuel),
        known if HANDLERS.contains(&known) => Ok(Currency::Time),
        handler => Err(format!("failed to get sandbox runtime: no runtime for {handler:?} is configured")),
    }
}

/// The limits of the pod as a whole, if it has any.
pub(super) fn of_pod(pod: &Pod, currency: Currency) -> Arc<PodLimits> {
    let resources = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    PodLimits::new(currency, limit_bytes(resources), limit_millis(resources))
}

/// The limits of a container that was given `resources`, for one run; a sentence if the pod asks for what cannot be understood.
pub(super) fn of_container(
    limits: &PodLimits,
    pod: &Pod,
    spec: &Container,
    resources: Option<&ResourceRequirements>,
) -> Result<ContainerLimits, String> {
    let amounts = Amounts { fuel_budget: budget(limits, pod, &spec.name)?, ..amounts(resources) };
    Ok(ContainerLimits::new(limits, amounts))
}

fn amounts(resources: Option<&ResourceRequirements>) -> Amounts {
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let request = requests.and_then(|requests| Quantity::try_from(requests.get("cpu")?).ok());
    Amounts {
        memory_bytes: limit_bytes(resources),
        cpu_millis: limit_millis(resources),
        cpu_request_millis: request.map_or(0, |cpu| u32::try_from(cpu.millis()).unwrap_or(0)),
        fuel_budget: None,
    }
}

fn budget(limits: &PodLimits, pod: &Pod, container: &str) -> Result<Option<u64>, String> {
    let annotation = format!("{BUDGET}{container}");
    let Some(text) = pod.metadata.annotations.as_ref().and_then(|known| known.get(&annotation)) else {
        return Ok(None);
    };
    if limits.currency() == Currency::Time {
        return Err(format!(
            "metadata.annotations[{annotation}]: fuel is counted only in pods with runtimeClassName {FUEL:?}"
        ));
    }
    let amount = text.parse::<Quantity>().ok().and_then(|amount| u64::try_from(amount.value()).ok());
    match amount.filter(|amount| *amount > 0) {
        Some(amount) => Ok(Some(amount)),
        None => Err(format!(
            "metadata.annotations[{annotation}]: Invalid value: {text:?}: must be a positive quantity, such as 500M"
        )),
    }
}

fn limit(resources: Option<&ResourceRequirements>, name: &str) -> Option<Quantity> {
    let limit = resources?.limits.as_ref()?.get(name)?;
    Quantity::try_from(limit).ok().filter(|limit| !limit.is_zero())
}

pub(super) fn limit_bytes(resources: Option<&ResourceRequirements>) -> Option<u64> {
    u64::try_from(limit(resources, "memory")?.value()).ok()
}

pub(super) fn limit_millis(resources: Option<&ResourceRequirements>) -> Option<u32> {
    u32::try_from(limit(resources, "cpu")?.millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn limits(currency: Currency, annotations: Value, resources: Value) -> Result<ContainerLimits, String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"annotations": annotations},
            "spec": {
                "resources": {"limits": {"memory": "1Gi"}},
                "containers": [{"name": "main", "resources": resources}],
            },
        }))
        .expect("a pod");
        let container = &pod.spec.as_ref().expect("a spec").containers[0];
        of_container(&of_pod(&pod, currency), &pod, container, container.resources.as_ref())
    }

    #[test]
    fn limits_are_read_from_the_pod() {
        let resources = json!({"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "1"}});
        let read = limits(Currency::Time, json!({}), resources).expect("limits");
        assert_eq!((read.memory_limit(), read.cpu_request_millis()), (Some(64 << 20), 1000));
        assert_eq!((read.cpu().limit_millis(), read.cpu().currency()), (Some(1500), Currency::Time));
        let none = limits(Currency::Time, json!({}), Value::Null).expect("no limits");
        assert_eq!((none.memory_limit(), none.cpu().limit_millis()), (None, None));
    }

    #[test]
    fn fuel_has_its_class_and_its_budget() {
        let check = |currency: Currency, budget: &str, expected: Result<u64, &str>| {
            let read = limits(currency, json!({"peapod.dev/fuel.main": budget}), Value::Null);
            let left = read.map(|read| read.cpu().fuel_left());
            assert_eq!(left, expected.map_err(str::to_owned), "{budget}");
        };
        check(Currency::Fuel, "500M", Ok(500_000_000));
        check(Currency::Fuel, "12345", Ok(12_345));
        let invalid = |text: &str| {
            format!(
                "metadata.annotations[peapod.dev/fuel.main]: Invalid value: {text:?}: must be a positive quantity, such as 500M"
            )
        };
        for text in ["", "much", "0", "-5"] {
            check(Currency::Fuel, text, Err(&invalid(text)));
        }
        let elsewhere = "metadata.annotations[peapod.dev/fuel.main]: fuel is counted only in pods with runtimeClassName \"fuel\"";
        check(Currency::Time, "500M", Err(elsewhere));
        assert_eq!(
            limits(Currency::Fuel, json!({}), Value::Null).expect("limits").cpu().fuel_left(),
            u64::MAX
        );
    }
}
