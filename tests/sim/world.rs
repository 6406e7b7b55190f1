//! The world: real time, the queue of what will happen, and what it does to clients and instances.

use super::checker::Section;
use super::client::{Client, Command};
use super::dice::Dice;
use super::faults::Fault;
use super::instance::{Instance, nanos};
use super::network::Link;
use redlock_cli::lock::{
    Answer, Arrival, Ask, ClusterSize, Extension, Heard, Parting, Release, Schedule, Time, Ttl, Unknown, Vote, Watched,
};
use redlock_cli::policy::{Action, Child, End, Event, Mention, OnLost, Patience, Session, Signal, Terms};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

pub(crate) const MS: u64 = 1_000_000;

/// What will happen.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Wake { client: usize, version: u64 },
    Request { client: usize, instance: usize, epoch: u64, sent: Time, ask: Ask },
    Reply { client: usize, instance: usize, epoch: u64, heard: Heard, ask: Ask },
    Tell { client: usize, child: Child },
    GuardianKills { client: usize, version: u64 },
    CommandEnds { client: usize, number: u64, end: End },
    Fault(Fault),
}

/// What a world counts, to show that it was not an empty one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) sections: u64,
    pub(crate) extensions: u64,
    pub(crate) attempts: u64,
    pub(crate) wakes: u64,
    pub(crate) losses: u64,
    pub(crate) restarts: u64,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) dice: Dice,
    pub(crate) ttl: Ttl,
    pub(crate) guard: Option<Duration>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) clients: Vec<Client>,
    pub(crate) sections: Vec<Section>,
    pub(crate) figures: Figures,
    /// Delays of messages: the usual span, and how many in a thousand take up to a TTL.
    pub(crate) delays: (u64, u64),
    pub(crate) slow: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: Vec<Option<Happening>>,
}

impl World {
    pub(crate) fn new(seed: u64, instances: usize, ttl_ms: u64, guard: bool) -> Self {
        let mut dice = Dice::new(seed);
        let ttl = Ttl::new(Duration::from_millis(ttl_ms)).unwrap();
        let rate = |dice: &mut Dice| dice.between(99_800, 100_200);
        Self {
            // The servers have been up for long enough to vote.
            now: 10_000 * MS,
            instances: (0..instances).map(|_| Instance::new(rate(&mut dice))).collect(),
            dice,
            ttl,
            guard: guard.then(|| ttl.length()),
            clients: vec![],
            sections: vec![],
            figures: Figures::default(),
            delays: (MS / 10, 3 * MS),
            slow: 0,
            queue: BinaryHeap::new(),
            happenings: vec![],
        }
    }

    /// Adds a client that begins at once, with a command that takes `runtime` and obeys TERM after that time, if ever.
    pub(crate) fn client(&mut self, runtime: u64, obeys_after: Option<u64>, patience_ms: Option<u64>) -> usize {
        let (offset, rate) = (self.dice.between(0, 1 << 50), self.dice.between(99_800, 100_200));
        let begun = Time::from_nanos(offset + self.now * rate / 100_000);
        let schedule = Schedule::new(self.ttl, None, None).unwrap();
        let terms = Terms {
            size: ClusterSize::redlock(self.instances.len()).unwrap(),
            schedule,
            patience: patience_ms
                .map_or(Patience::Forever, |ms| Patience::Until(begun.plus(Duration::from_millis(ms)))),
            delay: Duration::ZERO,
            slots: 1,
            mention: Mention::News,
            min_hold: Duration::ZERO,
            cooldown: Duration::ZERO,
            stop_signal: Signal::TERM,
            escalates: false,
            on_lost: OnLost::Stop,
            max_runtime: None,
            awaits_descendants: false,
        };
        self.clients.push(Client {
            session: Session::new(terms, begun),
            offset,
            rate,
            links: vec![Link::default(); self.instances.len()],
            value: String::new(),
            is_frozen: false,
            is_dead: false,
            inbox: vec![],
            command: Command::None,
            number: 0,
            runtime,
            obeys_after,
            kill_at: Time::NEVER,
            guard_version: 0,
            wake_version: 0,
            outcome: None,
        });
        let client = self.clients.len() - 1;
        self.event(client, Event::Woke);
        client
    }

