//! The connection to one instance: the order and the rules of `src/instance/connection.rs`, in
//! virtual time.

use super::network::Conn;
use super::planted::Planted;
use super::scripts::{Parcel, Reply};
use super::server::nanos;
use super::world::{Happening, World};
use redlock_cli::lock::{
    Account, AfterRelease, Extension, FenceVote, InstanceResponse, NoVoteReason, Release, Request,
    Response, RestartGuard, StatusResponse, Time, Vote,
};
use redlock_cli::policy::Event;
use std::collections::VecDeque;

/// State of the connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum State {
    #[default]
    Disconnected,
    Connecting(usize),
    Connected(usize),
}

#[derive(Clone, Debug)]
struct Errand {
    sent: Time,
    request: Request,
    number: u64,
}

/// The connection to one instance, and the known state of its server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    pub(crate) state: State,
    pub(crate) aside: Option<usize>,
    waiting: VecDeque<(Time, Request)>,
    held: Option<(Time, Request)>,
    under_way: VecDeque<Errand>,
    planted: Planted,
    asked: u64,
    /// The `run_id`, and whether the server refuses to report it.
    run_id: Option<String>,
    is_refused: bool,
    is_fresh: bool,
    has_answered: bool,
    listens: bool,
    /// Ends of the times in which nothing arrives there, and nothing comes back.
    pub(crate) blocked_there: u64,
    pub(crate) blocked_here: u64,
    /// Whether the connection breaks behind the next request.
    pub(crate) cuts_next: bool,
    /// Every server to which there was a connection.
    pub(crate) servers: Vec<usize>,
}

impl Worker {
    fn is_early(&self, request: &Request) -> bool {
        match request {
            Request::Extend { .. } => !self.under_way.is_empty(),
            Request::Status(Some(_)) => !self.has_answered,
            _ => false,
        }
    }

    /// The values of releases that will never be sent.
    pub(crate) fn unsent_releases(&mut self) -> Vec<String> {
        let unsent = self.waiting.drain(..).chain(self.held.take());
        unsent
            .filter_map(|(_, request)| {
                if let Request::Release { value, .. } = request { Some(value) } else { None }
            })
            .collect()
    }

    fn meets(&mut self, state: State) {
        (self.state, self.is_fresh, self.has_answered, self.listens) = (state, true, false, false);
        (self.run_id, self.is_refused) = (None, false);
    }
}

impl World {
    /// Whether the client still uses this connection.
    pub(crate) fn is_current(&self, conn: usize) -> bool {
        let &Conn { client, instance, is_open, .. } = &self.conns[conn];
        is_open && self.clients[client].workers[instance].state == State::Connected(conn)
    }

    fn worker(&mut self, client: usize, instance: usize) -> &mut Worker {
        &mut self.clients[client].workers[instance]
    }

    /// Passes a response to the client.
    fn tell_heard(&mut self, client: usize, instance: usize, sent: Time, response: Response) {
        let heard = InstanceResponse { instance, sent, report: None, clock: None, response };
        self.at(self.now, Happening::InstanceResponse { client, heard: Box::new(heard) });
    }

    /// Answers a request that gets no reply.
    fn fail(
        &mut self,
        client: usize,
        instance: usize,
        (sent, request): (Time, Request),
        unknown: NoVoteReason,
        was_sent: bool,
    ) {
        if let (Request::Release { value, .. }, false) = (&request, was_sent) {
            for server in self.clients[client].workers[instance].servers.clone() {
                self.ghosts.insert((client, server, value.clone()));
            }
        }
        let response = match request {
            Request::Acquire { attempt, .. } => Response::Vote(attempt, Vote::Unknown(unknown)),
            Request::Raise { attempt, .. } => Response::Fence(attempt, FenceVote::Unknown(unknown)),
            Request::Extend { .. } => Response::Extension(Extension::Unknown(unknown)),
            Request::Release { attempt, .. } => {
                Response::Release(attempt, Release::Unknown(unknown))
            }
            Request::Status(_) => Response::Status(StatusResponse::Unknown(unknown)),
        };
        self.tell_heard(client, instance, sent, response);
    }

