//! redlock's handle of the guardian: commands and events.

use super::super::record::Will;
use super::super::sys;
use super::descendants::Descendants;
use super::process;
use super::protocol::{GuardianCommand, GuardianEvent, Inbox, Means, Missing, Outbox, Readiness};
use super::spawn::{Inherited, Program};
use crate::lock::Time;
use crate::policy::{ChildEvent, Signal};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use tokio::io::unix::AsyncFd;

/// Splits off a guardian, which removes the directory `litter` at its end. A guardian that ends
/// without a dismissal has killed every descendant. An early split has less memory to copy.
///
/// # Errors
/// When the system refuses a socket or a process.
pub fn split_off(litter: Option<PathBuf>) -> io::Result<GuardianHandle> {
    let inherited = Inherited::note()?;
    let (ours, theirs) = UnixStream::pair()?;
    match sys::split()? {
        ForkResult::Parent { child } => Ok(GuardianHandle {
            socket: ours,
            outbox: RefCell::default(),
            kill_at: Cell::new(Time::NEVER),
            is_gone: Cell::new(false),
            has_will: Cell::new(false),
            means: Cell::default(),
            inherited,
            pid: child,
        }),
        ForkResult::Child => {
            drop(ours);
            let code = process::guard(&theirs, inherited);
            if let Some(litter) = litter {
                // A missing directory needs no removal.
                let _ = std::fs::remove_dir_all(litter);
            }
            // The guardian has no output of redlock's to flush or report. The exit handlers are
            // redlock's alone.
            sys::exit_now(code)
        }
    }
}

/// The guardian, as seen by redlock.
#[derive(Debug)]
pub struct GuardianHandle {
    socket: UnixStream,
    outbox: RefCell<Outbox>,
    /// The last deadline that was sent to the guardian.
    kill_at: Cell<Time>,
    /// Whether the guardian's end is known. Its pid may then mean another process.
    is_gone: Cell<bool>,
    /// Whether the guardian has a will to write at the end.
    has_will: Cell<bool>,
    /// The means that the guardian has tested.
    means: Cell<Means>,
    inherited: Inherited,
    pid: Pid,
}

