//! What the worker of one instance does: the order and the rules of `src/instance/worker.rs` in virtual time.

use super::network::Conn;
use super::planted::Planted;
use super::scripts::{Parcel, Reply};
use super::server::nanos;
use super::world::{Happening, World};
use redlock_cli::lock::{
    Account, Answer, Ask, Extension, Guard, Heard, Parting, Release, Time, Unknown, Vote, Watched,
};
use redlock_cli::policy::Event;
use std::collections::VecDeque;

/// Where the connection stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum State {
    #[default]
    Apart,
    Connecting(usize),
    Together(usize),
}

#[derive(Clone, Debug)]
struct Errand {
    sent: Time,
    ask: Ask,
    number: u64,
}

/// One instance's connection and what is known of the server behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    pub(crate) state: State,
    pub(crate) aside: Option<usize>,
    waiting: VecDeque<(Time, Ask)>,
    held: Option<(Time, Ask)>,
    under_way: VecDeque<Errand>,
    planted: Planted,
    asked: u64,
    /// The `run_id`, or that it may not be asked.
    run_id: Option<String>,
    is_refused: bool,
    is_fresh: bool,
    has_answered: bool,
    listens: bool,
    /// Until when nothing gets there, and nothing gets back.
    pub(crate) blocked_there: u64,
    pub(crate) blocked_here: u64,
    /// Its connection breaks behind the next request.
    pub(crate) cuts_next: bool,
    /// Every server that it was connected to.
    pub(crate) servers: Vec<usize>,
}

