//! Guests that try to leave what is mounted for them: by paths, by links that are there or that they make, and by races.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::bench::Bench;

/// What a guest calls. Descriptor 3 is the volume.
const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_symlink" (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_link" (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    ;; The first byte of a file, links followed; 0 if it cannot be opened or read.
    (func $first (param $at i32) (param $length i32) (result i32)
        (if (call $path_open (i32.const 3) (i32.const 1) (local.get $at) (local.get $length) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16))
            (then (return (i32.const 0))))
        (i32.store (i32.const 0) (i32.const 24))
        (i32.store (i32.const 4) (i32.const 1))
        (i32.store8 (i32.const 24) (i32.const 0))
        (drop (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $close (i32.load (i32.const 16))))
        (i32.load8_u (i32.const 24)))"#;

/// A guest with these texts in memory, one every 256 bytes from 256 on, that does this.
fn guest(texts: &[&str], start: &str) -> String {
    let data = texts
        .iter()
        .enumerate()
        .map(|(index, text)| format!("(data (i32.const {}) \"{text}\")", 256 * (index + 1)));
    let data: String = data.collect();
    format!("(module {IMPORTS} {data} (func (export \"_start\") {start}))")
}

/// Arguments for the text of this number.
fn text(texts: &[&str], index: usize) -> String {
    format!("(i32.const {}) (i32.const {})", 256 * (index + 1), texts[index].len())
}

/// A volume beside something that is not for guests, both with a file `key`: the volume's begins with `o`, the other with `s`.
struct Place(PathBuf);

impl Place {
    fn new(bench: &Bench) -> Self {
        let place = Self(bench.files(&[]));
        for folder in ["volume/sub", "secret"] {
            fs::create_dir_all(place.0.join(folder)).unwrap();
        }
        fs::write(place.0.join("volume/sub/key"), "own").unwrap();
        fs::write(place.0.join("secret/key"), "secret").unwrap();
        place
    }

    fn volume(&self) -> PathBuf {
        self.0.join("volume")
    }

    fn is_untouched(&self) -> bool {
        let names: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let secrets = fs::read_dir(self.0.join("secret")).unwrap().count();
        names.len() == 2 && secrets == 1 && fs::read(self.0.join("secret/key")).unwrap() == b"secret"
    }
}

#[tokio::test]
async fn no_path_and_no_link_leads_out() {
    let bench = Bench::new();
    let place = Place::new(&bench);
    let links = [
        ("up", "../secret".to_owned()),
        ("far", place.0.join("secret").display().to_string()),
        ("chain", "up".to_owned()),
        ("sub/deep", "../../secret".to_owned()),
        ("magic", "/proc/self/root".to_owned()),
        ("here", "sub".to_owned()),
    ];
    for (name, target) in &links {
        symlink(target, place.volume().join(name)).unwrap();
    }
    let absolute = place.0.join("secret/key").display().to_string();
    let through_magic = format!("magic{absolute}");
    let check = async |path: &str, expected: i32| {
        let start = format!("(call $exit (call $first {}))", text(&[path], 0));
        let program = bench.text(&guest(&[path], &start)).await;
        let given = bench.given("pod").mounted(place.volume(), "/", false);
        let exit = given.start(&*program).exited().await;
        assert_eq!(exit.code, expected, "{path}");
    };
    for path in [
        "../secret/key",
        "sub/../../secret/key",
        &absolute,
        "up/key",
        "far/key",
        "chain/key",
        "sub/deep/key",
        &through_magic,
    ] {
        check(path, 0).await;
    }
    check("sub/key", i32::from(b'o')).await;
    check("here/key", i32::from(b'o')).await;
}

#[tokio::test]
async fn no_link_or_move_reaches_out() {
    let bench = Bench::new();
    let place = Place::new(&bench);
    symlink("../secret/key", place.volume().join("up")).unwrap();
    let texts = ["../secret/key", "made", "made2", "up", "sub/key", "../secret/new", "../new"];
    let of = |index: usize| text(&texts, index);
    // Each step ends the guest with its number if it did what it must not.
    let steps = [
        format!("(call $symlink {} (i32.const 3) {})", of(0), of(5)),
        format!("(call $link (i32.const 3) (i32.const 0) {} (i32.const 3) {})", of(0), of(1)),
        format!("(call $link (i32.const 3) (i32.const 1) {} (i32.const 3) {})", of(3), of(1)),
        format!("(call $link (i32.const 3) (i32.const 0) {} (i32.const 3) {})", of(4), of(5)),
        format!("(call $rename (i32.const 3) {} (i32.const 3) {})", of(4), of(5)),
        format!("(call $rename (i32.const 3) {} (i32.const 3) {})", of(0), of(1)),
        format!("(call $mkdir (i32.const 3) {})", of(6)),
    ];
    let steps: String = steps
        .iter()
        .enumerate()
        .map(|(index, step)| format!("(if (i32.eqz {step}) (then (call $exit (i32.const {}))))", index + 1))
        .collect();
    // A link it makes itself may point anywhere, and leads nowhere.
    let own = format!(
        "(drop (call $symlink {} (i32.const 3) {})) (call $exit (call $first {}))",
        of(0),
        of(2),
        of(2)
    );
    let program = bench.text(&guest(&texts, &format!("{steps} {own}"))).await;
    let given = bench.given("pod").mounted(place.volume(), "/", false);
    assert_eq!(given.start(&*program).exited().await.code, 0);
    assert!(place.is_untouched());
}

/// While the host swaps a directory of the volume for a link out of it, a guest opens a file below it as fast as it can.
#[tokio::test(flavor = "multi_thread")]
async fn a_race_reads_nothing_outside() {
    let bench = Bench::new();
    let place = Place::new(&bench);
    symlink("../secret", place.volume().join("link")).unwrap();
    let texts = ["sub/key"];
    // Ends with 1 when both states were seen often, with 2 if the secret was.
    let start = format!(
        r#"(local $first i32) (local $own i32) (local $none i32)
        (loop
            (local.set $first (call $first {}))
            (if (i32.eq (local.get $first) (i32.const {})) (then (call $exit (i32.const 2))))
            (if (local.get $first)
                (then (local.set $own (i32.add (local.get $own) (i32.const 1))))
                (else (local.set $none (i32.add (local.get $none) (i32.const 1)))))
            (br_if 0 (i32.or
                (i32.lt_u (local.get $own) (i32.const 300)) (i32.lt_u (local.get $none) (i32.const 300)))))
        (call $exit (i32.const 1))"#,
        text(&texts, 0),
        b's'
    );
    let program = bench.text(&guest(&texts, &start)).await;
    let given = bench.given("pod").mounted(place.volume(), "/", false);
    let over = AtomicBool::new(false);
    let mut container = given.start(&*program);
    let exit = std::thread::scope(|scope| {
        scope.spawn(|| swap(&place.volume(), &over));
        let exit =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(container.exited()));
        over.store(true, Ordering::Relaxed);
        exit
    });
    assert_eq!(exit.code, 1);
    assert!(place.is_untouched());
}

fn swap(volume: &Path, over: &AtomicBool) {
    let (sub, link) = (volume.join("sub"), volume.join("link"));
    while !over.load(Ordering::Relaxed) {
        renameat_with(CWD, &sub, CWD, &link, RenameFlags::EXCHANGE).unwrap();
    }
}