    pub(crate) fn at(&mut self, when: u64, happening: Happening) {
        self.queue.push(Reverse((when.max(self.now), self.happenings.len() as u64)));
        self.happenings.push(Some(happening));
    }

    /// Lets the world go on until `until`, or until nothing more will happen.
    pub(crate) fn run(&mut self, until: u64) {
        while let Some(Reverse((when, number))) = self.queue.peek().copied() {
            if when > until {
                break;
            }
            self.queue.pop();
            self.now = when;
            let happening = self.happenings[usize::try_from(number).unwrap()].take().unwrap();
            self.happen(happening);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake { client, version } if self.clients[client].wake_version == version => {
                self.event(client, Event::Woke);
            }
            Happening::Request { client, instance, epoch, sent, ask } => {
                self.request(client, instance, epoch, sent, ask);
            }
            Happening::Reply { client, instance, epoch, heard, ask } => {
                self.reply(client, instance, epoch, heard, &ask);
            }
            Happening::Tell { client, child } => self.event(client, Event::Child(child)),
            Happening::GuardianKills { client, version } if self.clients[client].guard_version == version => {
                self.tell(client, Child::Expired);
                self.kill(client);
            }
            Happening::CommandEnds { client, number, end } if self.clients[client].number == number => {
                self.command_ends(client, end);
            }
            // What was timed for something that has changed meanwhile.
            Happening::Wake { .. } | Happening::GuardianKills { .. } | Happening::CommandEnds { .. } => {}
            Happening::Fault(fault) => fault.strike(self),
        }
    }

    /// Something reaches a redlock: at once, or when it is thawed, or never.
    pub(crate) fn event(&mut self, client: usize, event: Event) {
        if self.clients[client].is_over() {
            return;
        }
        if self.clients[client].is_frozen {
            self.clients[client].inbox.push(event);
            return;
        }
        let (now, sample) = (self.clients[client].clock(self.now), self.dice.sample());
        for action in self.clients[client].session.handle(now, sample, event) {
            self.act(client, now, action);
        }
        let it = &mut self.clients[client];
        let wake_at = it.session.wake_at();
        it.wake_version += 1;
        if wake_at < Time::NEVER && it.outcome.is_none() {
            let (when, version) = (it.real(wake_at), it.wake_version);
            self.at(when, Happening::Wake { client, version });
        }
    }

    fn act(&mut self, client: usize, now: Time, action: Action) {
        let value = self.clients[client].value.clone();
        match action {
            Action::Acquire(attempt, slot) => {
                let value = format!("{client}-{attempt}");
                self.clients[client].value.clone_from(&value);
                self.figures.attempts += 1;
                self.ask_all(client, now, &Ask::Acquire { attempt, slot, value });
            }
            Action::Extend(round, instances) => {
                self.figures.extensions += 1;
                for instance in instances {
                    self.ask(client, instance, now, &Ask::Extend { round, slot: 0, value: value.clone() });
                }
            }
            Action::Release(attempt, parting) => {
                self.ask_all(client, now, &Ask::Release { attempt, slot: 0, value, parting });
            }
            Action::Watch { instances, waited } => {
                let arrival = waited.map(|waited| Arrival { wall: Duration::from_nanos(self.now), waited });
                for instance in instances {
                    self.ask(client, instance, now, &Ask::Watch(arrival));
                }
            }
            Action::Start { stop_at, kill_at } => self.start(client, stop_at, kill_at),
            Action::Guard(kill_at) => self.guard_until(client, kill_at),
            Action::Stop(_) => {
                let it = &self.clients[client];
                if let (Command::Running { .. }, Some(after)) = (it.command, it.obeys_after) {
                    let number = it.number;
                    let end = End::Signaled(Signal::TERM);
                    self.at(self.now + after, Happening::CommandEnds { client, number, end });
                }
            }
            Action::Kill => self.kill(client),
            Action::End(outcome) => {
                if matches!(outcome, redlock_cli::policy::Outcome::Lost(_)) {
                    self.figures.losses += 1;
                }
                self.clients[client].outcome = Some(outcome);
            }
            _ => {}
        }
    }

