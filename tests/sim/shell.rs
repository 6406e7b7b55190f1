//! A redlock and its guardian: they carry out the actions of a session and run the command.

use super::checker::{Fenced, Section};
use super::client::{Before, Command};
use super::server::nanos;
use super::world::{Happening, MS, World};
use redlock_cli::lock::{
    AfterRelease, FenceToken, IfMissing, Proposal, QueuedSince, Request, Time,
};
use redlock_cli::policy::{Action, ChildEvent, End, Event, Notice, Outcome, Signal};

impl World {
    /// Passes an event to a redlock that is not stopped.
    pub(crate) fn event(&mut self, client: usize, event: Event) {
        if self.clients[client].is_over() {
            return;
        }
        let (now, sample) = (self.clients[client].clock(self.now), self.dice.sample());
        let actions = self.clients[client].session.handle(now, sample, event);
        self.carry_out(client, actions.into_iter().map(|action| (now, action)).collect());
        let it = &mut self.clients[client];
        let wake_at = it.session.wake_at();
        it.wake_version += 1;
        if wake_at < Time::NEVER && it.outcome.is_none() {
            let (when, version) = (it.real(wake_at), it.wake_version);
            self.at(when, Happening::Wake { client, version });
        }
    }

    /// Carries out the actions, up to the one before which the redlock is stopped.
    fn carry_out(&mut self, client: usize, actions: Vec<(Time, Action)>) {
        let mut actions = actions.into_iter();
        while let Some((now, action)) = actions.next() {
            let it = &mut self.clients[client];
            let before = match action {
                Action::Acquire(..) => Some(Before::Vote),
                Action::Start { .. } => Some(Before::Start),
                _ => None,
            };
            if before.is_some() && before == it.freezes_before {
                (it.is_frozen, it.freezes_before) = (true, None);
                it.undone = std::iter::once((now, action)).chain(actions).collect();
                return;
            }
            self.act(client, now, action);
        }
    }

    /// Continues a stopped redlock: first its pending actions, then the events since.
    pub(crate) fn thaw(&mut self, client: usize) {
        let it = &mut self.clients[client];
        if it.is_over() || !std::mem::take(&mut it.is_frozen) {
            return;
        }
        let (undone, inbox) = (std::mem::take(&mut it.undone), std::mem::take(&mut it.inbox));
        self.carry_out(client, undone);
        // The loop reads the clock after all events that have come.
        for happening in
            inbox.into_iter().filter(|happening| !matches!(happening, Happening::Wake { .. }))
        {
            self.happen(happening);
        }
        if !self.clients[client].is_frozen {
            self.event(client, Event::Woke);
        }
    }

    fn act(&mut self, client: usize, now: Time, action: Action) {
        let (slot, value) = (self.clients[client].slot, self.clients[client].value.clone());
        match action {
            Action::Acquire(attempt, slot) => {
                let token = format!("{client}-{attempt}");
                let value = self.clients[client].holder.lock_value(&token, 0, None).to_line();
                (self.clients[client].slot, self.clients[client].value) = (slot, value.clone());
                self.figures.attempts += 1;
                let fence = None;
                self.ask_all(client, now, &Request::Acquire { attempt, slot, value, fence });
            }
            Action::Propose { attempt, above } => self.propose(client, now, attempt, above),
            Action::Raise(attempt, instances) => {
                let proposal = self.clients[client].proposal.clone().unwrap();
                for (instance, counters) in instances {
                    let (value, proposal) = (value.clone(), proposal.clone());
                    let request = Request::Raise { attempt, value, proposal, counters };
                    self.ask(client, instance, now, request);
                }
            }
            Action::Extend(missing, instances) => {
                self.figures.extensions += u64::from(missing == IfMissing::Leave);
                self.figures.set_agains += u64::from(missing == IfMissing::Set);
                for instance in instances {
                    self.ask(
                        client,
                        instance,
                        now,
                        Request::Extend { missing, slot, value: value.clone() },
                    );
                }
            }
            Action::Release(attempt, after_release) => {
                self.clients[client].keeps = matches!(after_release, AfterRelease::LeaveQueue { hold_for } if !hold_for.is_zero());
                self.ask_all(
                    client,
                    now,
                    &Request::Release { attempt, slot, value, after_release },
                );
            }
            Action::AskStatus { instances, waited } => {
                let wall = self.clients[client].wall(self.now);
                let queued_since = waited.map(|waited| QueuedSince { wall, waited });
                for instance in instances {
                    self.ask(client, instance, now, Request::Status(queued_since));
                }
            }
            Action::Start { stop_at, kill_at } => self.start(client, stop_at, kill_at),
            Action::SetKillDeadline(kill_at) => self.guard_until(client, kill_at),
            Action::Stop(_) | Action::ForwardSignal(_) => self.obey(client),
            Action::Kill => self.kill(client),
            Action::Notify(notice) => self.clients[client].notices.push(notice),
            Action::End(outcome) => {
                self.figures.losses += u64::from(matches!(outcome, Outcome::Lost(_)));
                self.clients[client].outcome = Some(outcome);
                self.leaves(client);
            }
            _ => {}
        }
    }

