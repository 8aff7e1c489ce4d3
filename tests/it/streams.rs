//! Real kubectl against pods that play scripts: exec, attach, cp, debug, port-forward and proxy, over WebSocket and over SPDY.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use tests::streaming::Streaming;

use crate::kubectl::kubectls;

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: main, image: localhost/web, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: subject}
spec:
  containers: [{name: main, image: localhost/idle}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_streams_over_every_protocol_it_knows() -> Result<()> {
    let Some(kubectls) = kubectls() else {
        return Ok(());
    };
    let server = Streaming::start().await?;
    server.engine.register("localhost/web", "serve 8080")?;
    server.engine.register("localhost/repeat", "repeat")?;
    server.engine.register("localhost/idle", "")?;
    let (home, kubeconfig) = (server.home().to_owned(), server.kubeconfig());
    let checked = tokio::task::spawn_blocking(move || {
        let first = Kubectl::new(&kubectls[0], &home, &kubeconfig, true);
        first.apply(PODS)?;
        first.succeed(&["wait", "--for=condition=Ready", "--timeout=60s", "pod/web", "pod/subject"], b"")?;
        for (number, program) in kubectls.iter().enumerate() {
            for over_websocket in [true, false] {
                let kubectl = Kubectl::new(program, &home, &kubeconfig, over_websocket);
                let name = format!("repeat-{number}-{over_websocket}");
                kubectl
                    .check(&name)
                    .with_context(|| format!("{} over WebSocket: {over_websocket}", program.display()))?;
            }
        }
        anyhow::Ok(())
    });
    checked.await??;
    server.stop().await;
    Ok(())
}

/// One kubectl, told to use WebSockets or SPDY where it can choose.
struct Kubectl {
    program: PathBuf,
    home: PathBuf,
    kubeconfig: PathBuf,
    over_websocket: bool,
}

impl Kubectl {
    fn new(program: &Path, home: &Path, kubeconfig: &Path, over_websocket: bool) -> Self {
        let [program, home, kubeconfig] = [program, home, kubeconfig].map(Path::to_owned);
        Self { program, home, kubeconfig, over_websocket }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let choice = if self.over_websocket { "true" } else { "false" };
        command
            .args(arguments)
            .env("HOME", &self.home)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", choice)
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", choice)
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Output> {
        let mut child = self.command(arguments).spawn()?;
        let mut stdin = child.stdin.take().context("its input")?;
        let input = input.to_owned();
        // One that does not read all of it closes the pipe.
        let writing = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output()?;
        writing.join().expect("writing does not panic");
        Ok(output)
    }

    fn succeed(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let output = self.run(arguments, input)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "kubectl {arguments:?}: {}: {said}", output.status);
        Ok(output.stdout)
    }

    /// Runs it to its failure, and gives what it complained of.
    fn fail(&self, arguments: &[&str], code: i32) -> Result<String> {
        let output = self.run(arguments, b"")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(code), "kubectl {arguments:?}: {}: {said}", output.status);
        Ok(said)
    }

    fn apply(&self, manifest: &str) -> Result<()> {
        self.succeed(&["apply", "-f", "-"], manifest.as_bytes()).map(drop)
    }

    fn check(&self, repeat: &str) -> Result<()> {
        self.check_exec()?;
        self.check_copies()?;
        self.check_attach(repeat)?;
        self.check_debug(&format!("debug-{repeat}"))?;
        self.check_forwarding()?;
        self.check_proxy()
    }

    fn check_exec(&self) -> Result<()> {
        assert_eq!(self.succeed(&["exec", "web", "--", "echo", "hello"], b"")?, b"hello\n");
        let large: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let back = self.succeed(&["exec", "-i", "web", "--", "cat"], &large)?;
        ensure!(back == large, "{} of {} bytes came back", back.len(), large.len());
        let script = "echo out; echo err >&2; exit 3";
        let said = self.fail(&["exec", "web", "--", "sh", "-c", script], 3)?;
        assert_eq!(said, "err\ncommand terminated with exit code 3\n");
        let said = self.fail(&["exec", "web", "--", "dance"], 1)?;
        ensure!(said.contains(r#"exec: "dance": executable file not found in $PATH"#), "{said}");
        let said = self.fail(&["exec", "web", "-c", "none", "--", "echo"], 1)?;
        ensure!(
            said.contains("container none is not valid for pod web") || said.contains("container not found"),
            "{said}"
        );
        Ok(())
    }

    fn check_copies(&self) -> Result<()> {
        let (here, back) = (self.home.join("here"), self.home.join("back"));
        let large: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        fs::write(&here, &large)?;
        self.succeed(&["cp", "here", "web:/tmp/there"], b"")?;
        self.succeed(&["cp", "web:/tmp/there", "back"], b"")?;
        ensure!(fs::read(&back)? == large, "the copy is another");
        fs::remove_file(back)?;
        Ok(())
    }

    fn check_attach(&self, name: &str) -> Result<()> {
        let spec = "{name: main, image: localhost/repeat, stdin: true, stdinOnce: true}";
        let metadata = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n");
        self.apply(&format!("{metadata}spec: {{restartPolicy: Never, containers: [{spec}]}}\n"))?;
        self.succeed(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("pod/{name}")], b"")?;
        let heard = self.succeed(&["attach", "-i", name], b"one\ntwo\n")?;
        assert_eq!(String::from_utf8_lossy(&heard), "one\ntwo\n");
        self.succeed(
            &["wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", &format!("pod/{name}")],
            b"",
        )?;
        assert_eq!(self.succeed(&["logs", name], b"")?, b"one\ntwo\n");
        Ok(())
    }

    /// A container is added to a running pod, spoken to, and counts for nothing; a pod is copied with one more; and a pod that
    /// would be at home on the node itself says why it is not.
    fn check_debug(&self, name: &str) -> Result<()> {
        let arguments = ["debug", "subject", "-i", "--image=localhost/repeat", "--target=main", "-c", name];
        let mut debug = Running(self.command(&arguments).spawn()?);
        let mut stdin = debug.0.stdin.take().context("its input")?;
        stdin.write_all(b"one\n")?;
        let mut lines = BufReader::new(debug.0.stdout.take().context("its output")?).lines();
        let heard = lines.find(|line| line.as_ref().is_ok_and(|line| line == "one"));
        ensure!(heard.is_some(), "the container said nothing");
        assert_eq!(self.succeed(&["logs", "subject", "-c", name], b"")?, b"one\n");
        assert_eq!(self.succeed(&["exec", "subject", "-c", name, "--", "echo", "two"], b"")?, b"two\n");
        let path = "jsonpath={.status.phase} {.status.containerStatuses[*].ready} {.spec.containers[*].name}";
        assert_eq!(self.succeed(&["get", "pod", "subject", "-o", path], b"")?, b"Running true main");

        let copy = format!("--copy-to={name}");
        self.succeed(&["debug", "subject", &copy, "--image=localhost/idle", "-c", "idle"], b"")?;
        self.succeed(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("pod/{name}")], b"")?;
        let path = "jsonpath={.status.containerStatuses[*].name}";
        assert_eq!(self.succeed(&["get", "pod", name, "-o", path], b"")?, b"main idle");
        self.succeed(&["delete", "pod", name, "--now"], b"")?;

        let node = self.succeed(&["get", "nodes", "-o", "name"], b"")?;
        let node = String::from_utf8(node)?;
        let output = self.run(&["debug", node.trim(), "--image=localhost/idle"], b"")?;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        let pod =
            said.split_whitespace().find(|word| word.starts_with("node-debugger-")).context(said.clone())?;
        let why = "spec.hostNetwork: not supported yet";
        let message = "{.status.containerStatuses[0].state.waiting.message}";
        let awaited = format!("--for=jsonpath={message}={why}");
        self.succeed(&["wait", &awaited, "--timeout=60s", &format!("pod/{pod}")], b"")?;
        self.succeed(&["delete", "pod", pod, "--now"], b"").map(drop)
    }

    fn check_forwarding(&self) -> Result<()> {
        let mut forwarding = Running(self.command(&["port-forward", "pod/web", ":8080", ":81"]).spawn()?);
        let mut lines = BufReader::new(forwarding.0.stdout.take().context("its output")?).lines();
        let mut port = || -> Result<u16> {
            loop {
                let line = lines.next().context("no port")??;
                if let Some(rest) = line.strip_prefix("Forwarding from 127.0.0.1:") {
                    return Ok(rest.split(' ').next().context("a port")?.parse()?);
                }
            }
        };
        let (open, shut) = (port()?, port()?);
        for _ in 0..3 {
            let mut stream = TcpStream::connect(("127.0.0.1", open))?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            ensure!(answer.ends_with("default/web localhost/web:latest\n"), "{answer:?}");
        }
        let mut stream = TcpStream::connect(("127.0.0.1", shut))?;
        // It is closed with or without a reset.
        let _ = stream.read_to_end(&mut Vec::new());
        let mut errors = BufReader::new(forwarding.0.stderr.take().context("its errors")?).lines();
        let said = errors.find(|line| line.as_ref().is_ok_and(|line| line.contains("an error occurred")));
        let said = said.context("no error")??;
        ensure!(said.contains("error forwarding port 81 to pod web"), "{said}");
        ensure!(said.contains("dial tcp4 127.0.0.1:81: connect: connection refused"), "{said}");
        Ok(())
    }

    fn check_proxy(&self) -> Result<()> {
        let base = "/api/v1/namespaces/default";
        for path in [
            "pods/web:8080/proxy/",
            "pods/web/proxy/",
            "services/web/proxy/a?b",
            "services/http:web:80/proxy/",
        ] {
            let path = format!("{base}/{path}");
            if path.contains("services/web/") {
                let said = self.fail(&["get", "--raw", &path], 1)?;
                ensure!(said.contains("no endpoints available for service"), "{said}");
                continue;
            }
            let answer = self.succeed(&["get", "--raw", &path], b"")?;
            assert_eq!(String::from_utf8_lossy(&answer), "default/web localhost/web:latest\n", "{path}");
        }
        let said = self.fail(&["get", "--raw", &format!("{base}/pods/web:81/proxy/")], 1)?;
        ensure!(said.contains("error trying to reach service: dial tcp"), "{said}");
        ensure!(said.contains("connect: connection refused"), "{said}");
        let node = self.succeed(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"], b"")?;
        let path = format!("/api/v1/nodes/{}/proxy/healthz", String::from_utf8(node)?);
        assert_eq!(self.succeed(&["get", "--raw", &path], b"")?, b"ok");
        Ok(())
    }
}

/// A kubectl that goes on until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
