//! The system calls that Rust cannot check, each wrapped in a safe function.
#![allow(unsafe_code)]

use crate::policy::{self, End};
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use nix::unistd::{ForkResult, Pid, fork};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Forks this process, which must have only one thread. redlock splits off the guardian before it
/// starts a thread. The guardian starts processes, but no threads.
pub(super) fn split() -> io::Result<ForkResult> {
    // Without /proc, as in an empty chroot, only the order of the calls ensures that there is one
    // thread.
    debug_assert!(
        !std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() != 1),
        "one thread"
    );
    // SAFETY: there is one thread, so the child's copy of the memory is whole and no other thread
    // holds a lock in it.
    Ok(unsafe { fork() }?)
}

/// Whether signal `number` is ignored, as left by a parent such as nohup(1).
pub(super) fn is_ignored(number: i32) -> bool {
    handler(number) == Some(libc::SIG_IGN)
}

/// The handler of signal `number`. `None` if there is no such signal.
fn handler(number: i32) -> Option<libc::sighandler_t> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the kernel writes a whole sigaction to the given address, and reads none.
    if unsafe { libc::sigaction(number, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the sigaction was zeroed, which is valid, before the kernel wrote to it.
    Some(unsafe { action.assume_init() }.sa_sigaction)
}

/// The set of the signals with these numbers, including real-time signals.
pub(super) fn signal_set(numbers: impl Iterator<Item = i32>) -> SigSet {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    for number in numbers {
        // SAFETY: a zeroed set is valid and empty. The call adds one signal, or none if the number
        // is invalid.
        unsafe { libc::sigaddset(set.as_mut_ptr(), number) };
    }
    // SAFETY: a zeroed set is valid.
    let set = unsafe { set.assume_init() };
    // SAFETY: the set was made above.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// Number of typed interrupts that were not taken yet, and the handler before ours.
static TYPED: AtomicU32 = AtomicU32::new(0);
static HANDLER: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

/// Counts each SIGINT that a terminal sent, and then calls the earlier handler: that of `ctrlc`,
/// which does not learn the origin.
pub(super) fn note_typed_interrupts() {
    extern "C" fn note(number: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel passes a siginfo to a handler that was set with SA_SIGINFO.
        if unsafe { (*info).si_code } == libc::SI_KERNEL {
            TYPED.fetch_add(1, Ordering::Relaxed);
        }
        let handler = HANDLER.load(Ordering::Relaxed);
        if handler != libc::SIG_DFL && handler != libc::SIG_IGN {
            // SAFETY: this is the earlier handler. It has this type since it was set without
            // SA_SIGINFO.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(number);
        }
    }
    HANDLER.store(handler(libc::SIGINT).unwrap_or(libc::SIG_DFL), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::SigAction(note), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler uses only atomics and the earlier handler, which may run in a signal
    // handler as well.
    let _ = unsafe { sigaction(Signal::SIGINT, &action) };
}

/// Whether the next received interrupt was sent by a terminal, to every process in its foreground.
pub(super) fn take_typed_interrupt() -> bool {
    TYPED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
}

/// Ignores `signal`, or restores its default effect.
pub(super) fn set_disposition(signal: Signal, ignored: bool) -> io::Result<()> {
    let handler = if ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
    // SAFETY: neither disposition runs code of ours.
    unsafe { nix::sys::signal::signal(signal, handler) }?;
    Ok(())
}

/// A copy of an inherited descriptor, which shares the open file description. The copy and the
/// inherited descriptor are closed on execve(2).
pub(super) fn borrow(number: i32) -> io::Result<std::fs::File> {
    // SAFETY: numbers go in, a number comes out.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: numbers go in. The flag of a descriptor that is open is set.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: the kernel has just made this descriptor, which has no other owner.
    Ok(std::fs::File::from(unsafe { OwnedFd::from_raw_fd(copy) }))
}

/// Closes an inherited descriptor that no value of this process owns.
pub(super) fn close(number: i32) {
    // SAFETY: a number goes in. The callers own no descriptor with this number.
    unsafe { libc::close(number) };
}

/// A pidfd of the process that has `pid` now. A pidfd never means another process
/// (`pidfd_open(2)`).
pub(super) fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: two numbers go in, a number comes out.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, which has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends signal `number` to the process of `pidfd` (`pidfd_send_signal(2)`).
pub(super) fn signal_pidfd(pidfd: &OwnedFd, number: i32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open. With a null siginfo, the kernel fills in the one of kill(2).
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, info, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether SIGPIPE was ignored at the start of redlock, as under systemd by default. The command
/// gets that state back.
///
/// The standard library ignores SIGPIPE before main begins, and the kernel does not keep the
/// earlier state.
pub(super) fn ignored_pipe_at_start() -> bool {
    PIPE_WAS_IGNORED.load(std::sync::atomic::Ordering::Relaxed)
}

static PIPE_WAS_IGNORED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

extern "C" fn note_pipe() {
    PIPE_WAS_IGNORED.store(is_ignored(libc::SIGPIPE), std::sync::atomic::Ordering::Relaxed);
}

// SAFETY: the loader calls the functions in this section one by one before main. This function only
// makes a system call and stores a flag.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_PIPE: extern "C" fn() = note_pipe;

/// A change of a child, as reported by waitpid(2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ChildChange {
    Ended(End),
    Stopped(policy::Signal),
    Continued,
}

/// The next child that ended, was stopped or continued. A child that ended is reaped. `None` if
/// there is no such child now.
pub(super) fn reap() -> Option<(i32, ChildChange)> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one number to the given address.
        let pid = unsafe {
            libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED)
        };
        if pid > 0 {
            return Some((pid, change(status)));
        }
        if pid == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

/// Whether there is any child, living or dead. `None` if the system call fails.
pub(super) fn has_children() -> Option<bool> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes a whole siginfo to the given address, and no child is reaped.
    if unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags) } == 0 {
        return Some(true);
    }
    (io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)).then_some(false)
}

