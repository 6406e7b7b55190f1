//! Keeping the lock: rounds of extension, and what their answers mean.

use super::Notice;
use crate::lock::{Answer, Change, Duty, Extension, Heard, Holding, Round, Schedule, Time, Vote};

/// What keeping the lock demands now.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Move {
    /// Send the extension of this round to these instances.
    Extend(Round, Vec<usize>),
    /// The lock is certainly ours until then: whoever watches over the command needs to know.
    Deadline(Time),
    /// Tell a person.
    Tell(Notice),
}

/// The rounds of one held lock.
#[derive(Debug)]
pub struct Keeper {
    schedule: Schedule,
    attempt: u32,
    holding: Holding,
    round: Round,
    next_round: Time,
    /// When the round is tried again, unless it is confirmed.
    retry: Time,
    /// How many extensions each instance owes an answer to.
    owed: Vec<u32>,
    told: Time,
}

impl Keeper {
    /// Unanswered extensions that one instance may have. A second one goes behind the first because its confirmation
    /// reaches further; more would only pile up before an instance that hangs.
    const OWED_MAX: u32 = 2;

    /// Keeps `holding`, which the attempt with this number won at `now`.
    #[must_use]
    pub fn new(schedule: Schedule, size: usize, attempt: u32, holding: Holding, now: Time) -> Self {
        Self {
            schedule,
            attempt,
            holding,
            round: 0,
            next_round: now.plus(schedule.extend_every()),
            retry: Time::NEVER,
            owed: vec![0; size],
            told: Time::default(),
        }
    }

    /// Until when the lock is certainly ours; `None` when it is lost.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.holding.deadline()
    }

    /// What the time demands of the command.
    pub fn duty(&self, now: Time) -> Duty {
        self.schedule.duty(now, self.deadline())
    }

    /// When to call [`Keeper::woke`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        if self.is_confirmed() { self.next_round } else { self.next_round.min(self.retry) }
    }

    fn is_confirmed(&self) -> bool {
        self.holding.confirmed_round() >= Some(self.round)
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time) -> Option<Move> {
        // What is lost must not be taken again behind the back of whoever has it now.
        if self.deadline().is_none_or(|deadline| now >= deadline) {
            (self.next_round, self.retry) = (Time::NEVER, Time::NEVER);
            return None;
        }
        let limit = if now >= self.next_round {
            Self::OWED_MAX
        } else if now >= self.retry && !self.is_confirmed() {
            1
        } else {
            return None;
        };
        let asked: Vec<usize> =
            self.owed.iter().enumerate().filter(|(_, owed)| **owed < limit).map(|(instance, _)| instance).collect();
        for instance in &asked {
            if let Some(owed) = self.owed.get_mut(*instance) {
                *owed += 1;
            }
        }
        if now >= self.next_round {
            self.next_round = now.plus(self.schedule.extend_every());
        }
        self.retry = now.plus(self.schedule.op_timeout());
        self.round += 1;
        Some(Move::Extend(self.round, asked))
    }

    /// An instance answered: to an extension, or late to the acquisition.
    pub fn heard(&mut self, now: Time, heard: &Heard) -> Vec<Move> {
        let instance = heard.instance;
        let mut moves = self.meet(now, heard);
        let change = match &heard.answer {
            Answer::Vote(attempt, Vote::Granted) if *attempt == self.attempt => {
                self.holding.grant(instance, heard.sent)
            }
            Answer::Extension(round, answer) => {
                if let Some(owed) = self.owed.get_mut(instance) {
                    *owed = owed.saturating_sub(1);
                }
                if matches!(answer, Extension::Unknown(_) | Extension::Missing) {
                    moves.push(Move::Tell(Notice::Unconfirmed { instance, answer: answer.clone() }));
                }
                self.holding.extend(instance, *round, heard.sent, answer)
            }
            Answer::Vote(..) | Answer::Release(..) | Answer::Watch(_) | Answer::Woken(_) | Answer::Remark(_) => {
                Change::Same
            }
        };
        match (change, &heard.answer) {
            (Change::Left, Answer::Extension(_, answer)) => {
                moves.push(Move::Tell(Notice::Left { instance, answer: Some(answer.clone()) }));
            }
            (Change::Joined, _) => moves.push(Move::Tell(Notice::Joined { instance })),
            _ => {}
        }
        moves.extend(self.new_deadline());
        moves
    }

    /// Learns who answers and what its clock shows, before what it says is counted.
    fn meet(&mut self, now: Time, heard: &Heard) -> Vec<Move> {
        let instance = heard.instance;
        let identified = heard.identity.as_ref().map(|identity| self.holding.identify(instance, identity));
        let identified = match identified {
            Some(Change::Left) => Some(Notice::Left { instance, answer: None }),
            Some(Change::Twin(one)) => Some(Notice::SameServer { one, other: instance }),
            _ => None,
        };
        let stepped = heard.clock.and_then(|clock| self.holding.look_at(instance, clock, heard.sent, now));
        let stepped = stepped.map(|by| Notice::ClockStepped { instance, by });
        identified.into_iter().chain(stepped).map(Move::Tell).collect()
    }

    /// The deadline, when it moved so far that a watcher should hear of it: back at all, or on by a twentieth of the
    /// TTL. Smaller steps would only wake it.
    pub fn new_deadline(&mut self) -> Option<Move> {
        let deadline = self.deadline()?;
        if deadline < self.told || deadline.since(self.told) >= self.schedule.ttl().length() / 20 {
            self.told = deadline;
            return Some(Move::Deadline(deadline));
        }
        None
    }
}

#[cfg(test)]
mod tests;
