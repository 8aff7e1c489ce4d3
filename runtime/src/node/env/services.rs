//! The variables that tell a container of a service: `WEB_SERVICE_HOST`, `WEB_SERVICE_PORT` and those of the links of old.

use api::Object;
use k8s_openapi::api::core::v1::Service;

use super::Variables;

/// Adds the variables of one service; one without an address of its own has none.
pub(super) fn add(object: &Object, variables: &mut Variables) {
    let spec = object.typed::<Service>().ok().and_then(|service| service.spec.as_ref());
    let Some(spec) = spec else { return };
    let Some(address) = spec.cluster_ip.as_deref().filter(|address| !matches!(*address, "" | "None")) else {
        return;
    };
    let prefix = upper(object.name());
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        let number = port.port;
        if index == 0 {
            variables.set(&format!("{prefix}_SERVICE_HOST"), address.to_owned());
            variables.set(&format!("{prefix}_SERVICE_PORT"), number.to_string());
        }
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables.set(&format!("{prefix}_SERVICE_PORT_{}", upper(name)), number.to_string());
        }
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let lower = protocol.to_lowercase();
        let url = format!("{lower}://{address}:{number}");
        if index == 0 {
            variables.set(&format!("{prefix}_PORT"), url.clone());
        }
        let link = format!("{prefix}_PORT_{number}_{protocol}");
        variables.set(&link, url);
        variables.set(&format!("{link}_PROTO"), lower);
        variables.set(&format!("{link}_PORT"), number.to_string());
        variables.set(&format!("{link}_ADDR"), address.to_owned());
    }
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
