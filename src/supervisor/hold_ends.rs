//! The ends of a hold other than signals: the end of a process, the end of the standard input, and
//! the end of the parent that waits for the handle.

use super::sys;
use nix::unistd::Pid;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use tokio::io::unix::AsyncFd;

/// The ends that a hold waits for, before the runtime exists.
#[derive(Debug, Default)]
pub struct HoldWatch {
    process: Option<OwnedFd>,
    input: bool,
    parent: Option<OwnedFd>,
}

impl HoldWatch {
    /// Ends the hold when the process that has the pid `pid` now has ended.
    ///
    /// # Errors
    /// When there is no such process, or the system has no pidfds (`pidfd_open(2)`).
    pub fn watch_process(&mut self, pid: i32) -> io::Result<()> {
        self.process = Some(sys::pidfd(Pid::from_raw(pid))?);
        Ok(())
    }

    /// Ends the hold at the end of the standard input.
    ///
    /// # Errors
    /// When the standard input is a file or a device without an end, such as `/dev/null`.
    pub fn watch_input(&mut self) -> io::Result<()> {
        let kind = fs::metadata("/proc/self/fd/0")?.file_type();
        let has_end = kind.is_fifo() || kind.is_socket() || io::stdin().is_terminal();
        self.input = has_end;
        if has_end { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// The numbers of the descriptors that are watched.
    #[must_use]
    pub fn descriptors(&self) -> Vec<i32> {
        self.process.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// Ends the hold when `parent` ends before it has acknowledged the handle by one byte.
    pub(super) fn watch_parent(&mut self, parent: OwnedFd) {
        self.parent = Some(parent);
    }

    /// The ends, for the loop.
    ///
    /// # Errors
    /// When the system refuses a descriptor, or outside a tokio runtime.
    pub fn listen(self) -> io::Result<HoldEnds> {
        let input = if self.input {
            let stdin = io::stdin().as_fd().try_clone_to_owned()?;
            Some(sys::status(stdin)?)
        } else {
            None
        };
        Ok(HoldEnds {
            process: self.process.map(sys::status).transpose()?,
            input,
            parent: self.parent.map(sys::status).transpose()?,
            is_detached: false,
        })
    }
}

/// The ends of a hold.
#[derive(Debug)]
pub struct HoldEnds {
    process: Option<AsyncFd<OwnedFd>>,
    input: Option<AsyncFd<OwnedFd>>,
    parent: Option<AsyncFd<OwnedFd>>,
    /// Whether the parent has acknowledged the handle since the last call of `was_detached`.
    is_detached: bool,
}

/// One of the ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HoldEnd {
    /// The watched process is gone, or the standard input has ended.
    Watched,
    /// The parent is gone, and has not acknowledged the handle.
    ParentGone,
    /// The parent has acknowledged the handle.
    Detached,
}

impl HoldEnds {
    /// The next end. None is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> HoldEnd {
        let end = tokio::select! {
            () = readable(self.process.as_ref()) => HoldEnd::Watched,
            () = ended(self.input.as_ref()) => HoldEnd::Watched,
            is_acknowledged = first_byte(self.parent.as_ref()) => {
                if is_acknowledged { HoldEnd::Detached } else { HoldEnd::ParentGone }
            }
        };
        match end {
            HoldEnd::Watched => (self.process, self.input) = (None, None),
            HoldEnd::ParentGone => self.parent = None,
            HoldEnd::Detached => (self.parent, self.is_detached) = (None, true),
        }
        end
    }

    /// Whether the parent has acknowledged since the last call.
    pub(super) const fn was_detached(&mut self) -> bool {
        std::mem::replace(&mut self.is_detached, false)
    }
}

async fn readable(fd: Option<&AsyncFd<OwnedFd>>) {
    let Some(fd) = fd else { return std::future::pending().await };
    // An error of the runtime does not mean that the process has ended.
    if fd.readable().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Reads until there is no more.
async fn ended(input: Option<&AsyncFd<OwnedFd>>) {
    while read(input).await.is_some_and(|count| count > 0) {}
}

async fn first_byte(parent: Option<&AsyncFd<OwnedFd>>) -> bool {
    read(parent).await == Some(1)
}

/// The number of bytes of one read of a readable descriptor. `None` is an error.
async fn read(fd: Option<&AsyncFd<OwnedFd>>) -> Option<usize> {
    let Some(fd) = fd else { return std::future::pending().await };
    let mut ready = fd.readable().await.ok()?;
    let result = nix::unistd::read(fd.get_ref(), &mut [0; 4096]);
    ready.clear_ready();
    result.ok()
}
