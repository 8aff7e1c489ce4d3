//! What may be asked of a service account's tokens, and what is refused in which words.
#![allow(clippy::unwrap_used)]

use api::backend::Verb;
use api::resource::SERVICE_ACCOUNTS;
use serde_json::json;

use super::*;
use crate::auth::tokens::tests::World;

#[tokio::test(start_paused = true)]
async fn an_answer_repeats_what_was_asked_and_what_was_left_out() {
    let world = World::new().await;
    let mut answer = world.request("robot", json!({})).await.unwrap();
    assert!(answer["status"]["token"].take().as_str().unwrap().split('.').count() == 3);
    let expected = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "metadata": {"name": "robot", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"audiences": [ISSUER], "expirationSeconds": 3_600},
        "status": {"token": null, "expirationTimestamp": "2026-01-01T01:00:00Z"},
    });
    assert_eq!(answer, expected);
    let spec = json!({"audiences": ["vault"], "expirationSeconds": 600});
    let answer = world.request("robot", spec.clone()).await.unwrap();
    assert_eq!(answer["spec"], spec);
    assert_eq!(answer["status"]["expirationTimestamp"], "2026-01-01T00:10:00Z");
}

#[tokio::test(start_paused = true)]
async fn mistakes_are_refused_in_words_clients_know() {
    let world = World::new().await;
    let pod = world.pod("a").await;
    let other = json!({"metadata": {"name": "b"}, "spec": {"containers": [{"name": "c", "image": "app:1"}]}});
    world.create(&PODS, other).await;
    let check = async |account: &str, spec: Value, code: u16, words: &str| {
        let refused = world.request(account, spec).await.unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (code, words));
    };
    let invalid =
        r#"TokenRequest.authentication.k8s.io "robot" is invalid: spec.expirationSeconds: Invalid value: "#;
    check(
        "robot",
        json!({"expirationSeconds": 599}),
        422,
        &format!("{invalid}599: may not specify a duration less than 10 minutes"),
    )
    .await;
    check(
        "robot",
        json!({"expirationSeconds": 4_294_967_297_i64}),
        422,
        &format!("{invalid}4294967297: may not specify a duration larger than 2^32 seconds"),
    )
    .await;
    check("nobody", json!({}), 404, r#"serviceaccounts "nobody" not found"#).await;
    let bound = |version: &str, kind: &str, name: &str, uid: &str| json!({"boundObjectRef": {"apiVersion": version, "kind": kind, "name": name, "uid": uid}});
    check("robot", bound("v1", "Pod", "c", ""), 404, r#"pods "c" not found"#).await;
    check("robot", bound("v1", "Node", "n", ""), 404, r#"nodes "n" not found"#).await;
    check(
        "robot",
        bound("v1", "Pod", "b", ""),
        400,
        r#"cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name."#,
    )
    .await;
    check(
        "robot",
        bound("apps/v1", "Deployment", "a", ""),
        400,
        "cannot bind token to object of type apps/v1, Kind=Deployment",
    )
    .await;
    check(
        "robot",
        bound("v1", "ConfigMap", "a", ""),
        400,
        "cannot bind token to object of type /v1, Kind=ConfigMap",
    )
    .await;
    check("robot", bound("v1", "Pod", "a", "old"), 409,
        r#"Operation cannot be fulfilled on Pod "a": the UID in the bound object reference (old) does not match the UID in record. The object might have been deleted and then recreated"#).await;
    assert!(world.request("robot", bound("v1", "Pod", "a", pod.uid())).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_is_about_the_account_in_its_path() {
    let world = World::new().await;
    let key = Key::new("default", "robot");
    let body = json!({"metadata": {"name": "other"}, "spec": {}});
    let refused = world.client.create_subresource(&SERVICE_ACCOUNTS, &key, "token", &body).await.unwrap_err();
    let words = r#"TokenRequest.authentication.k8s.io "robot" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified"#;
    assert_eq!(refused.message, words);
    for verb in [Verb::Get, Verb::Update(Body::Value(json!({})), WriteOptions::default())] {
        let refused = world.client.call(&SERVICE_ACCOUNTS, key.clone(), "token", verb).await.unwrap_err();
        assert_eq!(refused.code, 405);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_keys_says_so() {
    let clock = api::Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let world = World::with(clock, None).await;
    let refused = world.request("robot", json!({})).await.unwrap_err();
    let words = "this server issues no tokens: it was started without the keys to sign them";
    assert_eq!((refused.code, refused.message.as_str()), (405, words));
}
