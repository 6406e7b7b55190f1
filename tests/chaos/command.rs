//! The command that redlock runs here, and what it starts itself: each writes that it is alive,
//! about every millisecond.

use crate::history::Diary;
use crate::steps;
use crate::support::clock;
use nix::poll::poll;
use std::env;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Set for the command: its number, how many milliseconds it lives, and its [`Kin`].
const COMMAND: &str = "CHAOS_COMMAND";
/// Set for a descendant: its command's number, and the moment in nanoseconds until which it lives.
const DESCENDANT: &str = "CHAOS_DESCENDANT";
/// When this file is there, the run is over: all leave at the next chance.
pub(crate) const OVER: &str = "over";

/// What a command starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kin {
    Nobody,
    /// A child in its group.
    Child,
    /// A grandchild in a session of its own, whose parent is gone.
    Daemon,
}

const KINDS: [(Kin, &str); 3] =
    [(Kin::Nobody, "nobody"), (Kin::Child, "child"), (Kin::Daemon, "daemon")];

/// The variable that makes this program the command with this number.
pub(crate) fn orders(id: u32, length: Duration, kin: Kin) -> (&'static str, String) {
    let kin = KINDS.iter().find(|(kind, _)| *kind == kin).expect("a kind of kin").1;
    (COMMAND, format!("{id} {} {kin}", length.as_millis()))
}

/// The words that follow the name of this program.
pub(crate) const ARGUMENTS: [&str; 3] = ["--exact", "command_mode", "--nocapture"];

/// Does what the environment orders, and leaves; returns if it orders nothing.
pub(crate) fn obey() {
    if let Ok(orders) = env::var(steps::JOB) {
        std::process::exit(steps::obey(&orders));
    } else if let Ok(orders) = env::var(DESCENDANT) {
        let (id, until) = orders.split_once(' ').expect("two words");
        let mut diary = Diary::open(id.parse().expect("a number"));
        live(&mut diary, Duration::from_nanos(until.parse().expect("a moment")));
    } else if let Ok(orders) = env::var(COMMAND) {
        let words: Vec<&str> = orders.split(' ').collect();
        let kin = KINDS.iter().find(|(_, name)| *name == words[2]).expect("a kind of kin").0;
        command(words[0].parse().expect("a number"), words[1].parse().expect("a length"), kin);
    } else {
        return;
    }
    std::process::exit(0);
}

/// Lives for so many milliseconds. It ends after what it started has ended: what is left behind by
/// a command that ended well may go on, as any daemon that a job starts, and would say nothing
/// about the lock.
fn command(id: u32, millis: u64, kin: Kin) {
    let mut diary = Diary::open(id);
    diary.write("start");
    let until = clock::now() + Duration::from_millis(millis);
    let started = start(id, until, kin);
    live(&mut diary, until);
    if let Some(mut child) = started {
        // It has its standard output open until it ends, and so has what it leaves behind.
        let mut rest = Vec::new();
        let _ = child.stdout.take().expect("a pipe").read_to_end(&mut rest);
        let _ = child.wait();
    }
    diary.write("end");
}

fn start(id: u32, until: Duration, kin: Kin) -> Option<Child> {
    let this = env::current_exe().expect("this program has a path");
    let mut command = match kin {
        Kin::Nobody => return None,
        Kin::Child => Command::new(this),
        Kin::Daemon => {
            let mut command = Command::new("setsid");
            command.arg("--fork").arg(this);
            command
        }
    };
    command.args(ARGUMENTS).env(DESCENDANT, format!("{id} {}", until.as_nanos()));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Some(command.spawn().expect("this program, or setsid of util-linux, can be started"))
}

fn live(diary: &mut Diary, until: Duration) {
    while clock::now() < until && !Path::new(OVER).exists() {
        diary.write("alive");
        // A pause of a millisecond: there is nothing to wait for.
        let _ = poll(&mut [], 1_u8);
    }
}
