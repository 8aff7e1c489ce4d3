//! What was acknowledged is there after the server was killed, whenever that happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::https::Https;
use tests::served::Served;
use tokio::sync::Notify;
use tokio::task::JoinSet;

const ROUNDS: u64 = 50;
const WRITERS: u64 = 8;
/// Objects that each writer creates, changes and deletes in turn.
const OBJECTS: u64 = 12;
/// Acknowledged writes of a round, at most.
const LARGEST_ROUND: u64 = 160;

/// The last acknowledged state of an object: its value, or none once it is deleted.
type Acknowledged = BTreeMap<String, Option<u64>>;

/// What one writer learnt before the server was gone.
#[derive(Default)]
struct Told {
    acknowledged: Acknowledged,
    /// The write under way when the server was killed: it may have happened or not.
    open: Option<(String, Option<u64>)>,
    revisions: Vec<u64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_has_lost_nothing_it_acknowledged() -> Result<()> {
    let mut served = Served::start(&[])?;
    let (mut known, mut revisions) = (Acknowledged::new(), BTreeSet::new());
    let mut seed = 7;
    for round in 0..ROUNDS {
        seed = next(seed);
        let before = https(&served)?;
        let start = revision_of(&before).await?;
        let (told, home) = write_until_killed(served, round, seed % LARGEST_ROUND).await?;
        served = Served::start_in(home, "127.0.0.1:0", &[])?;
        let https = https(&served)?;
        for one in &told {
            for revision in &one.revisions {
                ensure!(revisions.insert(*revision), "revision {revision} was issued twice");
            }
        }
        check(&https, &mut known, told).await.with_context(|| format!("after round {round}"))?;
        check_watch(&https, start).await.with_context(|| format!("watching after round {round}"))?;
    }
    ensure!(revisions.len() as u64 > ROUNDS, "hardly anything was written");
    Ok(())
}

fn https(served: &Served) -> Result<Https> {
    Https::of(&served.kubeconfig())
}

/// A step of splitmix64.
fn next(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Lets the writers write until so many writes were acknowledged, and kills the server in the middle of the others.
async fn write_until_killed(
    served: Served,
    round: u64,
    writes: u64,
) -> Result<(Vec<Told>, Arc<tempfile::TempDir>)> {
    let done = Arc::new(AtomicU64::new(0));
    let enough = Arc::new(Notify::new());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let https = https(&served)?;
        let (done, enough) = (Arc::clone(&done), Arc::clone(&enough));
        let acknowledged = move || {
            if done.fetch_add(1, Ordering::Relaxed) >= writes {
                enough.notify_one();
            }
        };
        writers.spawn(write(https, writer, round, acknowledged));
    }
    enough.notified().await;
    let home = served.kill()?;
    Ok((writers.join_all().await, home))
}

/// Creates, changes and deletes objects until the server does not answer any more.
async fn write(https: Https, writer: u64, round: u64, acknowledged: impl Fn()) -> Told {
    let mut told = Told::default();
    for step in 0.. {
        let name = format!("w{writer}-{}", step % OBJECTS);
        let value = round << 32 | step;
        let wanted = (!next(value).is_multiple_of(4)).then_some(value);
        told.open = Some((name.clone(), wanted));
        match put(&https, &name, wanted).await {
            Ok(revision) => {
                told.acknowledged.insert(name, wanted);
                told.revisions.extend(revision);
                told.open = None;
                acknowledged();
            }
            Err(_) => break,
        }
    }
    told
}

/// Makes the object be there with this value, or not be there; gives the revision of the change.
async fn put(https: &Https, name: &str, value: Option<u64>) -> Result<Option<u64>> {
    let collection = "/api/v1/namespaces/default/configmaps";
    let path = format!("{collection}/{name}");
    let Some(value) = value else {
        let (status, _) = https.json("DELETE", &path, None).await?;
        ensure!(status == 200 || status == 404, "{status}");
        return Ok(None);
    };
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"value": value.to_string()}});
    let (mut status, mut answer) = https.json("PUT", &path, Some(&object)).await?;
    if status == 404 {
        (status, answer) = https.json("POST", collection, Some(&object)).await?;
    }
    ensure!(status.is_success(), "{status} {answer}");
    let revision = answer["metadata"]["resourceVersion"].as_str().context("a revision")?;
    Ok(Some(revision.parse()?))
}

/// Compares what is there with what was acknowledged.
async fn check(https: &Https, known: &mut Acknowledged, told: Vec<Told>) -> Result<()> {
    let (_, list) = https.json("GET", "/api/v1/namespaces/default/configmaps", None).await?;
    let items = list["items"].as_array().context("a list")?;
    let value = |item: &Value| item["data"]["value"].as_str().and_then(|text| text.parse().ok());
    let found: BTreeMap<&str, u64> =
        items.iter().filter_map(|item| Some((item["metadata"]["name"].as_str()?, value(item)?))).collect();
    for one in told {
        known.extend(one.acknowledged);
        if let Some((name, wanted)) = one.open
            && found.get(name.as_str()).copied() == wanted
        {
            known.insert(name, wanted);
        }
    }
    for (name, wanted) in known.iter() {
        let found = found.get(name.as_str()).copied();
        ensure!(found == *wanted, "{name} is {found:?} and was acknowledged as {wanted:?}");
    }
    Ok(())
}

async fn revision_of(https: &Https) -> Result<u64> {
    let (_, list) = https.json("GET", "/api/v1/configmaps?limit=1", None).await?;
    Ok(list["metadata"]["resourceVersion"].as_str().context("a revision")?.parse()?)
}

/// A watch from before the restart is refused as expired; it must not go on with a gap.
async fn check_watch(https: &Https, from: u64) -> Result<()> {
    let path = format!("/api/v1/configmaps?watch=1&timeoutSeconds=1&resourceVersion={from}");
    let answer = https.open(&path).await?;
    if answer.status() == 410 {
        return Ok(());
    }
    let text = answer.text().await?;
    let first: Value = serde_json::from_str(text.lines().next().context("no event at all")?)?;
    ensure!(first["type"] == "ERROR" && first["object"]["code"] == 410, "the watch went on with {first}");
    Ok(())
}
