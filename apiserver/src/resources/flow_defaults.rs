//! The priority levels and flow schemas that every cluster has: two of each that cannot change, and those Kubernetes
//! suggests.

use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use serde_json::{Value, json};

/// The name of the level, and of the schema, of those who never wait.
pub const EXEMPT: &str = "exempt";
const CATCH_ALL: &str = "catch-all";

/// Says that the server may bring the object up to date.
const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

/// The fixed value of a level that cannot change.
pub fn mandatory_level(name: &str) -> Option<PriorityLevelConfiguration> {
    let level =
        [EXEMPT, CATCH_ALL].contains(&name).then(|| levels().into_iter().find(|level| is(level, name)))??;
    serde_json::from_value(level).ok()
}

/// The fixed value of a schema that cannot change.
pub fn mandatory_schema(name: &str) -> Option<FlowSchema> {
    let schema = [EXEMPT, CATCH_ALL]
        .contains(&name)
        .then(|| schemas().into_iter().find(|schema| is(schema, name)))??;
    serde_json::from_value(schema).ok()
}

fn is(object: &Value, name: &str) -> bool {
    object["metadata"]["name"] == name
}

/// Every level.
pub fn levels() -> Vec<Value> {
    let queue = |queues: u8, hand: u8| json!({"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}});
    let limited = |name: &str, shares: u8, lendable: u8, response: Value| {
        let limited = json!({"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response});
        object(name, json!({"type": "Limited", "limited": limited}))
    };
    let none = json!({"nominalConcurrencyShares": 0, "lendablePercent": 0});
    vec![
        object(EXEMPT, json!({"type": "Exempt", "exempt": none})),
        limited(CATCH_ALL, 5, 0, json!({"type": "Reject"})),
        limited("system", 30, 33, queue(64, 6)),
        limited("node-high", 40, 25, queue(64, 6)),
        limited("leader-election", 10, 0, queue(16, 4)),
        limited("workload-high", 40, 50, queue(128, 6)),
        limited("workload-low", 100, 90, queue(128, 6)),
        limited("global-default", 20, 50, queue(128, 6)),
    ]
}

/// Every schema.
pub fn schemas() -> Vec<Value> {
    let everybody = || groups(&["system:unauthenticated", "system:authenticated"]);
    let leases = || resources(&["get", "create", "update"], "coordination.k8s.io", &["leases"], "*", false);
    let locks = |namespace: &str| {
        resources(&["get", "create", "update"], "", &["endpoints", "configmaps"], namespace, false)
    };
    let leaders =
        [users(&["system:kube-controller-manager", "system:kube-scheduler"]), system_accounts()].concat();
    let nodes = || groups(&["system:nodes"]);
    let own_node = vec![
        resources(&["*"], "", &["nodes", "nodes/status"], "*", true),
        resources(&["*"], "coordination.k8s.io", &["leases"], "*", false),
    ];
    let manager = || users(&["system:kube-controller-manager"]);
    let endpoints = vec![resources(&["get", "create", "update"], "", &["endpoints"], "*", false)];
    let probes = json!([{"subjects": everybody(), "nonResourceRules": [
        {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}]);
    vec![
        schema(EXEMPT, EXEMPT, 1, "", everything(groups(&["system:masters"]))),
        schema("probes", EXEMPT, 2, "", probes),
        schema("system-leader-election", "leader-election", 100, "ByUser", rule(leaders, vec![leases()])),
        schema(
            "endpoint-controller",
            "workload-high",
            150,
            "ByUser",
            rule([manager(), endpoint_accounts()].concat(), endpoints),
        ),
        schema(
            "workload-leader-election",
            "leader-election",
            200,
            "ByUser",
            rule(system_accounts(), vec![locks("*"), leases()]),
        ),
        schema("system-node-high", "node-high", 400, "ByUser", rule(nodes(), own_node)),
        schema("system-nodes", "system", 500, "ByUser", everything(nodes())),
        schema("kube-controller-manager", "workload-high", 800, "ByNamespace", everything(manager())),
        schema(
            "kube-scheduler",
            "workload-high",
            800,
            "ByNamespace",
            everything(users(&["system:kube-scheduler"])),
        ),
        schema(
            "kube-system-service-accounts",
            "workload-high",
            900,
            "ByNamespace",
            everything(system_accounts()),
        ),
        schema(
            "service-accounts",
            "workload-low",
            9000,
            "ByUser",
            everything(groups(&["system:serviceaccounts"])),
        ),
        schema("global-default", "global-default", 9900, "ByUser", everything(everybody())),
        schema(CATCH_ALL, CATCH_ALL, 10_000, "ByUser", everything(everybody())),
    ]
}

fn object(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}}, "spec": spec})
}

fn schema(name: &str, level: &str, precedence: u16, method: &str, rules: Value) -> Value {
    let mut spec = json!({
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": rules,
    });
    if !method.is_empty() {
        spec["distinguisherMethod"] = json!({"type": method});
    }
    object(name, spec)
}

fn rule(subjects: Vec<Value>, resource_rules: Vec<Value>) -> Value {
    json!([{"subjects": subjects, "resourceRules": resource_rules}])
}

fn everything(subjects: Vec<Value>) -> Value {
    let resources = resources(&["*"], "*", &["*"], "*", true);
    let others = json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]);
    json!([{"subjects": subjects, "resourceRules": [resources], "nonResourceRules": others}])
}

fn resources(verbs: &[&str], group: &str, resources: &[&str], namespace: &str, with_cluster: bool) -> Value {
    let mut rule =
        json!({"verbs": verbs, "apiGroups": [group], "resources": resources, "namespaces": [namespace]});
    if with_cluster {
        rule["clusterScope"] = true.into();
    }
    rule
}

fn groups(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"kind": "Group", "group": {"name": name}})).collect()
}

fn users(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"kind": "User", "user": {"name": name}})).collect()
}

fn accounts(name: &str) -> Vec<Value> {
    vec![json!({"kind": "ServiceAccount", "serviceAccount": {"name": name, "namespace": "kube-system"}})]
}

fn system_accounts() -> Vec<Value> {
    accounts("*")
}

fn endpoint_accounts() -> Vec<Value> {
    [accounts("endpoint-controller"), accounts("endpointslicemirroring-controller")].concat()
}
