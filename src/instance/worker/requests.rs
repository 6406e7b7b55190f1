//! Which requests are sent, which wait for something, and which are answered without being sent.

use super::super::link::Ears;
use super::super::reply;
use super::{State, Worker};
use crate::lock::{Answer, Ask, Heard, Parting, Release, Time, Unknown};
use std::collections::VecDeque;

impl Worker {
    /// For how many time limits a connection owes an answer before a second one is made.
    const SILENT_LIMITS: u32 = 2;
    /// How many requests one connection may owe answers to. A waiter asks for years.
    const UNANSWERED_MAX: usize = 16;

    /// Takes a request; [`Worker::work`] sends it.
    pub(in super::super) fn ask(&mut self, sent: Time, ask: Ask, heard: &mut VecDeque<Heard>) {
        if let Ask::Release { attempt, parting, .. } = &ask
            && self.planted.is_empty()
            && !self.is_queued(*parting)
        {
            // Where nothing was ever sent there is nothing to release: that takes back what has not been sent, and need
            // not wait for a server that hangs.
            for (sent, ask) in std::mem::take(&mut self.waiting).into_iter().chain(self.held.take()) {
                self.tell(sent, reply::without_reply(&ask, Unknown::TimedOut), heard);
            }
            return self.tell(sent, Answer::Release(*attempt, Release::Nothing), heard);
        }
        if self.under_way.len() >= Self::UNANSWERED_MAX
            && let Some(answer) = self.without_sending(&ask)
        {
            return self.tell(sent, answer, heard);
        }
        if let Ask::Release { slot, value, parting: Parting::Leave { .. }, .. } = &ask {
            self.aside.release(&self.conduct.release(*slot, value, Parting::Stay));
        }
        self.waiting.push_back((sent, ask));
    }

    /// The answer to what is not sent behind so many requests that none was answered. Only what holds a lock or takes it
    /// back is.
    fn without_sending(&self, ask: &Ask) -> Option<Answer> {
        match ask {
            Ask::Acquire { .. } | Ask::Watch(_) => Some(reply::without_reply(ask, Unknown::TimedOut)),
            Ask::Release { attempt, value, parting: Parting::Stay, .. } if !self.planted.has(value) => {
                Some(Answer::Release(*attempt, Release::Nothing))
            }
            Ask::Extend { .. } | Ask::Release { .. } => None,
        }
    }

    /// Whether the connection has answered once, and has owed an answer for so long that `ask`, decided at `sent`, is not to
    /// wait for it. A release waits: it belongs behind what was sent before it.
    pub(super) fn is_silent(&self, sent: Time, ask: &Ask) -> bool {
        let State::Together(_, link) = &self.state else { return false };
        let limit = self.conduct.op_timeout * Self::SILENT_LIMITS;
        link.has_answered()
            && !matches!(ask, Ask::Release { .. })
            && self.under_way.front().is_some_and(|oldest| sent.since(oldest.sent) >= limit)
    }

    /// Whether `ask` has to be held back until something else on this connection was answered.
    ///
    /// An extension is not sent behind an unanswered request but after it, so that only a release ever is: a server that
    /// wakes up when redlock is gone reads no further than to the second record of TLS, since what it answers to the first
    /// one comes back refused. A place in line is asked for once the server has said whether it can wake anybody.
    pub(super) fn is_early(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Extend { .. } => !self.under_way.is_empty(),
            Ask::Watch(Some(_)) => self.ears().is_some_and(|ears| !ears.is_greeted()),
            _ => false,
        }
    }

    /// Answers what was not sent.
    pub(super) fn take_back(&self, held: Option<(Time, Ask)>, heard: &mut VecDeque<Heard>) {
        if let Some((sent, ask)) = held {
            self.tell(sent, reply::without_reply(&ask, Unknown::TimedOut), heard);
        }
    }

    /// Whether there is a place in a queue to leave. With the connection it is lost by itself.
    fn is_queued(&self, parting: Parting) -> bool {
        matches!(parting, Parting::Leave { .. }) && self.ears().is_some_and(Ears::has_asked)
    }
}
