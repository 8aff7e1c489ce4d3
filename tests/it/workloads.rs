//! Real programs that nobody here wrote run as pods, their input from ConfigMap volumes.

use std::fs;

use anyhow::Result;
use api::resource::{CONFIG_MAPS, PODS};
use md5::{Digest, Md5};
use serde_json::json;
use tests::real::RealCluster;
use tests::require;

/// Runs a program once with `file` in `/in` and gives all that it wrote to standard output.
async fn output(program: &str, file: (&str, &str), args: &[&str]) -> Result<Option<Vec<u8>>> {
    let Some(path) = require::workload(&format!("{program}.wasm")) else { return Ok(None) };
    let cluster = RealCluster::start().await?;
    cluster.import(program, &fs::read(path)?)?;
    let input = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "input"},
        "data": {file.0: file.1}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": program}, "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": format!("localhost/{program}"), "args": args,
            "volumeMounts": [{"name": "input", "mountPath": "/in"}]}],
        "volumes": [{"name": "input", "configMap": {"name": "input"}}],
    }});
    let client = &cluster.cluster.client;
    client.create(&CONFIG_MAPS, "default", &input).await?;
    client.create(&PODS, "default", &pod).await?;
    let written = cluster.output(program).await?;
    cluster.stop().await;
    Ok(Some(written))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lua_runs_a_script() -> Result<()> {
    let script = "local t = {}\nfor i = 1, 10 do t[#t + 1] = i * i end\nprint(table.concat(t, ' '), _VERSION)\n\
        print(select('#', pcall(error, 'caught')))\n";
    let Some(written) = output("lua", ("t.lua", script), &["/in/t.lua"]).await? else { return Ok(()) };
    assert_eq!(String::from_utf8(written)?, "1 4 9 16 25 36 49 64 81 100\tLua 5.4\n2\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gofmt_formats_a_file() -> Result<()> {
    let source = "package main\nfunc  main( ) {\nx:=1\n  _ =x }\n";
    let Some(written) = output("gofmt", ("main.go", source), &["/in/main.go"]).await? else { return Ok(()) };
    assert_eq!(String::from_utf8(written)?, "package main\n\nfunc main() {\n\tx := 1\n\t_ = x\n}\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bzip2_compresses_a_file() -> Result<()> {
    let numbers: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let args = ["-c", "-9", "/in/numbers"];
    let Some(written) = output("bzip2", ("numbers", &numbers), &args).await? else { return Ok(()) };
    let sum: String = Md5::digest(&written).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sum, "fe8d7faceb4ec63e76b0a6622aa1b2f6");
    Ok(())
}
