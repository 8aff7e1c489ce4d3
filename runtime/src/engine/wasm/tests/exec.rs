//! Commands beside a container's program: what they may be, what they see, how they end, and what they may not do.

use std::fs;

use api::channels::{Pipe, pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use super::bench::Bench;
use super::toolbox::Room;
use crate::engine::Terminal;

const SPIN: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;

const EAT: &str = r#"(module (memory (export "memory") 1) (func (export "_start")
    (loop $again
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $again))))"#;

/// Says a word and leaves with 5.
const TOOL: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\05\00\00\00tool\0a")
    (func (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 1024)))
        (call $exit (i32.const 5))))"#;

fn write(room: &Room, name: &str, text: &str) {
    fs::write(room.data.join(name), wat::parse_str(text).unwrap()).unwrap();
}

#[tokio::test]
async fn a_command_is_found_as_a_shell_would_find_it() {
    let room = Room::open().await;
    write(&room, "tool.wasm", TOOL);
    fs::write(room.data.join("script"), "#!/bin/sh\necho script $1\nexit 6\n").unwrap();
    fs::write(room.data.join("noise"), b"\x7fELF").unwrap();
    let check = async |command: &[&str], expected: Result<(i32, &str), &str>| {
        let (ran, printed, complained) = room.run(command, b"").await;
        let printed = String::from_utf8(printed).unwrap();
        let ran = ran.as_ref().map(|code| (*code, printed.as_str())).map_err(|error| error.message.as_str());
        match expected {
            Ok(expected) => assert_eq!(ran, Ok(expected), "{command:?}: {complained}"),
            Err(end) => assert!(ran.unwrap_err().ends_with(end), "{command:?}: {ran:?}"),
        }
    };
    check(&["/data/tool.wasm"], Ok((5, "tool\n"))).await;
    check(&["data/tool.wasm"], Ok((5, "tool\n"))).await;
    check(&["/data/script", "with words"], Ok((6, "script with words\n"))).await;
    check(&["sh", "-c", "/data/tool.wasm; echo $?; PATH=/data; tool | tr o 0"], Ok((0, "tool\n5\nt00l\n")))
        .await;
    check(&["/bin/echo", "a  b"], Ok((0, "a  b\n"))).await;
    check(&["/usr/bin/test", "-f", "/data/list"], Ok((0, ""))).await;
    check(&["dance"], Err(r#"exec: "dance": executable file not found in $PATH"#)).await;
    check(&[""], Err(r#"exec: "": executable file not found in $PATH"#)).await;
    check(&["/bin/dance"], Err(r#"exec: "/bin/dance": stat /bin/dance: no such file or directory"#)).await;
    check(&["/data/echo"], Err("stat /data/echo: no such file or directory")).await;
    check(&["/data/noise"], Err(r#"exec: "/data/noise": exec format error"#)).await;
    check(&["/data"], Err(r#"exec: "/data": permission denied"#)).await;
}

#[tokio::test]
async fn a_program_of_the_container_sees_its_own_files_changed() {
    let room = Room::open().await;
    write(&room, "tool", TOOL);
    assert_eq!(room.run(&["/data/tool"], b"").await.0, Ok(5));
    write(&room, "tool", &TOOL.replace("i32.const 5))))", "i32.const 9))))"));
    assert_eq!(room.run(&["/data/tool"], b"").await.0, Ok(9));
}

#[tokio::test]
async fn what_was_written_comes_back_whole() {
    let room = Room::open().await;
    let large: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let (code, back, _) = room.run(&["cat"], &large).await;
    assert!(code == Ok(0) && back == large, "{code:?}, {} of {} bytes", back.len(), large.len());
    let (code, _, _) = room.run(&["sh", "-c", "cat > '/data/large one'"], &large).await;
    assert!(code == Ok(0) && fs::read(room.data.join("large one")).unwrap() == large);
}

#[tokio::test]
async fn a_command_ends_with_its_container_or_its_client() {
    let mut room = Room::open().await;
    let commands = room.commands();
    let (terminal, _ends) = terminal(false);
    let sleeping = tokio::spawn(commands.run(vec!["sleep".into(), "1000".into()], terminal));
    // The client of this one goes at once.
    let (terminal, _ends) = self::terminal(false);
    drop(commands.run(vec!["sleep".into(), "1000".into()], terminal));
    loop {
        let (listed, _, _) = room.shell("ps | grep -c 'sleep 1000$'").await;
        if listed == "1\n" {
            break;
        }
    }
    room.container.kill();
    room.container.exited().await;
    assert_eq!(sleeping.await.unwrap(), Ok(137));
    let (terminal, _ends) = self::terminal(false);
    let refused = commands.run(vec!["true".into()], terminal).await.unwrap_err();
    assert_eq!(refused.message, "cannot exec in a stopped container");
}

#[tokio::test]
async fn a_command_is_held_to_the_containers_limits() {
    let room = Room::with(Bench::new(), |given| given.limited(Some(8 << 20), Some(100))).await;
    write(&room, "eat", EAT);
    write(&room, "spin", SPIN);
    assert_eq!(room.run(&["/data/eat"], b"").await.0, Ok(137));
    let (terminal, _ends) = terminal(false);
    let spinning = tokio::spawn(room.commands().run(vec!["/data/spin".into()], terminal));
    // Others are served meanwhile, and see it at work.
    loop {
        let (listed, errors, code) = room.shell("ps | grep spin").await;
        assert!(code < 2, "{errors}");
        if listed.split_whitespace().nth(2).is_some_and(|time| time != "0:00") {
            break;
        }
    }
    spinning.abort();
    assert!(spinning.await.unwrap_err().is_cancelled());
    loop {
        let (listed, _, _) = room.shell("ps").await;
        if !listed.contains("spin") {
            break;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_back_its_command_alone() {
    let room = Room::open().await;
    let (terminal, ends) = terminal(false);
    let mut saying = Box::pin(room.commands().run(vec!["yes".into()], terminal));
    // As much as the pipe and the feed hold is taken, and no more.
    let others = async {
        for _ in 0..20 {
            assert_eq!(room.run(&["echo", "on"], b"").await.1, b"on\n");
        }
    };
    tokio::select! {
        ran = &mut saying => panic!("it ended: {ran:?}"),
        () = others => {}
    }
    drop(ends);
    assert_eq!(saying.await, Ok(141));
}

/// A terminal, and the client's ends of it.
fn terminal(tty: bool) -> (Terminal, (Pipe, Pipe)) {
    let ((stdin, read), (stdout, output)) = (pipe(), pipe());
    let (_, size) = watch::channel(None);
    (Terminal { stdin: Some(read), stdout: Some(stdout), stderr: None, tty, size }, (stdin, output))
}

/// Someone at a terminal.
struct Typist {
    keys: Pipe,
    screen: Pipe,
    shown: String,
}

impl Typist {
    /// Waits until the screen shows this after what was waited for before.
    async fn sees(&mut self, text: &str) {
        let mut bytes = [0; 1024];
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            let read = self.screen.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the screen went dark before {text:?}: {:?}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }

    async fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_shell_at_a_terminal_feels_like_one() {
    let room = Room::open().await;
    let (terminal, (keys, screen)) = terminal(true);
    let mut typist = Typist { keys, screen, shown: String::new() };
    let shell = tokio::spawn(room.commands().run(vec!["sh".into()], terminal));
    typist.sees("/ # ").await;
    typist.types("cd /dxata\x1b[D\x1b[D\x1b[D\x7f\r").await;
    typist.sees("/data # ").await;
    typist.types("echo $GREETING; tty\r").await;
    typist.sees("\r\nhello\r\n/dev/tty\r\n/data # ").await;
    // What runs is interrupted, the shell is not.
    typist.types("sleep 1000\r").await;
    typist.sees("sleep 1000\r\n").await;
    typist.types("\x03").await;
    typist.sees("^C\r\n/data # ").await;
    typist.types("echo $?\r").await;
    typist.sees("130\r\n/data # ").await;
    typist.types("while :; do :; done\r").await;
    typist.sees("done\r\n").await;
    typist.types("\x03").await;
    typist.sees("/data # ").await;
    // An end of input ends what reads, then the shell.
    typist.types("cat\rline\r\x04").await;
    typist.sees("\r\nline\r\nline\r\n/data # ").await;
    typist.types("(exit 3)\r\x04").await;
    assert_eq!(shell.await.unwrap(), Ok(3));
}

#[tokio::test]
async fn a_program_at_a_terminal_is_ended_by_an_interrupt() {
    let room = Room::open().await;
    write(&room, "spin", SPIN);
    let (terminal, (mut keys, _screen)) = terminal(true);
    let spinning = tokio::spawn(room.commands().run(vec!["/data/spin".into()], terminal));
    keys.write_all(b"\x03").await.unwrap();
    assert_eq!(spinning.await.unwrap(), Ok(130));
}
