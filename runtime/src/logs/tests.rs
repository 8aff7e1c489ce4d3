//! Logs keep lines whole, rotate, throttle and are followed to their end.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use super::*;

fn clock() -> Clock {
    Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap())
}

fn open(folder: &Path, config: LogConfig) -> LogFile {
    LogFile::open(folder.join("pod/web/0.log"), config, clock())
}

const SMALL: LogConfig =
    LogConfig { max_bytes: 100, max_files: 3, rate_bytes_per_second: 1000, burst_bytes: 500 };

fn texts(lines: Vec<LogLine>) -> Vec<String> {
    lines.into_iter().map(|line| line.text).collect()
}

#[tokio::test(start_paused = true)]
async fn output_is_cut_into_lines_of_the_cri_format() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), LogConfig::default());
    let (stdout, stderr) = (log.writer(LogStream::Stdout), log.writer(LogStream::Stderr));
    assert!(!log.path().exists(), "nothing was written yet");
    stdout.write(b"one\ntw");
    stderr.write(b"oops\n");
    stdout.write(b"o\n\n");
    stdout.write(b"unfinished");
    drop((stdout, stderr));
    let expected = "2026-01-01T00:00:00.000000000Z stdout F one
2026-01-01T00:00:00.000000000Z stderr F oops
2026-01-01T00:00:00.000000000Z stdout F two
2026-01-01T00:00:00.000000000Z stdout F 
2026-01-01T00:00:00.000000000Z stdout P unfinished
";
    assert_eq!(fs::read_to_string(log.path()).unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_is_written_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), LogConfig::default());
    let stdout = log.writer(LogStream::Stdout);
    stdout.write(&vec![b'x'; 2 * LONGEST_PART + 10]);
    stdout.write(b"end\n");
    let parts = tail(log.path(), 10);
    let lengths: Vec<(usize, bool)> = parts.iter().map(|part| (part.text.len(), part.whole)).collect();
    assert_eq!(lengths, [(LONGEST_PART, false), (LONGEST_PART, false), (13, true)]);
}

#[tokio::test(start_paused = true)]
async fn files_are_put_aside_when_full_and_the_oldest_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), SMALL);
    let stdout = log.writer(LogStream::Stdout);
    for number in 0..20 {
        stdout.write(format!("line {number}\n").as_bytes());
    }
    let files = fs::read_dir(log.path().parent().unwrap()).unwrap();
    let mut sizes: Vec<(String, u64)> = files
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().len()))
        .collect();
    sizes.sort();
    let names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0.log", "0.log.1", "0.log.2"]);
    assert!(sizes.iter().all(|(_, size)| *size <= SMALL.max_bytes));
    assert_eq!(texts(tail(log.path(), 3)), ["line 17", "line 18", "line 19"]);
    assert!(tail(log.path(), 100).len() < 20, "the oldest are gone");
    assert_eq!(tail(log.path(), 0), []);
    assert_eq!(tail(&log.path().with_extension("absent"), 3), []);
}

#[tokio::test(start_paused = true)]
async fn a_flood_waits_for_its_rate() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), SMALL);
    let stdout = log.writer(LogStream::Stdout);
    let start = log.0.clock.now();
    stdout.write(&[b'x'; 500]);
    stdout.ready().await;
    assert_eq!(log.0.clock.now(), start, "the burst is free");
    stdout.write(&[b'x'; 2000]);
    stdout.ready().await;
    assert_eq!(log.0.clock.now(), api::clock::add(start, Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn empty_lines_cost_what_they_take_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), SMALL);
    let stdout = log.writer(LogStream::Stdout);
    let start = log.0.clock.now();
    stdout.write(&[b'\n'; 100]);
    stdout.ready().await;
    // Time, stream, tag and end are 41 bytes each; 500 are free.
    assert_eq!(log.0.clock.now(), api::clock::add(start, Duration::from_millis(3700)));
    assert_eq!(log.held(), Duration::from_millis(3700));
}

#[tokio::test(start_paused = true)]
async fn a_follower_sees_each_line_once_across_files_until_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), SMALL);
    let stdout = log.writer(LogStream::Stdout);
    let mut follower = log.follow();
    let clock = log.0.clock.clone();
    let writing = async move {
        for number in 0..20 {
            stdout.write(format!("line {number}\n").as_bytes());
            clock.sleep(Duration::from_secs(1)).await;
        }
        stdout.write(b"no end");
    };
    let reading = async {
        let mut lines = Vec::new();
        while let Some(line) = follower.next().await {
            lines.push(line.text);
        }
        lines
    };
    let ((), lines) = tokio::join!(writing, reading);
    let mut expected: Vec<String> = (0..20).map(|number| format!("line {number}")).collect();
    expected.push("no end".into());
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_slow_follower_goes_on_with_the_oldest_kept_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), SMALL);
    let mut follower = log.follow();
    let stdout = log.writer(LogStream::Stdout);
    for number in 0..20 {
        stdout.write(format!("line {number}\n").as_bytes());
    }
    drop(stdout);
    let mut lines = Vec::new();
    while let Some(line) = follower.next().await {
        lines.push(line.text);
    }
    assert_eq!(lines, texts(tail(log.path(), 100)));
}

#[tokio::test(start_paused = true)]
async fn a_log_is_followed_from_its_last_entries_across_files() {
    let folder = tempfile::tempdir().unwrap();
    // Room for two entries in a file.
    let log = open(folder.path(), SMALL);
    let stdout = log.writer(LogStream::Stdout);
    let check = |count: u64, expected: &[&str]| {
        let mut follower = log.follow_tail(count);
        let found: Vec<String> =
            std::iter::from_fn(|| follower.ready_entry()).map(|entry| LogLine::from(entry).text).collect();
        assert_eq!(found, expected, "the last {count}");
        follower
    };
    check(3, &[]);
    stdout.write(b"1\n2\n3\n4\n5\n");
    check(0, &[]);
    check(1, &["5"]);
    check(2, &["4", "5"]);
    check(4, &["2", "3", "4", "5"]);
    check(99, &["1", "2", "3", "4", "5"]);
    let mut follower = check(1, &["5"]);
    stdout.write(b"6\n7\n\xff\n");
    drop(stdout);
    let mut rest = Vec::new();
    while let Some(entry) = follower.next_entry().await {
        rest.push(entry.bytes);
    }
    assert_eq!(rest, [&b"6"[..], b"7", b"\xff"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_an_earlier_process_left_is_read_from_its_oldest_file() {
    let folder = tempfile::tempdir().unwrap();
    // Room for two entries in a file.
    let stdout = open(folder.path(), SMALL).writer(LogStream::Stdout);
    stdout.write(b"1\n2\n3\n4\n5\n");
    drop(stdout);
    let log = open(folder.path(), SMALL);
    let read = |mut follower: LogFollower| {
        let entries = std::iter::from_fn(move || follower.ready_entry());
        entries.map(|entry| LogLine::from(entry).text).collect::<Vec<_>>()
    };
    assert_eq!(read(log.follow()), ["1", "2", "3", "4", "5"]);
    assert_eq!(read(log.follow_tail(4)), ["2", "3", "4", "5"]);
    let stdout = log.writer(LogStream::Stdout);
    stdout.write(b"6\n");
    stdout.write(b"7\n");
    assert_eq!(read(log.follow()), ["3", "4", "5", "6", "7"]);
}
