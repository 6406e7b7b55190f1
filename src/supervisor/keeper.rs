//! The keeper: the process that holds a lock in the background, after the process that started it
//! has ended.

use super::guardian::descendants::read;
use super::hold_ends::HoldWatch;
use super::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Side of a split: the two processes after [`split_off`].
#[derive(Debug)]
pub enum Split {
    /// The process that the user started. It waits for the handle.
    Starter(Starter),
    /// The keeper.
    Keeper(Reporter),
}

/// The starter's end of their connection.
#[derive(Debug)]
pub struct Starter {
    socket: UnixStream,
    keeper: Pid,
}

/// The keeper's end of the connection.
#[derive(Debug)]
pub struct Reporter(UnixStream);

/// Splits off a keeper. This process must have one thread. The keeper has a session of its own. Of
/// the descriptors it has the first three and `kept`.
///
/// # Errors
/// When the system refuses a socket or a process.
pub fn split_off(kept: &[i32]) -> io::Result<Split> {
    use std::os::fd::AsRawFd as _;
    let (ours, theirs) = UnixStream::pair()?;
    match sys::split()? {
        ForkResult::Parent { child } => Ok(Split::Starter(Starter { socket: ours, keeper: child })),
        ForkResult::Child => {
            drop(ours);
            let _ = setsid();
            close_others(&[kept, &[theirs.as_raw_fd()]].concat());
            Ok(Split::Keeper(Reporter(theirs)))
        }
    }
}

/// Closes every inherited descriptor except for the first three and `kept`: the reader of a pipe
/// would wait as long as the keeper has the other end. Without /proc, they stay open.
fn close_others(kept: &[i32]) {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<i32> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2 && !kept.contains(number))
        .collect();
    numbers.into_iter().for_each(sys::close);
}

impl Starter {
    /// Waits for the handle. If the keeper ends first, returns its exit status.
    ///
    /// # Errors
    /// When the keeper cannot be waited for.
    pub fn handle(&mut self) -> io::Result<Result<String, WaitStatus>> {
        let mut line = String::new();
        BufReader::new(&self.socket).read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some(handle) => Ok(Ok(handle.to_owned())),
            None => Ok(Err(waitpid(self.keeper, None)?)),
        }
    }

    /// Acknowledges the handle. Without that, the keeper would release the lock.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn acknowledge(mut self) -> io::Result<()> {
        self.socket.write_all(b"+")
    }
}

impl Reporter {
    /// Sends the handle.
    ///
    /// # Errors
    /// When the starter is gone.
    pub fn report(&mut self, handle: &str) -> io::Result<()> {
        self.0.write_all(format!("{handle}\n").as_bytes())
    }

    /// Adds to `watch` the end of the starter, if that comes before its acknowledgement.
    ///
    /// # Errors
    /// When the system refuses another descriptor.
    pub fn watch(&self, watch: &mut HoldWatch) -> io::Result<()> {
        watch.watch_parent(self.0.try_clone()?.into());
        Ok(())
    }
}

/// Leaves the directory, the terminal and the pipes of the starter.
pub fn detach() {
    let _ = chdir("/");
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null);
        let _ = dup2_stdout(&null);
        let _ = dup2_stderr(&null);
    }
}

/// Result of [`end_keeper`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeeperEnd {
    /// There is no such process on this host.
    Absent,
    /// The keeper has released the lock and ended.
    Ended,
    /// The keeper did not end by itself and was killed.
    Killed,
    /// The keeper could not be ended.
    Alive,
}

/// Whether the process with this pid and this start is alive.
#[must_use]
pub fn is_alive(pid: i32, started: u64) -> bool {
    read(pid).is_some_and(|process| process.started == started && !process.is_zombie())
}

/// Asks the keeper with this pid and this start to release its lock, and kills it if it has not
/// ended within `patience`.
#[must_use]
pub fn end_keeper(pid: i32, started: u64, patience: Duration) -> KeeperEnd {
    // The pidfd is opened before the check of the start, since it never means another process.
    let pidfd = sys::pidfd(Pid::from_raw(pid));
    if !is_alive(pid, started) {
        return KeeperEnd::Absent;
    }
    let Ok(pidfd) = pidfd else { return KeeperEnd::Alive };
    let ends_by = |number: i32, patience: Duration| {
        let _ = sys::signal_pidfd(&pidfd, nix::libc::SIGCONT);
        let _ = sys::signal_pidfd(&pidfd, number);
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], patience) == Ok(1)
    };
    if ends_by(nix::libc::SIGTERM, patience) {
        KeeperEnd::Ended
    } else if ends_by(nix::libc::SIGKILL, Duration::from_secs(1)) {
        KeeperEnd::Killed
    } else {
        KeeperEnd::Alive
    }
}
