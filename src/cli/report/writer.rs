//! A queue of lines for stderr, which may block: a full pipe, a pager that waits, a terminal after
//! Ctrl-S.
//!
//! A thread writes the lines, so that no other code blocks. The first line starts the thread: a
//! silent run has none.
//!
//! Other ways fail for some kinds of stderr. `O_NONBLOCK` belongs to the open file description,
//! which the command shares. After a poll(2), another process may fill the pipe before the write.
//! /proc/self/fd/2 cannot be opened again if another user owns it, or if it is a socket.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::write;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines in the queue. A loss seen by nine instances takes fewer than thirty.
const ROOM: usize = 64;

/// Bytes of the thread's stack.
const STACK: usize = 0x1_0000;

/// How long the end of redlock waits for a stream that blocks.
const LAST: Duration = Duration::from_secs(1);

/// A bounded queue of lines, and the thread that writes them to a stream. Dropping it waits a
/// little for the last lines.
#[derive(Debug)]
pub(super) struct Writer<S: AsFd + Send + Sync + 'static>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    stream: S,
    state: Mutex<WriterState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WriterState {
    has_thread: bool,
    lines: VecDeque<String>,
    /// Lines that found no room and are not yet mentioned in the stream.
    dropped: u32,
    /// A line has left the queue and is not written yet.
    is_writing: bool,
    /// Whether dropped lines are not mentioned in the stream.
    is_silent: bool,
    /// Lines that found no room, or that the stream refused.
    lost: u32,
}

