//! Every descendant of this process: children, their children, and the orphans that come to a
//! subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`).
//!
//! Children are signalled by kill(2), which is safe: a child that is not reaped keeps its pid. When
//! a child dies, its own children become children of this process, so repeated kills of the
//! children end the whole tree, top down. Deeper descendants are signalled through pidfds, if the
//! kernel has pidfds: that is faster, and reaches below a process that cannot be killed.

use super::super::sys;
use super::protocol::{Means, Missing};
use crate::policy::ChildEvent;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

/// The descendants that are left after one round of kills.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Left {
    /// Dying descendants, or none.
    Dying,
    /// No permission to signal this process, for example one that sudo(8) started.
    Unkillable(i32),
    /// No visible descendant.
    Unseen,
}

/// The means to find and signal descendants, tested once.
#[derive(Debug)]
pub(in super::super) struct Descendants {
    /// The kernel's list of our children, which includes those that `hidepid` hides. Opened once,
    /// so that a limit of descriptors cannot prevent it later. `None` on a kernel without the list
    /// (`CONFIG_PROC_CHILDREN`).
    children: Option<File>,
    means: Means,
    /// Number of rounds of kills so far, and the last report of what they left.
    rounds: u32,
    told: Option<Left>,
}

impl Descendants {
    /// Tests the means.
    ///
    /// # Errors
    /// When /proc does not show this process under its own pid, or kill(2) is refused.
    pub(in super::super) fn new() -> Result<Self, Missing> {
        let pid = Pid::this();
        let is_self =
            fs::read_link("/proc/self").is_ok_and(|link| link.to_str() == Some(&pid.to_string()));
        if !is_self
            || !read_whole("/proc/self/status").is_ok_and(|status| is_of_this_namespace(&status))
        {
            return Err(Missing::Proc);
        }
        sys::send(pid.as_raw(), 0)?;
        let pidfds = sys::pidfd(pid).is_ok_and(|handle| sys::signal_pidfd(&handle, 0).is_ok());
        Ok(Self::tested(Means { pidfds }))
    }

    /// The same by means that another process of this pid namespace has tested.
    pub(in super::super) fn tested(means: Means) -> Self {
        let children = File::open(format!("/proc/self/task/{}/children", Pid::this())).ok();
        Self { children, means, rounds: 0, told: None }
    }

    /// The means that were tested.
    pub(super) const fn means(&self) -> Means {
        self.means
    }

    /// Sends SIGKILL to every present descendant. A child that a descendant forks meanwhile is
    /// found by the next round, after its parent was reaped. If the kernel lists the children, the
    /// first round skips the search of /proc to save time.
    pub(in super::super) fn kill(&self) -> Left {
        let listed = self.listed();
        let mut left = if listed.is_empty() { Left::Unseen } else { Left::Dying };
        for pid in &listed {
            kill_child(*pid, &mut left);
        }
        if self.rounds == 0 && !listed.is_empty() {
            return left;
        }
        let all = all();
        for pid in children_in(&all).filter(|pid| !listed.contains(pid)) {
            left = if left == Left::Unseen { Left::Dying } else { left };
            kill_child(pid, &mut left);
        }
        for process in self.deeper(&all) {
            // The top of an unkillable subtree is reported, since it comes first.
            if send(process, Signal::SIGKILL as i32).is_err() && left == Left::Dying {
                left = Left::Unkillable(process.pid);
            }
        }
        left
    }

    /// Counts a round that left `left`, and returns the event to report, if any. Call it once the
    /// children that died are reaped, if some children are left.
    pub(in super::super) fn news(&mut self, left: Left) -> Option<ChildEvent> {
        self.rounds = self.rounds.saturating_add(1);
        let what = match left {
            Left::Unkillable(pid) => ChildEvent::Unkillable(pid),
            // A child may have been forked after the list was read, so the first rounds prove
            // nothing.
            Left::Unseen if self.rounds > 3 => ChildEvent::Unseen,
            Left::Unseen | Left::Dying => return None,
        };
        (self.told.replace(left) != Some(left)).then_some(what)
    }

    /// Milliseconds until the next round, at most.
    pub(in super::super) fn patience(&self) -> u16 {
        if self.told.is_some() { 100 } else { 2 << self.rounds.min(6) }
    }

