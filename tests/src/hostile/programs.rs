//! The programs of hostile pods: some text, and two of the examples.

use std::borrow::Cow;

use anyhow::Result;

/// What a container runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    /// A core module.
    Text(&'static str),
    /// Answers without looking at the body.
    Hello,
    /// Asks a server, which is itself here, and answers what that says.
    Relay,
}

impl Program {
    pub(super) fn bytes(self) -> Result<Cow<'static, [u8]>> {
        Ok(match self {
            Self::Text(text) => Cow::Owned(wat::parse_str(text)?),
            Self::Hello => Cow::Borrowed(super::HELLO),
            Self::Relay => Cow::Borrowed(include_bytes!("../../../examples/relay/relay.wasm")),
        })
    }
}

pub(super) const SPIN: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;

pub(super) const TRAP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;

pub(super) const RECURSION: &str = r#"(module (memory (export "memory") 1)
    (func $deep (export "_start") (call $deep) (call $deep)))"#;

/// Grows by a page at a time and traps when it is refused.
pub(super) const GROW: &str = r#"(module (memory (export "memory") 1) (func (export "_start")
    (loop $again
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (br $again))))"#;

/// The same with several memories in turn.
pub(super) const GROW_SEVERAL: &str = r#"(module
    (memory $a (export "memory") 1) (memory $b 1) (memory $c 1) (memory $d 1)
    (func (export "_start")
        (loop $again
            (br_if $again (i32.ne (memory.grow $a (i32.const 3)) (i32.const -1)))
            (br_if $again (i32.ne (memory.grow $b (i32.const 2)) (i32.const -1)))
            (br_if $again (i32.ne (memory.grow $c (i32.const 1)) (i32.const -1)))
            (br_if $again (i32.ne (memory.grow $d (i32.const 1)) (i32.const -1)))
            unreachable)))"#;

/// Grows tables until none grows any more, and traps.
pub(super) const GROW_TABLES: &str = r#"(module
    (memory (export "memory") 1)
    (table $a 0 funcref) (table $b 0 externref)
    (func (export "_start")
        (loop $again
            (br_if $again (i32.ne (table.grow $a (ref.null func) (i32.const 100)) (i32.const -1)))
            (br_if $again (i32.ne (table.grow $b (ref.null extern) (i32.const 100)) (i32.const -1)))
            unreachable)))"#;

/// Fills 48 MiB again and again.
pub(super) const FILL: &str = r#"(module (memory (export "memory") 768) (func (export "_start")
    (loop $again
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 50331648))
        (br $again))))"#;

/// Writes 8 KiB at a time, without end.
pub(super) const PRINT: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\00\20\00\00")
    (func (export "_start")
        (memory.fill (i32.const 16) (i32.const 121) (i32.const 8192))
        (i32.store8 (i32.const 4000) (i32.const 10))
        (i32.store8 (i32.const 8207) (i32.const 10))
        (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br $again))))"#;

/// Asks for megabytes of random numbers.
pub(super) const RANDOM: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 300)
    (func (export "_start")
        (loop $again (drop (call $random (i32.const 0) (i32.const 16777216))) (br $again))))"#;

/// Opens the folder of its volume again and again, and closes nothing.
pub(super) const LEAK_HANDLES: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) ".")
    (func (export "_start")
        (loop $again
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
                (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 16)))
            (br $again))))"#;

/// Makes 10,000 files in its volume, then reads the folder again and again.
pub(super) const READ_FOLDER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 4)
    (data (i32.const 0) "00000")
    (func $digit (param $place i32) (param $value i32)
        (i32.store8 (local.get $place) (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10)))))
    (func (export "_start") (local $n i32)
        (loop $next
            (call $digit (i32.const 0) (i32.div_u (local.get $n) (i32.const 10000)))
            (call $digit (i32.const 1) (i32.div_u (local.get $n) (i32.const 1000)))
            (call $digit (i32.const 2) (i32.div_u (local.get $n) (i32.const 100)))
            (call $digit (i32.const 3) (i32.div_u (local.get $n) (i32.const 10)))
            (call $digit (i32.const 4) (local.get $n))
            (if (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 1)
                    (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
                (then (drop (call $close (i32.load (i32.const 16))))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $n) (i32.const 10000))))
        (loop $again
            (drop (call $readdir (i32.const 3) (i32.const 1024) (i32.const 131072) (i64.const 0) (i32.const 32)))
            (br $again))))"#;

/// Puts a folder and a link to the host's `/etc` in each other's place, without end.
pub(super) const SWAP_LINKS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_symlink" (func $link (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "d") (data (i32.const 8) "l") (data (i32.const 16) "x")
    (data (i32.const 32) "../../../../../../../../../../etc")
    (func $move (param $from i32) (param $to i32)
        (drop (call $rename (i32.const 3) (local.get $from) (i32.const 1)
            (i32.const 3) (local.get $to) (i32.const 1))))
    (func (export "_start")
        (drop (call $mkdir (i32.const 3) (i32.const 0) (i32.const 1)))
        (drop (call $link (i32.const 32) (i32.const 33) (i32.const 3) (i32.const 8) (i32.const 1)))
        (loop $again
            (call $move (i32.const 0) (i32.const 16))
            (call $move (i32.const 8) (i32.const 0))
            (call $move (i32.const 0) (i32.const 8))
            (call $move (i32.const 16) (i32.const 0))
            (br $again))))"#;

/// Opens what would be the host's `/etc/passwd` if the link were followed, and ends with 7 if it ever is.
pub(super) const FOLLOW_LINKS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "d/passwd")
    (func (export "_start")
        (loop $again
            (br_if $again (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 8) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
            (call $exit (i32.const 7)))))"#;
