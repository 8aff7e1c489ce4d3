//! Policies: what they refuse, warn of, note and change, and with which parameters.

use super::*;

fn constraints(resource: &str) -> Value {
    json!({"resourceRules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]}]})
}

impl World {
    async fn policy(&self, name: &str, spec: Value) {
        let spec =
            merged(json!({"matchConstraints": constraints("configmaps"), "failurePolicy": "Fail"}), spec);
        let kind = "ValidatingAdmissionPolicy";
        self.configure("v1", "validatingadmissionpolicies", kind, name, json!({ "spec": spec })).await;
    }

    async fn binding(&self, name: &str, policy: &str, spec: Value) {
        let spec = merged(json!({"policyName": policy, "validationActions": ["Deny"]}), spec);
        let kind = "ValidatingAdmissionPolicyBinding";
        self.configure("v1", "validatingadmissionpolicybindings", kind, name, json!({ "spec": spec })).await;
    }

    async fn mutation(&self, name: &str, mutations: Value, more: Value) {
        let spec = json!({"matchConstraints": constraints("configmaps"), "mutations": mutations});
        let spec = json!({"spec": merged(spec, more)});
        let binding = json!({"spec": {"policyName": name}});
        self.configure("v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", name, spec).await;
        let kind = "MutatingAdmissionPolicyBinding";
        self.configure("v1", "mutatingadmissionpolicybindings", kind, name, binding).await;
    }

    /// The refusal of a new config map with this data; none if it is stored.
    async fn refusal(&self, data: Value) -> Option<Status> {
        let map = json!({"metadata": {"generateName": "m-", "labels": {"team": "red"}}, "data": data});
        self.create(&CONFIG_MAPS, map, true).await.err()
    }
}

async fn start() -> World {
    World::start(Servers::empty()).await
}

fn validations(all: Value) -> Value {
    json!({ "validations": all })
}

#[tokio::test(start_paused = true)]
async fn what_does_not_hold_is_refused_in_the_words_of_the_policy() {
    let world = start().await;
    world.binding("strict", "small", json!({})).await;
    let row = async |spec: Value, expected: Result<(), (u16, &str)>| {
        world.policy("small", spec.clone()).await;
        let refusal = world.refusal(json!({"size": "9"})).await;
        let found = refusal.map(|status| {
            let words = status.to_string();
            let (_, words) = words
                .split_once(
                    " is forbidden: ValidatingAdmissionPolicy 'small' with binding 'strict' denied request: ",
                )
                .unwrap();
            (status.code, words.to_owned())
        });
        let expected = expected.err().map(|(code, words)| (code, words.to_owned()));
        assert_eq!(found, expected, "{spec}");
    };
    let size = "int(object.data.size) < 5";
    row(validations(json!([{"expression": "object.data.size == '9'"}])), Ok(())).await;
    row(
        validations(json!([{"expression": size}])),
        Err((422, "failed expression: int(object.data.size) < 5")),
    )
    .await;
    row(
        validations(json!([{"expression": size, "message": "too large", "reason": "Forbidden"}])),
        Err((403, "too large")),
    )
    .await;
    row(
        validations(
            json!([{"expression": size, "message": "m", "messageExpression": "'size ' + object.data.size"}]),
        ),
        Err((422, "size 9")),
    )
    .await;
    row(
        validations(json!([{"expression": size, "message": "m", "messageExpression": "object.nothing"}])),
        Err((422, "m")),
    )
    .await;
    row(
        validations(json!([{"expression": "object.data.nothing == 'a'"}])),
        Err((422, "expression 'object.data.nothing == 'a'' resulted in error: no such key: nothing")),
    )
    .await;
    row(
        merged(
            validations(json!([{"expression": "object.data.nothing == 'a'"}])),
            json!({"failurePolicy": "Ignore"}),
        ),
        Ok(()),
    )
    .await;
    row(validations(json!([{"expression": "nobody == 1"}])), Err((422, "compilation error: compilation failed: ERROR: <input>:1:1: undeclared reference to 'nobody' (in container '')\n | nobody == 1\n | ^"))).await;
    row(validations(json!([{"expression": "oldObject == null && request.operation == 'CREATE' && request.userInfo.username == 'ann'"}])), Ok(())).await;
    row(
        validations(json!([{"expression": "namespaceObject.metadata.name == 'default' && request.dryRun"}])),
        Ok(()),
    )
    .await;
    let variables = json!([{"name": "size", "expression": "int(object.data.size)"}, {"name": "twice", "expression": "variables.size * 2"}]);
    row(
        merged(validations(json!([{"expression": "variables.twice < 18"}])), json!({"variables": variables})),
        Err((422, "failed expression: variables.twice < 18")),
    )
    .await;
    let conditions = json!([{"name": "few", "expression": "object.data.size == '1'"}]);
    row(
        merged(validations(json!([{"expression": "false"}])), json!({"matchConditions": conditions})),
        Ok(()),
    )
    .await;
    row(
        merged(
            validations(json!([{"expression": "false"}])),
            json!({"matchConstraints": constraints("secrets")}),
        ),
        Ok(()),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn expressions_ask_the_authorizer() {
    let world = start().await;
    world.binding("b", "may", json!({})).await;
    let row = async |expression: &str, expected: Result<(), &str>| {
        world.policy("may", validations(json!([{ "expression": expression }]))).await;
        let refusal = world.refusal(json!({})).await.map(|status| status.to_string());
        match (refusal, expected) {
            (None, Ok(())) => {}
            (Some(found), Err(words)) => assert!(found.ends_with(words), "{expression}: {found}"),
            other => panic!("{expression}: {other:?}"),
        }
    };
    let robot = |rest: &str| format!("authorizer.serviceAccount('default', 'robot').{rest}");
    row(
        "authorizer.group('apps').resource('deployments').namespace('default').check('create').allowed()",
        Ok(()),
    )
    .await;
    row("authorizer.requestResource.check('create').allowed()", Ok(())).await;
    row("authorizer.requestResource.name('x').subresource('status').fieldSelector('a=b').check('x').allowed()", Ok(())).await;
    row(&robot("path('/healthz').check('get').allowed()"), Ok(())).await;
    row(&robot("path('/metrics').check('get').allowed()"), Err("check('get').allowed()")).await;
    let reason = r#"group('').resource('secrets').namespace('default').name('s').check('get').reason() == 'secrets "s" is forbidden: User "system:serviceaccount:default:robot" cannot get resource "secrets" in API group "" in the namespace "default"'"#;
    row(&robot(reason), Ok(())).await;
    let decision = "group('').resource('pods').check('list')";
    row(&format!("!{}.errored() && {}.error() == ''", robot(decision), robot(decision)), Ok(())).await;
    row("type(authorizer) == type(authorizer.serviceAccount('a', 'b'))", Ok(())).await;
    row("authorizer.path(' ').check('get').allowed()", Err("path must not be empty")).await;
    row("authorizer.group('').resource('').check('get').allowed()", Err("resource must not be empty")).await;
    row(
        "authorizer.serviceAccount('a.b', 'c').path('/a').check('get').allowed()",
        Err("Invalid service account namespace"),
    )
    .await;
    row(
        "authorizer.serviceAccount('a', 'C').path('/a').check('get').allowed()",
        Err("Invalid service account name"),
    )
    .await;
    row("object.metadata.check('get').allowed()", Err("no such overload")).await;
    let one = "authorizer.requestResource.check('create').allowed()";
    row(&[one; 2].join(" && "), Ok(())).await;
    row(&[one; 3].join(" && "), Err("operation cancelled: actual cost limit exceeded")).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_found_out_goes_by_the_actions_too() {
    let world = start().await;
    let failing = validations(json!([{"expression": "object.data.nothing == 'a'"}, {"expression": "false"}]));
    world.policy("p", failing.clone()).await;
    world.binding("b", "p", json!({"validationActions": ["Warn"]})).await;
    let reply = world.create_map("a", json!({"k": "v"})).await.unwrap();
    let warning = |words: &str| {
        format!("Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': {words}")
    };
    let error = "expression 'object.data.nothing == 'a'' resulted in error: no such key: nothing";
    assert_eq!(reply.warnings, [warning(error), warning("failed expression: false")]);
    let noted = json!({"auditAnnotations": [{"key": "k", "valueExpression": "object.data"}]});
    world.policy("p", noted).await;
    let reply = world.create_map("c", json!({"k": "v"})).await.unwrap();
    let words = "valueExpression 'object.data' resulted in unsupported return type: map. Return type must be either string or null.";
    assert_eq!(reply.warnings, [warning(words)]);
    world.policy("p", merged(failing, json!({"failurePolicy": "Ignore"}))).await;
    let reply = world.create_map("b", json!({"k": "v"})).await.unwrap();
    assert_eq!(reply.warnings, [warning("failed expression: false")]);
}

#[tokio::test(start_paused = true)]
async fn a_binding_says_where_and_how_a_policy_is_in_force() {
    let world = start().await;
    world.policy("never", validations(json!([{"expression": "false", "message": "no"}]))).await;
    world.create_map("unbound", json!({})).await.unwrap();
    world.binding("b", "never", json!({"validationActions": ["Warn", "Audit"]})).await;
    let reply = world.create_map("warned", json!({})).await.unwrap();
    assert_eq!(
        reply.warnings,
        ["Validation failed for ValidatingAdmissionPolicy 'never' with binding 'b': no"]
    );
    world
        .binding(
            "b",
            "never",
            json!({"matchResources": {"objectSelector": {"matchLabels": {"team": "blue"}}}}),
        )
        .await;
    assert_eq!(world.refusal(json!({})).await, None);
    world
        .binding(
            "b",
            "never",
            json!({"matchResources": {"objectSelector": {"matchLabels": {"team": "red"}}}}),
        )
        .await;
    assert!(world.refusal(json!({})).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_asked_with_each_of_its_parameters() {
    let world = start().await;
    let most = |name: &str, size: &str| json!({"metadata": {"name": name, "labels": {"use": "limit"}}, "data": {"most": size}});
    world.create(&CONFIG_MAPS, most("small", "5"), false).await.unwrap();
    world.create(&CONFIG_MAPS, most("large", "10"), false).await.unwrap();
    let spec = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "int(object.data.size) < int(params.data.most)", "messageExpression": "'at most ' + params.data.most"}]});
    world.policy("limit", spec).await;
    let row = async |reference: Value, words: Option<&str>| {
        world.binding("b", "limit", json!({"paramRef": reference})).await;
        let found = world.refusal(json!({"size": "7"})).await.map(|status| status.to_string());
        match (found, words) {
            (None, None) => {}
            (Some(found), Some(words)) => assert!(found.ends_with(words), "{found}"),
            other => panic!("{reference}: {other:?}"),
        }
    };
    row(json!({"name": "large", "namespace": "default"}), None).await;
    row(json!({"name": "small"}), Some("denied request: at most 5")).await;
    row(json!({"selector": {"matchLabels": {"use": "limit"}}}), Some("denied request: at most 5")).await;
    row(json!({"name": "gone", "parameterNotFoundAction": "Allow"}), None).await;
    row(json!({"name": "gone", "parameterNotFoundAction": "Deny"}), Some("denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction")).await;
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "r", "type": "Normal"});
    world.create(&EVENTS, event, false).await.unwrap();
    let spec = json!({"paramKind": {"apiVersion": "events.k8s.io/v1", "kind": "Event"}, "validations": [
        {"expression": "params.apiVersion == 'events.k8s.io/v1' && params.regarding.namespace == 'default'"}]});
    world.policy("limit", spec).await;
    row(json!({"name": "e"}), None).await;
    let spec = json!({"paramKind": {"apiVersion": "a.b/v1", "kind": "Foo"}, "validations": [{"expression": "true"}]});
    world.policy("limit", spec).await;
    row(json!({"name": "x"}), Some("failed to find resource referenced by paramKind: 'a.b/v1, Kind=Foo'"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn mutating_policies_change_what_is_stored() {
    let world = start().await;
    let labelled = json!([{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
        "Object{metadata: Object.metadata{labels: {'by': request.userInfo.username}}, data: Object.data{from: object.metadata.name}}"}}]);
    world.mutation("a-labels", labelled, json!({})).await;
    let operations = json!([{"patchType": "JSONPatch", "jsonPatch": {"expression":
        "[JSONPatch{op: 'test', path: '/data/from', value: 'm'}, JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'x'}]"}}]);
    world
        .mutation(
            "b-operations",
            operations,
            json!({"matchConditions": [{"name": "c", "expression": "!has(object.data.off)"}]}),
        )
        .await;
    let stored = object(world.create_map("m", json!({"k": "v"})).await.unwrap());
    assert_eq!(stored["metadata"]["labels"], json!({"by": "ann", "a/b": "x"}));
    assert_eq!(stored["data"], json!({"k": "v", "from": "m"}));
    let stored = object(world.create_map("n", json!({"off": "1"})).await.unwrap());
    assert_eq!(stored["data"], json!({"off": "1", "from": "n"}));
    let refused = world.create_map("o", json!({})).await.unwrap_err().to_string();
    assert!(refused.starts_with("configmaps \"o\" is forbidden: policy 'b-operations' with binding 'b-operations' denied request: "), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn expressions_that_make_no_sense_are_refused_when_they_are_stored() {
    let world = start().await;
    let resource =
        |version, plural, kind| Resource::new("admissionregistration.k8s.io", version, plural, kind, false);
    let row = async |resource: Resource, more: Value, words: &str| {
        let value = merged(json!({"metadata": {"name": "p"}}), more);
        let refused = world.create(&resource, value, false).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    };
    let policies = || resource("v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy");
    let spec =
        |more: Value| json!({"spec": merged(json!({"matchConstraints": constraints("configmaps")}), more)});
    row(policies(), spec(validations(json!([{"expression": "object.a == params.b"}]))),
        "is invalid: spec.validations[0].expression: Invalid value: \"object.a == params.b\": compilation failed: ERROR: <input>:1:13: undeclared reference to 'params' (in container '')").await;
    row(
        policies(),
        spec(validations(json!([{"expression": "'a'"}]))),
        "spec.validations[0].expression: Invalid value: \"'a'\": compilation failed: must evaluate to bool",
    )
    .await;
    row(
        policies(),
        spec(validations(json!([{"expression": "true", "messageExpression": "authorizer.path('/a').check('get').reason()"}]))),
        "spec.validations[0].messageExpression: Invalid value: \"authorizer.path('/a').check('get').reason()\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'authorizer' (in container '')",
    )
    .await;
    let noted = |value: &str| json!({"auditAnnotations": [{"key": "k", "valueExpression": value}]});
    row(
        policies(),
        spec(noted("[object.data.a]")),
        "spec.auditAnnotations[0].valueExpression: Invalid value: \"[object.data.a]\": compilation failed: must evaluate to one of [string null_type]",
    )
    .await;
    row(
        policies(),
        spec(validations(json!([{"expression": "authorizer.path('/a').check('get')"}]))),
        "compilation failed: must evaluate to bool",
    )
    .await;
    let hook = json!({"name": "a.example.com", "clientConfig": {"url": "https://a/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "matchConditions": [{"name": "c", "expression": "object."}]});
    row(resource("v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration"), json!({"webhooks": [hook]}),
        "webhooks[0].matchConditions[0].expression: Invalid value: \"object.\": compilation failed: ERROR: <input>:1:8: Syntax error: ").await;
    let good = spec(validations(
        json!([{"expression": "object.data.a == 'b'", "messageExpression": "'a is ' + object.data.a"}]),
    ));
    world.create(&policies(), merged(json!({"metadata": {"name": "good"}}), good), false).await.unwrap();
}
