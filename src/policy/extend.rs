//! Keeping the lock: rounds of extension, and what their answers mean.

use super::Notice;
use crate::lock::{
    Account, Duty, Extension, HeldLock, IfMissing, InstanceResponse, LeaseChange, Membership,
    Response, Schedule, Time, Vote,
};

/// What keeping the lock demands now.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum ExtendStep {
    /// Send an extension to these instances.
    Extend(IfMissing, Vec<usize>),
    /// The lock is certainly ours until then: whoever watches over the command needs to know.
    Deadline(Time),
    /// Tell a person.
    Notify(Notice),
}

/// The extensions of one held lock.
///
/// A round asks all instances every third of the TTL. In between an instance that has not confirmed
/// is asked again by itself, later with every failure; while no quorum has confirmed the round,
/// after every time limit.
#[derive(Debug)]
pub struct Extender {
    schedule: Schedule,
    attempt: u32,
    held_lock: HeldLock,
    round_sent: Time,
    next_round: Time,
    /// The last round that was sent early.
    hurried: Option<Time>,
    requests: Vec<PendingExtension>,
    told: Time,
}

/// The newest request to one instance.
#[derive(Clone, Copy, Debug)]
struct PendingExtension {
    sent: Time,
    missing: IfMissing,
    /// When to ask again by itself; never, once it was confirmed.
    again: Time,
    /// How many in a row were not confirmed.
    failures: u32,
}

impl Extender {
    /// Keeps `held_lock`, which the attempt with this number won at `now` by these votes.
    #[must_use]
    pub fn new(
        schedule: Schedule,
        attempt: u32,
        held_lock: HeldLock,
        votes: &[Option<Vote>],
        now: Time,
    ) -> Self {
        let again = |(instance, vote): (usize, &Option<Vote>)| match vote {
            _ if held_lock.membership(instance) == Membership::Held => Time::NEVER,
            // The key was in the way, and may be gone by now. The sooner it is ours, the sooner a
            // member may fail.
            Some(Vote::Denied) => now,
            _ => now.plus(schedule.op_timeout()),
        };
        let request =
            |again| PendingExtension { sent: now, missing: IfMissing::Leave, again, failures: 0 };
        Self {
            requests: votes.iter().enumerate().map(again).map(request).collect(),
            schedule,
            attempt,
            held_lock,
            round_sent: Time::default(),
            next_round: now.plus(schedule.extend_every()),
            hurried: None,
            told: Time::default(),
        }
    }

