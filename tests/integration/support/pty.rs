//! A terminal with a program, and keys that a test types.

use super::clock::{PATIENCE, until, within};
use super::run::{Run, inherit};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_Z: &str = "\u{1a}";

/// The master end of a terminal, and the program on it.
pub(crate) struct Pty {
    child: Child,
    /// `None` once the terminal is closed.
    terminal: Option<Arc<File>>,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen was read by [`Pty::read_until`].
    read: usize,
}

impl Pty {
    /// Starts the program in a session of its own, with a new controlling terminal.
    pub(crate) fn start(run: Run) -> Self {
        let (near, far) = open();
        let far = || Stdio::from(far.try_clone().expect("a second handle"));
        let inner = run.into_command();
        // `setsid` is replaced by the program, which therefore has the process id of the child.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "env", "--default-signal"])
            .arg(inner.get_program())
            .args(inner.get_args());
        inherit(&mut command, &inner);
        command.env("TERM", "xterm").env("PS1", "> ").env("HISTFILE", "");
        command.stdin(far()).stdout(far()).stderr(far());
        let child = command.spawn().expect("setsid of util-linux can be started");
        let terminal = Arc::new(near);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (theirs, ours) = (Arc::downgrade(&terminal), Arc::clone(&screen));
        thread::spawn(move || show(&theirs, &ours));
        Self { child, terminal: Some(terminal), screen, read: 0 }
    }

    /// Closes the terminal, as the end of a terminal window does.
    pub(crate) fn hang_up(&mut self) {
        self.terminal = None;
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let mut terminal = self.terminal.as_deref().expect("the terminal is open");
        terminal.write_all(keys.as_bytes()).expect("the terminal reads");
    }

    /// All that was ever shown.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().expect("no panic")).into_owned()
    }

    /// Waits until this text appears behind the text that was read so far. The echo of typed text
    /// counts.
    pub(crate) fn read_until(&mut self, text: &str) {
        let find = || {
            let screen = self.screen.lock().expect("no panic");
            let unread = &screen[self.read..];
            let at = unread.windows(text.len()).position(|window| window == text.as_bytes())?;
            Some(self.read + at + text.len())
        };
        self.read = within(PATIENCE, find).unwrap_or_else(|| {
            panic!("{text:?} did not appear on the terminal, but:\n{}", self.screen())
        });
    }

    /// The program's process.
    pub(crate) fn pid(&self) -> i32 {
        super::run::pid_of(&self.child)
    }

    /// Waits until all output is in the screen, after the last program has closed the terminal.
    pub(crate) fn until_closed(&self) {
        until("the terminal is read to its end", || Arc::strong_count(&self.screen) == 1);
    }

    /// Goes back to the beginning of the screen.
    pub(crate) fn unread(&mut self) {
        self.read = 0;
    }

    /// Types a line and waits for the answer.
    pub(crate) fn converse(&mut self, line: &str, answer: &str) {
        self.press(&format!("{line}\n"));
        self.read_until(answer);
    }

    /// Waits until the program has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let ended = within(PATIENCE, || self.child.try_wait().expect("a child"));
        ended.unwrap_or_else(|| panic!("it did not end; on the terminal:\n{}", self.screen()))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends of a new terminal. No other process must inherit the master end: the terminal would
/// never hang up.
fn open() -> (File, File) {
    let near =
        posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
    grantpt(&near).expect("our own terminal");
    unlockpt(&near).expect("our own terminal");
    let path = ptsname_r(&near).expect("a name");
    let far =
        OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path);
    (File::from(OwnedFd::from(near)), far.expect("the far end"))
}

/// Collects the output of the programs until the terminal is closed at either end.
fn show(terminal: &Weak<File>, screen: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Some(terminal) = terminal.upgrade() {
        let mut polled = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, PollTimeout::from(20_u8)) == Ok(0) {
            continue;
        }
        let Ok(length @ 1..) = (&*terminal).read(&mut buffer) else { return };
        screen.lock().expect("no panic").extend_from_slice(&buffer[..length]);
    }
}

/// Waits until the process is stopped, or continued.
pub(crate) fn until_stopped(pid: i32, stopped: bool) {
    until("the process has stopped or goes on", || {
        (super::processes::state(pid) == Some('T')) == stopped
    });
}