    fn ask_all(&mut self, client: usize, now: Time, ask: &Ask) {
        (0..self.instances.len()).for_each(|instance| self.ask(client, instance, now, ask));
    }

    fn delay(&mut self) -> u64 {
        if self.dice.chance(self.slow) {
            return self.dice.between(self.delays.1, nanos(self.ttl.length()));
        }
        self.dice.between(self.delays.0, self.delays.1)
    }

    /// What the worker of one instance does with a request.
    fn ask(&mut self, client: usize, instance: usize, sent: Time, ask: &Ask) {
        let delay = self.delay();
        let link = &mut self.clients[client].links[instance];
        let leaves = matches!(ask, Ask::Release { parting: Parting::Leave { .. }, .. }) && link.is_up;
        if let (Ask::Release { attempt, .. }, None, false) = (ask, &link.planted, leaves) {
            let answer = Answer::Release(*attempt, Release::Nothing);
            return self.answer(client, instance, sent, answer);
        }
        // A new connection takes a trip of its own.
        let delay = if link.connect() { 2 * delay } else { delay };
        let owed = link.planted.clone();
        if let Ask::Acquire { value, .. } | Ask::Extend { value, .. } = ask {
            link.planted = Some(value.clone());
        }
        let (epoch, arrives) = (link.epoch, Link::arrives(&mut link.last_there, self.now, delay));
        if let (Ask::Acquire { .. }, Some(value)) = (ask, owed) {
            let owed = Ask::Release { attempt: 0, slot: 0, value, parting: Parting::Stay };
            self.at(arrives, Happening::Request { client, instance, epoch, sent, ask: owed });
        }
        self.clients[client].links[instance].pending.push(ask.clone());
        self.at(arrives, Happening::Request { client, instance, epoch, sent, ask: ask.clone() });
        if let Ask::Release { attempt, .. } = ask {
            self.answer(client, instance, sent, Answer::Release(*attempt, Release::Written));
        }
    }

    fn answer(&mut self, client: usize, instance: usize, sent: Time, answer: Answer) {
        let heard = Heard { instance, sent, identity: None, clock: None, answer };
        let (epoch, ask) = (0, Ask::Watch(None));
        self.at(self.now, Happening::Reply { client, instance, epoch, heard, ask });
    }

    fn request(&mut self, client: usize, instance: usize, epoch: u64, sent: Time, ask: Ask) {
        let hangs_until = self.instances[instance].hangs_until;
        if self.now < hangs_until {
            // The server's kernel keeps it, in its order.
            return self.at(hangs_until + 1, Happening::Request { client, instance, epoch, sent, ask });
        }
        let link = &self.clients[client].links[instance];
        // What was on its way when a connection broke may still be executed: here, always. Its answer is lost.
        let is_current = link.epoch == epoch && link.is_up;
        let (ttl, guard) = (self.ttl.length(), self.guard);
        let mut answer = self.instances[instance].execute(self.now, &ask, ttl, guard);
        match (&ask, &mut answer) {
            (Ask::Watch(Some(arrival)), Answer::Watch(Watched::Seen(view))) if is_current => {
                let since = arrival.wall.saturating_sub(arrival.waited);
                view.place = Some(self.instances[instance].queue(client, epoch, since));
            }
            (Ask::Release { parting: Parting::Leave { .. }, .. }, Answer::Release(_, Release::Done(None))) => {
                self.instances[instance].leave(client);
                self.wake_first(instance);
            }
            _ => {}
        }
        let is_owed = matches!(&ask, Ask::Release { attempt: 0, .. });
        if !is_current || is_owed {
            return;
        }
        let delay = self.delay();
        let identity = self.instances[instance].identity(instance, self.guard.is_some());
        let link = &mut self.clients[client].links[instance];
        let identity = (!std::mem::replace(&mut link.is_known, true)).then_some(identity);
        let arrives = Link::arrives(&mut link.last_here, self.now, delay);
        let heard = Heard { instance, sent, identity, clock: None, answer };
        self.at(arrives, Happening::Reply { client, instance, epoch, heard, ask });
    }

