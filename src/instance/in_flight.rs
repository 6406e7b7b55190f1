//! One request that was sent, and its replies.

use super::pipeline::{ConnectionEnd, PushSupport};
use super::reply::{self, Asked, Parsed, Part};
use super::server_error::meaning;
use super::server_info::ServerInfo;
use super::server_state::ServerState;
use super::settings::ClusterSettings;
use super::unreleased::UnreleasedValues;
use crate::lock::{
    Account, InstanceResponse, Marking, NoVoteReason, Release, Request, Response, RestartGuard,
    ServerReport, ServerWarning, StatusResponse, Time,
};
use redis::Value;
use std::collections::VecDeque;

/// A request that was sent, and the replies received so far.
pub(super) struct InFlightRequest {
    pub(super) sent: Time,
    pub(super) request: Request,
    /// Number of the request among the requests to this instance.
    pub(super) number: u64,
    /// The purpose of each command.
    pub(super) parts: Vec<Part>,
    /// Whether the request is the first on a connection without TLS to an address that could use
    /// TLS.
    pub(super) may_lack_tls: bool,
    /// The arguments of the request for a report.
    pub(super) asked: Asked,
    /// Number of bytes that the kernel has taken once it has the last byte of the request.
    pub(super) mark: u64,
    replies: Vec<Value>,
    is_written: bool,
}

impl InFlightRequest {
    pub(super) fn new(
        sent: Time,
        request: Request,
        number: u64,
        parts: Vec<Part>,
        asked: Asked,
        mark: u64,
    ) -> Self {
        let replies = Vec::with_capacity(parts.len());
        Self {
            sent,
            request,
            number,
            parts,
            asked,
            may_lack_tls: false,
            mark,
            replies,
            is_written: false,
        }
    }

    /// The same request, as the first on a connection that could use TLS and does not.
    pub(super) const fn lacking_tls(mut self, may_lack_tls: bool) -> Self {
        self.may_lack_tls = may_lack_tls;
        self
    }

    /// Takes the next reply. Returns whether it was the last.
    pub(super) fn take(&mut self, reply: Value) -> bool {
        self.replies.push(reply);
        self.replies.len() >= self.parts.len()
    }

    /// The response to a release once the kernel has taken `written` bytes: the release reaches the
    /// server even if no reply ever comes.
    pub(super) fn written(&mut self, written: u64) -> Option<Response> {
        let Request::Release { attempt, .. } = &self.request else { return None };
        let is_news =
            written >= self.mark && !std::mem::replace(&mut self.is_written, written >= self.mark);
        is_news.then_some(Response::Release(*attempt, Release::Written))
    }

    /// The reason for a missing reply after this end of the connection.
    pub(super) fn why(&self, end: &ConnectionEnd) -> NoVoteReason {
        let is_first = matches!(self.parts.first(), Some(Part::Greeting | Part::Hello));
        match (self.replies.first(), end) {
            // A server that refuses a connection sends the reason in place of its first reply.
            (Some(Value::ServerError(said)), _) if is_first => meaning(said),
            (_, ConnectionEnd::Refused(unknown)) => unknown.clone(),
            (_, ConnectionEnd::Malformed) => NoVoteReason::Unreachable(NO_REDIS.into()),
            (_, ConnectionEnd::Broken) if self.may_lack_tls => {
                NoVoteReason::Unreachable(CLOSED_AT_FIRST.into())
            }
            (_, ConnectionEnd::Broken) => NoVoteReason::Unreachable("the connection broke".into()),
        }
    }
}

/// The bytes were no reply, or no request was left for them.
pub(super) const NO_REDIS: &str = "the program that answers there is no Redis server";

/// A TLS port closes the connection on bytes that are no TLS, and some proxies close the connection
/// on HELLO. The two cases look alike.
const CLOSED_AT_FIRST: &str = "it closed the connection at the first request, as a server with TLS does (rediss://) or a proxy \
     that does not know HELLO (?protocol=2)";

/// The source and the destination of a response.
pub(super) struct ResponseSink<'a> {
    pub(super) instance: usize,
    pub(super) settings: &'a ClusterSettings,
    pub(super) server_state: &'a mut ServerState,
    pub(super) unreleased: &'a mut UnreleasedValues,
    pub(super) push: &'a mut PushSupport,
    pub(super) heard: &'a mut VecDeque<InstanceResponse>,
}

