//! The connection to one instance. Requests are sent in their order.
//!
//! A time limit never closes the connection: the release must go behind a SET that the instance has
//! not executed yet. If the connection breaks all the same, the next connection begins with a
//! release of every value that may be set. After a silence of two time limits, a second connection
//! is made, since a firewall may have forgotten the first. The first is kept for the release.

mod requests;
mod responses;

use super::batch::Batch;
use super::commands::quit;
use super::endpoint::Endpoint;
use super::full_server::FullServer;
use super::in_flight::{InFlightRequest, NO_REDIS};
use super::malformed::MalformedServer;
use super::pipeline::{ConnectionEnd, Delivery, Pipeline, PushSupport};
use super::reply;
use super::server_state::ServerState;
use super::settings::ClusterSettings;
use super::silent::SilentConnection;
use super::transport::{Route, Transport};
use super::unreleased::UnreleasedValues;
use crate::lock::{AfterRelease, InstanceResponse, NoVoteReason, Request, Response, Time};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One instance's connection, and the state of the server behind it.
pub(super) struct Connection {
    instance: usize,
    endpoint: Arc<Endpoint>,
    settings: Arc<ClusterSettings>,
    state: ConnectionState,
    /// Requests to send.
    waiting: VecDeque<(Time, Request)>,
    /// A request to send after the replies to earlier requests.
    held: Option<(Time, Request)>,
    /// Requests that were sent and not answered, the oldest first.
    under_way: VecDeque<InFlightRequest>,
    unreleased: UnreleasedValues,
    asked: u64,
    server_state: ServerState,
    silent: SilentConnection,
    full: FullServer,
    malformed: MalformedServer,
}

enum ConnectionState {
    /// No connection.
    Disconnected(Route),
    Connecting(Connecting),
    Connected(Route, Pipeline),
}

/// The attempt to connect. Returns the route, and the transport or an error.
type Connecting = Pin<Box<dyn Future<Output = (Route, Result<Transport, NoVoteReason>)>>>;

impl Connection {
    /// A connection that is not made before the first request.
    pub(super) fn new(instance: usize, endpoint: Endpoint, settings: Arc<ClusterSettings>) -> Self {
        Self {
            instance,
            endpoint: Arc::new(endpoint),
            settings,
            state: ConnectionState::Disconnected(Route::default()),
            waiting: VecDeque::new(),
            held: None,
            under_way: VecDeque::new(),
            unreleased: UnreleasedValues::default(),
            asked: 0,
            server_state: ServerState::default(),
            silent: SilentConnection::default(),
            full: FullServer::default(),
            malformed: MalformedServer::default(),
        }
    }

