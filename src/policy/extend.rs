//! Extension of a held lock: rounds, retries, and the effect of each response.

mod pending;

use super::{Action, Notice};
use crate::lock::{
    Account, ClusterSize, Extension, HeldLock, IfMissing, InstanceResponse, LeaseChange,
    Membership, Response, Revocation, Schedule, Time, Vote,
};
use pending::{Delays, PendingExtension};

/// The extensions of one held lock.
///
/// A round goes to all instances every third of the TTL. Between two rounds an instance that has
/// not confirmed gets a request of its own, after a delay that doubles with each failure. While no
/// quorum has confirmed the round, the delay is one op-timeout.
#[derive(Debug)]
pub struct Extender {
    schedule: Schedule,
    attempt: u32,
    held_lock: HeldLock,
    round_sent: Time,
    next_round: Time,
    /// Last round that was sent early.
    early_round: Option<Time>,
    requests: Vec<PendingExtension>,
    /// The revocation of our value that each instance showed last, if any.
    revocations: Vec<Option<Revocation>>,
    /// Deadline that [`Extender::moved_deadline`] returned last.
    reported_deadline: Time,
}

impl Extender {
    /// The extensions of `held_lock`, which `attempt` acquired at `now` by `votes`.
    #[must_use]
    pub fn new(
        schedule: Schedule,
        attempt: u32,
        held_lock: HeldLock,
        votes: &[Option<Vote>],
        now: Time,
    ) -> Self {
        let retry_at = |(instance, vote): (usize, &Option<Vote>)| match vote {
            _ if held_lock.membership(instance) == Membership::Held => Time::NEVER,
            // The foreign key may be gone by now. Each further member allows one more failure.
            Some(Vote::Denied) => now,
            _ => now.plus(schedule.op_timeout()),
        };
        let request = |retry_at| PendingExtension::new(now, retry_at);
        Self {
            revocations: vec![None; votes.len()],
            requests: votes.iter().enumerate().map(retry_at).map(request).collect(),
            schedule,
            attempt,
            held_lock,
            round_sent: Time::default(),
            next_round: now.plus(schedule.extend_every()),
            early_round: None,
            reported_deadline: Time::default(),
        }
    }

    /// The extensions of `held_lock`, which an earlier process acquired. The first round is due at
    /// once.
    #[must_use]
    pub fn resumed(schedule: Schedule, size: ClusterSize, held_lock: HeldLock, now: Time) -> Self {
        let votes = vec![None; size.count()];
        let mut extender = Self::new(schedule, 0, held_lock, &votes, now);
        extender.next_round = now;
        extender
    }

    /// The leases of the lock.
    #[must_use]
    pub const fn held_lock(&self) -> &HeldLock {
        &self.held_lock
    }