impl ResponseSink<'_> {
    /// Passes on the response that the replies mean, or that `end` before the last reply means.
    pub(super) fn hear(&mut self, in_flight: InFlightRequest, end: Option<&ConnectionEnd>) {
        let parsed = match end {
            None => reply::sort(in_flight.replies, &in_flight.parts, in_flight.asked),
            Some(end) => Parsed::nothing(in_flight.why(end)),
        };
        let InFlightRequest { sent, request, number, .. } = in_flight;
        let Parsed { server_info, hello, remarks, subscribed, greeting_error, reply } = parsed;
        self.server_state.hear_greeting_error(greeting_error);
        let mut reply = reply.map_err(|error| self.server_state.explain(error));
        self.push.learn(hello.is_some(), subscribed);
        let mode = self.server_state.hear_mode(hello.as_ref().and_then(|hello| hello.mode));
        let by_mode = server_info.as_ref().and_then(|server_info| server_info.unsupported(mode));
        let replica = hello.and_then(|hello| hello.unsupported());
        // If the server refuses the request, its own error counts.
        reply = reply.and_then(|reply| by_mode.or(replica).map_or(Ok(reply), Err));
        for warning in remarks {
            self.remark(sent, Some(warning));
        }
        let mut clock = server_info.as_ref().and_then(|server_info| server_info.clock);
        let report = server_info.map(|server_info| self.report(sent, server_info));
        let response = match &request {
            Request::Acquire { attempt, fence, .. } => {
                if reply.is_ok() {
                    self.server_state.proved_rights();
                    // The releases of all earlier attempts were sent before this request.
                    self.unreleased.clear(number.saturating_sub(1));
                }
                if fence.is_some() {
                    let (fence, vote) = reply::proposal(reply);
                    self.tell(sent, Response::Fence(*attempt, fence));
                    Response::Vote(*attempt, vote)
                } else {
                    Response::Vote(*attempt, reply::vote(reply))
                }
            }
            Request::Raise { attempt, .. } => Response::Fence(*attempt, reply::fence(reply)),
            Request::Extend { .. } => {
                let (extension, time) = reply::extension(reply);
                clock = time.or(clock);
                Response::Extension(extension)
            }
            Request::Release { attempt, .. } => {
                let release = reply::release(reply);
                if matches!(release, Release::Done(_)) {
                    self.unreleased.clear(number);
                }
                Response::Release(*attempt, release)
            }
            Request::Status(_) => {
                Response::Status(self.heeded(reply::status(reply, &self.settings.target)))
            }
        };
        self.heard.push_back(InstanceResponse {
            instance: self.instance,
            sent,
            report,
            clock,
            response,
        });
    }

    fn remark(&mut self, sent: Time, warning: Option<ServerWarning>) {
        if let Some(warning) = warning {
            self.tell(sent, Response::Warning(warning));
        }
    }

    /// Passes on a response that comes with another one.
    fn tell(&mut self, sent: Time, response: Response) {
        let (instance, report, clock) = (self.instance, None, None);
        self.heard.push_back(InstanceResponse { instance, sent, report, clock, response });
    }

    /// The report of the server on itself. Warns of missing rights. Without a restart guard nothing
    /// depends on the report.
    fn report(&mut self, sent: Time, server_info: ServerInfo) -> ServerReport {
        let is_guarded = self.settings.guard != RestartGuard::Off;
        if let Some(account) = &server_info.account {
            self.server_state.learn(account);
            let is_refused = matches!(account, Account::NotPermitted);
            let is_unmarked = matches!(server_info.marking, Some(Marking::Unavailable));
            let warning = match (is_refused, is_unmarked) {
                (true, _) => Some(ServerWarning::Unaccounted),
                (false, true) => Some(ServerWarning::Unmarked),
                (false, false) => None,
            };
            let warning = warning.filter(|warning| self.server_state.is_news(*warning));
            self.remark(sent, warning.filter(|_| is_guarded));
        }
        ServerReport { account: server_info.account, marking: server_info.marking }
    }

    /// The status, without the place in the queue if no wake-up would be received.
    fn heeded(&self, status: StatusResponse) -> StatusResponse {
        match status {
            StatusResponse::Seen(mut status) => {
                status.place = status.place.filter(|_| self.push.can_listen());
                StatusResponse::Seen(status)
            }
            unknown @ StatusResponse::Unknown(_) => unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::PermanentError;

    fn release(parts: &[Part], replies: &[&str], may_lack_tls: bool) -> InFlightRequest {
        let after_release = crate::lock::AfterRelease::StayQueued;
        let request = Request::Release { attempt: 1, slot: 0, value: "v".into(), after_release };
        let in_flight =
            InFlightRequest::new(Time::default(), request, 1, parts.to_vec(), Asked::default(), 10);
        let mut in_flight = in_flight.lacking_tls(may_lack_tls);
        for reply in replies {
            assert!(
                !in_flight
                    .take(redis::parse_redis_value(format!("{reply}\r\n").as_bytes()).unwrap())
            );
        }
        in_flight
    }

    #[test]
    fn the_first_reply_on_a_connection_says_why_it_ended_and_no_other_does() {
        let first = [Part::Hello, Part::Request];
        let later = [Part::Subscription, Part::Request];
        for (label, in_flight, end, expected) in [
            (
                "turned away",
                release(&first, &["-NOAUTH no"], true),
                ConnectionEnd::Broken,
                "NOAUTH no",
            ),
            (
                "refused a subscription",
                release(&later, &["-NOPERM no"], false),
                ConnectionEnd::Broken,
                "the connection broke",
            ),
            ("another protocol", release(&first, &[], true), ConnectionEnd::Malformed, NO_REDIS),
            ("TLS", release(&first, &[], true), ConnectionEnd::Broken, CLOSED_AT_FIRST),
            (
                "later",
                release(&first, &["+OK"], false),
                ConnectionEnd::Broken,
                "the connection broke",
            ),
        ] {
            let (NoVoteReason::Unreachable(said)
            | NoVoteReason::Refused(PermanentError::Access, said)) = in_flight.why(&end)
            else {
                panic!("{label}");
            };
            assert_eq!(said, expected, "{label}");
        }
        let refused = ConnectionEnd::Refused(NoVoteReason::TimedOut);
        assert_eq!(
            release(&first, &[], false).why(&refused),
            NoVoteReason::TimedOut,
            "what TLS said"
        );
    }

    #[test]
    fn a_release_is_told_once_when_the_kernel_has_all_of_it() {
        let mut in_flight = release(&[Part::Request], &[], false);
        assert_eq!(in_flight.written(9), None);
        assert_eq!(in_flight.written(10), Some(Response::Release(1, Release::Written)));
        assert_eq!(in_flight.written(11), None);
    }
}