    /// Takes a request.
    pub(crate) fn ask(&mut self, client: usize, instance: usize, sent: Time, request: Request) {
        let worker = self.worker(client, instance);
        let is_queued = worker.listens && matches!(worker.state, State::Connected(_));
        if let Request::Release { attempt, after_release, .. } = &request
            && worker.planted.is_empty()
            && !(is_queued && matches!(after_release, AfterRelease::LeaveQueue { .. }))
        {
            let unsent: Vec<_> = worker.waiting.drain(..).chain(worker.held.take()).collect();
            for unsent in unsent {
                self.fail(client, instance, unsent, NoVoteReason::TimedOut, true);
            }
            return self.tell_heard(
                client,
                instance,
                sent,
                Response::Release(*attempt, Release::Nothing),
            );
        }
        let aside = worker.aside;
        worker.waiting.push_back((sent, request.clone()));
        if let (
            Request::Release {
                attempt,
                slot,
                value,
                after_release: AfterRelease::LeaveQueue { .. },
            },
            Some(conn),
        ) = (request, aside)
        {
            let request =
                Request::Release { attempt, slot, value, after_release: AfterRelease::StayQueued };
            let target = self.clients[client].target.clone();
            self.transmit(Parcel { request, ..Parcel::empty(client, conn, target) });
        }
        self.send_waiting(client, instance);
    }

    fn send_waiting(&mut self, client: usize, instance: usize) {
        while let Some((sent, request)) = self.worker(client, instance).waiting.pop_front() {
            if self.is_silent(client, instance, sent, &request) {
                self.set_aside(client, instance);
            }
            if self.worker(client, instance).state == State::Disconnected {
                self.connect(client, instance);
            }
            let worker = self.worker(client, instance);
            let State::Connected(conn) = worker.state else {
                return worker.waiting.push_front((sent, request));
            };
            let before = worker.held.take();
            if worker.is_early(&request) {
                worker.held = Some((sent, request));
                if worker.is_fresh {
                    self.send(client, instance, conn, sent, Request::Status(None));
                }
            } else {
                self.send(client, instance, conn, sent, request);
            }
            if let Some(before) = before {
                self.fail(client, instance, before, NoVoteReason::TimedOut, false);
            }
        }
    }

    /// Whether the connection has answered before, and has owed a reply for two time limits.
    fn is_silent(&self, client: usize, instance: usize, sent: Time, request: &Request) -> bool {
        let it = &self.clients[client];
        let (worker, limit) = (&it.workers[instance], it.schedule.op_timeout() * 2);
        let owes = |oldest: &Errand| sent.since(oldest.sent) >= limit;
        matches!(worker.state, State::Connected(_))
            && worker.has_answered
            && !matches!(request, Request::Release { .. })
            && worker.under_way.front().is_some_and(owes)
    }

    fn set_aside(&mut self, client: usize, instance: usize) {
        self.figures.asides += 1;
        let worker = self.worker(client, instance);
        let State::Connected(conn) = worker.state else { return };
        let first = *worker.aside.get_or_insert(conn);
        let (under_way, held) = (std::mem::take(&mut worker.under_way), worker.held.take());
        worker.meets(State::Disconnected);
        if first != conn {
            // If two connections are silent, the newer one is closed.
            self.conns[conn].is_open = false;
        }
        for errand in under_way {
            self.fail(
                client,
                instance,
                (errand.sent, errand.request),
                NoVoteReason::TimedOut,
                true,
            );
        }
        if let Some(held) = held {
            self.fail(client, instance, held, NoVoteReason::TimedOut, false);
        }
    }

    /// Connects to the server to which the host's name leads now.
    fn connect(&mut self, client: usize, instance: usize) {
        let trip = 2 * self.delay();
        let (now, number) = (self.now, self.conns.len());
        let it = &mut self.clients[client];
        let server = self.names[it.hosts[instance]];
        self.conns.push(Conn::new(client, instance, server, self.servers[server].run));
        let limit = nanos(it.schedule.op_timeout()) * 15 / 16;
        let worker = &mut it.workers[instance];
        worker.meets(State::Connecting(number));
        let arrives = (now + trip).max(worker.blocked_there.max(worker.blocked_here) + 1);
        let why = if arrives > now + limit {
            Some(NoVoteReason::TimedOut)
        } else {
            (now < self.servers[server].down_until)
                .then(|| NoVoteReason::Unreachable("refused".into()))
        };
        self.at(arrives.min(now + limit), Happening::Connected { client, conn: number, why });
    }

    pub(crate) fn connected(&mut self, client: usize, conn: usize, why: Option<NoVoteReason>) {
        let &Conn { instance, server, run, .. } = &self.conns[conn];
        let has_gone = run != self.servers[server].run;
        let worker = self.worker(client, instance);
        if worker.state != State::Connecting(conn) {
            return;
        }
        match why.or_else(|| has_gone.then(|| NoVoteReason::Unreachable("reset".into()))) {
            None => {
                worker.state = State::Connected(conn);
                if !worker.servers.contains(&server) {
                    worker.servers.push(server);
                }
            }
            Some(why) => {
                worker.state = State::Disconnected;
                let first = worker.waiting.pop_front();
                self.conns[conn].is_open = false;
                if let Some(first) = first {
                    self.fail(client, instance, first, why, false);
                }
            }
        }
        self.send_waiting(client, instance);
    }

