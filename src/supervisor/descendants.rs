//! Killing every descendant of this process: children, their children, and those that were orphaned and came to us
//! because we are their subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`).

use super::sys;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs;

/// Who is left after one round of killing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Left {
    /// Nobody who will not die of it.
    Dying,
    /// One that must not be signalled by us, such as one that sudo(8) started.
    Untouchable(Pid),
}

/// Sends SIGKILL to every descendant there is now. A descendant that forks meanwhile is found by the next round.
pub(super) fn kill_all() -> Left {
    let mut left = Left::Dying;
    for process in descendants() {
        // Of those, whoever brought the others about comes first.
        if send(process, Signal::SIGKILL as i32).is_err() && left == Left::Dying {
            left = Left::Untouchable(process.pid);
        }
    }
    left
}

/// One round of killing and of reaping whoever died of an earlier one; who is left, if anybody is.
pub(super) fn end() -> Option<Left> {
    let left = kill_all();
    while sys::reap().is_some() {}
    sys::has_children().then_some(left)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Process {
    pid: Pid,
    parent: Pid,
    is_zombie: bool,
    /// Clock ticks since boot: with the pid, this names one process for ever.
    started: u64,
}

/// Sends the signal with this number to every descendant there is now. Whoever may not be signalled is left out.
pub(super) fn send_all(number: i32) {
    for process in descendants() {
        let _ = send(process, number);
    }
}

/// Whether there was anybody to signal.
fn send(process: Process, number: i32) -> Result<bool, Errno> {
    let Ok(handle) = sys::pidfd(process.pid) else { return Ok(false) };
    // The handle means whoever had the pid a moment ago: is that still the process that was seen among our descendants?
    match read(process.pid) {
        Some(now) if now.started == process.started && !now.is_zombie => {}
        _ => return Ok(false),
    }
    match sys::signal_pidfd(&handle, number).map_err(|error| error.raw_os_error()) {
        Ok(()) => Ok(true),
        Err(Some(nix::libc::ESRCH)) => Ok(false),
        Err(_) => Err(Errno::EPERM),
    }
}

fn descendants() -> Vec<Process> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            read(Pid::from_raw(pid))
        })
        .collect();
    let mut family = vec![Pid::this()];
    let mut found = Vec::new();
    while let Some(parent) = family.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            family.push(child.pid);
            found.push(*child);
        }
    }
    found.retain(|process| !process.is_zombie);
    found
}

fn read(pid: Pid) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of `proc_pid_stat(5)`. The name in it may hold anything, so what counts begins after its last bracket.
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Process { pid, parent: Pid::from_raw(parent), is_zombie: matches!(state, "Z" | "X"), started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_name() {
        let rest = "S 7 42 42 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 10 11";
        for name in ["(sh)", "(a) b (c)", "()", "(x) Z 1 (y)"] {
            let process = parse(Pid::from_raw(42), &format!("42 {name} {rest}")).unwrap();
            assert_eq!((process.parent, process.started), (Pid::from_raw(7), 98765), "{name}");
            assert!(!process.is_zombie);
        }
        assert_eq!(parse(Pid::from_raw(42), "42 (sh"), None);
    }

    #[test]
    fn a_child_is_among_the_descendants() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let found = descendants().into_iter().find(|process| process.pid == pid).unwrap();
        assert_eq!(send(found, 9), Ok(true));
        assert!(!child.wait().unwrap().success());
        assert_eq!(send(found, 9), Ok(false), "whoever has the pid now is left alone");
    }
}
