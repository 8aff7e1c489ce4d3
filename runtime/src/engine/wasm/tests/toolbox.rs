//! The toolbox does what shells and their programs do: rows of commands, and what they write and end with.
//!
//! The same rows hold for the one that CI builds from source, into the folder that `PEAPOD_GUESTS` names.

use std::fs;
use std::path::PathBuf;

use api::channels::pipe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use super::super::toolbox::TOOLBOX;
use super::bench::Bench;
use crate::engine::{Commands, Container, ExecError, Terminal};

/// A container with a folder that can be written and one that cannot, and commands in it.
pub(super) struct Room {
    /// Its folder goes with it.
    _bench: Bench,
    pub(super) data: PathBuf,
    /// The commands end with it.
    pub(super) container: Box<dyn Container>,
}

/// Runs until it is ended.
pub(super) const IDLE: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\10")
    (func (export "_start") (loop $again
        (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))
        (br $again))))"#;

impl Room {
    pub(super) async fn with(
        bench: Bench,
        limits: impl FnOnce(super::bench::Given) -> super::bench::Given,
    ) -> Self {
        let data = bench.files(&[("a b", b"spaced\n"), ("list", b"pear\napple\nfig\n")]);
        let fixed = bench.files(&[("word", b"fixed\n")]);
        let given =
            bench.given("room").mounted(data.clone(), "/data", false).mounted(fixed, "/etc/app", true);
        let mut given = limits(given);
        given.args = vec!["idle".into(), "--quietly".into()];
        given.env.push(("GREETING".into(), "hello".into()));
        let mut container = given.start(&*bench.text(IDLE).await);
        container.started().await.unwrap();
        Self { _bench: bench, data, container }
    }

    pub(super) async fn open() -> Self {
        Self::with(Bench::new(), |given| given).await
    }

    pub(super) fn commands(&self) -> std::sync::Arc<dyn Commands> {
        self.container.commands().unwrap()
    }

