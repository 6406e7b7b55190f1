//! The places of a run's record: the stream of the events, a file of its own, and the metrics of
//! the host.
//!
//! The guardian writes the record once redlock and the command are gone. So it is written exactly
//! once, whatever ends redlock, and a slow place holds up no process.

use super::clock::{self, pause};
use super::handle_file::NewFile;
use crate::lock::Time;
use crate::policy::{METRICS_MAX, Record, updated_metrics};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::poll::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The record of a run that has ended or may be killed, and its places.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Will {
    /// The record.
    pub record: Record,
    /// Whether the run has ended. If not, the times are set when the record is written.
    pub is_final: bool,
    /// Beginning of the run.
    pub begun: Time,
    /// Time of the acquisition.
    pub acquired: Option<Time>,
    /// `--events`.
    pub events: Option<EventTarget>,
    /// `--result`.
    pub result: Option<OsString>,
    /// `--metrics`.
    pub metrics: Option<OsString>,
}

/// The stream of the events.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum EventTarget {
    /// A file, a FIFO or a device.
    File(OsString),
    /// A descriptor that redlock inherited.
    Descriptor(i32),
}

impl EventTarget {
    /// Opens the stream for another line. A FIFO is opened without a wait for its reader. A
    /// descriptor is closed for the command, since the reader would wait for the end of the
    /// command.
    ///
    /// # Errors
    /// When the file cannot be written, or there is no such descriptor.
    pub fn open(&self) -> io::Result<File> {
        let file = match self {
            Self::File(path) => {
                let is_fifo = std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo());
                let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
                OpenOptions::new()
                    .append(true)
                    .read(is_fifo)
                    .create(true)
                    .mode(0o644)
                    .custom_flags(flags)
                    .open(path)?
            }
            Self::Descriptor(number) => super::sys::borrow(*number)?,
        };
        Ok(file)
    }
}

/// Time limit for a stream that blocks, in milliseconds.
const STREAM: u16 = 1_000;

/// Number of tries to lock the metrics, and pause between two, in milliseconds.
const TRIES: u16 = 250;
const AGAIN: u16 = 20;

impl Will {
    /// Tries to open every place, before there is a record to write.
    ///
    /// # Errors
    /// The option of a place that cannot be written, and the reason.
    pub fn try_places(&self) -> Result<(), (&'static str, io::Error)> {
        let of = |option| move |error| (option, error);
        if let Some(events) = &self.events {
            events.open().map_err(of("--events"))?;
        }
        if let Some(path) = &self.result {
            new_file(Path::new(path)).map_err(of("--result"))?;
        }
        if let Some(path) = &self.metrics {
            let path = Path::new(path);
            lock_file(path).and_then(|_| new_file(path)).map_err(of("--metrics"))?;
        }
        Ok(())
    }

    /// Writes the record to all its places. Errors are ignored.
    pub fn execute(&self) {
        let mut record = self.record.clone();
        if !self.is_final {
            record.time(self.begun, self.acquired, clock::now());
            record.ran = self.acquired.is_some();
            record.fence = record.fence.filter(|_| record.ran);
        }
        let since_1970 = clock::since_1970().as_millis();
        record.at_ms = u64::try_from(since_1970).unwrap_or(u64::MAX);
        // A struct of strings and numbers always has a JSON form.
        let line = serde_json::to_string(&record).unwrap_or_default() + "\n";
        if let Some(events) = &self.events {
            let _ = events.open().and_then(|stream| append(&stream, &line));
        }
        if let Some(path) = &self.result {
            let _ = new_file(Path::new(path)).and_then(|file| file.persist(&line, true));
        }
        if let Some(path) = &self.metrics {
            let _ = update_metrics(Path::new(path), &record);
        }
    }

    /// Keeps the descriptor of the events from the command.
    pub(super) fn keep_from_command(&self) {
        if let Some(target @ EventTarget::Descriptor(_)) = &self.events {
            let _ = target.open();
        }
    }
}

/// Writes a line to a stream that may block.
fn append(stream: &File, line: &str) -> io::Result<()> {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut fds, STREAM) != Ok(1) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match nix::unistd::write(stream, rest) {
            Ok(count @ 1..) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A file to replace the one at `path`. A device, a pipe or a directory there is an error.
fn new_file(path: &Path) -> io::Result<NewFile> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::other("it is no regular file")),
        _ => NewFile::create_with(path, 0o644),
    }
}

/// The file beside the metrics whose file lock admits one process at a time.
fn lock_file(path: &Path) -> io::Result<File> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.lock"));
    let flags = OFlag::O_NONBLOCK.bits();
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(beside)
}

/// Updates the metrics under a lock on a file beside them, since each update replaces the file.
fn update_metrics(path: &Path, record: &Record) -> io::Result<()> {
    let mut file = lock_file(path)?;
    let mut tries = 0;
    let lock = loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => break lock,
            Err((same, Errno::EAGAIN)) if tries < TRIES => {
                // The kernel has no event for the release of a file lock.
                pause(AGAIN);
                (file, tries) = (same, tries + 1);
            }
            Err((_, errno)) => return Err(errno.into()),
        }
    };
    let mut text = String::new();
    let limit = u64::try_from(METRICS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    // If the file is missing or cannot be parsed, the metrics begin anew.
    let _ = File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text));
    new_file(path)?.persist(&updated_metrics(&text, record), true)?;
    drop(lock);
    Ok(())
}