    /// Sends signal `number` to the command, which is a child, and to those of its process group
    /// that are our descendants, as timeout(1) does.
    pub(super) fn signal_job(&self, command: Pid, number: i32) {
        match getpgid(Some(command)) {
            Ok(group) if group == command => drop(sys::send(-command.as_raw(), number)),
            Ok(group) => {
                let _ = sys::send(command.as_raw(), number);
                self.signal(number, Some(group), Some(command));
            }
            // The command is dead, and is reaped next.
            Err(_) => {}
        }
    }

    /// Sends signal `number` to every present descendant, or to those in one process group except
    /// `but`. A process that may not be signalled is skipped. Without pidfds, so is every
    /// descendant below the children.
    pub(super) fn signal(&self, number: i32, group: Option<Pid>, but: Option<Pid>) {
        let all = all();
        let is_meant = |pid: &i32| {
            let pid = Some(Pid::from_raw(*pid));
            pid != but && group.is_none_or(|group| getpgid(pid) == Ok(group))
        };
        let listed = self.listed();
        let scanned = children_in(&all).filter(|pid| !listed.contains(pid));
        for pid in listed.iter().copied().chain(scanned).filter(is_meant) {
            let _ = sys::send(pid, number);
        }
        for process in self.deeper(&all).filter(|process| is_meant(&process.pid)) {
            let _ = send(process, number);
        }
    }

    /// The children that are not reaped, by the kernel's list. A list that cannot be read is empty:
    /// the search of /proc finds the same children.
    fn listed(&self) -> Vec<i32> {
        let mut bytes = vec![0; 64 * 1024];
        let count = self.children.as_ref().and_then(|file| file.read_at(&mut bytes, 0).ok());
        whole_numbers(bytes.get(..count.unwrap_or_default()).unwrap_or_default())
    }

    /// The descendants below the children, parents before their children.
    fn deeper(&self, all: &[Process]) -> impl Iterator<Item = Process> {
        let mut family = vec![Pid::this().as_raw()];
        let mut found = Vec::new();
        let all = if self.means.pidfds { all } else { &[] };
        while let Some(parent) = family.pop() {
            for child in all.iter().filter(|process| process.parent == parent) {
                family.push(child.pid);
                found.push(*child);
            }
        }
        let own = Pid::this().as_raw();
        found.into_iter().filter(move |process| process.parent != own && !process.is_zombie())
    }
}

/// A process in /proc.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct Process {
    pub(in super::super) pid: i32,
    pub(in super::super) parent: i32,
    state: char,
    /// Start in clock ticks since boot. Pid and start together never mean another process.
    pub(in super::super) started: u64,
}

/// Kills a child, which keeps its pid until it is reaped. A child that may not be killed is noted
/// in `left`.
fn kill_child(pid: i32, left: &mut Left) {
    let result = sys::send(pid, Signal::SIGKILL as i32);
    if *left == Left::Dying
        && result.is_err_and(|error| error.raw_os_error() == Some(nix::libc::EPERM))
    {
        *left = Left::Unkillable(pid);
    }
}

/// The children of this process in `all`.
fn children_in(all: &[Process]) -> impl Iterator<Item = i32> {
    let own = Pid::this().as_raw();
    all.iter().filter(move |process| process.parent == own).map(|process| process.pid)
}

