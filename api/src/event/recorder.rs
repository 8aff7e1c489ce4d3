//! Writes occurrences as Event objects, counting those that repeat instead of adding more.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

use super::{Occurrence, Series, namespace_of, seconds, to_value};
use crate::client::Client;
use crate::clock::Clock;
use crate::object::Key;
use crate::resource::EVENTS;
use crate::status::Status;

/// Occurrences that may wait to be written; beyond that they are dropped, as events are help and not state.
const QUEUE: usize = 4096;

/// Occurrences written at once, so that a burst of them shares commits.
const BATCH: usize = 64;

/// Series remembered for counting; beyond that all are forgotten and counting begins anew.
const SERIES: usize = 4096;

/// What is counted as one: the component that saw it, and what it saw.
type Seen = (Arc<str>, Occurrence);

/// Records what happens to objects, for `kubectl describe` and `kubectl events`. A clone records to the same queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Seen>,
    component: Arc<str>,
}

impl Recorder {
    /// Starts the task that writes the events; it ends with `tasks`.
    pub fn start(client: Client, clock: Clock, component: &str, tasks: &mut JoinSet<()>) -> Self {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        tasks.spawn(async move {
            let mut writer = Writer { client, clock, begun: 0, series: BTreeMap::new() };
            let mut batch = Vec::with_capacity(BATCH);
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                writer.write(batch.drain(..)).await;
            }
        });
        Self { queue, component: component.into() }
    }

    /// The same queue in the name of another component.
    pub fn with_component(&self, component: &str) -> Self {
        Self { queue: self.queue.clone(), component: component.into() }
    }

    /// Queues an occurrence; never waits.
    pub fn record(&self, occurrence: Occurrence) {
        if self.queue.try_send((Arc::clone(&self.component), occurrence)).is_err() {
            debug!("event dropped, too many wait");
        }
    }
}

struct Writer {
    client: Client,
    clock: Clock,
    /// How many series were begun; tells apart those of one moment.
    begun: u64,
    series: BTreeMap<Seen, Series>,
}

impl Writer {
    /// Writes each series of the batch once, all of them at the same time.
    async fn write(&mut self, batch: impl Iterator<Item = Seen>) {
        let now = self.clock.now();
        let mut due: BTreeMap<Seen, Series> = BTreeMap::new();
        for seen in batch {
            let known = due.remove(&seen).or_else(|| self.series.get(&seen).cloned());
            let mut series = known.unwrap_or_else(|| self.begin(&seen.1, now));
            series.count += 1;
            due.insert(seen, series);
        }
        let (client, known) = (&self.client, &self.series);
        let writes = due.into_iter().map(|(seen, series)| async move {
            let is_known = known.contains_key(&seen);
            let written = store(client, &seen, &series, is_known, now).await;
            (seen, series, written)
        });
        for (seen, series, written) in join_all(writes).await {
            match written {
                Ok(()) => self.remember(seen, series),
                Err(error) => debug!(%error, "event not written"),
            }
        }
    }

    fn begin(&mut self, occurrence: &Occurrence, now: Timestamp) -> Series {
        self.begun += 1;
        let moment = u64::try_from(now.as_nanosecond()).unwrap_or_default();
        let name = format!("{}.{:016x}", occurrence.involved.name, moment + self.begun);
        Series { name, count: 0, first: now }
    }

    fn remember(&mut self, seen: Seen, series: Series) {
        if self.series.len() >= SERIES {
            self.series.clear();
        }
        self.series.insert(seen, series);
    }
}

/// Counts a known series, or creates its Event object; again if that has expired meanwhile.
async fn store(
    client: &Client,
    (component, occurrence): &Seen,
    series: &Series,
    is_known: bool,
    now: Timestamp,
) -> Result<(), Status> {
    let namespace = namespace_of(&occurrence.involved);
    if is_known {
        let key = Key::new(namespace, series.name.as_str());
        let patch = json!({"count": series.count, "lastTimestamp": seconds(now)});
        match client.patch(&EVENTS, &key, "", patch).await {
            Err(status) if status.is_not_found() => {}
            done => return done.map(drop),
        }
    }
    let value = to_value(occurrence, series, component, now);
    client.create(&EVENTS, namespace, &value).await.map(drop)
}
