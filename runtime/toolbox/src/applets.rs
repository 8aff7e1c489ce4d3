//! The programs of the toolbox, by name.

mod archive;
mod calls;
mod copy;
mod cut;
mod disk;
mod find;
mod folders;
mod grep;
mod lines;
mod list;
mod said;
mod sed;
mod sort;
mod system;
mod test;
mod watch;
mod web;

use crate::process::{Outcome, Process};
use crate::shell;
use crate::task::Boxed;

/// A program.
pub type Applet = for<'a> fn(&'a mut Process) -> Boxed<'a, Outcome>;

macro_rules! applets {
    ($($name:literal => $path:path,)*) => {
        const APPLETS: &[(&str, Applet)] = &[$(($name, |process| Box::pin($path(process)))),*];
    };
}

applets! {
    "[" => test::bracket,
    "ash" => shell::main,
    "base64" => said::base64,
    "basename" => said::basename,
    "cat" => lines::cat,
    "chgrp" => folders::no_owners,
    "chmod" => folders::no_owners,
    "chown" => folders::no_owners,
    "clear" => said::clear,
    "cp" => copy::cp,
    "cut" => cut::cut,
    "date" => system::date,
    "df" => disk::df,
    "dirname" => said::dirname,
    "du" => disk::du,
    "echo" => said::echo,
    "egrep" => grep::grep,
    "env" => calls::env,
    "false" => said::failed,
    "fgrep" => grep::grep,
    "find" => find::find,
    "grep" => grep::grep,
    "head" => lines::head,
    "help" => said::help,
    "hostname" => system::hostname,
    "id" => system::id,
    "ln" => folders::ln,
    "ls" => list::ls,
    "mkdir" => folders::mkdir,
    "mktemp" => folders::mktemp,
    "mv" => copy::mv,
    "nc" => web::needs_sockets,
    "nohup" => calls::nohup,
    "nproc" => system::nproc,
    "nslookup" => web::needs_sockets,
    "ping" => web::needs_sockets,
    "printenv" => system::printenv,
    "printf" => said::printf,
    "ps" => watch::ps,
    "pwd" => system::pwd,
    "readlink" => folders::readlink,
    "realpath" => folders::realpath,
    "rm" => copy::rm,
    "rmdir" => folders::rmdir,
    "sed" => sed::sed,
    "seq" => said::seq,
    "sh" => shell::main,
    "sha256sum" => disk::sha256sum,
    "sleep" => system::sleep,
    "sort" => sort::sort,
    "stat" => disk::stat,
    "sync" => said::succeeded,
    "tac" => lines::tac,
    "tail" => lines::tail,
    "tar" => archive::tar,
    "tee" => lines::tee,
    "telnet" => web::needs_sockets,
    "test" => test::test,
    "timeout" => calls::timeout,
    "top" => watch::top,
    "touch" => folders::touch,
    "tr" => cut::tr,
    "true" => said::succeeded,
    "tty" => system::tty,
    "uname" => system::uname,
    "uniq" => sort::uniq,
    "uptime" => system::uptime,
    "wc" => lines::wc,
    "wget" => web::wget,
    "which" => calls::which,
    "whoami" => system::whoami,
    "xargs" => calls::xargs,
    "yes" => said::yes,
}

/// The program of that name.
pub fn find(name: &str) -> Option<Applet> {
    let place = APPLETS.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(APPLETS[place].1)
}

/// All their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    APPLETS.iter().map(|(name, _)| *name)
}
