//! The examples in other languages than Rust, as their READMEs promise.

use anyhow::Result;
use tests::real::RealCluster;
use tests::require;

const TALLY: &[u8] = include_bytes!("../../examples/tally/tally.wasm");

/// A cluster with the manifest of an example, without the fixed node port that another could have.
async fn cluster(manifest: &str, guests: &[(&str, &[u8])]) -> Result<RealCluster> {
    let cluster = RealCluster::start().await?;
    for (name, guest) in guests {
        cluster.import(name, guest)?;
    }
    let lines = manifest.lines().filter(|line| !line.contains("nodePort:"));
    cluster.create(&lines.collect::<Vec<_>>().join("\n")).await?;
    Ok(cluster)
}

async fn tally(guest: &[u8]) -> Result<()> {
    let manifest = include_str!("../../examples/tally/tally.yaml");
    let cluster = cluster(manifest, &[("tally", guest)]).await?;
    let written = String::from_utf8(cluster.output("tally").await?)?;
    assert!(written.starts_with("28 words, 20 different\n     7 for\n     3 a\n"), "{written}");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_c_program_counts_words() -> Result<()> {
    tally(TALLY).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_c_program_built_from_source_behaves_the_same() -> Result<()> {
    let Some(guest) = require::guest("tally") else { return Ok(()) };
    tally(&guest).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_go_program_prepares_what_a_rust_program_serves() -> Result<()> {
    let Some(guest) = require::guest("render") else { return Ok(()) };
    let manifest = include_str!("../../examples/render/render.yaml");
    let cluster = cluster(manifest, &[("render", &guest), ("hello", crate::HELLO)]).await?;
    cluster.wait_for_endpoints("render").await?;
    let answer = cluster.get("render", 80).await?;
    assert!(answer.contains("hello from render (greeting: WELCOME from default)"), "{answer}");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_program_answers_requests() -> Result<()> {
    let Some(guest) = require::guest("stats") else { return Ok(()) };
    let cluster = cluster(include_str!("../../examples/stats/stats.yaml"), &[("stats", &guest)]).await?;
    cluster.wait_for_endpoints("stats").await?;
    let request = "POST / HTTP/1.1\r\ncontent-length: 11\r\n\r\n1, 2, 3, 10";
    let answer = cluster.ask("stats", 80, request).await?;
    assert!(answer.contains(r#""count": 4, "mean": 4.0, "median": 2.5"#), "{answer}");
    let refused = cluster.ask("stats", 80, "POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx").await;
    let refused = refused.expect_err("no number").to_string();
    assert!(refused.contains("400 Bad Request") && refused.contains("could not convert"), "{refused}");
    cluster.stop().await;
    Ok(())
}

/// One answer after the other: an instance of this engine can give only one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_javascript_program_answers_requests() -> Result<()> {
    let Some(guest) = require::guest("slug") else { return Ok(()) };
    let cluster = cluster(include_str!("../../examples/slug/slug.yaml"), &[("slug", &guest)]).await?;
    cluster.wait_for_endpoints("slug").await?;
    for text in ["Hello,+World!", "One+more"] {
        let answer = cluster.ask("slug", 80, &format!("GET /?text={text} HTTP/1.1\r\n\r\n")).await?;
        let slug = text.trim_end_matches('!').replace(",+", "-").replace('+', "-").to_lowercase();
        assert!(answer.contains(&format!(r#""slug":"{slug}""#)), "{answer}");
    }
    cluster.stop().await;
    Ok(())
}