    /// Does all work that is possible now. Wakes the task of `cx` when there is more work.
    pub(super) fn work(&mut self, cx: &mut Context<'_>, heard: &mut VecDeque<InstanceResponse>) {
        self.silent.work(cx);
        if let ConnectionState::Connected(_, pipeline) = &mut self.state {
            pipeline.begin_turn();
        }
        loop {
            match &mut self.state {
                ConnectionState::Disconnected(_) if self.waiting.is_empty() => return,
                ConnectionState::Disconnected(_) => self.send_waiting(heard),
                ConnectionState::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                    Poll::Ready((route, transport)) => self.connected(route, transport, heard),
                    Poll::Pending => return,
                },
                ConnectionState::Connected(_, pipeline)
                    if pipeline.is_last_sent()
                        && self.under_way.is_empty()
                        && self.waiting.is_empty() =>
                {
                    return;
                }
                ConnectionState::Connected(_, pipeline) => {
                    pipeline.flush(cx);
                    // Read before sending: a connection that has ended takes no more requests.
                    if let Poll::Ready(incoming) = pipeline.poll_next(cx) {
                        self.take(incoming, heard);
                    } else if self.waiting.is_empty() {
                        let (written, is_safe) = (pipeline.written(), pipeline.outlives_redlock());
                        if is_safe && self.silent.is_flushed() {
                            self.tell_written(written, heard);
                        }
                        return;
                    } else if pipeline.has_ended_unseen() {
                        cx.waker().wake_by_ref();
                        return;
                    } else {
                        self.send_waiting(heard);
                    }
                }
            }
        }
    }

    /// Sets a silent connection aside, for a second connection.
    fn set_aside(&mut self, heard: &mut VecDeque<InstanceResponse>) {
        let ConnectionState::Connected(route, _) = &mut self.state else { return };
        let route = std::mem::take(route);
        let ConnectionState::Connected(_, pipeline) =
            std::mem::replace(&mut self.state, ConnectionState::Disconnected(route))
        else {
            return;
        };
        self.silent.keep(pipeline);
        self.server_state.disconnected();
        for in_flight in std::mem::take(&mut self.under_way) {
            self.tell(
                in_flight.sent,
                reply::without_reply(&in_flight.request, NoVoteReason::TimedOut),
                heard,
            );
        }
        let held = self.held.take();
        self.take_back(held, heard);
        self.tell(Time::default(), Response::Disconnected, heard);
    }

    /// Sends the waiting requests as far as possible without blocking. Connects if necessary.
    fn send_waiting(&mut self, heard: &mut VecDeque<InstanceResponse>) {
        while let Some((sent, request)) = self.waiting.pop_front() {
            // The connection may have ended since the request was taken.
            if let Some(reason) = self.gives_way(sent, &request) {
                self.tell(sent, reply::without_reply(&request, reason), heard);
                continue;
            }
            if self.is_silent(sent, &request) {
                self.set_aside(heard);
            }
            if let ConnectionState::Disconnected(route) = &mut self.state {
                let route = std::mem::take(route);
                // A little less than the time limit of the request: the response can then say how
                // far the attempt came.
                let limit = self.settings.op_timeout * 15 / 16;
                let reached = Transport::reach(
                    Arc::clone(&self.endpoint),
                    route,
                    limit,
                    self.settings.ttl.length(),
                );
                self.state = ConnectionState::Connecting(Box::pin(reached));
            }
            let ConnectionState::Connected(_, pipeline) = &self.state else {
                return self.waiting.push_front((sent, request));
            };
            if self.is_early(&request) {
                // A new connection has no earlier reply to wait for.
                if pipeline.is_fresh() {
                    self.send(sent, Request::Status(None));
                }
                let before = self.held.replace((sent, request));
                self.take_back(before, heard);
            } else {
                let before = self.held.take();
                self.take_back(before, heard);
                self.send(sent, request);
            }
        }
    }

    fn push(&self) -> Option<PushSupport> {
        if let ConnectionState::Connected(_, pipeline) = &self.state {
            Some(pipeline.push())
        } else {
            None
        }
    }

    fn send(&mut self, sent: Time, request: Request) {
        let ConnectionState::Connected(_, pipeline) = &mut self.state else { return };
        let batch = Batch::new(
            (&request, pipeline),
            &self.settings,
            &self.endpoint,
            (&mut self.server_state, &self.unreleased),
        );
        self.asked += 1;
        if let Request::Acquire { slot, value, .. } | Request::Extend { slot, value, .. } = &request
        {
            self.unreleased.note(*slot, value, self.asked);
        }
        let mut mark = pipeline.send(batch.commands.iter().map(|(_, command)| command));
        // A release that leaves the queue is the last request of a run.
        if matches!(
            &request,
            Request::Release { after_release: AfterRelease::LeaveQueue { .. }, .. }
        ) {
            mark = pipeline.send_last(&quit());
        }
        let parts = batch.commands.iter().map(|(part, _)| *part).collect();
        let in_flight = InFlightRequest::new(sent, request, self.asked, parts, batch.asked, mark);
        self.under_way.push_back(in_flight.lacking_tls(batch.may_lack_tls));
    }

    /// The attempt to connect has ended.
    fn connected(
        &mut self,
        route: Route,
        transport: Result<Transport, NoVoteReason>,
        heard: &mut VecDeque<InstanceResponse>,
    ) {
        match transport {
            Ok(transport) => {
                self.state = ConnectionState::Connected(route, Pipeline::new(transport));
                self.full.connected();
            }
            Err(unknown) => {
                self.state = ConnectionState::Disconnected(route);
                if let Some((sent, request)) = self.waiting.pop_front() {
                    self.tell(sent, reply::without_reply(&request, unknown), heard);
                }
            }
        }
    }

    fn take(&mut self, incoming: Delivery, heard: &mut VecDeque<InstanceResponse>) {
        match incoming {
            Delivery::Wake(key) => {
                let slot = std::str::from_utf8(&key)
                    .ok()
                    .and_then(|key| self.settings.target.slot_of(key));
                if let Some(slot) = slot {
                    self.tell(Time::default(), Response::Woken(slot), heard);
                }
            }
            Delivery::Reply(reply) => {
                let is_refused = self.full.replied(&reply);
                // A reply that belongs to no request: later replies cannot be matched any more.
                let Some(in_flight) = self.under_way.front_mut() else {
                    // A full server may refuse the connection before the first request is sent.
                    let end =
                        if is_refused { ConnectionEnd::Broken } else { ConnectionEnd::Malformed };
                    return self.end(&end, heard);
                };
                if let Request::Acquire { value, .. } = &in_flight.request
                    && is_refused
                {
                    // The server has read no request, so there is no value to release.
                    self.unreleased.forget(value);
                }
                if let ConnectionState::Connected(_, pipeline) = &mut self.state {
                    pipeline.was_asked();
                }
                if in_flight.take(reply)
                    && let Some(in_flight) = self.under_way.pop_front()
                {
                    self.settle(in_flight, None, heard);
                }
            }
            Delivery::End(end) => self.end(&end, heard),
        }
    }

    /// The connection has ended, or is given up.
    fn end(&mut self, end: &ConnectionEnd, heard: &mut VecDeque<InstanceResponse>) {
        // A place in the queue is not worth another connection, which may end in the same way.
        let place = self.held.take_if(|(_, request)| matches!(request, Request::Status(_)));
        self.take_back(place, heard);
        if let Some(first) = self.under_way.front() {
            self.full.ended(|| first.why(end));
        }
        if matches!(end, ConnectionEnd::Malformed) {
            let reason = NoVoteReason::Unreachable(NO_REDIS.into());
            self.malformed.ended(self.settings.ttl.length(), reason);
        }
        self.end_unsent(heard);
        for in_flight in std::mem::take(&mut self.under_way) {
            self.settle(in_flight, Some(end), heard);
        }
        if let ConnectionState::Connected(route, _) = &mut self.state {
            self.state = ConnectionState::Disconnected(std::mem::take(route));
        }
        self.server_state.disconnected();
        self.tell(Time::default(), Response::Disconnected, heard);
    }

    /// Reports the releases whose last byte the kernel has taken.
    fn tell_written(&mut self, written: u64, heard: &mut VecDeque<InstanceResponse>) {
        let news = |one: &mut InFlightRequest| Some((one.sent, one.written(written)?));
        let told: Vec<_> = self.under_way.iter_mut().filter_map(news).collect();
        for (sent, response) in told {
            self.tell(sent, response, heard);
        }
    }

    fn tell(&self, sent: Time, response: Response, heard: &mut VecDeque<InstanceResponse>) {
        heard.push_back(InstanceResponse {
            instance: self.instance,
            sent,
            report: None,
            clock: None,
            response,
        });
    }
}
