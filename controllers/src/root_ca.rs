//! Publishes the certificate of the cluster's CA in every namespace, where pods find it beside their token.

use std::time::Duration;

use api::resource::{CONFIG_MAPS, NAMESPACES};
use api::{Key, Object};
use serde_json::{Map, Value, json};

use crate::framework::{Action, Controller, Create, Target, Watch};

/// The name of the ConfigMap.
const NAME: &str = "kube-root-ca.crt";

/// The key in it.
const KEY: &str = "ca.crt";

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "root-ca-certificate-publisher-controller",
    watches: &[
        Watch::Of(NAMESPACES, |_, change, add| add(Target::of(&NAMESPACES, change.object()))),
        Watch::Of(CONFIG_MAPS, |_, change, add| {
            if change.object().name() == NAME {
                add(Target::new(&NAMESPACES, Key::cluster(change.object().namespace())));
            }
        }),
    ],
    reads: &[],
    decide: |view, target| {
        let Some(certificate) = &view.settings.root_ca else {
            return Ok(vec![]);
        };
        let namespace = view.cache.get(&NAMESPACES, &target.key);
        let published = view.cache.get(&CONFIG_MAPS, &Key::new(&*target.key.name, NAME));
        Ok(reconcile(certificate, namespace.as_ref(), published.as_ref()))
    },
    workers: 8,
    pace: Duration::ZERO,
};

/// Decides how the ConfigMap of a namespace comes to hold the certificate and nothing else.
pub fn reconcile(certificate: &str, namespace: Option<&Object>, published: Option<&Object>) -> Vec<Action> {
    let Some(namespace) = namespace.filter(|namespace| !namespace.is_terminating()) else {
        return vec![];
    };
    let Some(published) = published else {
        let value = json!({
            "apiVersion": CONFIG_MAPS.api_version(),
            "kind": CONFIG_MAPS.kind,
            "metadata": {"name": NAME, "namespace": namespace.name()},
            "data": {KEY: certificate},
        });
        return vec![Action::Create(Create::one(&CONFIG_MAPS, namespace.name(), value))];
    };
    let (data, wanted) = (&published.value()["data"], json!({KEY: certificate}));
    let binary = &published.value()["binaryData"];
    if *data == wanted && binary.as_object().is_none_or(Map::is_empty) {
        return vec![];
    }
    if published.value()["immutable"] == true {
        // It cannot be changed back, but made anew once it is gone.
        return vec![Action::delete(&CONFIG_MAPS, published, None)];
    }
    let foreign = data.as_object().into_iter().flat_map(Map::keys).map(|key| (key.clone(), Value::Null));
    let mut data: Map<String, Value> = foreign.collect();
    data.insert(KEY.to_owned(), certificate.into());
    vec![Action::patch(&CONFIG_MAPS, published, "", json!({"data": data, "binaryData": null}))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::describe;
    use crate::testing::{NOW, merge, object};

    fn check(published: Value, expected: &[&str]) {
        let namespace = object(json!({"metadata": {"name": "n", "uid": "n"}}));
        let published = (!published.is_null()).then(|| {
            let mut value = json!({"metadata": {"name": NAME, "namespace": "n", "uid": "c"}});
            merge(&mut value, published);
            object(value)
        });
        assert_eq!(describe(&reconcile("CA", Some(&namespace), published.as_ref())), expected);
    }

    #[test]
    fn the_certificate_is_restored_whatever_happened_to_it() {
        let patch = |data: &str| format!(r#"patch ConfigMap {NAME} {{"binaryData":null,"data":{data}}}"#);
        check(Value::Null, &[&format!("create 1 ConfigMap {NAME}")]);
        check(json!({"data": {KEY: "CA"}}), &[]);
        check(json!({"data": {KEY: "other"}}), &[&patch(r#"{"ca.crt":"CA"}"#)]);
        check(json!({"data": {KEY: "CA", "more": "x"}}), &[&patch(r#"{"ca.crt":"CA","more":null}"#)]);
        check(json!({}), &[&patch(r#"{"ca.crt":"CA"}"#)]);
        check(json!({"data": {KEY: "CA"}, "binaryData": {"x": ""}}), &[&patch(r#"{"ca.crt":"CA"}"#)]);
        check(json!({"data": {KEY: "x"}, "immutable": true}), &[&format!("delete ConfigMap {NAME}")]);
    }

    #[test]
    fn a_namespace_that_goes_gets_none() {
        let going = object(json!({"metadata": {"name": "n", "uid": "n", "deletionTimestamp": NOW}}));
        assert!(reconcile("CA", Some(&going), None).is_empty());
        assert!(reconcile("CA", None, None).is_empty());
    }
}
