//! What a Service may ask for that the network does not do yet, so that nobody finds out by a failing connection.

use k8s_openapi::api::core::v1::Service;

/// A sentence for each field that has no effect here, beginning with the field's path.
pub(super) fn unsupported(service: &Service) -> Vec<String> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let mut sentences = Vec::new();
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        sentences.push("spec.sessionAffinity: ClientIP is not supported yet; pods answer in turn".to_owned());
    }
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        if protocol != "TCP" {
            let field = format!("spec.ports[{index}].protocol");
            sentences.push(format!(
                "{field}: {protocol} is not supported yet; nothing answers on port {}",
                port.port
            ));
        }
    }
    if spec.type_.as_deref() == Some("LoadBalancer") {
        let sentence =
            "spec.type: LoadBalancer gets no address of its own yet; its node ports and its cluster IP work";
        sentences.push(sentence.to_owned());
    }
    if spec.external_ips.iter().flatten().next().is_some() {
        sentences.push("spec.externalIPs: not supported yet; nothing answers there".to_owned());
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_has_no_effect_is_told_by_its_field() {
        let row = |spec: Value, expected: &[&str]| {
            let service = serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("a service");
            let fields = unsupported(&service);
            let fields: Vec<&str> = fields.iter().filter_map(|said| Some(said.split_once(": ")?.0)).collect();
            assert_eq!(fields, expected);
        };
        row(json!({"ports": [{"port": 80}], "sessionAffinity": "None", "type": "NodePort"}), &[]);
        row(json!({"sessionAffinity": "ClientIP"}), &["spec.sessionAffinity"]);
        row(json!({"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}), &["spec.ports[1].protocol"]);
        row(
            json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}),
            &["spec.type", "spec.externalIPs"],
        );
    }
}