    fn send(&mut self, client: usize, instance: usize, conn: usize, sent: Time, request: Request) {
        let now = self.now;
        let it = &mut self.clients[client];
        let wall = it.wall(now);
        let worker = &mut it.workers[instance];
        let own = match &request {
            Request::Acquire { value, .. }
            | Request::Extend { value, .. }
            | Request::Raise { value, .. }
            | Request::Release { value, .. } => Some(value.as_str()),
            Request::Status(_) => None,
        };
        let is_fresh = std::mem::replace(&mut worker.is_fresh, false);
        let owed = if is_fresh { worker.planted.owed(own) } else { vec![] };
        worker.listens |= matches!(request, Request::Status(Some(_)));
        let marks = it.guard != RestartGuard::Off;
        let is_stranger = worker.run_id.is_none() && !worker.is_refused;
        let depends_on_memory = matches!(request, Request::Acquire { .. } | Request::Status(None));
        let asks = is_stranger || (depends_on_memory && marks && !worker.is_refused);
        let report = asks.then(|| (marks.then_some(wall), worker.run_id.clone()));
        worker.asked += 1;
        if let Request::Acquire { slot, value, .. } | Request::Extend { slot, value, .. } = &request
        {
            worker.planted.note(*slot, value, worker.asked);
        }
        worker.under_way.push_back(Errand { sent, request: request.clone(), number: worker.asked });
        let (listens, target) = (worker.listens, it.target.clone());
        let parcel = Parcel {
            owed,
            request,
            report,
            listens,
            is_guarded: marks,
            ..Parcel::empty(client, conn, target)
        };
        if let Request::Release { attempt, .. } = &parcel.request {
            self.tell_heard(client, instance, sent, Response::Release(*attempt, Release::Written));
        }
        self.transmit(parcel);
    }

    /// Takes the reply to the oldest unanswered request.
    pub(crate) fn replied(&mut self, client: usize, conn: usize, reply: Reply) {
        if !self.is_current(conn) {
            return;
        }
        let instance = self.conns[conn].instance;
        let worker = self.worker(client, instance);
        worker.has_answered = true;
        let Some(errand) = worker.under_way.pop_front() else { return };
        match reply.report.as_ref().and_then(|report| report.account.as_ref()) {
            Some(Account::Told { run_id, .. }) => worker.run_id = Some(run_id.clone()),
            Some(Account::NotPermitted) => worker.is_refused = true,
            // The next request asks the server again.
            Some(Account::Untold(_)) => worker.run_id = None,
            None => {}
        }
        match reply.response {
            Response::Release(_, Release::Done(_)) => worker.planted.clear(errand.number),
            // The releases of all earlier attempts were sent before this vote's request.
            Response::Vote(..) => worker.planted.clear(errand.number - 1),
            _ => {}
        }
        if let Some(held) = worker.held.take() {
            worker.waiting.push_front(held);
        }
        let Reply { response, fence, report, clock } = reply;
        self.send_waiting(client, instance);
        if let (Some(vote), Response::Vote(attempt, _)) = (fence, &response) {
            let response = Response::Fence(*attempt, vote);
            let (sent, report, clock) = (errand.sent, None, None);
            let heard = InstanceResponse { instance, sent, report, clock, response };
            self.event(client, Event::Response(heard));
        }
        self.event(
            client,
            Event::Response(InstanceResponse {
                instance,
                sent: errand.sent,
                report,
                clock,
                response,
            }),
        );
    }

    /// Notes the end of the connection.
    pub(crate) fn ended(&mut self, client: usize, conn: usize) {
        let instance = self.conns[conn].instance;
        self.conns[conn].is_open = false;
        let worker = self.worker(client, instance);
        if worker.aside == Some(conn) {
            worker.aside = None;
        }
        if worker.state != State::Connected(conn) {
            return;
        }
        worker.meets(State::Disconnected);
        let under_way = std::mem::take(&mut worker.under_way);
        let held = worker.held.take();
        match held {
            Some(held @ (_, Request::Status(_))) => {
                self.fail(client, instance, held, NoVoteReason::TimedOut, false);
            }
            Some(held) => self.worker(client, instance).waiting.push_front(held),
            None => {}
        }
        for errand in under_way {
            self.fail(
                client,
                instance,
                (errand.sent, errand.request),
                NoVoteReason::Unreachable("cut".into()),
                true,
            );
        }
        self.tell_heard(client, instance, Time::default(), Response::Disconnected);
        self.send_waiting(client, instance);
    }
}
