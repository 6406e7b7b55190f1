//! One request on its way, and what its replies say.

use super::pipeline::{End, PushSupport};
use super::reply::{self, Asked, Parsed, Part};
use super::server_error::meaning;
use super::server_info::ServerInfo;
use super::settings::ClusterSettings;
use super::unreleased::UnreleasedValues;
use crate::lock::{
    Account, InstanceResponse, Marking, NoVoteReason, Release, Request, Response, RestartGuard,
    ServerReport, ServerWarning, StatusResponse, Time,
};
use redis::Value;
use std::collections::VecDeque;

/// What is known of the server behind a worker's connections.
#[derive(Debug, Default)]
pub(super) struct ServerState {
    /// Who answers on the connection there is, as far as it may be asked.
    identity: Identity,
    /// Why AUTH or SELECT failed on this connection, and with it every later request.
    greeting_error: Option<NoVoteReason>,
    /// What people were told of it.
    remarked: Option<ServerWarning>,
    /// Whether the server was asked whether it evicts keys or has replicas.
    was_asked_for_setup: bool,
}

/// Who answers on one connection.
#[derive(Debug, Default)]
pub(super) enum Identity {
    /// It is to be asked.
    #[default]
    Unknown,
    /// The `run_id`, which stays the same for as long as the connection lasts.
    ServerState(String),
    /// Our user may not ask.
    NotPermitted,
}

impl ServerState {
    /// Whether the server is to say of itself what it can, with a request that nothing else is to
    /// come with.
    pub(super) const fn is_stranger(&self) -> bool {
        matches!(self.identity, Identity::Unknown)
    }

    /// The `run_id`; `None` where it is not known, and to be asked.
    pub(super) fn run_id(&self) -> Option<&str> {
        if let Identity::ServerState(run_id) = &self.identity { Some(run_id) } else { None }
    }

    /// Whether to ask whether the server evicts keys or has replicas; once.
    pub(super) const fn asks_for_setup(&mut self) -> bool {
        !std::mem::replace(&mut self.was_asked_for_setup, true)
    }

    /// There is no connection any more: another server may be behind the next one.
    pub(super) fn disconnected(&mut self) {
        self.identity = Identity::Unknown;
        self.greeting_error = None;
    }

    /// The reason behind an error of a connection on which AUTH or SELECT has failed.
    fn explain(&self, error: NoVoteReason) -> NoVoteReason {
        match (&self.greeting_error, &error) {
            (Some(why), NoVoteReason::Refused(_, text)) if text.starts_with("NOAUTH") => {
                why.clone()
            }
            _ => error,
        }
    }

    /// The account of a server that was asked for it.
    fn learn(&mut self, account: &Account) {
        self.identity = match account {
            Account::Told { run_id, .. } => Identity::ServerState(run_id.clone()),
            Account::NotPermitted => Identity::NotPermitted,
            Account::Untold(_) => Identity::Unknown,
        };
    }
}

/// A request that was sent, and the replies to it that have come.
pub(super) struct InFlightRequest {
    pub(super) sent: Time,
    pub(super) request: Request,
    /// Its number among the requests to this instance.
    pub(super) number: u64,
    /// What each of its commands is for.
    pub(super) parts: Vec<Part>,
    /// Whether it is the first on a connection without TLS that could have one.
    pub(super) may_lack_tls: bool,
    /// What a report was asked with.
    pub(super) asked: Asked,
    /// How many bytes the kernel has taken when it has these.
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

    /// The same, as the first request on a connection that could have TLS and has none.
    pub(super) const fn lacking_tls(mut self, may_lack_tls: bool) -> Self {
        self.may_lack_tls = may_lack_tls;
        self
    }

    /// Takes the next reply; whether that was the last.
    pub(super) fn take(&mut self, reply: Value) -> bool {
        self.replies.push(reply);
        self.replies.len() >= self.parts.len()
    }

    /// What to answer to a release once the kernel has taken `written` bytes: it may never be
    /// answered, and reaches the server all the same.
    pub(super) fn written(&mut self, written: u64) -> Option<Response> {
        let Request::Release { attempt, .. } = &self.request else { return None };
        let is_news =
            written >= self.mark && !std::mem::replace(&mut self.is_written, written >= self.mark);
        is_news.then_some(Response::Release(*attempt, Release::Written))
    }

    /// What its replies say, and what is learned from them.
    pub(super) fn finish(self, at: &mut ResponseSink<'_>) {
        let parsed = reply::sort(self.replies, &self.parts, self.asked);
        at.hear(self.sent, &self.request, self.number, parsed);
    }