impl GuardianHandle {
    /// Waits until the guardian has tested its means to end a command. Makes redlock the subreaper
    /// above the guardian.
    ///
    /// # Errors
    /// Means that the guardian, or redlock after the guardian, needs and does not have.
    pub fn until_ready(&self) -> Result<(), Missing> {
        prctl::set_child_subreaper(true)?;
        self.socket.set_nonblocking(true)?;
        let mut inbox = Inbox::default();
        loop {
            let is_open = inbox.fill(&self.socket);
            match inbox.next::<Readiness>() {
                Some(readiness) => return readiness.map(|means| self.means.set(means)),
                None if !is_open => return Err(Missing::Guardian),
                None => {}
            }
            self.wake();
            // The first message comes within a millisecond, unless the system has no free
            // processor.
            if !matches!(
                poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], READY),
                Ok(1..)
            ) {
                return Err(Missing::Guardian);
            }
        }
    }

    /// Means by which redlock kills the tree itself after the guardian's death. Call it once the
    /// guardian is ready.
    pub(in super::super) fn descendants(&self) -> Descendants {
        Descendants::tested(self.means.get())
    }

    /// Starts `program` under the number `id`, unless that is at `stop_at` or later. The tree dies
    /// at `kill_at`. Later signals are for this program.
    pub fn start(&self, id: u32, program: Program, stop_at: Time, kill_at: Time) {
        self.kill_at.set(kill_at);
        self.send(&GuardianCommand::Start { id, program, stop_at, kill_at });
    }

    /// Sets the moment at which the tree dies, even if redlock fails.
    pub fn set_kill_deadline(&self, kill_at: Time) {
        if self.kill_at.replace(kill_at) != kill_at {
            self.send(&GuardianCommand::SetKillDeadline(kill_at));
        }
    }

    /// Sends `signal` to the command. Wakes a stopped command if `wake` is set.
    pub fn signal(&self, signal: Signal, wake: bool) {
        self.send(&GuardianCommand::Signal { number: signal.number(), wake });
    }

    /// Wakes the command if it is still stopped by the stop that was reported as number `stops`.
    pub fn resume(&self, stops: u32) {
        self.send(&GuardianCommand::Continue { stops });
    }

    /// Kills the tree.
    pub fn kill(&self) {
        self.send(&GuardianCommand::Kill);
    }

    /// Requests an event for the moment when no process of the tree is left.
    pub fn wait_for_tree(&self) {
        self.send(&GuardianCommand::Await);
    }

    /// Sets the process group of a hook, which dies with redlock.
    pub(in super::super) fn set_hook(&self, group: Option<i32>) {
        self.send(&GuardianCommand::SetHook(group));
    }

    /// Sets the record that the guardian writes once redlock and every descendant are gone.
    pub fn set_will(&self, will: Will) {
        self.has_will.set(true);
        self.send(&GuardianCommand::SetWill(Box::new(will)));
    }

    /// Dismisses the guardian without harm to any process.
    pub fn dismiss(&self) {
        self.send(&GuardianCommand::Dismiss);
    }

    /// Dismisses a guardian that is not needed, and waits for its end.
    pub fn let_go(self) {
        self.dismiss();
        self.see_off();
    }

    /// Dismisses a guardian that is not needed, and becomes `program`. Returns only if the system
    /// refuses the program.
    #[must_use]
    pub fn let_go_and_become(self, program: &Program) -> io::Error {
        let inherited = self.inherited;
        self.let_go();
        let Err(error) = program.replace_redlock(inherited);
        error
    }

    /// Waits until the guardian has exited, and reaps it: for 1 s at most, or 5 s if it has a will
    /// to write. Only a frozen guardian or a slow place of the record takes so long.
    pub fn see_off(self) {
        let Self { socket, pid, has_will, .. } = self;
        // Tells the guardian that redlock has gone. The other direction stays open: its end is the
        // guardian's exit.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        let is_leaving =
            matches!(poll(&mut fds, if has_will.get() { WRITING } else { LEAVING }), Ok(1..));
        let _ = waitpid(pid, (!is_leaving).then_some(WaitPidFlag::WNOHANG));
    }

    /// A listener to the guardian's events.
    ///
    /// # Errors
    /// When the system refuses another descriptor, or outside a tokio runtime.
    pub fn listen(&self) -> io::Result<EventListener> {
        Ok(EventListener {
            socket: sys::status(self.socket.try_clone()?.into())?,
            inbox: Inbox::default(),
            stops: 0,
        })
    }

    /// Whether the guardian's socket has not taken every byte yet. [`GuardianHandle::flush`] tries
    /// again.
    pub(in super::super) fn has_backlog(&self) -> bool {
        !self.outbox.borrow().is_empty()
    }

    /// Writes without blocking.
    pub(in super::super) fn flush(&self) {
        // The listener notices a dead guardian.
        let _ = self.outbox.borrow_mut().flush(&self.socket);
    }

    /// Notes that the guardian is gone, so that its pid is not used any more.
    pub(in super::super) fn forget(&self) {
        self.is_gone.set(true);
    }

    fn send(&self, command: &GuardianCommand) {
        if !self.is_gone.get() {
            self.outbox.borrow_mut().add(command);
            self.flush();
            self.wake();
        }
    }

    /// Continues a guardian that was stopped, for example by a command that stops its parent.
    fn wake(&self) {
        let _ = sys::send(self.pid.as_raw(), nix::libc::SIGCONT);
    }
}

/// Time for the guardian to be ready, and time to leave, in milliseconds.
const READY: u16 = 10_000;
const LEAVING: u16 = 1_000;

/// Time for the guardian to write the will, in milliseconds. The caller may read the record as soon
/// as redlock is gone.
const WRITING: u16 = 5_000;

/// Receives the guardian's events.
#[derive(Debug)]
pub struct EventListener {
    socket: AsyncFd<OwnedFd>,
    inbox: Inbox,
    /// Number of stops of the command that were reported.
    stops: u32,
}

impl EventListener {
    /// The number of the last stop of the command that was reported.
    #[must_use]
    pub const fn stops(&self) -> u32 {
        self.stops
    }

    /// The next event. `None` when the guardian is gone. No event is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<GuardianEvent> {
        let event = loop {
            if let Some(event) = self.inbox.next::<GuardianEvent>() {
                break event;
            }
            let mut ready = self.socket.readable().await.ok()?;
            if !self.inbox.fill(Reader(self.socket.get_ref())) {
                break self.inbox.next()?;
            }
            ready.clear_ready();
        };
        self.stops += u32::from(matches!(event.what, ChildEvent::Stopped(_)));
        Some(event)
    }
}

struct Reader<'a>(&'a OwnedFd);

impl io::Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(self.0, bytes)?)
    }
}
