//! Writes occurrences as Event objects, counting those that repeat instead of adding more.

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// Series remembered for counting; beyond that all are forgotten and counting begins anew.
const SERIES: usize = 4096;

/// Records what happens to objects, for `kubectl describe` and `kubectl events`. A clone records to the same queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<(Arc<str>, Occurrence)>,
    component: Arc<str>,
}

impl Recorder {
    /// Starts the task that writes the events; it ends with `tasks`.
    pub fn start(client: Client, clock: Clock, component: &str, tasks: &mut JoinSet<()>) -> Self {
        let (queue, mut waiting) = mpsc::channel::<(Arc<str>, Occurrence)>(QUEUE);
        tasks.spawn(async move {
            let mut writer = Writer { client, clock, written: 0, series: BTreeMap::new() };
            while let Some((component, occurrence)) = waiting.recv().await {
                if let Err(error) = writer.write(&component, occurrence).await {
                    debug!(%error, "event not written");
                }
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
    /// How many Event objects were written; tells apart those of one moment.
    written: u64,
    series: BTreeMap<(Arc<str>, Occurrence), Series>,
}

impl Writer {
    async fn write(&mut self, component: &Arc<str>, occurrence: Occurrence) -> Result<(), Status> {
        let id = (Arc::clone(component), occurrence.clone());
        if let Some(series) = self.series.get_mut(&id) {
            series.count += 1;
            match count(&self.client, &occurrence, series, &self.clock).await {
                Err(status) if status.is_not_found() => {}
                done => return done,
            }
        }
        let series = self.create(component, &occurrence).await?;
        if self.series.len() >= SERIES {
            self.series.clear();
        }
        self.series.insert(id, series);
        Ok(())
    }

    async fn create(&mut self, component: &str, occurrence: &Occurrence) -> Result<Series, Status> {
        let now = self.clock.now();
        self.written += 1;
        let moment = u64::try_from(now.as_nanosecond()).unwrap_or_default();
        let series = Series {
            name: format!("{}.{:016x}", occurrence.involved.name, moment + self.written),
            count: 1,
            first: now,
        };
        let value = to_value(occurrence, &series, component, now);
        let namespace = namespace_of(&occurrence.involved);
        self.client.create(&EVENTS, namespace, &value).await?;
        Ok(series)
    }
}

async fn count(
    client: &Client,
    occurrence: &Occurrence,
    series: &Series,
    clock: &Clock,
) -> Result<(), Status> {
    let key = Key::new(namespace_of(&occurrence.involved), series.name.as_str());
    let last = seconds(clock.now());
    let patch = serde_json::json!({"count": series.count, "lastTimestamp": last});
    client.patch(&EVENTS, &key, "", patch).await.map(drop)
}
