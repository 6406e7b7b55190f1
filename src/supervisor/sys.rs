//! The system calls that Rust cannot check. Each is wrapped in a function that any caller may call safely.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Splits the process in two, while it has only one thread: the guardian is split off before redlock starts one, and
/// splits off others but never starts any.
pub(super) fn split() -> io::Result<ForkResult> {
    // Without /proc, as in an empty chroot, it is left to the order of the start.
    debug_assert!(!std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() != 1), "one thread");
    // SAFETY: there is one thread, so the child's copy of the memory is whole and nobody else holds a lock in it.
    Ok(unsafe { fork() }?)
}

/// A child that shares this process's memory until it executes a program or ends (`CLONE_VM` in clone(2)): nothing is copied.
///
/// They share `errno` too, into which free(3) puts back what it found: while there is one, that a call failed is all that its
/// parent goes by, and all that it goes by itself where failures are in the ordinary course.
pub(super) struct Apart<T: Send + Sync> {
    pid: Pid,
    /// At its end when nothing is shared any more.
    over: OwnedFd,
    work: Arc<Work<T>>,
    is_shared: bool,
    _stack: Vec<u128>,
}

struct Work<T> {
    data: T,
    body: fn(&T) -> i32,
    answer: RawFd,
}

impl<T> Work<T> {
    fn run(&self) {
        let code = (self.body)(&self.data).to_ne_bytes();
        // SAFETY: the bytes are read, and no more than there are.
        unsafe { libc::write(self.answer, code.as_ptr().cast(), code.len()) };
    }
}

impl<T: Send + Sync> Apart<T> {
    /// Starts `body` in it, on a stack of `room` bytes. It neither allocates nor panics, and calls nothing that a signal
    /// handler may not call (signal-safety(7)). If it comes back, the number that it brings is its answer.
    pub(super) fn start(data: T, room: usize, body: fn(&T) -> i32) -> io::Result<Self> {
        extern "C" fn child<T>(work: *mut libc::c_void) -> libc::c_int {
            // SAFETY: it was made from a `Work` of this type, which its parent keeps until this process ends or execs.
            unsafe { &*work.cast_const().cast::<Work<T>>() }.run();
            1
        }
        let (over, answer) = pipe2(OFlag::O_CLOEXEC)?;
        let work = Arc::new(Work { data, body, answer: answer.as_raw_fd() });
        let mut stack: Vec<u128> = Vec::with_capacity(room / size_of::<u128>());
        let is_shared = children_can_share();
        let pid = if is_shared {
            let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
            let flags = libc::CLONE_VM | libc::SIGCHLD;
            // SAFETY: the stack and the work outlive the child's use of them, since dropping them waits for its end.
            let pid = unsafe { libc::clone(child::<T>, top.cast(), flags, Arc::as_ptr(&work).cast_mut().cast()) };
            if pid == -1 { Err(io::Error::last_os_error()) } else { Ok(Pid::from_raw(pid)) }
        } else {
            match split()? {
                ForkResult::Parent { child } => Ok(child),
                ForkResult::Child => {
                    work.run();
                    exit_now(1)
                }
            }
        };
        Ok(Self { pid: pid?, over, work, is_shared, _stack: stack })
    }

    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// What the child goes by; nothing, where it has a copy of its own.
    pub(super) fn data(&self) -> Option<&T> {
        self.is_shared.then_some(&self.work.data)
    }

    /// Waits until nothing is shared any more; the answer, or `None` if it became a program, or was killed.
    pub(super) fn answer(&self) -> Option<i32> {
        let (mut answer, mut bytes) = (None, [0; size_of::<i32>()]);
        // No signal interrupts it where all are blocked, and so few bytes come at once.
        while let Ok(1..) = nix::unistd::read(&self.over, &mut bytes) {
            answer = Some(i32::from_ne_bytes(bytes));
        }
        answer
    }
}

/// Whether the system knows children that share memory and are no threads. Emulators (`qemu-user`, valgrind) do not, one of them
/// to the point of giving up; nor do they know clone3(2), which can be asked for. The kernel refuses to do it with nothing.
fn children_can_share() -> bool {
    // SAFETY: no arguments, of no bytes.
    let result = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<libc::c_void>(), 0) };
    result == -1 && Errno::last() == Errno::EINVAL
}

impl<T: Send + Sync> AsFd for Apart<T> {
    /// Readable when there is an answer, or when nothing is shared any more.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.over.as_fd()
    }
}

impl<T: Send + Sync> Drop for Apart<T> {
    fn drop(&mut self) {
        self.answer();
    }
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

/// Whether SIGPIPE was ignored when redlock was started, as systemd has it by default: the command gets that back.
///
/// The standard library ignores SIGPIPE before main begins, and the kernel does not remember what was there before.
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

/// Has the loop watch for what there is to read from `fd`. That there is room to write again is nothing to wake up for.
pub(super) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open file until it is dropped, which the AsyncFd that owns it does last.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}
