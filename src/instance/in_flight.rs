//! One request that was sent, and its replies.

use super::pipeline::ConnectionEnd;
use super::reply::{Asked, Part};
use super::server_error::meaning;
use crate::lock::{NoVoteReason, Release, Request, Response, Time};
use redis::Value;

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
    pub(super) replies: Vec<Value>,
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

    /// The response to a release, once, when the kernel has taken `written` bytes and the release
    /// among them: it reaches the server even if no reply ever comes.
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