impl Worker {
    fn is_early(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Extend { .. } => !self.under_way.is_empty(),
            Ask::Watch(Some(_)) => !self.has_answered,
            _ => false,
        }
    }

    /// The values of releases that will not be sent any more.
    pub(crate) fn unsent_releases(&mut self) -> Vec<String> {
        let unsent = self.waiting.drain(..).chain(self.held.take());
        unsent.filter_map(|(_, ask)| if let Ask::Release { value, .. } = ask { Some(value) } else { None }).collect()
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
        is_open && self.clients[client].workers[instance].state == State::Together(conn)
    }

    fn worker(&mut self, client: usize, instance: usize) -> &mut Worker {
        &mut self.clients[client].workers[instance]
    }

    /// The worker tells its client something.
    fn tell_heard(&mut self, client: usize, instance: usize, sent: Time, answer: Answer) {
        let heard = Heard { instance, sent, report: None, clock: None, answer };
        self.at(self.now, Happening::Heard { client, heard: Box::new(heard) });
    }

    /// There will be no answer to this.
    fn fail(&mut self, client: usize, instance: usize, (sent, ask): (Time, Ask), unknown: Unknown, was_sent: bool) {
        if let (Ask::Release { value, .. }, false) = (&ask, was_sent) {
            for server in self.clients[client].workers[instance].servers.clone() {
                self.ghosts.insert((client, server, value.clone()));
            }
        }
        let answer = match ask {
            Ask::Acquire { attempt, .. } => Answer::Vote(attempt, Vote::Unknown(unknown)),
            Ask::Extend { .. } => Answer::Extension(Extension::Unknown(unknown)),
            Ask::Release { attempt, .. } => Answer::Release(attempt, Release::Unknown(unknown)),
            Ask::Watch(_) => Answer::Watch(Watched::Unknown(unknown)),
        };
        self.tell_heard(client, instance, sent, answer);
    }

    /// Takes a request.
    pub(crate) fn ask(&mut self, client: usize, instance: usize, sent: Time, ask: Ask) {
        let worker = self.worker(client, instance);
        let is_queued = worker.listens && matches!(worker.state, State::Together(_));
        if let Ask::Release { attempt, parting, .. } = &ask
            && worker.planted.is_empty()
            && !(is_queued && matches!(parting, Parting::Leave { .. }))
        {
            let unsent: Vec<_> = worker.waiting.drain(..).chain(worker.held.take()).collect();
            for unsent in unsent {
                self.fail(client, instance, unsent, Unknown::TimedOut, true);
            }
            return self.tell_heard(client, instance, sent, Answer::Release(*attempt, Release::Nothing));
        }
        let aside = worker.aside;
        worker.waiting.push_back((sent, ask.clone()));
        if let (Ask::Release { attempt, slot, value, parting: Parting::Leave { .. } }, Some(conn)) = (ask, aside) {
            let ask = Ask::Release { attempt, slot, value, parting: Parting::Stay };
            let target = self.clients[client].target.clone();
            self.transmit(Parcel { ask, ..Parcel::empty(client, conn, target) });
        }
        self.send_waiting(client, instance);
    }

    fn send_waiting(&mut self, client: usize, instance: usize) {
        while let Some((sent, ask)) = self.worker(client, instance).waiting.pop_front() {
            if self.is_silent(client, instance, sent, &ask) {
                self.set_aside(client, instance);
            }
            if self.worker(client, instance).state == State::Apart {
                self.connect(client, instance);
            }
            let worker = self.worker(client, instance);
            let State::Together(conn) = worker.state else { return worker.waiting.push_front((sent, ask)) };
            let before = worker.held.take();
            if worker.is_early(&ask) {
                worker.held = Some((sent, ask));
                if worker.is_fresh {
                    self.send(client, instance, conn, sent, Ask::Watch(None));
                }
            } else {
                self.send(client, instance, conn, sent, ask);
            }
            if let Some(before) = before {
                self.fail(client, instance, before, Unknown::TimedOut, false);
            }
        }
    }

    /// Whether the connection has answered once, and owes an answer for two time limits.
    fn is_silent(&self, client: usize, instance: usize, sent: Time, ask: &Ask) -> bool {
        let it = &self.clients[client];
        let (worker, limit) = (&it.workers[instance], it.schedule.op_timeout() * 2);
        let owes = |oldest: &Errand| sent.since(oldest.sent) >= limit;
        matches!(worker.state, State::Together(_))
            && worker.has_answered
            && !matches!(ask, Ask::Release { .. })
            && worker.under_way.front().is_some_and(owes)
    }

    fn set_aside(&mut self, client: usize, instance: usize) {
        self.figures.asides += 1;
        let worker = self.worker(client, instance);
        let State::Together(conn) = worker.state else { return };
        let first = *worker.aside.get_or_insert(conn);
        let (under_way, held) = (std::mem::take(&mut worker.under_way), worker.held.take());
        worker.meets(State::Apart);
        if first != conn {
            // Of two that are silent the newer one is closed.
            self.conns[conn].is_open = false;
        }
        for errand in under_way {
            self.fail(client, instance, (errand.sent, errand.ask), Unknown::TimedOut, true);
        }
        if let Some(held) = held {
            self.fail(client, instance, held, Unknown::TimedOut, false);
        }
    }

    /// Starts to connect to the server that the host's name has now.
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
            Some(Unknown::TimedOut)
        } else {
            (now < self.servers[server].down_until).then(|| Unknown::Unreachable("refused".into()))
        };
        self.at(arrives.min(now + limit), Happening::Connected { client, conn: number, why });
    }

    pub(crate) fn connected(&mut self, client: usize, conn: usize, why: Option<Unknown>) {
        let &Conn { instance, server, run, .. } = &self.conns[conn];
        let has_gone = run != self.servers[server].run;
        let worker = self.worker(client, instance);
        if worker.state != State::Connecting(conn) {
            return;
        }
        match why.or_else(|| has_gone.then(|| Unknown::Unreachable("reset".into()))) {
            None => {
                worker.state = State::Together(conn);
                if !worker.servers.contains(&server) {
                    worker.servers.push(server);
                }
            }
            Some(why) => {
                worker.state = State::Apart;
                let first = worker.waiting.pop_front();
                self.conns[conn].is_open = false;
                if let Some(first) = first {
                    self.fail(client, instance, first, why, false);
                }
            }
        }
        self.send_waiting(client, instance);
    }

    fn send(&mut self, client: usize, instance: usize, conn: usize, sent: Time, ask: Ask) {
        let now = self.now;
        let it = &mut self.clients[client];
        let wall = it.wall(now);
        let worker = &mut it.workers[instance];
        let own = match &ask {
            Ask::Acquire { value, .. } | Ask::Extend { value, .. } | Ask::Release { value, .. } => Some(value.as_str()),
            Ask::Watch(_) => None,
        };
        let is_fresh = std::mem::replace(&mut worker.is_fresh, false);
        let owed = if is_fresh { worker.planted.owed(own) } else { vec![] };
        worker.listens |= matches!(ask, Ask::Watch(Some(_)));
        let marks = it.guard != Guard::Off;
        let is_stranger = worker.run_id.is_none() && !worker.is_refused;
        let depends_on_memory = matches!(ask, Ask::Acquire { .. } | Ask::Watch(None));
        let asks = is_stranger || (depends_on_memory && marks && !worker.is_refused);
        let report = asks.then(|| (marks.then_some(wall), worker.run_id.clone()));
        worker.asked += 1;
        if let Ask::Acquire { slot, value, .. } | Ask::Extend { slot, value, .. } = &ask {
            worker.planted.note(*slot, value, worker.asked);
        }
        worker.under_way.push_back(Errand { sent, ask: ask.clone(), number: worker.asked });
        let (listens, target) = (worker.listens, it.target.clone());
        let parcel = Parcel { owed, ask, report, listens, ..Parcel::empty(client, conn, target) };
        if let Ask::Release { attempt, .. } = &parcel.ask {
            self.tell_heard(client, instance, sent, Answer::Release(*attempt, Release::Written));
        }
        self.transmit(parcel);
    }

    /// The first request that has no answer yet was answered.
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
            // It is asked again.
            Some(Account::Untold(_)) => worker.run_id = None,
            None => {}
        }
        match reply.answer {
            Answer::Release(_, Release::Done(_)) => worker.planted.clear(errand.number),
            // The releases of all earlier attempts went before it.
            Answer::Vote(..) => worker.planted.clear(errand.number - 1),
            _ => {}
        }
        if let Some(held) = worker.held.take() {
            worker.waiting.push_front(held);
        }
        let Reply { answer, report, clock } = reply;
        self.send_waiting(client, instance);
        self.event(client, Event::Heard(Heard { instance, sent: errand.sent, report, clock, answer }));
    }

    /// The connection has ended.
    pub(crate) fn ended(&mut self, client: usize, conn: usize) {
        let instance = self.conns[conn].instance;
        self.conns[conn].is_open = false;
        let worker = self.worker(client, instance);
        if worker.aside == Some(conn) {
            worker.aside = None;
        }
        if worker.state != State::Together(conn) {
            return;
        }
        worker.meets(State::Apart);
        let under_way = std::mem::take(&mut worker.under_way);
        let held = worker.held.take();
        match held {
            Some(held @ (_, Ask::Watch(_))) => self.fail(client, instance, held, Unknown::TimedOut, false),
            Some(held) => self.worker(client, instance).waiting.push_front(held),
            None => {}
        }
        for errand in under_way {
            self.fail(client, instance, (errand.sent, errand.ask), Unknown::Unreachable("cut".into()), true);
        }
        self.tell_heard(client, instance, Time::default(), Answer::Disconnected);
        self.send_waiting(client, instance);
    }
}
