//! The ancestors of this process, each identified by its pid and its start, and the process of a CI
//! job among them.

use super::guardian::descendants::{Process, read};
use nix::unistd::Pid;
use std::fs;

/// Start of this process, in clock ticks since boot. `None` if /proc does not show the start.
#[must_use]
pub fn own_start() -> Option<u64> {
    read(Pid::this().as_raw()).map(|process| process.started)
}

/// Sign of the process of a CI job among the ancestors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JobSign {
    /// The nearest process of this name.
    Named(&'static str),
    /// The outermost shell, below the nearest process of this name if there is one.
    ShellBelow(&'static str),
}

/// Names of shells, as `proc_pid_stat(5)` has them.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "busybox", "zsh", "pwsh"];

/// An ancestor: pid, start, parent and name.
type Ancestor = (i32, u64, i32, String);

/// The pid and the start of the process of the CI job. If the steps run in a container and the
/// runner does not, the first process of the container stands for the job.
#[must_use]
pub fn job_process(sign: JobSign) -> Option<(i32, u64)> {
    let parents = std::iter::successors(read(Pid::this().as_raw()), |child| read(child.parent));
    let name = |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let ancestor = |process: Process| {
        let name = name(process.pid)?.trim_end().to_owned();
        Some((process.pid, process.started, process.parent, name))
    };
    let above: Vec<Ancestor> = parents.skip(1).filter_map(ancestor).collect();
    if let Some(found) = job_among(&above, sign) {
        return Some(found);
    }
    let outermost = above
        .last()
        .map_or((Pid::this().as_raw(), Pid::parent().as_raw()), |last| (last.0, last.2));
    let entered = outermost.0 != 1 && outermost.1 == 0;
    let first = read(1).filter(|_| entered)?;
    Some((first.pid, first.started))
}

fn job_among(above: &[Ancestor], sign: JobSign) -> Option<(i32, u64)> {
    let named = |wanted: &str| above.iter().position(|(_, _, _, name)| name == wanted);
    let found = match sign {
        JobSign::Named(name) => above.get(named(name)?),
        JobSign::ShellBelow(name) => {
            let below = above.get(..named(name).unwrap_or(above.len()))?;
            below.iter().rfind(|(_, _, _, name)| SHELLS.contains(&name.as_str()))
        }
    };
    found.map(|(pid, started, _, _)| (*pid, *started))
}

/// Whether the process with this pid and this start is an ancestor of this process.
///
/// An ancestor is alive: when a process ends, its children get another parent.
#[must_use]
pub fn is_ancestor(pid: i32, started: u64) -> bool {
    let parents = std::iter::successors(read(Pid::this().as_raw()), |child| read(child.parent));
    parents.skip(1).any(|process| process.pid == pid && process.started == started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_of_a_job_is_the_runners_own_or_the_outermost_shell_below_it() {
        let worker = JobSign::Named("Runner.Worker");
        let shell = JobSign::ShellBelow("gitlab-runner");
        let tables: [(JobSign, &[&str], Option<i32>); 8] = [
            (worker, &["bash", "Runner.Worker", "Runner.Listener", "bash", "systemd"], Some(1)),
            (worker, &["make", "bash", "Runner.Worker"], Some(2)),
            (worker, &["bash", "sshd", "systemd"], None),
            (shell, &["bash", "bash", "su", "gitlab-runner", "sh", "systemd"], Some(1)),
            (shell, &["sh", "make", "bash", "gitlab-runner"], Some(2)),
            (shell, &["sh", "make", "bash"], Some(2)),
            (shell, &["gitlab-runner", "bash"], None),
            (shell, &[], None),
        ];
        for (sign, names, expected) in tables {
            let ancestor = |(pid, name): (i32, &&str)| (pid, 7, pid + 1, (*name).to_owned());
            let above: Vec<Ancestor> = (0..).zip(names).map(ancestor).collect();
            assert_eq!(job_among(&above, sign), expected.map(|pid| (pid, 7)), "{names:?}");
        }
    }

    #[test]
    fn the_parent_is_an_ancestor_and_neither_this_process_nor_another_of_that_number_is() {
        let own = read(Pid::this().as_raw()).unwrap();
        let parent = read(own.parent).unwrap();
        assert!(is_ancestor(parent.pid, parent.started));
        assert!(!is_ancestor(parent.pid, parent.started + 1));
        assert!(!is_ancestor(own.pid, own.started));
        assert_eq!(own_start(), Some(own.started));
    }
}
