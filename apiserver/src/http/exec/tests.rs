//! What is asked, and of which container.

use super::*;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer};

#[test]
fn the_options_are_those_of_the_query() {
    let row = |part: &str, query: &str, expected: &str| {
        let options = Options::of(&document(part, &Query::parse(Some(query))));
        let checked = options.check(part).map(|()| options.query());
        assert_eq!(checked.unwrap_or_else(|status| status.to_string()), expected, "{query}");
    };
    row("exec", "stdout=true&stderr=1&command=ls&command=-l+a", "output=1&error=1&command=ls&command=-l%20a");
    row(
        "exec",
        "stdin=true&stdout=true&stderr=true&tty=true&command=sh",
        "input=1&output=1&tty=1&command=sh",
    );
    row("exec", "stdout=false&command=sh", "you must specify at least 1 of stdin, stdout, stderr");
    row("exec", "stdout=true", "you must specify at least one command for the container");
    row("attach", "stdout=true&command=sh", "output=1");
}

#[test]
fn the_container_must_be_clear() {
    let named = |name: &&str| Container { name: (*name).to_owned(), ..Container::default() };
    let row = |containers: &[&str], asked: &str, expected: &str| {
        let spec = PodSpec {
            init_containers: Some(vec![named(&"setup")]),
            containers: containers.iter().map(named).collect(),
            ephemeral_containers: Some(vec![EphemeralContainer {
                name: "debugger".to_owned(),
                ..EphemeralContainer::default()
            }]),
            ..PodSpec::default()
        };
        let found = container("web", &spec, asked);
        assert_eq!(found.unwrap_or_else(|status| status.to_string()), expected);
    };
    row(&["a"], "", "a");
    row(&["a", "b"], "b", "b");
    row(&["a"], "setup", "setup");
    row(&["a"], "debugger", "debugger");
    row(&["a"], "y", "container y is not valid for pod web");
    row(
        &["a", "b"],
        "",
        "a container name must be specified for pod web, choose one of: [setup a b debugger]",
    );
}

#[test]
fn older_versions_have_fewer_channels() {
    let row = |tty: bool, version: Version, expected: &[u8]| {
        let options = Options { stdin: true, stdout: true, tty, ..Options::default() };
        let numbers: Vec<u8> = options.channels(version).iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, expected);
    };
    row(true, Version::V5, &[STDIN, STDOUT, STATUS, RESIZE]);
    row(true, Version::V2, &[STDIN, STDOUT, STATUS]);
    row(false, Version::V5, &[STDIN, STDOUT, STATUS]);
}

#[tokio::test]
async fn older_versions_are_told_in_words() {
    let row = async |told: &'static str, expected: &str| {
        let ((mut given, from), (to, mut heard)) = (pipe(), pipe());
        let give = async {
            given.write_all(told.as_bytes()).await.expect("somebody reads");
            drop(given);
        };
        let mut words = String::new();
        let (_, _, read) = tokio::join!(give, tell_in_words(from, to), heard.read_to_string(&mut words));
        read.expect("text");
        assert_eq!(words, expected);
    };
    row(r#"{"status":"Success"}"#, "").await;
    row(r#"{"status":"Failure","message":"exit 3"}"#, "exit 3").await;
    row("broken", "").await;
}
