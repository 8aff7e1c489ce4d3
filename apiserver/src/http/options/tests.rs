//! What parameters ask for, and what they cannot.
#![allow(clippy::unwrap_used)]
use super::*;

fn query(text: &str) -> Query {
    Query::parse(Some(text))
}

#[test]
fn what_cannot_be_asked_for_is_refused_in_kubernetes_words() {
    let list_row = |text: &str, words: &str| {
        assert_eq!(list(&query(text)).unwrap_err().to_string(), words, "{text}");
    };
    list_row("labelSelector=a%3D%3D%3Db", "unable to parse requirement: found '=', expected: identifier");
    list_row("fieldSelector=x", "invalid selector: 'x'; can't understand 'x'");
    list_row("limit=x", r#"strconv.ParseInt: parsing "x": invalid syntax"#);
    list_row(
        "resourceVersion=x",
        r#"resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax"#,
    );
    list_row(
        "resourceVersionMatch=Exact",
        r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#,
    );
    list_row(
        "resourceVersion=5&resourceVersionMatch=Some",
        r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Some": supported values: "", "Exact", "NotOlderThan""#,
    );
    list_row(
        "resourceVersion=5&continue=x",
        "specifying resource version is not allowed when using continue",
    );
    let watch_row = |text: &str, words: &str| {
        let status = watch(&query(text)).err().unwrap();
        assert_eq!(status.to_string(), words, "{text}");
    };
    watch_row(
        "sendInitialEvents=true",
        r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"#,
    );
    watch_row(
        "resourceVersionMatch=NotOlderThan",
        r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"#,
    );
    let write_row = |text: &str, words: &str| {
        let found = write(&query(text), &HeaderMap::new(), "CreateOptions");
        assert_eq!(found.unwrap_err().to_string(), words, "{text}");
    };
    write_row(
        "dryRun=Some",
        r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All""#,
    );
    write_row(
        "fieldValidation=Some",
        r#"CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Some": supported values: "", "Ignore", "Strict", "Warn""#,
    );
}

#[test]
fn who_applies_says_who_it_is() {
    let row = |text: &str, applies: bool, words: &str| {
        let found = patch(&query(text), &HeaderMap::new(), applies);
        let found = found.map(|options| format!("{} {}", options.field_manager, options.force));
        assert_eq!(found.unwrap_or_else(|status| status.to_string()), words, "{text}");
    };
    row("fieldManager=a", true, "a false");
    row("fieldManager=a&force=true", true, "a true");
    row("fieldManager=a&force=false", true, "a false");
    row("", false, "unknown false");
    row(
        "",
        true,
        r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#,
    );
    row(
        "force=true",
        false,
        r#"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#,
    );
    row(
        "fieldManager=a%07",
        true,
        r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\u0007": invalid character U+0007 (at position 1)"#,
    );
    let long = format!("fieldManager={}", "x".repeat(129));
    let words =
        r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes"#;
    row(&long, true, words);
}

#[test]
fn a_program_manages_what_it_writes() {
    let row = |said: &str, expected: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_bytes(said.as_bytes()).unwrap());
        assert_eq!(program(&headers), expected, "{said}");
    };
    row("kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0", "kubectl");
    row("python-requests", "python-requests");
    row("", "unknown");
    row(&"é".repeat(100), &"é".repeat(64));
    assert_eq!(program(&HeaderMap::new()), "unknown");
}

#[test]
fn deletion_options_say_one_thing() {
    let row = |text: &str, expected: &str| {
        let found = delete(delete_query(&query(text)).unwrap());
        let shown = found.map(|options| format!("{:?} {:?}", options.grace_seconds, options.propagation));
        assert_eq!(shown.unwrap_or_else(|status| status.to_string()), expected, "{text}");
    };
    row("", "None None");
    row("gracePeriodSeconds=0&propagationPolicy=Foreground", "Some(0) Some(Foreground)");
    row("gracePeriodSeconds=-1", "Some(1) None");
    row("orphanDependents=true", "None Some(Orphan)");
    row(
        "propagationPolicy=Some",
        r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Some": supported values: "Background", "Foreground", "Orphan", "nil""#,
    );
    row("ignoreStoreReadErrorWithClusterBreakingPotential=true", "None None");
    row(
        "ignoreStoreReadErrorWithClusterBreakingPotential=true&gracePeriodSeconds=1",
        r#"DeleteOptions.meta.k8s.io "" is invalid: ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: cannot be set together with .gracePeriodSeconds"#,
    );
    row(
        "orphanDependents=false&propagationPolicy=Orphan",
        r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set"#,
    );
}
