//! How benchmarks print what they measured, and on which machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Prints the machine, the command and the head of the table.
pub fn head(command: &str) {
    println!("{}", machine());
    println!("{command}\n");
    println!("{:<48} {:>10} {:>10} {:>10}", "", "minimum", "median", "maximum");
}

/// Prints one line of durations.
pub fn row(name: &str, measured: &[Duration]) {
    let mut sorted = measured.to_vec();
    sorted.sort();
    let shown = |span: Duration| match span.as_secs_f64() * 1e3 {
        small @ ..1.0 => format!("{small:.3} ms"),
        large => format!("{large:.1} ms"),
    };
    let figures = [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]].map(shown);
    println!("{name:<48} {:>10} {:>10} {:>10}", figures[0], figures[1], figures[2]);
}

/// Prints one line with a single figure.
pub fn single(name: &str, figure: &str) {
    println!("{name:<48} {figure:>10}");
}

/// The processor and how many of them there are.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} x {}", model.trim_start_matches([' ', '\t', ':']))
}

/// The memory that a process holds; `self` is this one.
pub fn resident_mib(process: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024)
}