    /// Acquires with a fencing token.
    fn propose(&mut self, client: usize, now: Time, attempt: u32, above: Option<FenceToken>) {
        let it = &mut self.clients[client];
        let token = FenceToken::proposal(it.wall(self.now), above);
        let nonce = format!("{client}x{attempt}");
        it.value = it.holder.lock_value(&nonce, 0, Some(token)).to_line();
        it.slot = 0;
        it.proposal = Some(Proposal { token, nonce });
        let (value, fence) = (it.value.clone(), it.proposal.clone());
        self.figures.attempts += 1;
        self.ask_all(client, now, &Request::Acquire { attempt, slot: 0, value, fence });
    }

    fn ask_all(&mut self, client: usize, now: Time, request: &Request) {
        for instance in 0..self.clients[client].workers.len() {
            self.ask(client, instance, now, request.clone());
        }
    }

    /// Ends a redlock, by itself or by a kill.
    pub(crate) fn leaves(&mut self, client: usize) {
        self.clients[client].ended_at = self.now;
        self.leave_connections(client);
        (0..self.servers.len()).for_each(|server| self.check_left(client, server));
    }

    fn obey(&mut self, client: usize) {
        let it = &self.clients[client];
        if let (Command::Running { .. }, Some(after)) = (it.command, it.obeys_after) {
            let (number, end) = (it.number, End::Signaled(Signal::TERM));
            self.at(self.now + after, Happening::CommandEnds { client, number, end });
        }
    }

    fn start(&mut self, client: usize, stop_at: Time, kill_at: Time) {
        if self.clients[client].clock(self.now) >= stop_at {
            return self.tell(client, ChildEvent::TooLate);
        }
        self.figures.sections += 1;
        let it = &mut self.clients[client];
        it.number += 1;
        it.command = Command::Running { since: self.now };
        let (number, ends) = (it.number, self.now + it.runtime);
        if let Some(proposal) = &it.proposal {
            let is_new =
                |notice: &Notice| matches!(notice, Notice::FirstFence | Notice::CountersLost);
            let begins_anew = it.notices.iter().any(is_new);
            let (names, token) = (it.target.names.clone(), proposal.token);
            self.fences.extend(names.into_iter().map(|name| Fenced { name, token, begins_anew }));
        }
        self.at(ends, Happening::CommandEnds { client, number, end: End::Exited(0) });
        self.guard_until(client, kill_at);
        self.tell(client, ChildEvent::Started);
    }

    fn guard_until(&mut self, client: usize, kill_at: Time) {
        self.check_deadline(client, kill_at);
        let it = &mut self.clients[client];
        it.guard_version += 1;
        let (when, version) = (it.real(kill_at), it.guard_version);
        if kill_at < Time::NEVER {
            self.at(when, Happening::GuardianKills { client, version });
        }
    }

    /// Checks that a quorum of servers, apart from harmed ones, keeps the key for as long as the
    /// client tells its guardian.
    fn check_deadline(&mut self, client: usize, kill_at: Time) {
        let it = &self.clients[client];
        if kill_at == Time::NEVER {
            return;
        }
        // The clocks' rates are rounded.
        let deadline = it.real(kill_at.plus(it.schedule.margin())) - 10_000;
        if deadline <= self.now {
            return;
        }
        // Leases from before the harm have ended by then.
        let lease = nanos(it.target.ttl) * 101 / 100;
        let is_harmed = |harmed: Option<&u64>| harmed.is_some_and(|at| at + lease >= deadline);
        let keeps = |server: &usize| {
            let server = &self.servers[*server];
            let keys = it.target.keys(it.slot);
            is_harmed(server.harmed_at.as_ref())
                || keys.iter().all(|key| {
                    server.keeps_until(*key, &it.value).is_some_and(|until| until >= deadline)
                })
        };
        let counts = |instance: &usize| {
            is_harmed(self.moved_at.get(&it.hosts[*instance]))
                || it.workers[*instance].servers.iter().any(keeps)
        };
        let count = (0..it.workers.len()).filter(counts).count();
        if count <= it.workers.len() / 2 {
            let wrong = format!(
                "client {client} counts on {deadline}, and only {count} servers keep its key so long"
            );
            self.wrong.push(wrong);
        }
    }

    /// The guardian kills the tree, within two milliseconds.
    pub(crate) fn kill(&mut self, client: usize) {
        let after = self.dice.between(0, 2 * MS);
        let it = &mut self.clients[client];
        it.guard_version += 1;
        let number = it.number;
        if matches!(it.command, Command::Running { .. }) {
            let end = End::Signaled(Signal::KILL);
            self.at(self.now + after, Happening::CommandEnds { client, number, end });
        }
        self.at(self.now + after + 1, Happening::Tell { client, child: ChildEvent::Gone });
    }

    pub(crate) fn command_ends(&mut self, client: usize, end: End) {
        let it = &mut self.clients[client];
        if let Command::Running { since } = std::mem::replace(&mut it.command, Command::None) {
            it.guard_version += 1;
            let at = it.clock(self.now);
            for key in it.target.keys(it.slot) {
                self.sections.push(Section { key, client, from: since, to: self.now });
            }
            self.tell(client, ChildEvent::Ended { end, at });
        }
    }

    fn tell(&mut self, client: usize, child: ChildEvent) {
        self.at(self.now, Happening::Tell { client, child });
    }
}
