//! Commands in containers, joining them, and their ports, over the channels that the API server speaks to nodes.

use api::channels::{Channel, Form, Pipe, Role, Way, carry, pipe};
use api::dialer::{Destination, Dialer};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cluster::Trial;
use crate::node::NodeDialer;

/// The stream at a path, or the code and the words of the refusal.
async fn open(trial: &Trial, path: &str) -> Result<(TokioIo<Upgraded>, NodeDialer), (u16, String)> {
    let dialer = NodeDialer::new(trial.node.clone());
    let connection = dialer.dial(&Destination::Node("node-1".into())).await.unwrap();
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
    let headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "a2V5")];
    let mut request = http::Request::get(path).header("host", "node");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let asked = async {
        let mut response = sender.send_request(request).await.unwrap();
        drop(sender);
        if response.status() == 101 {
            return Ok(hyper::upgrade::on(&mut response).await.unwrap());
        }
        let code = response.status().as_u16();
        let words = response.into_body().collect().await.unwrap().to_bytes();
        Err((code, String::from_utf8(words.to_vec()).unwrap().trim().to_owned()))
    };
    let (opened, driven) = tokio::join!(asked, driver.with_upgrades());
    driven.unwrap();
    // The connection ends with its dialer.
    opened.map(|upgraded| (TokioIo::new(upgraded), dialer))
}

/// Opens a stream, writes to its first channel, and reads the others to their ends.
pub(super) async fn talk(trial: &Trial, path: &str, channels: &[(u8, Way)], input: &str) -> Vec<String> {
    let (stream, _dialer) = open(trial, path).await.unwrap();
    let make = |(number, way): &(u8, Way)| {
        let (near, far) = pipe();
        (Channel { number: *number, way: *way, pipe: near }, far)
    };
    let (channels, mut ends): (Vec<Channel>, Vec<Pipe>) = channels.iter().map(make).unzip();
    let said = async {
        ends[0].write_all(input.as_bytes()).await.unwrap();
        ends[0].shutdown().await.unwrap();
        let mut heard = Vec::new();
        for end in &mut ends {
            let mut text = String::new();
            end.read_to_string(&mut text).await.unwrap();
            heard.push(text);
        }
        heard
    };
    let (_, heard) = tokio::join!(carry(stream, Role::Client, Form::ENDING, channels, &[]), said);
    heard
}

pub(super) const EXEC: [(u8, Way); 4] = [(0, Way::Out), (1, Way::In), (2, Way::In), (3, Way::In)];
pub(super) const ALL: &str = "input=1&output=1&error=1";
pub(super) const SUCCESS: &str = r#"{"metadata":{},"status":"Success"}"#;

#[tokio::test(start_paused = true)]
async fn commands_run_and_tell_how_they_ended() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    let run = async |command: &str, input: &str| {
        talk(&trial, &format!("/exec/default/web/main?{ALL}&{command}"), &EXEC, input).await[1..].to_vec()
    };
    assert_eq!(run("command=cat", "hello").await, ["hello", "", SUCCESS]);
    let failed = run("command=sh&command=-c&command=echo+a+%3E%262;exit+3", "").await;
    assert_eq!(failed[..2], ["", "a\n"]);
    let status: serde_json::Value = serde_json::from_str(&failed[2]).unwrap();
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "3"}]));
    let missing = run("command=dance", "").await;
    let words = "Internal error occurred: error executing command in container: failed to exec in container: \
        exec: \\\"dance\\\": executable file not found in $PATH";
    assert!(missing[2].contains(words), "{}", missing[2]);
    let path = "/exec/default/web/main?output=1&tty=1&command=stty&command=size";
    let sized = [(4, Way::Out), (1, Way::In), (3, Way::In)];
    let heard = talk(&trial, path, &sized, r#"{"Width":1,"Height":2}{"Width":80,"Height":24}"#).await;
    assert_eq!(heard[1..], ["24 80\n", SUCCESS]);
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_container_hears_it_and_speaks_to_it() {
    let trial = Trial::new("localhost/web:v1", "print early; repeat").await;
    let container = json!({"name": "main", "image": "localhost/web:v1", "stdin": true, "stdinOnce": true});
    trial.create(trial.pod("web", json!({"restartPolicy": "Never", "containers": [container]}))).await;
    trial.settle().await;
    let heard = talk(&trial, &format!("/attach/default/web/main?{ALL}"), &EXEC, "one\ntwo\n").await;
    assert_eq!(heard[1..], ["one\ntwo\n", "", SUCCESS]);
    trial.settle().await;
    assert_eq!(trial.get("web").unwrap()["status"]["phase"], "Succeeded");
    assert_eq!(trial.ask("/containerLogs/default/web/main").await.1, "early\none\ntwo\n");
}

#[tokio::test(start_paused = true)]
async fn ports_are_reached_from_within_the_pod() {
    let trial = Trial::new("localhost/web:v1", "serve 8080").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    let ports = [(0, Way::Both), (1, Way::In)];
    let heard = talk(&trial, "/portForward/default/web?port=8080", &ports, "who is there?").await;
    assert_eq!(heard, ["default/web localhost/web:v1\n", ""]);
    let heard = talk(&trial, "/portForward/default/web?port=81", &ports, "").await;
    let words = "error forwarding port 81 to pod web, uid uid-web: failed to connect to localhost:81 inside the pod: \
        dial tcp4 127.0.0.1:81: connect: connection refused";
    assert_eq!(heard, ["", words]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_refused_in_words() {
    let trial = Trial::new("localhost/web:v1", "").await;
    trial.create(trial.pod("web", json!({}))).await;
    trial.settle().await;
    trial.engine.register("localhost/web:v1", "exit 0").unwrap();
    trial.create(trial.pod("over", json!({"restartPolicy": "Never"}))).await;
    trial.settle().await;
    let check = async |path: &str, code: u16, words: &str| {
        let refused = open(&trial, path).await.err().unwrap();
        assert_eq!(refused, (code, words.to_owned()), "{path}");
    };
    check("/exec/default/none/main?output=1&command=a", 404, "pod does not exist").await;
    check("/exec/default/web/side?output=1&command=a", 500, r#"container not found ("side")"#).await;
    check("/exec/default/over/main?output=1&command=a", 500, r#"container not found ("main")"#).await;
    check("/attach/default/web/main", 400, "you must specify at least 1 of stdin, stdout, stderr").await;
    check("/portForward/default/web", 400, r#"query parameter "port" is required"#).await;
    check("/portForward/default/web?port=x", 400, r#"invalid value for port: "x""#).await;
    assert_eq!(trial.ask("/exec/default/web/main?output=1&command=a").await.0, 400);
}