/// The number of a signal has no name in `nix` if it is a real-time signal.
fn change(status: libc::c_int) -> ChildChange {
    if libc::WIFEXITED(status) {
        ChildChange::Ended(End::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)))
    } else if libc::WIFSTOPPED(status) {
        ChildChange::Stopped(policy::Signal::new(libc::WSTOPSIG(status)))
    } else if libc::WIFCONTINUED(status) {
        ChildChange::Continued
    } else {
        ChildChange::Ended(End::Signaled(policy::Signal::new(libc::WTERMSIG(status))))
    }
}

/// Sends signal `number` to a process, or to a group if `target` is negative (kill(2)).
pub(super) fn send(target: i32, number: i32) -> io::Result<()> {
    // SAFETY: two numbers go in, a number comes out.
    if unsafe { libc::kill(target, number) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Exits without the exit handlers: these belong to the process from which this one was split.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: the call does not return, so no code can depend on the skipped handlers.
    unsafe { libc::_exit(code) }
}

/// Raises signal `number` once with its default effect: the process dies, stops, or continues.
///
/// The signal is raised before it is unblocked. If the same signal of a terminal is pending, the
/// process would otherwise stop by each of the two: SIGCONT discards only a stop that is pending.
pub(super) fn raise_by_default(number: i32) {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { libc::signal(number, libc::SIG_DFL) };
    // SAFETY: a number goes in.
    unsafe { libc::raise(number) };
    let set = signal_set(std::iter::once(number));
    let before = set.thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
    let _ = before.and_then(|before| before.thread_set_mask());
}

/// Takes a blocked signal that is pending. Returns whether there was one.
pub(super) fn take_pending(number: i32) -> bool {
    let set = signal_set(std::iter::once(number));
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a set and a length of time go in, and no siginfo is requested.
    unsafe { libc::sigtimedwait(set.as_ref(), std::ptr::null_mut(), &raw const now) == number }
}

/// Registers `fd` with the runtime, for reading only. Room to write is no reason to wake up.
pub(super) fn status(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open file until its drop, and the AsyncFd, its owner, drops
    // the OwnedFd last.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::kill;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::setpgid;

    #[test]
    fn a_process_that_a_terminal_stops_as_well_stops_once() {
        // SAFETY: the child makes system calls only.
        let ForkResult::Parent { child } = (unsafe { fork() }).unwrap() else {
            // The kernel does not stop an orphaned process group.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            let _ = signal_set(std::iter::once(libc::SIGTSTP)).thread_block();
            let _ = kill(Pid::this(), Signal::SIGTSTP);
            raise_by_default(libc::SIGTSTP);
            exit_now(7)
        };
        let stopped = waitpid(child, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(stopped, WaitStatus::Stopped(child, Signal::SIGTSTP));
        kill(child, Signal::SIGCONT).unwrap();
        let ended = waitpid(child, Some(WaitPidFlag::WUNTRACED)).unwrap();
        if ended != WaitStatus::Exited(child, 7) {
            let _ = kill(child, Signal::SIGKILL).and_then(|()| waitpid(child, None));
        }
        assert_eq!(ended, WaitStatus::Exited(child, 7));
    }
}
