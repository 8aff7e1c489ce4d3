//! Shows what the pods write, each line with the pod's name in front.

use runtime::logs::LogLine;
use runtime::node::Node;
use runtime::node::output::ContainerLog;
use tokio::task::JoinSet;

use api::Object;

use crate::terminal::Terminal;

/// Prints every line of every container until dropped.
pub async fn print(node: Node, terminal: Terminal) {
    let mut logs = node.output().subscribe();
    let mut followers = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            log = logs.next() => match log {
                Some(log) => drop(followers.spawn(print_one(log, terminal.clone()))),
                None => return,
            },
            Some(_) = followers.join_next() => {}
        }
    }
}

async fn print_one(log: ContainerLog, terminal: Terminal) {
    let name = &log.pod.name;
    let front = terminal.named(name, &format!("{name} |"));
    let mut lines = log.file.follow();
    while let Some(line) = lines.next().await {
        terminal.line(&format!("{front} {}", line.text));
    }
}

/// The last lines that a container of a pod has written.
pub fn tail(node: &Node, pod: &Object, container: &str, count: usize) -> Vec<String> {
    let lines = node.output().tail(&pod.key(), container, count);
    lines.into_iter().map(|line: LogLine| line.text).collect()
}