    /// The instance wakes the first in line. One message in fifty is lost: it is a hint.
    fn wake_first(&mut self, instance: usize) {
        let clients = &self.clients;
        let listens = |client: usize, epoch: u64| {
            let link = &clients[client].links[instance];
            !clients[client].is_over() && link.is_up && link.epoch == epoch
        };
        let Some(client) = self.instances[instance].first(listens) else { return };
        self.figures.wakes += 1;
        if self.dice.chance(20) {
            return;
        }
        let delay = self.delay();
        let link = &mut self.clients[client].links[instance];
        let (epoch, arrives) = (link.epoch, Link::arrives(&mut link.last_here, self.now, delay));
        let heard = Heard { instance, sent: Time::default(), identity: None, clock: None, answer: Answer::Woken(0) };
        self.at(arrives, Happening::Reply { client, instance, epoch, heard, ask: Ask::Watch(None) });
    }

    fn reply(&mut self, client: usize, instance: usize, epoch: u64, heard: Heard, ask: &Ask) {
        if epoch > 0 {
            let link = &mut self.clients[client].links[instance];
            if link.epoch != epoch || !link.is_up {
                return;
            }
            link.pending.retain(|pending| pending != ask);
            if let (Ask::Release { value, .. }, Some(planted)) = (ask, &link.planted)
                && value == planted
            {
                link.planted = None;
            }
        }
        self.event(client, Event::Heard(heard));
    }

    /// The connection breaks: whoever waits for an answer hears that none will come.
    pub(crate) fn cut(&mut self, client: usize, instance: usize) {
        let sent = self.clients[client].clock(self.now);
        for ask in self.clients[client].links[instance].cut() {
            let unknown = || Unknown::Unreachable("cut".into());
            let answer = match ask {
                Ask::Acquire { attempt, .. } => Answer::Vote(attempt, Vote::Unknown(unknown())),
                Ask::Extend { round, .. } => Answer::Extension(round, Extension::Unknown(unknown())),
                Ask::Release { attempt, .. } => Answer::Release(attempt, Release::Unknown(unknown())),
                Ask::Watch(_) => Answer::Watch(Watched::Unknown(unknown())),
            };
            self.answer(client, instance, sent, answer);
        }
    }

    fn start(&mut self, client: usize, stop_at: Time, kill_at: Time) {
        if self.clients[client].clock(self.now) >= stop_at {
            return self.tell(client, Child::TooLate);
        }
        self.figures.sections += 1;
        let it = &mut self.clients[client];
        it.number += 1;
        it.command = Command::Running { since: self.now };
        let (number, ends) = (it.number, self.now + it.runtime);
        self.at(ends, Happening::CommandEnds { client, number, end: End::Exited(0) });
        self.guard_until(client, kill_at);
        self.tell(client, Child::Started);
    }

    fn guard_until(&mut self, client: usize, kill_at: Time) {
        let it = &mut self.clients[client];
        it.kill_at = kill_at;
        it.guard_version += 1;
        let (when, version) = (it.real(kill_at), it.guard_version);
        if kill_at < Time::NEVER {
            self.at(when, Happening::GuardianKills { client, version });
        }
    }

    /// The guardian kills the tree, which takes it up to two milliseconds.
    pub(crate) fn kill(&mut self, client: usize) {
        let after = self.dice.between(0, 2 * MS);
        let it = &mut self.clients[client];
        it.guard_version += 1;
        let number = it.number;
        if matches!(it.command, Command::Running { .. }) {
            let end = End::Signaled(Signal::KILL);
            self.at(self.now + after, Happening::CommandEnds { client, number, end });
        }
        self.at(self.now + after + 1, Happening::Tell { client, child: Child::Gone });
    }

    fn command_ends(&mut self, client: usize, end: End) {
        let it = &mut self.clients[client];
        if let Command::Running { since } = std::mem::replace(&mut it.command, Command::None) {
            it.guard_version += 1;
            let at = it.clock(self.now);
            self.sections.push(Section { client, from: since, to: self.now });
            self.tell(client, Child::Ended { end, at });
        }
    }

    fn tell(&mut self, client: usize, child: Child) {
        self.at(self.now, Happening::Tell { client, child });
    }
}
