//! The system calls that Rust cannot check. Each is wrapped in a function that any caller may call safely.
#![allow(unsafe_code)]

use nix::libc;
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{ForkResult, Pid, fork};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// Splits the process in two, while it has only one thread: the guardian is split off before redlock starts one, and
/// splits off others but never starts any.
pub(super) fn split() -> io::Result<ForkResult> {
    // Without /proc, as in an empty chroot, it is left to the order of the start.
    debug_assert!(!std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() != 1), "one thread");
    // SAFETY: there is one thread, so the child's copy of the memory is whole and nobody else holds a lock in it.
    Ok(unsafe { fork() }?)
}

/// Closes the descriptor of something that this process has a copy of and must not keep, and that it does not use again:
/// it leaves by [`exit_now`] or by exec.
pub(super) fn close(copy: &impl AsRawFd) {
    // SAFETY: a number goes in; whoever owns it here is never dropped.
    unsafe { libc::close(copy.as_raw_fd()) };
}

/// Waits for the end of the child `pid`, and reaps it.
pub(super) fn wait_for(pid: Pid) {
    // SAFETY: a status is not asked for.
    while unsafe { libc::waitpid(pid.as_raw(), std::ptr::null_mut(), 0) } == -1
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Whether `signal` is ignored, as a parent such as nohup(1) leaves it.
pub(super) fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the kernel writes a whole sigaction to where it is told, and reads none.
    if unsafe { libc::sigaction(signal as libc::c_int, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: it was zeroed, which is a valid sigaction, before the kernel wrote to it.
    unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// What the standard library's entry does before main, where it is left out: descriptors 0 to 2 are open, so that no file
/// of redlock's is ever taken for one of them, and a closed pipe is an error and not the end.
pub fn prepare() {
    for stream in 0..=2 {
        // SAFETY: numbers go in, a number comes out.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } == -1 {
            // SAFETY: the path is a string of C, and the lowest free descriptor is this one, since those below it are open.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        }
    }
    // Neither disposition can be refused.
    let _ = set_disposition(Signal::SIGPIPE, true);
}

/// Gives `signal` its default effect, or ignores it.
pub(super) fn set_disposition(signal: Signal, ignored: bool) -> io::Result<()> {
    let handler = if ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
    // SAFETY: neither disposition runs code of ours.
    unsafe { nix::sys::signal::signal(signal, handler) }?;
    Ok(())
}

/// A handle on the process that has `pid` now: it never comes to mean another one (`pidfd_open(2)`).
pub(super) fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: two numbers go in, a number comes out.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends the signal with this number to the process behind `pidfd` (`pidfd_send_signal(2)`).
pub(super) fn signal_pidfd(pidfd: &OwnedFd, number: i32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and a null siginfo means that the kernel fills one in as for kill(2).
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, info, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether SIGPIPE was ignored when redlock was started; the standard library ignores it before main begins.
pub(super) fn ignored_pipe_at_start() -> bool {
    PIPE_WAS_IGNORED.load(std::sync::atomic::Ordering::Relaxed)
}

static PIPE_WAS_IGNORED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

extern "C" fn note_pipe() {
    PIPE_WAS_IGNORED.store(is_ignored(Signal::SIGPIPE), std::sync::atomic::Ordering::Relaxed);
}

// SAFETY: the loader calls the functions in this section one by one before main; this one only makes a system call and
// stores a flag.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_PIPE: extern "C" fn() = note_pipe;

/// What waitpid(2) tells of a child. Numbers and not names: a command may die of a real-time signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Exited(i32),
    Died(i32),
    Stopped(i32),
}

/// The next child that ended or was stopped, reaped if it ended; `None` when there is none now.
pub(super) fn reap() -> Option<(i32, Change)> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one number to where it is told.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
        if pid > 0 {
            return Some((pid, change(status)));
        }
        if pid == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

/// Whether there is any child, living or dead.
pub(super) fn has_children() -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes a whole siginfo to where it is told, and nothing is reaped.
    unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags) == 0 }
}

fn change(status: libc::c_int) -> Change {
    if libc::WIFEXITED(status) {
        Change::Exited(libc::WEXITSTATUS(status))
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else {
        Change::Died(libc::WTERMSIG(status))
    }
}

/// Sends the signal with this number to a process, or to a group where `whom` is negative (kill(2)).
pub(super) fn send(whom: i32, number: i32) -> io::Result<()> {
    // SAFETY: two numbers go in, a number comes out.
    if unsafe { libc::kill(whom, number) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Leaves without running anything that is to run at exit: that belongs to the process this one was split from.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: it does not return, so nothing can find what it left undone.
    unsafe { libc::_exit(code) }
}

/// Dies of the signal with this number, as if nothing had ever handled it; returns if that signal does not kill.
pub(super) fn die_of(number: i32) {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { libc::signal(number, libc::SIG_DFL) };
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is zeroed, a valid set, and gets one signal more, or none if the number is no signal's.
    unsafe { libc::sigaddset(set.as_mut_ptr(), number) };
    // SAFETY: the set was made above, and the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut()) };
    // SAFETY: a number goes in.
    unsafe { libc::raise(number) };
}

/// Has the loop watch `fd`.
pub(super) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open file until it is dropped, which the AsyncFd that owns it does last.
    let watched = unsafe { AsyncFd::register(fd) };
    Ok(watched?)
}
