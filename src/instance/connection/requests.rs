//! Which requests are sent, which wait for something, and which are answered without being sent.

use super::super::pipeline::PushSupport;
use super::super::reply;
use super::{Connection, ConnectionState};
use crate::lock::{AfterRelease, InstanceResponse, NoVoteReason, Release, Request, Response, Time};
use std::collections::VecDeque;

impl Connection {
    /// For how many time limits a connection owes an answer before a second one is made.
    const SILENT_LIMITS: u32 = 2;
    /// How many requests one connection may owe answers to. A waiter asks for years.
    const UNANSWERED_MAX: usize = 16;

    /// Takes a request; [`Connection::work`] sends it.
    pub(in super::super) fn ask(
        &mut self,
        sent: Time,
        request: Request,
        heard: &mut VecDeque<InstanceResponse>,
    ) {
        if let Request::Release { attempt, after_release, .. } = &request
            && self.unreleased.is_empty()
            && !self.is_queued(*after_release)
        {
            // Where nothing was ever sent there is nothing to release: that takes back what has not
            // been sent, and need not wait for a server that hangs.
            for (sent, request) in
                std::mem::take(&mut self.waiting).into_iter().chain(self.held.take())
            {
                self.tell(sent, reply::without_reply(&request, NoVoteReason::TimedOut), heard);
            }
            return self.tell(sent, Response::Release(*attempt, Release::Nothing), heard);
        }
        self.full.asked(sent);
        if let Some(reason) = self.gives_way(sent, &request) {
            return self.tell(sent, reply::without_reply(&request, reason), heard);
        }
        if self.under_way.len() >= Self::UNANSWERED_MAX
            && let Some(response) = self.without_sending(&request)
        {
            return self.tell(sent, response, heard);
        }
        if let Request::Release {
            slot,
            value,
            after_release: AfterRelease::LeaveQueue { .. },
            ..
        } = &request
        {
            self.silent.release(&self.settings.release(*slot, value, AfterRelease::StayQueued));
        }
        self.waiting.push_back((sent, request));
    }

    /// Why `request` is not worth a connection: the server had no room for one a moment ago, and a
    /// contender leaves the next room to a holder.
    fn gives_way(&self, sent: Time, request: &Request) -> Option<NoVoteReason> {
        let is_contender = matches!(request, Request::Acquire { .. } | Request::Status(_));
        let is_apart = matches!(self.state, ConnectionState::Apart(_));
        if is_contender && is_apart { self.full.reason(sent) } else { None }
    }

    /// The answer to what is not sent behind so many requests that none was answered. Only what
    /// holds a lock or takes it back is.
    fn without_sending(&self, request: &Request) -> Option<Response> {
        match request {
            Request::Acquire { .. } | Request::Status(_) => {
                Some(reply::without_reply(request, NoVoteReason::TimedOut))
            }
            Request::Release {
                attempt, value, after_release: AfterRelease::StayQueued, ..
            } if !self.unreleased.has(value) => Some(Response::Release(*attempt, Release::Nothing)),
            Request::Extend { .. } | Request::Release { .. } => None,
        }
    }

    /// Whether the connection has answered once, and has owed an answer for so long that `request`,
    /// decided at `sent`, is not to wait for it. A release waits: it belongs behind what was sent
    /// before it.
    pub(super) fn is_silent(&self, sent: Time, request: &Request) -> bool {
        let ConnectionState::Together(_, pipeline) = &self.state else { return false };
        let limit = self.settings.op_timeout * Self::SILENT_LIMITS;
        pipeline.has_answered()
            && !matches!(request, Request::Release { .. })
            && self.under_way.front().is_some_and(|oldest| sent.since(oldest.sent) >= limit)
    }

    /// Whether `request` has to be held back until something else on this connection was answered.
    ///
    /// An extension is not sent behind an unanswered request but after it, so that only a release
    /// ever is: a server that wakes up when redlock is gone reads no further than to the second
    /// record of TLS, since what it answers to the first one comes back refused. A place in line is
    /// asked for once the server has said whether it can wake anybody.
    pub(super) fn is_early(&self, request: &Request) -> bool {
        match request {
            Request::Extend { .. } => !self.under_way.is_empty(),
            Request::Status(Some(_)) => self.push().is_some_and(|push| !push.is_greeted()),
            _ => false,
        }
    }

    /// Answers a request that was not sent.
    pub(super) fn take_back(
        &self,
        held: Option<(Time, Request)>,
        heard: &mut VecDeque<InstanceResponse>,
    ) {
        if let Some((sent, request)) = held {
            self.tell(sent, reply::without_reply(&request, NoVoteReason::TimedOut), heard);
        }
    }

    /// Whether there is a place in a queue to leave. With the connection it is lost by itself.
    fn is_queued(&self, after_release: AfterRelease) -> bool {
        matches!(after_release, AfterRelease::LeaveQueue { .. })
            && self.push().is_some_and(PushSupport::has_asked)
    }
}
