//! The command that redlock runs in the chaos test, and its descendants. While alive, each writes a
//! line about every millisecond.

use crate::fenced::{self, When};
use crate::history::Diary;
use crate::steps;
use crate::support::clock;
use nix::poll::poll;
use std::env;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Variable of the command: its number, its life in milliseconds, its [`Kin`], and the names of the
/// resources that it touches with its token.
const COMMAND: &str = "CHAOS_COMMAND";
/// Variable of a descendant: the number of its command, and the end of its life in nanoseconds.
const DESCENDANT: &str = "CHAOS_DESCENDANT";
/// File whose existence means that the run is over: all commands exit as soon as they see it.
pub(crate) const OVER: &str = "over";

/// The descendants that a command starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kin {
    Alone,
    /// A child in its group.
    Child,
    /// A grandchild in a session of its own, whose parent is gone.
    Daemon,
}

const KINDS: [(Kin, &str); 3] =
    [(Kin::Alone, "alone"), (Kin::Child, "child"), (Kin::Daemon, "daemon")];

/// The variable that makes this program the command with this number.
pub(crate) fn orders(
    id: u32,
    length: Duration,
    kin: Kin,
    touched: &[&str],
) -> (&'static str, String) {
    let kin = KINDS.iter().find(|(kind, _)| *kind == kin).expect("a kind of kin").1;
    (COMMAND, format!("{id} {} {kin} {}", length.as_millis(), touched.join(",")))
}

/// The arguments of this program that make it run only `command_mode`.
pub(crate) const ARGUMENTS: [&str; 3] = ["--exact", "command_mode", "--nocapture"];

/// Carries out the orders of the environment and exits. Returns if there are none.
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
        let touched: Vec<&str> = words[3].split(',').filter(|name| !name.is_empty()).collect();
        let length = words[1].parse().expect("a length");
        command(words[0].parse().expect("a number"), length, kin, &touched);
    } else {
        return;
    }
    std::process::exit(0);
}

/// Lives for so many milliseconds, and ends after its descendants. If descendants outlived a
/// command that ended well, they would prove nothing about the lock: redlock lets them live.
fn command(id: u32, millis: u64, kin: Kin, touched: &[&str]) {
    let mut diary = Diary::open(id);
    diary.write("start");
    touch(touched, id, When::Start);
    let until = clock::now() + Duration::from_millis(millis);
    let started = start(id, until, kin);
    live(&mut diary, until);
    if let Some(mut child) = started {
        // The child and its descendants have the write end of its output open until they end.
        let mut rest = Vec::new();
        let _ = child.stdout.take().expect("a pipe").read_to_end(&mut rest);
        let _ = child.wait();
    }
    touch(touched, id, When::End);
    diary.write("end");
}

/// Touches the resources of these names with the token of this command.
fn touch(names: &[&str], id: u32, when: When) {
    for name in names {
        let token = env::var("REDLOCK_FENCE").expect("a run with --fence has a token");
        fenced::touch(Path::new("."), name, id, token.parse().expect("a number"), when);
    }
}

fn start(id: u32, until: Duration, kin: Kin) -> Option<Child> {
    let this = env::current_exe().expect("this program has a path");
    let mut command = match kin {
        Kin::Alone => return None,
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
        // Polls nothing, as a pause of a millisecond.
        let _ = poll(&mut [], 1_u8);
    }
}