    /// What it means that the connection ended before the last reply.
    pub(super) fn fail(self, end: &End, at: &mut ResponseSink<'_>) {
        at.hear(self.sent, &self.request, self.number, Parsed::nothing(self.why(end)));
    }

    fn why(&self, end: &End) -> NoVoteReason {
        let is_first = matches!(self.parts.first(), Some(Part::Greeting | Part::Hello));
        match (self.replies.first(), end) {
            // A server that turns a connection away says why in place of its first reply.
            (Some(Value::ServerError(said)), _) if is_first => meaning(said),
            (_, End::Refused(unknown)) => unknown.clone(),
            (_, End::Malformed) => {
                NoVoteReason::Unreachable("what answers is no Redis server".into())
            }
            (_, End::Broken) if self.may_lack_tls => {
                NoVoteReason::Unreachable(CLOSED_AT_FIRST.into())
            }
            (_, End::Broken) => NoVoteReason::Unreachable("the connection broke".into()),
        }
    }
}

/// A port for TLS closes on what it does not understand, and so do some proxies on HELLO: which one
/// it is cannot be told from here.
const CLOSED_AT_FIRST: &str = "it closed the connection at the first request, as a server with TLS does (rediss://) or a proxy \
     that does not know HELLO (?protocol=2)";

/// Where an answer comes from, and where it goes to.
pub(super) struct ResponseSink<'a> {
    pub(super) instance: usize,
    pub(super) settings: &'a ClusterSettings,
    pub(super) server_state: &'a mut ServerState,
    pub(super) unreleased: &'a mut UnreleasedValues,
    pub(super) push: &'a mut PushSupport,
    pub(super) heard: &'a mut VecDeque<InstanceResponse>,
}

impl ResponseSink<'_> {
    fn hear(&mut self, sent: Time, request: &Request, number: u64, parsed: Parsed) {
        let Parsed { server_info, hello, remarks, subscribed, greeting_error, reply } = parsed;
        if greeting_error.is_some() {
            self.server_state.greeting_error = greeting_error;
        }
        let mut reply = reply.map_err(|error| self.server_state.explain(error));
        self.push.learn(hello.is_some(), subscribed);
        // What a replica refuses, it says itself.
        let replica = hello.filter(|_| reply.is_ok()).and_then(|hello| hello.unsupported());
        if let Some(unsupported) =
            server_info.as_ref().and_then(ServerInfo::unsupported).or(replica)
        {
            reply = Err(unsupported);
        }
        for warning in remarks {
            self.remark(sent, Some(warning));
        }
        let mut clock = server_info.as_ref().and_then(|server_info| server_info.clock);
        let report = server_info.map(|server_info| self.report(sent, server_info));
        let response = match request {
            Request::Acquire { attempt, .. } => {
                if reply.is_ok() {
                    // The releases of all earlier attempts went before it.
                    self.unreleased.clear(number.saturating_sub(1));
                }
                Response::Vote(*attempt, reply::vote(reply))
            }
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
            let response = Response::Warning(warning);
            self.heard.push_back(InstanceResponse {
                instance: self.instance,
                sent,
                report: None,
                clock: None,
                response,
            });
        }
    }

    /// What the server said of itself; what it may not say, people should know. Without a guard
    /// nothing depends on it.
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
            let is_news = warning != self.server_state.remarked;
            self.server_state.remarked = warning.or(self.server_state.remarked);
            self.remark(sent, warning.filter(|_| is_guarded && is_news));
        }
        ServerReport { account: server_info.account, marking: server_info.marking }
    }

    /// What was seen; a place in a queue is none where nobody listens.
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
            ("turned away", release(&first, &["-NOAUTH no"], true), End::Broken, "NOAUTH no"),
            (
                "refused a subscription",
                release(&later, &["-NOPERM no"], false),
                End::Broken,
                "the connection broke",
            ),
            (
                "another protocol",
                release(&first, &[], true),
                End::Malformed,
                "what answers is no Redis server",
            ),
            ("TLS", release(&first, &[], true), End::Broken, CLOSED_AT_FIRST),
            ("later", release(&first, &["+OK"], false), End::Broken, "the connection broke"),
        ] {
            let (NoVoteReason::Unreachable(said)
            | NoVoteReason::Refused(PermanentError::Access, said)) = in_flight.why(&end)
            else {
                panic!("{label}");
            };
            assert_eq!(said, expected, "{label}");
        }
        let refused = End::Refused(NoVoteReason::TimedOut);
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