    /// Until when the lock is certainly ours; `None` when it is lost.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.held_lock.deadline()
    }

    /// What the time demands of the command.
    pub fn duty(&self, now: Time) -> Duty {
        self.schedule.duty(now, self.deadline())
    }

    /// When to call [`Extender::woke`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        self.requests.iter().map(|request| self.again(request)).fold(self.next_round, Time::min)
    }

    /// When an instance is asked by itself.
    fn again(&self, request: &PendingExtension) -> Time {
        match request.again {
            _ if self.next_round == Time::NEVER => Time::NEVER,
            again if again == Time::NEVER || self.is_confirmed() => again,
            again => again.min(request.sent.plus(self.schedule.op_timeout())),
        }
    }

    /// Whether a quorum has confirmed the round.
    fn is_confirmed(&self) -> bool {
        self.held_lock.confirmed_at() >= Some(self.round_sent)
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time) -> Option<ExtendStep> {
        if !self.is_held(now) {
            self.next_round = Time::NEVER;
            return None;
        }
        let is_round = now >= self.next_round;
        let due = |request: &PendingExtension| is_round || now >= self.again(request);
        let asked: Vec<usize> = self
            .requests
            .iter()
            .enumerate()
            .filter(|(_, request)| due(request))
            .map(|(instance, _)| instance)
            .collect();
        if is_round {
            (self.round_sent, self.next_round) = (now, now.plus(self.schedule.extend_every()));
        }
        (!asked.is_empty()).then(|| self.ask(now, IfMissing::Leave, asked))
    }

    /// Whether the lock is held at `now`. What is lost must not be taken again while another run
    /// may have it.
    fn is_held(&self, now: Time) -> bool {
        self.deadline().is_some_and(|deadline| now < deadline)
    }

    fn ask(&mut self, now: Time, missing: IfMissing, instances: Vec<usize>) -> ExtendStep {
        let (shortest, longest) = (self.schedule.op_timeout(), self.schedule.extend_every());
        for instance in &instances {
            if let Some(request) = self.requests.get_mut(*instance) {
                let delay = shortest.saturating_mul(1 << request.failures.min(16)).min(longest);
                (request.sent, request.missing, request.again) = (now, missing, now.plus(delay));
                request.failures = request.failures.saturating_add(1);
            }
        }
        ExtendStep::Extend(missing, instances)
    }

    /// Sends the next round at once, but no more than one such round within a time limit: an
    /// instance that rejoins counts when its members have confirmed once more.
    fn hurry(&mut self, now: Time) {
        let at = self.hurried.map_or(now, |last| now.max(last.plus(self.schedule.op_timeout())));
        if at < self.next_round {
            (self.next_round, self.hurried) = (at, Some(at));
        }
    }

    /// An instance answered: to an extension, or late to the acquisition.
    pub fn heard(&mut self, now: Time, heard: &InstanceResponse) -> Vec<ExtendStep> {
        let instance = heard.instance;
        let mut moves = self.meet(now, heard);
        let change = match &heard.response {
            Response::Vote(attempt, vote) if *attempt == self.attempt => {
                self.voted(now, heard.sent, instance, vote)
            }
            Response::Extension(response) => {
                let is_news =
                    self.requests.get(instance).is_some_and(|request| request.failures <= 1);
                if is_news && matches!(response, Extension::Unknown(_) | Extension::Missing) {
                    moves.push(ExtendStep::Notify(Notice::Unconfirmed {
                        instance,
                        response: response.clone(),
                    }));
                }
                let change = self.held_lock.extend(instance, heard.sent, now, response);
                moves.extend(self.answered(now, instance, response));
                change
            }
            Response::Disconnected => {
                self.held_lock.disconnected(instance);
                self.ask_by(instance, now);
                LeaseChange::Same
            }
            _ => LeaseChange::Same,
        };
        match (change, &heard.response) {
            (LeaseChange::Left, Response::Extension(response)) => {
                moves.push(ExtendStep::Notify(Notice::InstanceLost {
                    instance,
                    response: Some(response.clone()),
                }));
            }
            (LeaseChange::Joined, _) => {
                moves.push(ExtendStep::Notify(Notice::InstanceRejoined { instance }));
            }
            _ => {}
        }
        moves.extend(self.new_deadline());
        moves
    }

    /// A vote that the lock was acquired without.
    fn voted(&mut self, now: Time, sent: Time, instance: usize, vote: &Vote) -> LeaseChange {
        match vote {
            Vote::Granted => {
                let is_in_time = now < sent.plus(self.schedule.op_timeout());
                let change = self.held_lock.grant(instance, sent, (!is_in_time).then_some(now));
                self.settle(now, instance);
                change
            }
            Vote::Denied => {
                self.ask_by(instance, now);
                LeaseChange::Same
            }
            Vote::Unknown(_) => LeaseChange::Same,
        }
    }

    /// What follows from what an instance said to an extension.
    fn answered(&mut self, now: Time, instance: usize, response: &Extension) -> Option<ExtendStep> {
        match response {
            Extension::Kept | Extension::SetAgain => {
                self.settle(now, instance);
                None
            }
            Extension::Missing => {
                let was_left = self
                    .requests
                    .get(instance)
                    .is_some_and(|request| request.missing == IfMissing::Leave);
                // The way is open at this moment, and the lock is held without this instance.
                (was_left && self.is_held(now))
                    .then(|| self.ask(now, IfMissing::Set, vec![instance]))
            }
            Extension::Foreign | Extension::Unknown(_) => None,
        }
    }

    /// The instance has our key.
    fn settle(&mut self, now: Time, instance: usize) {
        if let Some(request) = self.requests.get_mut(instance) {
            (request.again, request.failures) = (Time::NEVER, 0);
        }
        // A round that was sent after the gap was told is as good as another.
        if matches!(self.held_lock.membership(instance), Membership::Rejoining { told } if told > self.round_sent)
        {
            self.hurry(now);
        }
    }

    /// Asks the instance by itself at `now`, if it was not asked just before.
    fn ask_by(&mut self, instance: usize, now: Time) {
        let apart = self.schedule.op_timeout();
        if let Some(request) = self.requests.get_mut(instance) {
            let earliest = if request.failures == 0 { now } else { request.sent.plus(apart) };
            request.again = request.again.min(earliest.max(now));
        }
    }

    /// Learns who answers and what its clock shows, before what it says is counted.
    fn meet(&mut self, now: Time, heard: &InstanceResponse) -> Vec<ExtendStep> {
        let instance = heard.instance;
        let run_id = match heard.report.as_ref().and_then(|report| report.account.as_ref()) {
            Some(Account::Told { run_id, .. }) => Some(run_id),
            _ => None,
        };
        let identified = run_id.map(|run_id| self.held_lock.identify(instance, run_id));
        let identified = match identified {
            Some(LeaseChange::Left) => Some(Notice::InstanceLost { instance, response: None }),
            Some(LeaseChange::Twin(one)) => Some(Notice::SameServer { one, other: instance }),
            _ => None,
        };
        let stepped = heard
            .clock
            .and_then(|clock| self.held_lock.observe_clock(instance, clock, heard.sent, now));
        let stepped = stepped.map(|by| Notice::ClockStepped { instance, by });
        identified.into_iter().chain(stepped).map(ExtendStep::Notify).collect()
    }

    /// The deadline, when it moved so far that a watcher should hear of it: back at all, or on by a
    /// twentieth of the TTL. Smaller steps would only wake it.
    pub fn new_deadline(&mut self) -> Option<ExtendStep> {
        let deadline = self.deadline()?;
        if deadline < self.told || deadline.since(self.told) >= self.schedule.ttl().length() / 20 {
            self.told = deadline;
            return Some(ExtendStep::Deadline(deadline));
        }
        None
    }
}

#[cfg(test)]
mod tests;
