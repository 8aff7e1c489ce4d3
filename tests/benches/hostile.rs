//! Measures what an innocent pod's clients notice of hostile pods beside it: `cargo bench -p tests --bench hostile`.

use std::time::{Duration, Instant};

use anyhow::Result;
use tests::figures;
use tests::hostile::{ALL, MEMORY_LIMIT, Neighbourhood};
use tests::load;

/// How many times the innocent pod is asked for each figure.
const REQUESTS: usize = 1_000;

fn main() -> Result<()> {
    println!("{}", figures::machine());
    println!("cargo bench -p tests --bench hostile\n");
    println!("{:<20} {:>10} {:>10} {:>10} {:>7} {:>10}", "", "median", "p99", "quiet p99", "times", "memory");
    load::on_all_processors(measure())
}

async fn measure() -> Result<()> {
    let only = std::env::args().nth(1).filter(|word| !word.starts_with('-'));
    for hostile in ALL.iter().filter(|hostile| only.as_ref().is_none_or(|only| only == hostile.name)) {
        let neighbourhood = Neighbourhood::start().await?;
        latencies(&neighbourhood).await?;
        let quiet = latencies(&neighbourhood).await?;
        let attackers = neighbourhood.let_in(hostile, None).await?;
        let beside = latencies(&neighbourhood).await?;
        let memory = neighbourhood.memory_of(hostile);
        assert!(memory <= MEMORY_LIMIT, "{} holds {memory} bytes", hostile.name);
        drop(attackers);
        neighbourhood.throw_out(hostile).await?;
        let (quiet, median, p99) = (part(&quiet, 99), part(&beside, 50), part(&beside, 99));
        println!(
            "{:<20} {:>10} {:>10} {:>10} {:>7.1} {:>6} KiB",
            hostile.name,
            shown(median),
            shown(p99),
            shown(quiet),
            p99.as_secs_f64() / quiet.as_secs_f64(),
            memory / 1024,
        );
    }
    Ok(())
}

/// How long each answer took, the shortest first.
async fn latencies(neighbourhood: &Neighbourhood) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let begin = Instant::now();
        neighbourhood.ask().await?;
        latencies.push(begin.elapsed());
    }
    latencies.sort();
    Ok(latencies)
}

fn part(latencies: &[Duration], percent: usize) -> Duration {
    latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)]
}

fn shown(span: Duration) -> String {
    format!("{:.2} ms", span.as_secs_f64() * 1e3)
}
