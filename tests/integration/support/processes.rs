//! The state of processes. A zombie counts as dead.

use super::clock::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// The state letter of a process, if there is such a process.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The name of a process; empty if it is gone.
pub(crate) fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// The parent of a process.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The process group in the foreground of a process's terminal.
pub(crate) fn foreground(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(5)?.parse().ok()
}

/// The living children of a process.
pub(crate) fn children(of: i32) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("/proc can be read");
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| parent(pid) == Some(of) && alive(pid)).collect()
}

/// Whether this signal is pending for the process.
pub(crate) fn pending(pid: i32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let sets = status
        .lines()
        .filter_map(|line| line.strip_prefix("SigPnd:\t").or(line.strip_prefix("ShdPnd:\t")));
    let bit = 1_u64 << (signal as i32 - 1);
    sets.filter_map(|set| u64::from_str_radix(set, 16).ok()).any(|set| set & bit != 0)
}

/// The number of times that the process has waited for an event, stops included.
pub(crate) fn waits(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:\t"));
    count.and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// Whether the process exists and is no zombie.
pub(crate) fn alive(pid: i32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// All living processes with this setting in their environment, related or not.
pub(crate) fn carrying(setting: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("/proc can be read").filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        environ.split(|&byte| byte == 0).any(|line| line == setting.as_bytes()).then_some(pid)
    });
    pids.filter(|&pid| alive(pid)).collect()
}

/// `PID (name)` of each, for messages.
pub(crate) fn described(pids: &[i32]) -> String {
    let line = |pid: &i32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        format!("{pid} ({})", words.trim())
    };
    pids.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// Stops a process that the test started. Repeats the signal until the stop is seen, since redlock
/// may continue its guardian at once.
pub(crate) fn stop(pid: i32) {
    until("it has stopped", || {
        send(pid, Signal::SIGSTOP);
        state(pid) == Some('T')
    });
}

/// Sends a signal to a process that the test started.
pub(crate) fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}
