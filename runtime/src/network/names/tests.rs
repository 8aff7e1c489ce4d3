//! Names resolve as the cluster DNS of Kubernetes has them.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::network::routes::tests::cluster;

const CLUSTER: &str = "
    service default/kubernetes 10.96.0.1 https:443
    service default/web 10.96.0.10 http:80
    service shop/web 10.96.0.11 http:80
    slice shop/web http:80 10.128.0.6
    service shop/db None sql:5432
    slice shop/db sql:5432 db-1=10.128.0.5 db-0=10.128.0.4 10.128.0.3 db-2=10.128.0.2:unready
    service shop/none None http:80
    service shop/alias external=web.shop.svc.cluster.local
    service shop/loop external=loop.shop.svc.cluster.local
    service shop/abroad external=example.com.
    service shop/literal external=10.0.0.8
";

#[track_caller]
fn check(namespace: &str, name: &str, expected: &str) {
    let names = HostNames { own: vec!["web-7f9c-abcde".to_owned()], ..HostNames::default() };
    let own = Some((&names, [10, 128, 0, 9].into()));
    let question = Question { name, namespace, domain: "cluster.local", own };
    let answer = match resolve(&cluster(CLUSTER), &question) {
        Ok(answer) => answer.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    };
    assert_eq!(answer, expected);
}

fn no_such_name(name: &str) -> String {
    format!(
        "resolve `{name}`: NXDOMAIN: no service or pod of the cluster has this name, \
         and names of the outside are not looked up"
    )
}

#[test]
fn a_service_is_found_by_each_form_of_its_name() {
    for name in
        ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "WEB.shop.svc.cluster.local."]
    {
        check("shop", name, "10.96.0.11");
    }
    check("default", "web", "10.96.0.10");
    check("default", "web.shop", "10.96.0.11");
    check("shop", "kubernetes.default", "10.96.0.1");
    check("shop", "kubernetes.default.svc", "10.96.0.1");
}

#[test]
fn a_final_dot_turns_the_search_off() {
    check("shop", "web.", &no_such_name("web."));
    check("shop", "web.shop.", &no_such_name("web.shop."));
}

#[test]
fn a_headless_service_is_its_ready_endpoints() {
    check("shop", "db", "10.128.0.3 10.128.0.4 10.128.0.5");
    check("shop", "db-0.db", "10.128.0.4");
    check("default", "db-1.db.shop.svc.cluster.local", "10.128.0.5");
    check("shop", "10-128-0-3.db", "10.128.0.3");
    check("shop", "10-128-0-6.web", "10.128.0.6");
    check("shop", "db-2.db", &no_such_name("db-2.db"));
    check("shop", "none", "resolve `none`: service shop/none has no ready endpoints");
}

#[test]
fn an_external_name_is_followed_within_the_cluster_only() {
    check("shop", "alias", "10.96.0.11");
    check("shop", "loop", &no_such_name("loop"));
    check("shop", "literal", "10.0.0.8");
    let words = "resolve `abroad`: it points to `example.com`, and names of the outside are not looked up";
    check("shop", "abroad", words);
}

#[test]
fn a_pod_knows_itself_and_pods_by_address() {
    check("shop", "localhost", "127.0.0.1");
    check("shop", "api.localhost", "127.0.0.1");
    check("shop", "web-7f9c-abcde", "10.128.0.9");
    check("shop", "10-128-0-7.shop.pod.cluster.local", "10.128.0.7");
    check("shop", "10.128.0.7", "10.128.0.7");
    check("shop", "[::1]", "::1");
}

#[test]
fn other_names_do_not_exist() {
    for name in ["wbe", "web.shpo", "example.com", "a.b.c.d.e.f", "cluster.local", "svc.cluster.local"] {
        check("shop", name, &no_such_name(name));
    }
    for name in ["", ".", "a..b", "a b", "über"] {
        check("shop", name, &format!("resolve `{name}`: not a host name"));
    }
}
