//! Real programs, from the folder that `PEAPOD_WORKLOADS` names.

use std::fs;
use std::path::PathBuf;

use super::bench::Bench;

/// The folder; without it the test is skipped, or fails where `PEAPOD_REQUIRE` lists `workloads`.
fn workloads() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("PEAPOD_WORKLOADS") {
        return Some(folder.into());
    }
    let required = std::env::var("PEAPOD_REQUIRE").unwrap_or_default();
    assert!(
        required.split(',').all(|name| name != "workloads"),
        "PEAPOD_REQUIRE lists workloads, but PEAPOD_WORKLOADS names no folder"
    );
    eprintln!("skipped: set PEAPOD_WORKLOADS to the folder with lua.wasm and gofmt.wasm");
    None
}

#[tokio::test]
async fn lua_reads_its_script_from_a_volume_and_nothing_outside() {
    let Some(workloads) = workloads() else { return };
    let bench = Bench::new();
    let program = bench.program(&fs::read(workloads.join("lua.wasm")).unwrap()).await;
    let script = br#"
        print("sum", 1 + 2, os.getenv("NAME"), arg[1])
        print(pcall(error, "caught"))
        print(io.open("/scripts/../../etc/passwd"))
        print(io.open("/etc/passwd"))
        print(io.open("/scripts/new", "w"))
        local file = assert(io.open("/data/new", "w"))
        file:write("written") file:close()
        os.exit(7)
    "#;
    let data = bench.files(&[]);
    let mut given = bench.given("lua").mounted(bench.files(&[("t.lua", script)]), "/scripts", true).mounted(
        data.clone(),
        "/data",
        false,
    );
    given.args = ["lua", "/scripts/t.lua", "word"].map(String::from).to_vec();
    given.env.push(("NAME".into(), "peapod".into()));
    let mut container = given.start(&*program);
    let exit = container.exited().await;
    drop(container);
    let output = given.output().await;
    assert_eq!(exit.code, 7, "{output}");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "sum\t3\tpeapod\tword");
    assert_eq!(lines[1], "false\tcaught");
    assert!(lines[2..5].iter().all(|line| line.starts_with("nil")), "{output}");
    assert_eq!(fs::read_to_string(data.join("new")).unwrap(), "written");
}

#[tokio::test]
async fn lua_out_of_memory_is_out_of_memory() {
    let Some(workloads) = workloads() else { return };
    let bench = Bench::new();
    let program = bench.program(&fs::read(workloads.join("lua.wasm")).unwrap()).await;
    let script = bench.files(&[("t.lua", b"local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end")]);
    let mut given = bench.given("lua").mounted(script, "/scripts", true).limited(Some(16 << 20), None);
    given.args = ["lua", "/scripts/t.lua"].map(String::from).to_vec();
    let mut container = given.start(&*program);
    assert_eq!(container.exited().await.reason.as_str(), "OOMKilled");
}

#[tokio::test]
async fn gofmt_formats_a_file_on_a_volume() {
    let Some(workloads) = workloads() else { return };
    let bench = Bench::new();
    let program = bench.program(&fs::read(workloads.join("gofmt.wasm")).unwrap()).await;
    let source = bench.files(&[("a.go", b"package  a\nfunc  f( ) {x:=1;_=x}\n")]);
    let mut given = bench.given("gofmt").mounted(source, "/src", true);
    given.args = ["gofmt", "/src/a.go"].map(String::from).to_vec();
    let mut container = given.start(&*program);
    let exit = container.exited().await;
    drop(container);
    let output = given.output().await;
    assert_eq!(exit.code, 0, "{output}");
    assert_eq!(output, "package a\n\nfunc f() { x := 1; _ = x }\n");
}
