//! What pods say of other pods, of names, and of their rights.

use super::*;

#[tokio::test(start_paused = true)]
async fn mistakes_in_what_pods_say_of_others_and_of_themselves_are_named() {
    let world = start().await;
    let base = pod("p");
    let row =
        async |patch: Value, words: &str| refuse(&world, &PODS, &base, json!({"spec": patch}), words).await;
    let near = |term: Value| {
        json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 0, "podAffinityTerm": term}]}}})
    };
    let start = "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]";
    row(
        near(json!({"topologyKey": "zone", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "x"}]}})),
        &format!(
            "[{start}.weight: Invalid value: 0: must be in the range 1-100, \
             {start}.podAffinityTerm.labelSelector.matchExpressions[0].operator: Invalid value: \"x\": not a valid \
             selector operator]"
        ),
    )
    .await;
    let spread = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"});
    let mut counted = spread.clone();
    counted["minDomains"] = 2.into();
    row(
        json!({"topologySpreadConstraints": [spread, counted]}),
        "[spec.topologySpreadConstraints[1].minDomains: Invalid value: 2: can only use minDomains if \
         whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway, spec.topologySpreadConstraints[1].{topologyKey, \
         whenUnsatisfiable}: Duplicate value: \"{zone, ScheduleAnyway}\"]",
    )
    .await;
    row(
        json!({"securityContext": {"runAsUser": -1, "seccompProfile": {"type": "Localhost"},
            "fsGroupChangePolicy": "x"}, "os": {"name": "beos"}, "preemptionPolicy": "PreemptLowerPriority"}),
        "[spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive, \
         spec.securityContext.fsGroupChangePolicy: Unsupported value: \"x\": supported values: \"Always\", \
         \"OnRootMismatch\", spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when \
         seccomp type is Localhost, spec.os.name: Unsupported value: \"beos\": supported values: \"linux\", \
         \"windows\"]",
    )
    .await;
    row(
        json!({"containers": [{"name": "c", "image": "a", "securityContext": {"privileged": true,
            "allowPrivilegeEscalation": false}}]}),
        "spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"privileged\":true}: \
         cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    )
    .await;
    row(
        json!({"dnsPolicy": "None"}),
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
    )
    .await;
    row(
        json!({"hostAliases": [{"ip": "x"}], "dnsConfig": {"nameservers": ["1.1.1.1", "y"], "options": [{}],
            "searches": [".", "_a.example.com."]}}),
        "[spec.hostAliases[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or \
         2001:db8::ffff), spec.dnsConfig.nameservers[1]: Invalid value: \"y\": must be a valid IP address, (e.g. \
         10.9.8.7 or 2001:db8::ffff), spec.dnsConfig.options[0]: Required value: must not be empty]",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_sources_of_volumes_are_filled_in() {
    let world = start().await;
    let mut given = pod("p");
    given["spec"]["volumes"] = json!([
        {"name": "a", "hostPath": {"path": "/a"}}, {"name": "b", "rbd": {"image": "i", "monitors": ["m"]}},
        {"name": "c", "image": {"reference": "app:1"}},
        {"name": "d", "iscsi": {"targetPortal": "t", "iqn": "iqn.2001-04.com.example:d", "lun": 0}},
    ]);
    let wanted = json!({"spec": {"volumes": [{"hostPath": {"type": ""}},
        {"rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}},
        {"image": {"pullPolicy": "IfNotPresent"}}, {"iscsi": {"iscsiInterface": "default"}}]}});
    world.filled(&PODS, given, wanted).await;
}
