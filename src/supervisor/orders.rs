//! What redlock and its guardian say to each other: one line of JSON each, over a socket pair.

use super::spawn::Program;
use super::sys::Change;
use crate::lock::Time;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Until when the gate is open, where it is shut.
pub(super) const NO_GATE: Time = Time::from_nanos(0);

/// From redlock to the guardian.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Order {
    /// Programs are known by the number of those that were named before them.
    Enlist(Program),
    /// The same, and have a child ready to become this program, the first, as soon as the gate opens.
    Poise(Program),
    /// Start the program with this number, with these extra variables, unless it is `stop_at` or later.
    Start { program: usize, extra: Vec<(String, String)>, stop_at: u64 },
    /// Look what the lines of the command are, as whoever wakes does.
    Look,
    /// Send a signal to the command's group, and SIGCONT after it if the command is to wake for it.
    Signal { number: i32, wake: bool },
    /// Kill every descendant until none is left.
    Kill,
    /// Say when no descendant is left.
    Await,
    /// Leave everybody alone and go.
    Dismiss,
}

/// Orders that have come, and are not carried out yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    orders: VecDeque<Order>,
}

impl Inbox {
    /// Adds what was read.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // A command may be megabytes long: it is looked through when its end is there.
        while bytes.contains(&b'\n')
            && let Some(order) = take(&mut self.bytes)
        {
            self.orders.push_back(order);
        }
    }

    /// Takes the next to carry out. While a child is on its way to become a program, most wait: they are for what it will be.
    pub(super) fn next(&mut self, is_launching: bool) -> Option<Order> {
        let next = self.orders.iter().position(|order| !is_launching || matches!(order, Order::Look | Order::Kill))?;
        self.orders.remove(next)
    }
}

/// From the guardian to redlock.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Word {
    /// A program runs.
    Started { pid: i32 },
    /// It could not be started; the system's error number.
    NotStarted { errno: i32 },
    /// It was not started, because it was too late.
    TooLate,
    /// The process was stopped by a signal.
    Stopped { pid: i32, signal: i32 },
    /// The process exited.
    Exited { pid: i32, code: i32, at: u64 },
    /// The process died of a signal.
    Died { pid: i32, signal: i32, at: u64 },
    /// The moment has come at which the guardian kills the tree by itself.
    Expired,
    /// Nobody of the tree is left.
    Gone,
    /// One of the tree cannot be killed by us.
    Untouchable { pid: i32 },
}

impl Word {
    /// What became of a process, as was seen at that moment.
    pub(super) const fn of(pid: i32, change: Change, at: Time) -> Self {
        match change {
            Change::Exited(code) => Self::Exited { pid, code, at: stamp(at) },
            Change::Died(signal) => Self::Died { pid, signal, at: stamp(at) },
            Change::Stopped(signal) => Self::Stopped { pid, signal },
        }
    }
}

/// A moment as it is sent.
pub(super) const fn stamp(at: Time) -> u64 {
    at.as_nanos()
}

/// The line of a message, with its end.
pub(super) fn line(message: &impl Serialize) -> Vec<u8> {
    // A struct of numbers and strings always has a JSON form.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Takes the first whole line off `buffer`; `None` until there is one. A line that is no message is dropped.
pub(super) fn take<T: for<'a> Deserialize<'a>>(buffer: &mut Vec<u8>) -> Option<T> {
    loop {
        let end = buffer.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = buffer.drain(..=end).collect();
        if let Ok(message) = serde_json::from_slice(&line) {
            return Some(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let program = Program {
            argv: vec!["a b".into(), OsString::from_vec(vec![0xFF, b'"'])],
            variables: vec![],
            hidden: vec!["C".into()],
            terminal: None,
        };
        let orders = [
            Order::Enlist(program.clone()),
            Order::Poise(program),
            Order::Look,
            Order::Start { program: 1, extra: vec![("A".into(), "b\n\"c".into())], stop_at: u64::MAX },
            Order::Signal { number: 15, wake: true },
            Order::Dismiss,
        ];
        let bytes: Vec<u8> = orders.iter().flat_map(line).collect();
        let mut inbox = Inbox::default();
        for byte in bytes {
            inbox.add(&[byte]);
        }
        let urgent = inbox.next(true);
        assert_eq!(urgent.as_ref(), orders.get(2));
        assert_eq!(inbox.next(true), None, "all others wait");
        let rest = std::iter::from_fn(|| inbox.next(false));
        assert!(rest.eq(orders.iter().filter(|order| Some(*order) != urgent.as_ref()).cloned()));
        assert!(inbox.bytes.is_empty());
    }
}
