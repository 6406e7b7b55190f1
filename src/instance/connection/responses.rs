//! The response to a request, by its replies or by the end of the connection.

use super::super::in_flight::InFlightRequest;
use super::super::pipeline::{ConnectionEnd, PushSupport};
use super::super::reply::{self, Parsed};
use super::super::server_info::ServerInfo;
use super::{Connection, ConnectionState};
use crate::lock::{
    Account, InstanceResponse, Marking, Release, Request, Response, RestartGuard, ServerReport,
    ServerWarning, StatusResponse, Time,
};
use std::collections::VecDeque;

impl Connection {
    /// Ends a request, after its last reply or with `end`, and passes on its response. Puts the
    /// request that waited for it in front of the others.
    pub(super) fn settle(
        &mut self,
        in_flight: InFlightRequest,
        end: Option<&ConnectionEnd>,
        heard: &mut VecDeque<InstanceResponse>,
    ) {
        let ConnectionState::Connected(_, pipeline) = &mut self.state else { return };
        let parsed = match end {
            None => reply::sort(in_flight.replies, &in_flight.parts, in_flight.asked),
            Some(end) => Parsed::nothing(in_flight.why(end)),
        };
        let InFlightRequest { sent, request, number, .. } = in_flight;
        let Parsed { server_info, hello, remarks, subscribed, greeting_error, reply } = parsed;
        pipeline.push_mut().learn(hello.is_some(), subscribed);
        let push = pipeline.push();
        let mode = self.server_state.hear_mode(hello.as_ref().and_then(|hello| hello.mode));
        let by_mode = server_info.as_ref().and_then(|server_info| server_info.unsupported(mode));
        let replica = hello.and_then(|hello| hello.unsupported());
        // An error of the request itself goes before the errors of the server's mode and role.
        let reply = reply.and_then(|reply| by_mode.or(replica).map_or(Ok(reply), Err));
        for warning in remarks {
            self.tell(sent, Response::Warning(warning), heard);
        }
        let mut clock = server_info.as_ref().and_then(|server_info| server_info.clock);
        let report = server_info.map(|server_info| self.report(sent, server_info, heard));
        let response = match &request {
            Request::Acquire { attempt, fence, .. } => {
                if reply.is_ok() {
                    self.server_state.proved_rights();
                    // The releases of all earlier attempts were sent before this request.
                    self.unreleased.clear(number.saturating_sub(1));
                }
                if fence.is_some() {
                    let (fence, vote) = reply::proposal(reply);
                    self.tell(sent, Response::Fence(*attempt, fence), heard);
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
                Response::Status(heeded(push, reply::status(reply, &self.settings.target)))
            }
        };
        heard.push_back(InstanceResponse {
            instance: self.instance,
            sent,
            report,
            clock,
            response,
        });
        if let Some(error) = greeting_error {
            // A later request would be that of another user, or in another database.
            self.end(&ConnectionEnd::Refused(error), heard);
        }
        if let Some(held) = self.held.take() {
            // The held request is older than those in `waiting`, such as the release.
            self.waiting.push_front(held);
        }
    }

    /// The server's report for the response. Warns of a missing right, unless there is no restart
    /// guard: then nothing depends on the report.
    fn report(
        &mut self,
        sent: Time,
        server_info: ServerInfo,
        heard: &mut VecDeque<InstanceResponse>,
    ) -> ServerReport {
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
            let news = warning.filter(|warning| self.server_state.is_news(*warning));
            if let Some(warning) = news.filter(|_| is_guarded) {
                self.tell(sent, Response::Warning(warning), heard);
            }
        }
        ServerReport { account: server_info.account, marking: server_info.marking }
    }
}

/// The status, without the place in the queue if no wake-up would be received.
fn heeded(push: PushSupport, status: StatusResponse) -> StatusResponse {
    match status {
        StatusResponse::Seen(mut status) => {
            status.place = status.place.filter(|_| push.can_listen());
            StatusResponse::Seen(status)
        }
        unknown @ StatusResponse::Unknown(_) => unknown,
    }
}
