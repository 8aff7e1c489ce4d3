//! The quality of service a pod gets, as Kubernetes classifies it by requests and limits.

use std::collections::BTreeMap;

use api::quantity::Quantity;
use serde_json::Value;

const COUNTED: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed` if everything is limited to what it requests, `BestEffort` if nothing is said, else `Burstable`.
pub fn class(spec: &Value) -> &'static str {
    let lists = ["containers", "initContainers"];
    let containers = lists.iter().flat_map(|list| spec[list].as_array().into_iter().flatten());
    let containers: Vec<&Value> = containers.collect();
    let amounts = |container: &Value, field: &str| -> BTreeMap<&'static str, Quantity> {
        let amount = |name: &&'static str| {
            let quantity: Quantity = container["resources"][field][name].as_str()?.parse().ok()?;
            (!quantity.is_zero()).then_some((*name, quantity))
        };
        COUNTED.iter().filter_map(amount).collect()
    };
    let mut any = false;
    let mut all_guaranteed = true;
    for container in containers {
        let (requests, limits) = (amounts(container, "requests"), amounts(container, "limits"));
        any |= !requests.is_empty() || !limits.is_empty();
        all_guaranteed &= limits.len() == COUNTED.len() && requests == limits;
    }
    match (any, all_guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_and_limits_decide() {
        let row = |resources: Value, wanted: &str| {
            assert_eq!(class(&json!({"containers": [{"resources": resources}]})), wanted, "{resources}");
        };
        let all = json!({"cpu": "1", "memory": "1Gi"});
        row(json!({}), "BestEffort");
        row(json!({"requests": {"cpu": "0"}}), "BestEffort");
        row(json!({"requests": all, "limits": all}), "Guaranteed");
        row(json!({"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": all}), "Guaranteed");
        row(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}), "Burstable");
        row(json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": all}), "Burstable");
    }
}