impl Process {
    pub(in super::super) const fn is_zombie(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Whether the process `pid` is stopped by a signal.
pub(in super::super) fn is_stopped(pid: i32) -> bool {
    read(pid).is_some_and(|process| process.state == 'T')
}

/// Signals a process that need not be a child. `false` if the process is gone.
fn send(process: Process, number: i32) -> Result<bool, Errno> {
    let Ok(handle) = sys::pidfd(Pid::from_raw(process.pid)) else { return Ok(false) };
    // The pidfd means the process that has the pid now. Check that the process is still the same.
    match read(process.pid) {
        Some(now) if now.started == process.started && !now.is_zombie() => {}
        _ => return Ok(false),
    }
    match sys::signal_pidfd(&handle, number).map_err(|error| error.raw_os_error()) {
        Ok(()) => Ok(true),
        Err(Some(nix::libc::ESRCH)) => Ok(false),
        Err(_) => Err(Errno::EPERM),
    }
}

/// The numbers of a list with a blank behind each number. A last number that the end of the buffer
/// has cut would be another process's, and is skipped.
fn whole_numbers(list: &[u8]) -> Vec<i32> {
    let end = list.iter().rposition(u8::is_ascii_whitespace).unwrap_or_default();
    let words = list.get(..end).unwrap_or_default().split(u8::is_ascii_whitespace);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect()
}

/// Every process that /proc shows.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The process `pid`.
pub(in super::super) fn read(pid: i32) -> Option<Process> {
    parse(pid, &read_whole(&format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a short file of /proc at once. The kernel reports no size of it, so the standard library
/// would ask for the size and then begin with 32 bytes. `take` skips that question.
pub(in super::super) fn read_whole(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(4096);
    File::open(path)?.take(u64::MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Parses a line of `proc_pid_stat(5)`. The name in the line may contain any character, so the
/// other fields begin after the last bracket.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Process { pid, parent, state, started })
}

/// Whether a process has only one pid in this `proc_pid_status(5)`. In the /proc of an outer pid
/// namespace, a process has one pid for each namespace down to its own. Kernels before 4.1 do not
/// list the pids.
fn is_of_this_namespace(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_none_or(|numbers| numbers.split_ascii_whitespace().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_the_end_of_the_buffer_has_cut_is_no_process() {
        assert_eq!(whole_numbers(b"12 345 "), [12, 345]);
        assert_eq!(whole_numbers(b"12 34"), [12]);
        assert_eq!(whole_numbers(b"12"), [] as [i32; 0]);
    }

    #[test]
    fn a_line_of_stat_is_parsed_with_any_name() {
        let rest = "S 7 42 42 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 10 11";
        for name in ["(sh)", "(a) b (c)", "()", "(x) Z 1 (y)"] {
            let process = parse(42, &format!("42 {name} {rest}")).unwrap();
            assert_eq!((process.parent, process.started), (7, 98765), "{name}");
            assert!(!process.is_zombie());
        }
        assert_eq!(parse(42, "42 (sh"), None);
    }

    #[test]
    fn a_proc_of_an_outer_namespace_is_told_by_its_second_number() {
        for (status, own) in [
            ("Name:\tx\nNSpid:\t7\nUid:\t0", true),
            ("NSpid:\t7\t1\n", false),
            ("NSpid:\t8\t7\t1", false),
            ("", true),
        ] {
            assert_eq!(is_of_this_namespace(status), own, "{status:?}");
        }
    }

    #[test]
    fn a_descendant_is_signalled_and_its_successor_left_alone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = read(pid).unwrap();
        assert_eq!(found.parent, Pid::this().as_raw());
        assert_eq!(send(found, 9), Ok(true));
        assert!(!child.wait().unwrap().success());
        assert_eq!(send(found, 9), Ok(false), "the process that has the number now is left alone");
    }

    #[test]
    fn an_unkillable_process_is_reported_once_and_polled_ten_times_a_second() {
        let mut descendants =
            Descendants { children: None, means: Means::default(), rounds: 0, told: None };
        let told: Vec<_> = (0..20).map(|_| descendants.news(Left::Unseen)).collect();
        assert_eq!(
            told.iter().flatten().collect::<Vec<_>>(),
            [&ChildEvent::Unseen],
            "and not at the first look"
        );
        assert_eq!(descendants.patience(), 100);
        assert_eq!(descendants.news(Left::Unkillable(7)), Some(ChildEvent::Unkillable(7)));
        assert_eq!(descendants.news(Left::Unkillable(7)), None);
        assert_eq!(descendants.news(Left::Dying), None);
    }

    #[test]
    fn children_are_seen_by_either_list_and_by_none_it_cannot_be_told() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(children_in(&all()).any(|other| other == pid));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{pid} ")).unwrap();
        let by =
            |children| Descendants { children, means: Means::default(), rounds: 0, told: None };
        assert_eq!(by(Some(File::open(file.path()).unwrap())).listed(), [pid]);
        for blind in [by(None), by(Some(File::open("/proc").unwrap()))] {
            assert!(blind.listed().is_empty(), "there is no list");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