    /// Runs a command with this input, to its end.
    pub(super) async fn run(
        &self,
        command: &[&str],
        input: &[u8],
    ) -> (Result<i32, ExecError>, Vec<u8>, String) {
        let ((mut stdin, read), (stdout, mut output), (stderr, mut errors)) = (pipe(), pipe(), pipe());
        let (_, size) = watch::channel(None);
        let terminal =
            Terminal { stdin: Some(read), stdout: Some(stdout), stderr: Some(stderr), tty: false, size };
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let (mut printed, mut complained) = (Vec::new(), String::new());
        let write = async {
            // A program that reads nothing may be gone already.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let ran = self.commands().run(command, terminal);
        let (code, ..) = tokio::join!(
            ran,
            write,
            output.read_to_end(&mut printed),
            errors.read_to_string(&mut complained)
        );
        (code, printed, complained)
    }

    /// Runs a script; the answer is its output, its errors and its code.
    pub(super) async fn shell(&self, script: &str) -> (String, String, i32) {
        let (code, printed, complained) = self.run(&["sh", "-c", script], b"from outside\n").await;
        (String::from_utf8(printed).unwrap(), complained, code.unwrap())
    }
}

/// Scripts, what they print, and their exit codes.
const ROWS: &[(&str, &str, i32)] = &[
    // Words, quotes and parameters.
    ("echo one  'two  three' \"four $GREETING\" \\$x", "one two  three four hello $x\n", 0),
    ("x='a b'; printf '[%s]' $x \"$x\"; echo", "[a][b][a b]\n", 0),
    ("x=; echo ${x:-default} ${x-unset} ${y=given} $y ${y:+more} ${#y}", "default given given more 5\n", 0),
    (
        "f=/a/b.tar.gz; echo ${f##*/} ${f%.*} ${f%%.*} ${f#*/} ${f/tar/zip}",
        "b.tar.gz /a/b.tar /a/b a/b.tar.gz /a/b.zip.gz\n",
        0,
    ),
    (
        "set -- a 'b c'; for w in \"$@\"; do echo \"<$w>\"; done; echo $# $2; shift; echo $1",
        "<a>\n<b c>\n2 b c\nb c\n",
        0,
    ),
    ("set --; for w in \"$@\"; do echo no; done; IFS=:; v=a::b; printf '[%s]' $v; echo", "[a][][b]\n", 0),
    (
        "echo $((1 + 2 * 3)) $(( (7 / 2) % 2 )) $((0x10 | 1)) $((5 > 3 ? 10 : 20)); i=3; echo $((i += 2)) $i",
        "7 1 17 10\n5 5\n",
        0,
    ),
    ("echo $(echo nested $(echo deeper)) `echo back`", "nested deeper back\n", 0),
    ("echo ~ a~; HOME=/x; echo ~/y", "/ a~\n/x/y\n", 0),
    // Lists, conditions, loops.
    ("true && echo yes || echo no; false && echo yes || echo no; ! true; echo $?", "yes\nno\n1\n", 0),
    ("if false; then echo a; elif [ 1 -lt 2 ]; then echo b; else echo c; fi", "b\n", 0),
    (
        "i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done",
        "1\n3\n",
        0,
    ),
    ("until [ \"$n\" = xx ]; do n=x$n; done; echo $n", "xx\n", 0),
    (
        "case $GREETING in h*o) echo match;; *) echo other;; esac; case b in a|b) echo either; esac",
        "match\neither\n",
        0,
    ),
    ("f() { local x=inner; echo $x $1; return 3; }; x=outer; f arg; echo $? $x", "inner arg\n3 outer\n", 0),
    ("(cd /data; x=1; pwd); pwd; echo [$x]", "/data\n/\n[]\n", 0),
    ("set -e; false; echo never", "", 1),
    ("set -e; if false; then :; fi; false || true; echo goes on", "goes on\n", 0),
    ("set -o pipefail; false | true; echo $?", "1\n", 0),
    ("trap 'echo bye' EXIT; exit 4", "bye\n", 4),
    // Pipelines and redirections.
    ("yes | head -n 2", "y\ny\n", 0),
    ("seq 1 100000 | wc -l", "100000\n", 0),
    ("cat /data/list | sort | while read w; do echo \"- $w\"; done", "- apple\n- fig\n- pear\n", 0),
    ("cd /data; echo one > new; echo two >> new; cat < new; rm new; ls", "one\ntwo\na b\nlist\n", 0),
    ("echo out; echo err >&2; { echo both; echo more >&2; } 2>&1", "out\nboth\nmore\n", 0),
    ("cat <<END\n$GREETING $((1+1))\nEND\ncat <<'END'\n$GREETING\nEND\n", "hello 2\n$GREETING\n", 0),
    ("read line; echo \"read: $line\"; cat", "read: from outside\n", 0),
    ("echo lost > /dev/null; echo kept", "kept\n", 0),
    (
        "for f in /data/*; do echo \"$f\"; done; echo /data/none*; echo '/data/*'",
        "/data/a b\n/data/list\n/data/none*\n/data/*\n",
        0,
    ),
    ("sleep 0.01 & wait; echo waited; (exit 5) & wait $!; echo $?", "waited\n5\n", 0),
    (
        "echo 'echo from a script $1' > /data/run.sh; sh /data/run.sh arg; . /data/run.sh; rm /data/run.sh",
        "from a script arg\nfrom a script\n",
        0,
    ),
    ("eval 'echo $((2*2))'; command -v ls; type cd", "4\n/bin/ls\ncd is a shell builtin\n", 0),
    ("while getopts ab:c opt -a -b value -c; do echo $opt $OPTARG; done", "a\nb value\nc value\n", 0),
    // Programs.
    ("ls /; ls /etc; ls -1 /data", "data\netc\napp\na b\nlist\n", 0),
    ("cat '/data/a b' /etc/app/word", "spaced\nfixed\n", 0),
    (
        "head -n 1 /data/list; tail -n 1 /data/list; tail -c 4 /data/list; tail -n +3 /data/list",
        "pear\nfig\nfig\nfig\n",
        0,
    ),
    ("wc /data/list; wc -c < /data/list", "      3       3      15 /data/list\n15\n", 0),
    (
        "grep -n p /data/list; grep -c . /data/list; grep -v -i P /data/list; grep -oE 'a.|g$' /data/list",
        "1:pear\n2:apple\n3\nfig\nar\nap\ng\n",
        0,
    ),
    ("grep none /data/list", "", 1),
    ("sort -r /data/list | sed -n 's/\\(p\\)e/\\1E/p'; sed '2d;s/g/G/' /data/list", "pEar\npear\nfiG\n", 0),
    ("printf '3 c\\n1 a\\n20 b\\n' | sort -n -k1,1 | cut -d ' ' -f 2 | tr a-z A-Z | tr -d '\\n'", "ACB", 0),
    (
        "printf 'a\\na\\nb\\n' | uniq -c; printf '%05.1f|%-4s|%x|%s\\n' 3.14159 ab 255 last",
        "      2 a\n      1 b\n003.1|ab  |ff|last\n",
        0,
    ),
    (
        "cd /data; mkdir -p d/e; touch d/e/f; cp -r d g; mv g h; find h -type f; rm -r d h; ls",
        "h/e/f\na b\nlist\n",
        0,
    ),
    ("cd /data; ln -s list link; readlink link; cat link | head -n 1; rm link", "list\npear\n", 0),
    (
        "cd /data; tar cf - list 'a b' | (mkdir out && tar xf - -C out); ls out; cat out/list | wc -l; rm -r out",
        "a b\nlist\n3\n",
        0,
    ),
    (
        "cd /data; long=$(printf 'x%.0s' $(seq 120)); echo deep > $long; tar cf a.tar $long; rm $long; tar xf a.tar; cat $long; rm $long a.tar",
        "deep\n",
        0,
    ),
    (
        "printf 'a\\nb c\\n' | xargs -n 1 echo -; printf 'x\\ny\\n' | xargs -I {} echo '<{}>'; find /data -name 'l*' -exec basename {} \\;",
        "- a\n- b\n- c\n<x>\n<y>\nlist\n",
        0,
    ),
    (
        "basename /a/b.c .c; dirname /a/b.c; echo hi | base64; echo aGkK | base64 -d; printf abc | sha256sum | cut -c 1-16",
        "b\n/a\naGkK\nhi\nba7816bf8f01cfea\n",
        0,
    ),
    (
        "date -u -d @86399 '+%F %T %a %j'; date -d @951782400 +%F",
        "1970-01-01 23:59:59 Thu 001\n2000-02-29\n",
        0,
    ),
    (
        "env -i A=1 env; env | grep GREET; id -u; test -d /data -a ! -f /data; echo $?",
        "A=1\nGREETING=hello\n0\n0\n",
        0,
    ),
    ("ps | grep -c '^ *1 .*idle --quietly$'; timeout 0.01 sleep 10; echo $?", "1\n124\n", 0),
    // What goes wrong.
    ("nothing-like-this; echo $?", "127\n", 0),
    ("cat /data/none; echo $?; cd /none; echo $?; echo x > /etc/app/word; echo $?", "1\n1\n1\n", 0),
    ("if true; then echo unfinished", "", 2),
    ("echo ${none:?is missing}; echo never", "", 2),
    ("f() { f; }; f", "", 1),
    ("chmod 777 /data/list || nslookup x || echo refused", "refused\n", 0),
];

#[tokio::test]
async fn scripts_print_and_end_as_in_other_shells() {
    let room = Room::open().await;
    let mut wrong = Vec::new();
    for (script, printed, code) in ROWS {
        let (output, errors, ended) = room.shell(script).await;
        if (output.as_str(), ended) != (*printed, *code) {
            wrong.push(format!(
                "{script}\n--- wanted {code}\n{printed}--- got {ended}\n{output}--- errors\n{errors}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn errors_are_said_in_the_words_people_know() {
    let room = Room::open().await;
    let check = async |script: &str, words: &str| {
        let (_, errors, _) = room.shell(script).await;
        assert_eq!(errors, words, "{script}");
    };
    check("cat /none", "cat: /none: No such file or directory\n").await;
    check("none-such a", "sh: none-such: not found\n").await;
    check("cd /none", "sh: cd: can't cd to /none: No such file or directory\n").await;
    check("cat < /none", "sh: can't open /none: No such file or directory\n").await;
    check("ls /none", "ls: /none: No such file or directory\n").await;
    check("echo $((1/0))", "sh: divide by zero\n").await;
    check("echo (", "sh: line 1: syntax error: unexpected \"(\"\n").await;
    check("rm /data", "rm: can't remove '/data': Is a directory\n").await;
    check("set -u; echo $none", "sh: none: parameter not set\n").await;
}

#[tokio::test]
async fn every_program_that_the_engine_names_is_there() {
    let room = Room::open().await;
    let (printed, _, _) = room.shell("help").await;
    let names: Vec<&str> = printed.lines().nth(1).unwrap().split(' ').collect();
    let listed: Vec<&str> = include_str!("../../../../toolbox/applets.txt").lines().collect();
    assert_eq!(names, listed);
}

#[tokio::test]
async fn the_toolbox_built_from_source_behaves_the_same() {
    let built = std::env::var_os("PEAPOD_GUESTS").map(|folder| PathBuf::from(folder).join("toolbox.wasm"));
    let Some(built) = built.filter(|path| path.is_file()) else {
        let required = std::env::var("PEAPOD_REQUIRE").unwrap_or_default();
        let is_required = required.split(',').any(|name| name == "guest-toolbox");
        assert!(!is_required, "PEAPOD_REQUIRE lists guest-toolbox, but PEAPOD_GUESTS has no toolbox.wasm");
        eprintln!("skipped: set PEAPOD_GUESTS to a folder with what examples/build makes of runtime/toolbox");
        return;
    };
    let bytes = fs::read(built).unwrap();
    let room = Room::with(Bench::with_toolbox(bytes), |given| given).await;
    for (script, printed, code) in ROWS {
        let (output, errors, ended) = room.shell(script).await;
        assert_eq!((output.as_str(), ended), (*printed, *code), "{script}: {errors}");
    }
}

#[tokio::test]
async fn the_toolbox_runs_as_an_image_too() {
    let bench = Bench::new();
    let program = bench.program(TOOLBOX).await;
    let check = async |args: &[&str], code: i32, printed: &str| {
        let mut given = bench.given("tool");
        given.args = args.iter().map(|word| (*word).to_owned()).collect();
        let mut container = given.start(&*program);
        let exit = container.exited().await;
        drop(container);
        assert_eq!((exit.code, given.output().await.as_str()), (code, printed), "{args:?}");
    };
    check(&["toolbox", "echo", "hello"], 0, "hello\n").await;
    check(&["sh", "-c", "echo out; exit 7"], 7, "out\n").await;
    // A shell with nothing to read.
    check(&["toolbox"], 0, "").await;
    check(&["dance"], 127, "dance: not found\n").await;
}
