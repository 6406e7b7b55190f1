//! Choice between sending a request, holding it back, and answering it without sending.

use super::super::pipeline::PushSupport;
use super::super::reply;
use super::{Connection, ConnectionState};
use crate::lock::{AfterRelease, InstanceResponse, NoVoteReason, Release, Request, Response, Time};
use std::collections::VecDeque;

impl Connection {
    /// Time without a reply after which a second connection is made, in time limits.
    const SILENT_LIMITS: u32 = 2;
    /// Largest number of unanswered requests on one connection. A contender may wait for years.
    const UNANSWERED_MAX: usize = 16;

    /// Takes a request. [`Connection::work`] sends the request.
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
            // No value of this run is on the instance. The release cancels the requests that are
            // not sent yet, without a wait for a server that hangs.
            for (sent, request) in
                std::mem::take(&mut self.waiting).into_iter().chain(self.held.take())
            {
                self.tell(sent, reply::without_reply(&request, NoVoteReason::TimedOut), heard);
            }
            return self.tell(sent, Response::Release(*attempt, Release::Nothing), heard);
        }
        self.full.asked(sent);
        self.malformed.asked(sent);
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

    /// Notes that an earlier process may have set `value` in `slot`, so that a release is sent.
    pub(in super::super) fn assume_set(&mut self, slot: u32, value: &str) {
        self.unreleased.note(slot, value, self.asked);
    }

    /// Reason why `request` is not worth a new connection. `None` if it is.
    ///
    /// A full server: a contender leaves the next free connection to a holder, even if the
    /// contender would only release votes. A malformed connection: only a release is worth another
    /// one.
    pub(super) fn gives_way(&self, sent: Time, request: &Request) -> Option<NoVoteReason> {
        if !matches!(self.state, ConnectionState::Disconnected(_)) {
            return None;
        }
        match request {
            Request::Acquire { .. } | Request::Status(_) => {
                self.full.reason(sent).or_else(|| self.malformed.reason(sent))
            }
            Request::Raise { .. } | Request::Extend { .. } => self.malformed.reason(sent),
            Request::Release { after_release: AfterRelease::StayQueued, .. } => {
                self.full.reason(sent)
            }
            Request::Release { after_release: AfterRelease::LeaveQueue { .. }, .. } => None,
        }
    }

    /// The response to a request that is not sent, because too many earlier requests are
    /// unanswered. Only requests that hold or release a lock are sent then.
    fn without_sending(&self, request: &Request) -> Option<Response> {
        match request {
            Request::Acquire { .. } | Request::Raise { .. } | Request::Status(_) => {
                Some(reply::without_reply(request, NoVoteReason::TimedOut))
            }
            Request::Release {
                attempt, value, after_release: AfterRelease::StayQueued, ..
            } if !self.unreleased.has(value) => Some(Response::Release(*attempt, Release::Nothing)),
            Request::Extend { .. } | Request::Release { .. } => None,
        }
    }

    /// Whether the oldest reply is overdue for so long that `request`, decided at `sent`, has to go
    /// to another connection. A release never does: its place is behind the earlier requests. A
    /// connection without any reply is replaced only once: if its server hangs, a third connection
    /// is no better than the second.
    pub(super) fn is_silent(&self, sent: Time, request: &Request) -> bool {
        let ConnectionState::Connected(_, pipeline) = &self.state else { return false };
        let limit = self.settings.op_timeout * Self::SILENT_LIMITS;
        (pipeline.has_answered() || self.silent.is_empty())
            && !matches!(request, Request::Release { .. })
            && self.under_way.front().is_some_and(|oldest| sent.since(oldest.sent) >= limit)
    }

    /// Whether the request has to wait for the reply to an earlier request on this connection.
    ///
    /// An extension is sent only after every reply, so that at most a release follows an unanswered
    /// request. Reason: a server that wakes up after redlock's exit reads only up to the second
    /// record of TLS, since its reply to the first record is reset. A place in the queue is
    /// requested only after HELLO has shown whether pushes would be received.
    pub(super) fn is_early(&self, request: &Request) -> bool {
        match request {
            Request::Extend { .. } => !self.under_way.is_empty(),
            Request::Status(Some(_)) => self.push().is_some_and(|push| !push.is_greeted()),
            _ => false,
        }
    }

    /// Answers the request for which the ended connection was made, if that was never sent.
    /// Otherwise a server that ends each connection at once would be connected to without a pause.
    pub(super) fn end_unsent(&mut self, heard: &mut VecDeque<InstanceResponse>) {
        if let ConnectionState::Connected(_, pipeline) = &self.state
            && pipeline.is_fresh()
            && let Some((sent, request)) = self.waiting.pop_front()
        {
            let reason = self.full.reason(sent).or_else(|| self.malformed.reason(sent));
            let reason =
                reason.unwrap_or_else(|| NoVoteReason::Unreachable("the connection broke".into()));
            self.tell(sent, reply::without_reply(&request, reason), heard);
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

    /// Whether there is a place in a queue to leave. The end of the connection loses the place,
    /// too.
    fn is_queued(&self, after_release: AfterRelease) -> bool {
        matches!(after_release, AfterRelease::LeaveQueue { .. })
            && self.push().is_some_and(PushSupport::has_asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::endpoint::{Endpoint, Login};
    use crate::instance::pipeline::ConnectionEnd;
    use crate::instance::settings::ClusterSettings;
    use crate::lock::{Extension, IfMissing, Key, RestartGuard, Target, Ttl};
    use std::sync::Arc;
    use std::time::Duration;

    fn connection() -> Connection {
        let settings = ClusterSettings {
            target: Target::slots(&Key::literal("k").unwrap(), 1),
            id: "id".into(),
            kind: String::new(),
            ttl: Ttl::new(Duration::from_secs(2)).unwrap(),
            op_timeout: Duration::from_millis(100),
            guard: RestartGuard::Off,
            wall_clock: || Duration::ZERO,
        };
        let endpoint = Endpoint::parse("redis://127.0.0.1:1", &Login::default()).unwrap();
        Connection::new(0, endpoint, Arc::new(settings))
    }

    #[test]
    fn after_a_malformed_connection_only_a_release_connects_at_once_and_an_extension_soon() {
        let at = |millis: u64| Time::default().plus(Duration::from_millis(1_000 + millis));
        let value = || "v".to_owned();
        let extend = || Request::Extend { missing: IfMissing::Leave, slot: 0, value: value() };
        let release = Request::Release {
            attempt: 1,
            slot: 0,
            value: value(),
            after_release: AfterRelease::StayQueued,
        };
        let acquire = Request::Acquire { attempt: 1, slot: 0, value: value(), fence: None };
        for (label, sent, request, connects) in [
            ("an acquisition", 10, acquire, false),
            ("a status", 10, Request::Status(None), false),
            ("an extension", 10, extend(), false),
            ("a release", 10, release, true),
            ("a later extension", 250, extend(), true),
        ] {
            let (mut connection, mut heard) = (connection(), VecDeque::new());
            connection.unreleased.note(0, "v", 1);
            connection.malformed.asked(at(0));
            connection.end(&ConnectionEnd::Malformed, &mut heard);
            heard.clear();
            connection.ask(at(sent), request, &mut heard);
            assert_eq!(!connection.waiting.is_empty(), connects, "{label}");
            assert_eq!(heard.is_empty(), connects, "{label}: {heard:?}");
        }
        let (mut connection, mut heard) = (connection(), VecDeque::new());
        connection.ask(at(0), extend(), &mut heard);
        connection.end(&ConnectionEnd::Malformed, &mut heard);
        heard.clear();
        connection.send_waiting(&mut heard);
        let response = heard.pop_front().map(|heard| heard.response);
        assert!(matches!(response, Some(Response::Extension(Extension::Unknown(_)))));
        assert!(
            matches!(connection.state, ConnectionState::Disconnected(_)),
            "it does not connect"
        );
    }

    #[test]
    fn a_contender_gives_nothing_back_to_a_full_server_before_its_last_release() {
        let at = |millis: u64| Time::default().plus(Duration::from_millis(1_000 + millis));
        let leave = AfterRelease::LeaveQueue { hold_for: Duration::ZERO };
        for (after_release, connects) in [(AfterRelease::StayQueued, false), (leave, true)] {
            let (mut connection, mut heard) = (connection(), VecDeque::new());
            connection.unreleased.note(0, "v", 1);
            connection.full.asked(at(0));
            connection.full.connected();
            connection.full.ended(|| NoVoteReason::TimedOut);
            let release =
                Request::Release { attempt: 1, slot: 0, value: "v".into(), after_release };
            connection.ask(at(10), release, &mut heard);
            assert_eq!(!connection.waiting.is_empty(), connects, "{after_release:?}");
            assert_eq!(heard.is_empty(), connects, "{after_release:?}: {heard:?}");
        }
    }
}