    /// The expiry of the lock. `None` after a loss.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.held_lock.deadline()
    }

    /// The revocation of the lock, if an instance shows one. A minority of instances that do ends no
    /// run.
    #[must_use]
    pub fn revocation(&self) -> Option<&Revocation> {
        self.revocations.iter().flatten().next()
    }

    /// The moment at which [`Extender::handle_timeout`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        self.requests.iter().map(|request| self.retry_at(request)).fold(self.next_round, Time::min)
    }

    /// When the instance of `request` gets a request of its own.
    fn retry_at(&self, request: &PendingExtension) -> Time {
        match request.retry_at() {
            _ if self.next_round == Time::NEVER => Time::NEVER,
            retry_at if retry_at == Time::NEVER || self.is_confirmed() => retry_at,
            retry_at => retry_at.min(request.sent().plus(self.schedule.op_timeout())),
        }
    }

    /// Whether a quorum has confirmed the round.
    fn is_confirmed(&self) -> bool {
        self.held_lock.confirmed_at() >= Some(self.round_sent)
    }

    /// Sends the requests that are due at `now`. A lost lock is not extended any more.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        if !self.is_held(now) {
            self.next_round = Time::NEVER;
            return;
        }
        let is_round = now >= self.next_round;
        let is_due = |request: &PendingExtension| is_round || now >= self.retry_at(request);
        let instances: Vec<usize> = self
            .requests
            .iter()
            .enumerate()
            .filter(|(_, request)| is_due(request))
            .map(|(instance, _)| instance)
            .collect();
        if is_round {
            (self.round_sent, self.next_round) = (now, now.plus(self.schedule.extend_every()));
        }
        if !instances.is_empty() {
            self.request(now, IfMissing::Leave, instances, out);
        }
    }

    /// Whether the lock is held at `now`. After a loss another run may hold the lock.
    fn is_held(&self, now: Time) -> bool {
        self.deadline().is_some_and(|deadline| now < deadline)
    }

    fn request(
        &mut self,
        now: Time,
        missing: IfMissing,
        instances: Vec<usize>,
        out: &mut Vec<Action>,
    ) {
        let delays = self.delays();
        for instance in &instances {
            if let Some(request) = self.requests.get_mut(*instance) {
                request.send(now, missing, delays);
            }
        }
        out.push(Action::Extend(missing, instances));
    }

    /// The delays of the requests to one instance alone.
    fn delays(&self) -> Delays {
        Delays { shortest: self.schedule.op_timeout(), longest: self.schedule.extend_every() }
    }

    /// Sends the next round at once, but at most one early round per op-timeout: an instance that
    /// rejoins counts as soon as a quorum of members has confirmed once more.
    fn send_round_early(&mut self, now: Time) {
        let op_timeout = self.schedule.op_timeout();
        let at = self.early_round.map_or(now, |last| now.max(last.plus(op_timeout)));
        if at < self.next_round {
            (self.next_round, self.early_round) = (at, Some(at));
        }
    }

    /// Takes a response that was received at `now`: to an extension, or late to the acquisition.
    pub fn handle_response(
        &mut self,
        now: Time,
        received: &InstanceResponse,
        out: &mut Vec<Action>,
    ) {
        let instance = received.instance;
        let members = self.members();
        self.identify(now, received, out);
        let change = match &received.response {
            Response::Vote(attempt, vote) if *attempt == self.attempt => {
                self.count_late_vote(now, received.sent, instance, vote)
            }
            Response::Extension(extension) => {
                let is_news = self.requests.get(instance).is_some_and(PendingExtension::is_first);
                if is_news && matches!(extension, Extension::Unknown(_) | Extension::Missing) {
                    out.push(Action::Notify(Notice::Unconfirmed {
                        instance,
                        response: extension.clone(),
                    }));
                }
                self.note_revocation(instance, extension);
                let change = self.held_lock.extend(instance, received.sent, now, extension);
                self.follow_up(now, instance, extension, out);
                change
            }
            Response::Disconnected => {
                self.held_lock.disconnected(instance);
                let delays = self.delays();
                if let Some(request) = self.requests.get_mut(instance) {
                    request.disconnect(now, delays);
                }
                LeaseChange::Same
            }
            _ => LeaseChange::Same,
        };
        if let (LeaseChange::Left, Response::Extension(extension)) = (change, &received.response) {
            let response = Some(extension.clone());
            out.push(Action::Notify(Notice::InstanceLost { instance, response }));
        }
        // The response of one instance may complete the round that makes another one a member.
        let is_new = |(_, (before, after)): &(usize, (&bool, &bool))| !**before && **after;
        let after = self.members();
        let joined = members.iter().zip(&after).enumerate().filter(is_new);
        out.extend(
            joined.map(|(instance, _)| Action::Notify(Notice::InstanceRejoined { instance })),
        );
    }

    /// Whether each instance is a member.
    fn members(&self) -> Vec<bool> {
        let is_held = |instance| self.held_lock.membership(instance) == Membership::Held;
        (0..self.requests.len()).map(is_held).collect()
    }

    fn note_revocation(&mut self, instance: usize, extension: &Extension) {
        if let Some(shown) = self.revocations.get_mut(instance) {
            match extension {
                Extension::Revoked(revocation) => *shown = Some(revocation.clone()),
                Extension::Unknown(_) => {}
                _ => *shown = None,
            }
        }
    }

    /// Counts a vote that came after the lock was acquired by the others.
    fn count_late_vote(
        &mut self,
        now: Time,
        sent: Time,
        instance: usize,
        vote: &Vote,
    ) -> LeaseChange {
        match vote {
            Vote::Granted => {
                let is_in_time = now < sent.plus(self.schedule.op_timeout());
                let change = self.held_lock.grant(instance, sent, (!is_in_time).then_some(now));
                self.confirmed(now, instance);
                change
            }
            Vote::Denied => {
                if let Some(request) = self.requests.get_mut(instance) {
                    request.retry(now);
                }
                LeaseChange::Same
            }
            Vote::Unknown(_) => LeaseChange::Same,
        }
    }

    /// Sends the request that follows from a response to an extension, if any.
    fn follow_up(
        &mut self,
        now: Time,
        instance: usize,
        extension: &Extension,
        out: &mut Vec<Action>,
    ) {
        match extension {
            Extension::Kept | Extension::SetAgain => self.confirmed(now, instance),
            Extension::Missing => {
                let was_left = self
                    .requests
                    .get(instance)
                    .is_some_and(|request| request.missing() == IfMissing::Leave);
                // The connection works at this moment, and the lock is held by the other members.
                if was_left && self.is_held(now) {
                    self.request(now, IfMissing::Set, vec![instance], out);
                }
            }
            Extension::Foreign | Extension::Revoked(_) | Extension::Unknown(_) => {}
        }
    }

    /// The instance has confirmed our key.
    fn confirmed(&mut self, now: Time, instance: usize) {
        if let Some(request) = self.requests.get_mut(instance) {
            request.confirm();
        }
        // Any round that is sent after the end of the gap makes the instance a member.
        if matches!(self.held_lock.membership(instance), Membership::Rejoining { since } if since > self.round_sent)
        {
            self.send_round_early(now);
        }
    }

    /// Notes the `run_id` and the clock of the instance, before its response is counted.
    fn identify(&mut self, now: Time, received: &InstanceResponse, out: &mut Vec<Action>) {
        let instance = received.instance;
        let run_id = match received.report.as_ref().and_then(|report| report.account.as_ref()) {
            Some(Account::Told { run_id, .. }) => Some(run_id),
            _ => None,
        };
        let identified = run_id.map(|run_id| self.held_lock.identify(instance, run_id));
        let identified = match identified {
            Some(LeaseChange::Left) => Some(Notice::InstanceLost { instance, response: None }),
            Some(LeaseChange::Duplicate(one)) => Some(Notice::SameServer { one, other: instance }),
            _ => None,
        };
        let stepped = received
            .clock
            .and_then(|clock| self.held_lock.observe_clock(instance, clock, received.sent, now));
        let stepped = stepped.map(|by| Notice::ClockStepped { instance, by });
        out.extend(identified.into_iter().chain(stepped).map(Action::Notify));
    }

    /// The deadline, if it has moved back, or on by at least a twentieth of the TTL, since the last
    /// call. Each report wakes the guardian, so smaller steps are left out.
    pub fn moved_deadline(&mut self) -> Option<Time> {
        let deadline = self.deadline()?;
        let step = deadline.since(self.reported_deadline);
        let has_moved =
            deadline < self.reported_deadline || step >= self.schedule.ttl().length() / 20;
        if has_moved {
            self.reported_deadline = deadline;
        }
        has_moved.then_some(deadline)
    }
}

#[cfg(test)]
mod tests;