impl WriterState {
    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.is_writing && self.dropped == 0
    }

    fn push(&mut self, line: String) {
        if self.lines.len() < ROOM {
            let count = self.count();
            self.lines.extend(count.into_iter().chain([line]));
        } else {
            self.drop_line();
        }
    }

    fn drop_line(&mut self) {
        self.lost = self.lost.saturating_add(1);
        if !self.is_silent {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// The next text to write: a line, or after the last one the message about dropped lines.
    fn next(&mut self) -> Option<String> {
        let next = self.lines.pop_front().or_else(|| self.count());
        self.is_writing = next.is_some();
        next
    }

    /// The message about the lines that were dropped since the last call. `None` if there are none.
    fn count(&mut self) -> Option<String> {
        match std::mem::take(&mut self.dropped) {
            0 => None,
            1 => Some("redlock: 1 message was dropped: stderr was full\n".to_owned()),
            count => Some(format!("redlock: {count} messages were dropped: stderr was full\n")),
        }
    }
}

impl<S: AsFd + Send + Sync + 'static> Shared<S> {
    fn state(&self) -> MutexGuard<'_, WriterState> {
        // The process aborts at a panic, so the lock is never poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop of the thread.
    fn write_all(&self) {
        let mut state = self.state();
        loop {
            if let Some(line) = state.next() {
                drop(state);
                let is_written = print(&self.stream, &line);
                state = self.state();
                state.is_writing = false;
                if !is_written {
                    state.lost = state.lost.saturating_add(1);
                }
                self.changed.notify_all();
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl<S: AsFd + Send + Sync + 'static> Writer<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Shared { stream, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Queues a line and returns at once. Without room, the line is dropped, and the next line that
    /// finds room is preceded by the number of dropped ones.
    pub(super) fn write(&self, line: String) {
        let mut state = self.0.state();
        if !state.has_thread && self.start_thread().is_err() {
            return self.write_without_thread(&mut state, &line);
        }
        state.has_thread = true;
        state.push(line);
        self.0.changed.notify_all();
    }

    /// A writer that does not mention dropped lines in the stream.
    pub(super) fn silent(stream: S) -> Self {
        let writer = Self::new(stream);
        writer.0.state().is_silent = true;
        writer
    }

    /// The number of lines that the stream did not take: dropped, refused, or not written yet.
    pub(super) fn lost(&self) -> u32 {
        let state = self.0.state();
        let late = state.lines.len().saturating_add(usize::from(state.is_writing));
        state.lost.saturating_add(u32::try_from(late).unwrap_or(u32::MAX))
    }

    /// Whether all lines are written.
    pub(super) fn is_idle(&self) -> bool {
        self.0.state().is_idle()
    }

    /// Waits until all lines are written, for `longest` at most.
    pub(super) fn settle(&self, longest: Duration) {
        let state = self.0.state();
        if state.has_thread {
            // After the time limit, the lines in the queue may be lost.
            drop(self.0.changed.wait_timeout_while(state, longest, |state| !state.is_idle()));
        }
    }

    /// Every signal is blocked in the thread: those that redlock waits for must not be delivered
    /// there, and on a terminal with `stty tostop`, SIGTTOU would stop redlock in the background.
    fn start_thread(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let thread = std::thread::Builder::new().name("stderr".to_owned()).stack_size(STACK);
        let started = thread.spawn(move || shared.write_all());
        before.thread_set_mask()?;
        started.map(drop)
    }

    /// Writes a line if the system has no thread to spare (`RLIMIT_NPROC`, `pids.max`), which the
    /// line may be about. The stream must be writable now. The write still blocks if another
    /// process fills the stream between the poll and the write.
    fn write_without_thread(&self, state: &mut WriterState, line: &str) {
        if is_writable(&self.0.stream, PollTimeout::ZERO) {
            let count = state.count().unwrap_or_default();
            let _ = print(&self.0.stream, &count);
            if !print(&self.0.stream, line) {
                state.lost = state.lost.saturating_add(1);
            }
        } else {
            state.drop_line();
        }
    }
}

impl<S: AsFd + Send + Sync + 'static> Drop for Writer<S> {
    fn drop(&mut self) {
        self.settle(LAST);
    }
}

/// Writes a line and blocks as long as that takes: in one piece if the stream takes one, so that
/// the lines of several processes do not mix. Returns whether the line is written. An error, such
/// as a full disk or a closed pipe, is no reason to stop holding a lock.
pub(super) fn print(stream: &impl AsFd, line: &str) -> bool {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match write(stream, rest) {
            Ok(length @ 1..) => rest = rest.get(length..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // Another process has set `O_NONBLOCK` on the open file description.
            Err(Errno::EAGAIN) if is_writable(stream, PollTimeout::NONE) => {}
            _ => return false,
        }
    }
    true
}

/// Whether a write would not block, after waiting for `longest`.
fn is_writable(stream: &impl AsFd, longest: PollTimeout) -> bool {
    poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], longest) == Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::unistd::{pipe, read};
    use std::os::fd::OwnedFd;

    /// Both ends of a pipe in which there is no room, and how many bytes are in it.
    fn full_pipe() -> (OwnedFd, OwnedFd, usize) {
        let (near, far) = pipe().unwrap();
        fcntl(&far, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut count = 0;
        while let Ok(written) = write(&far, b"x") {
            count += written;
        }
        fcntl(&far, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        (near, far, count)
    }

    /// Reads so many bytes.
    fn take(near: &OwnedFd, mut count: usize) -> String {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while count > 0 {
            let most = count.min(buffer.len());
            let length = read(near, &mut buffer[..most]).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            count -= length;
        }
        text
    }

    /// Reads until this line.
    fn take_until(near: &OwnedFd, last: &str) -> Vec<String> {
        let mut text = String::new();
        while !text.ends_with(last) {
            text.push_str(&take(near, 1));
        }
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_full_pipe_holds_nothing_up_and_later_gets_all_that_waited() {
        let (near, far, count) = full_pipe();
        let writer = Writer::new(far);
        writer.write("one\n".to_owned());
        writer.write("two\n".to_owned());
        assert!(!writer.is_idle());
        take(&near, count);
        writer.settle(Duration::from_secs(60));
        assert!(writer.is_idle());
        assert_eq!(take(&near, 8), "one\ntwo\n");
    }

    #[test]
    fn lines_that_find_no_room_are_counted_before_the_next_one() {
        let (near, far, count) = full_pipe();
        let writer = Writer::new(far);
        // The thread may hold one line besides those in the queue.
        let sent = ROOM + 4;
        (0..sent).for_each(|number| writer.write(format!("{number}\n")));
        take(&near, count);
        let mut lines = take_until(&near, "full\n");
        let dropped = match lines.pop().unwrap().as_str() {
            "redlock: 3 messages were dropped: stderr was full" => 3,
            "redlock: 4 messages were dropped: stderr was full" => 4,
            other => panic!("{other}"),
        };
        let kept: Vec<_> = (0..sent - dropped).map(|number| number.to_string()).collect();
        assert_eq!(lines, kept);
        writer.write("next\n".to_owned());
        assert_eq!(take_until(&near, "next\n"), ["next"], "they are counted once");
    }

    #[test]
    fn the_count_stands_where_the_lines_would_have_stood() {
        let mut state = WriterState::default();
        (0..ROOM).for_each(|number| state.push(number.to_string()));
        state.push("dropped".to_owned());
        state.next().unwrap();
        state.push("later".to_owned());
        let rest: Vec<_> = std::iter::from_fn(|| state.next()).skip(ROOM - 1).collect();
        assert_eq!(rest, ["redlock: 1 message was dropped: stderr was full\n", "later"]);
    }

    #[test]
    fn without_a_thread_a_full_pipe_holds_nothing_up_either() {
        let (near, far, count) = full_pipe();
        let (writer, mut state) = (Writer::new(far), WriterState::default());
        writer.write_without_thread(&mut state, "one\n");
        writer.write_without_thread(&mut state, "two\n");
        take(&near, count);
        writer.write_without_thread(&mut state, "three\n");
        let said = take_until(&near, "three\n");
        assert_eq!(said, ["redlock: 2 messages were dropped: stderr was full", "three"]);
    }

    #[test]
    fn a_stream_that_is_non_blocking_already_gets_whole_lines() {
        let (near, far, count) = full_pipe();
        fcntl(&far, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let writer = Writer::new(far);
        writer.write("late\n".to_owned());
        take(&near, count);
        assert_eq!(take_until(&near, "late\n"), ["late"]);
    }

    #[test]
    fn a_stream_that_is_closed_is_given_up() {
        let (near, far) = pipe().unwrap();
        drop(near);
        let writer = Writer::new(far);
        writer.write("no process reads this\n".to_owned());
        writer.settle(Duration::from_secs(60));
        assert!(writer.is_idle());
    }
}
