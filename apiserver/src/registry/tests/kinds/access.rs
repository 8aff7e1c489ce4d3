//! Secrets, service accounts and endpoints.

use super::*;
use crate::auth::authority::{Authority, ServerNames};
use api::resource::{ENDPOINTS, SECRETS, SERVICE_ACCOUNTS};

#[tokio::test(start_paused = true)]
async fn texts_in_secrets_become_bytes() {
    let world = start().await;
    let secret =
        json!({"metadata": {"name": "s"}, "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"b": "zwei"}});
    let created = world.create(&SECRETS, secret).await.unwrap();
    assert_contains(&created, &json!({"type": "Opaque", "data": {"a": "MQ==", "b": "endlaQ=="}}), "");
    assert_eq!(created.get("stringData"), None);
    let patched = world.merge(&SECRETS, "s", "", json!({"stringData": {"a": "eins"}})).await.unwrap();
    assert_eq!(patched["data"], json!({"a": "ZWlucw==", "b": "endlaQ=="}));
    let only_texts = json!({"metadata": {"name": "t"}, "stringData": {"a": "eins"}});
    let created = world.create(&SECRETS, only_texts).await.unwrap();
    assert_eq!(created["data"], json!({"a": "ZWlucw=="}));
}

#[tokio::test(start_paused = true)]
async fn secrets_hold_what_their_type_promises() {
    let world = start().await;
    let row = async |kind: &str, texts: Value, words: &str| {
        let secret = json!({"metadata": {"generateName": "s-"}, "type": kind, "stringData": texts});
        let result = world.create(&SECRETS, secret).await;
        let said = match &result {
            Ok(_) => "",
            Err(error) => error.split_once(" is invalid: ").map_or(error.as_str(), |(_, said)| said),
        };
        assert_eq!(said, words, "{kind}");
    };
    row("mine.io/anything", json!({}), "").await;
    row("kubernetes.io/tls", json!({"tls.crt": "", "tls.key": ""}), "").await;
    row("kubernetes.io/tls", json!({"tls.crt": "x"}), "data[tls.key]: Required value").await;
    row("kubernetes.io/ssh-auth", json!({"ssh-privatekey": ""}), "data[ssh-privatekey]: Required value")
        .await;
    row("kubernetes.io/basic-auth", json!({"username": ""}), "").await;
    row(
        "kubernetes.io/basic-auth",
        json!({"user": "a"}),
        "[data[username]: Required value, data[password]: Required value]",
    )
    .await;
    row("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": r#"{"auths":{}}"#}), "").await;
    row("kubernetes.io/dockerconfigjson", json!({}), "data[.dockerconfigjson]: Required value").await;
    row(
        "kubernetes.io/dockerconfigjson",
        json!({".dockerconfigjson": r#"{"password": hush}"#}),
        "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": must be a JSON object; line 1, \
         column 14",
    )
    .await;
    row(
        "kubernetes.io/service-account-token",
        json!({}),
        "metadata.annotations[kubernetes.io/service-account.name]: Required value",
    )
    .await;
    row("Opaque", json!({"..a": ""}), "data[..a]: Invalid value: \"..a\": must not start with '..'").await;
    row("Opaque", json!({"a": "x".repeat(1 << 20)}), "").await;
    let words = "data: Too long: may not be more than 1048576 bytes";
    row("Opaque", json!({"a": "x".repeat(1 << 20), "b": "x"}), words).await;
}

#[tokio::test(start_paused = true)]
async fn the_type_of_a_secret_stays_and_a_sealed_one_altogether() {
    let world = start().await;
    let sealed = json!({"metadata": {"name": "s"}, "immutable": true, "stringData": {"a": "1"}});
    world.create(&SECRETS, sealed).await.unwrap();
    let error = world.merge(&SECRETS, "s", "", json!({"type": "mine.io/other"})).await.unwrap_err();
    assert!(error.ends_with("type: Invalid value: \"mine.io/other\": field is immutable"), "{error}");
    let loosened = json!({"immutable": null, "stringData": {"a": "2"}});
    let error = world.merge(&SECRETS, "s", "", loosened).await.unwrap_err();
    assert!(error.ends_with(
        "[immutable: Forbidden: field is immutable when `immutable` is set, data: Forbidden: field is immutable when \
         `immutable` is set]"
    ));
    world.merge(&SECRETS, "s", "", json!({"stringData": {"a": "1"}})).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pods_have_accounts_that_exist() {
    let world = start().await;
    let with_account = |name: &str, field: &str, account: &str| {
        let mut pod = pod(name);
        pod["spec"][field] = account.into();
        pod
    };
    let created = world.create(&PODS, pod("a")).await.unwrap();
    let default = json!({"serviceAccountName": "default", "serviceAccount": "default", "volumes": null});
    assert_contains(&created["spec"], &default, "a controller makes this account soon");
    let error = world.create(&PODS, with_account("b", "serviceAccountName", "robot")).await.unwrap_err();
    assert_eq!(
        error,
        r#"pods "b" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found"#
    );
    let account = json!({"metadata": {"name": "robot"}, "imagePullSecrets": [{"name": "hub"}]});
    world.create(&SERVICE_ACCOUNTS, account).await.unwrap();
    let created = world.create(&PODS, with_account("b", "serviceAccount", "robot")).await.unwrap();
    let wanted = json!({"serviceAccountName": "robot", "serviceAccount": "robot",
        "imagePullSecrets": [{"name": "hub"}]});
    assert_contains(&created["spec"], &wanted, "");
    let mut own = with_account("c", "serviceAccountName", "robot");
    own["spec"]["imagePullSecrets"] = json!([{"name": "mine"}]);
    let created = world.create(&PODS, own).await.unwrap();
    assert_eq!(created["spec"]["imagePullSecrets"], json!([{"name": "mine"}]));
    let namespace = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"serviceAccountName": "robot", "containers": [{"name": "c", "image": "app:1"}]}});
    let error = world.client.create(&PODS, "nowhere", &namespace).await.unwrap_err();
    assert_eq!(error.message, r#"namespaces "nowhere" not found"#);
    let template = json!({"spec": {"template": {"spec": {"serviceAccountName": "later"}}}});
    let mut owner = deployment("d");
    crate::patch::merge(&mut owner, template);
    let created = world.create(&DEPLOYMENTS, owner).await.unwrap();
    assert_eq!(created["spec"]["template"]["spec"]["serviceAccount"], "later");
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_endpoints_are_named() {
    let world = start().await;
    let base = json!({"metadata": {"name": "e"}});
    let row = async |subset: Value, words: &str| {
        refuse(&world, &ENDPOINTS, &base, json!({"subsets": [subset]}), words).await
    };
    let at = |ip: &str| json!({"addresses": [{"ip": ip}]});
    row(json!({}), "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`").await;
    let path = "subsets[0].addresses[0].ip: Invalid value:";
    row(at("a"), &format!("{path} \"a\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
        .await;
    row(at("0.0.0.0"), &format!("{path} \"0.0.0.0\": may not be unspecified (0.0.0.0)")).await;
    for ip in ["127.0.0.1", "::1"] {
        let words = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
        row(at(ip), &format!("{path} \"{ip}\": {words}")).await;
    }
    for ip in ["169.254.169.254", "fe80::1"] {
        let words = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
        row(at(ip), &format!("{path} \"{ip}\": {words}")).await;
    }
    for ip in ["224.0.0.9", "ff02::1"] {
        let words = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
        row(at(ip), &format!("{path} \"{ip}\": {words}")).await;
    }
    row(
        json!({"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}, {"port": 0, "name": "a"}]}),
        "[subsets[0].ports[0].name: Required value, subsets[0].ports[1].port: Invalid value: 0: must be between 1 and \
         65535, inclusive]",
    )
    .await;
    row(
        json!({"addresses": [{"ip": "10.0.0.1", "nodeName": "N"}], "ports": [{"port": 80, "protocol": "x"}]}),
        "[subsets[0].addresses[0].nodeName: Invalid value: \"N\": a lowercase RFC 1123 subdomain must consist of lower \
         case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
         'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), subsets[0].ports[0].protocol: \
         Unsupported value: \"x\": supported values: \"SCTP\", \"TCP\", \"UDP\"]",
    )
    .await;
    let mut fine = base.clone();
    fine["subsets"] = json!([{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]);
    let created = world.create(&ENDPOINTS, fine).await.unwrap();
    assert_eq!(created["subsets"][0]["ports"], json!([{"port": 80, "protocol": "TCP"}]));
}

#[tokio::test(start_paused = true)]
async fn pods_are_given_a_token_unless_they_or_their_account_want_none() {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let tokens = Authority::ephemeral(&ServerNames::default(), &clock).unwrap().tokens();
    let config = Config { tokens: Some(tokens), ..Config::in_memory(clock.clone(), 1) };
    let mut tasks = JoinSet::new();
    let registry = Apiserver::start(config, &mut tasks).await.unwrap();
    let client = Client::new(registry.clone(), User::component("test"));
    let world = World { registry, client, clock, _tasks: tasks };
    let account = json!({"metadata": {"name": "quiet"}, "automountServiceAccountToken": false});
    world.create(&SERVICE_ACCOUNTS, account).await.unwrap();
    let row = async |name: &str, spec: Value, mounted: bool| {
        let mut pod = pod(name);
        crate::patch::merge(&mut pod["spec"], spec);
        let created = world.create(&PODS, pod).await.unwrap();
        let volume = &created["spec"]["volumes"][0];
        assert_eq!(volume["projected"]["sources"][0]["serviceAccountToken"].is_object(), mounted, "{name}");
        let mount = &created["spec"]["containers"][0]["volumeMounts"][0];
        assert_eq!(mount["name"], volume["name"], "{name}");
        assert_eq!(world.update(&PODS, name, "", created.clone()).await.unwrap(), created);
    };
    row("default", json!({}), true).await;
    row("refused", json!({"automountServiceAccountToken": false}), false).await;
    row("quiet", json!({"serviceAccountName": "quiet"}), false).await;
    let asked = json!({"serviceAccountName": "quiet", "automountServiceAccountToken": true});
    row("asked", asked, true).await;
}
