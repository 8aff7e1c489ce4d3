//! Shows what goes wrong as it happens: each Warning event once, when it is new.

use api::cache::{Cache, Change};
use api::resource::EVENTS;
use tokio::sync::mpsc;

use crate::terminal::Terminal;

/// Lines that may wait to be printed; more at once tell nobody more.
const QUEUE: usize = 256;

/// Prints until dropped.
pub async fn print(cache: Cache, terminal: Terminal) {
    let (queue, mut lines) = mpsc::channel(QUEUE);
    let queue_new = move |change: &Change| {
        let line = change.old.is_none().then(|| line(change)).flatten();
        line.into_iter().for_each(|line| drop(queue.try_send(line)));
    };
    cache.subscribe(&EVENTS, Box::new(queue_new));
    while let Some(line) = lines.recv().await {
        terminal.line(&format!("{} {line}", terminal.bad("warning  ")));
    }
}

/// `Pod/web: Failed: what happened`; none for an event that is no warning.
fn line(change: &Change) -> Option<String> {
    let event = change.object().value();
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let about = |name: &str| event["involvedObject"][name].as_str().unwrap_or_default();
    let is_warning = text("type") == "Warning";
    is_warning
        .then(|| format!("{}/{}: {}: {}", about("kind"), about("name"), text("reason"), text("message")))
}
