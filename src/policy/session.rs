//! One run from the first vote to the last release: event in, actions out.
//!
//! Before any event is looked at, the clock is compared with the deadline: a timer that fired, or an answer that came,
//! is no proof of the time.

mod command;

use super::mention::Mentions;
use super::{
    Action, Attempts, Child, Event, Giveback, Keeper, Look, Mention, Move, Notice, OnLost, Origin, Outcome, Signal,
    Step, Terms, Watch,
};
use crate::lock::{Agreement, Answer, Heard, Holding, Parting, Sample, Time, Vote};
use command::Running;
use std::time::Duration;

#[derive(Debug)]
enum Phase {
    Acquiring,
    Starting {
        signals: Vec<(Signal, Origin)>,
    },
    Running(Running),
    /// The command is to end; without an outcome, the run ends as the command does.
    Stopping {
        outcome: Option<Outcome>,
        kill_at: Time,
        killed: bool,
    },
    Releasing {
        giveback: Giveback,
        outcome: Outcome,
        held: bool,
    },
    Over,
}

/// One run.
#[derive(Debug)]
pub struct Session {
    terms: Terms,
    begun: Time,
    mentions: Mentions,
    started: Time,
    attempts: Attempts,
    keeper: Option<Keeper>,
    /// The last deadline there was; a lost lock has none of its own.
    deadline: Time,
    phase: Phase,
    out: Vec<Action>,
}

impl Session {
    /// A run that begins at `now`; its first actions come from [`Event::Woke`].
    #[must_use]
    pub fn new(terms: Terms, agreement: Agreement, now: Time) -> Self {
        let begin = now.plus(terms.delay);
        let Terms { size, schedule, patience, slots, guard, .. } = terms;
        let mut attempts = Attempts::new(size, schedule, patience, slots, guard, agreement, begin);
        if terms.mention == Mention::Live {
            attempts.keep_up();
        }
        Self {
            terms,
            begun: now,
            mentions: Mentions::new(terms.mention, begin),
            started: Time::default(),
            attempts,
            keeper: None,
            deadline: Time::default(),
            phase: Phase::Acquiring,
            out: Vec::new(),
        }
    }

    /// When to send [`Event::Woke`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let keeper = self.keeper.as_ref().map_or(Time::NEVER, Keeper::wake_at);
        match &self.phase {
            Phase::Acquiring if self.attempts.has_failed() => self.attempts.wake_at().min(self.mentions.wake_at()),
            Phase::Acquiring => self.attempts.wake_at(),
            // What is only warned of is told of a command that runs.
            Phase::Starting { .. } if self.terms.on_lost == OnLost::Warn => keeper,
            Phase::Starting { .. } => keeper.min(self.stop_line()),
            Phase::Running(running) => keeper.min(running.wake_at(self.stop_line())),
            Phase::Stopping { killed: true, .. } => keeper,
            Phase::Stopping { kill_at, .. } => keeper.min(*kill_at),
            Phase::Releasing { giveback, .. } => giveback.limit(),
            Phase::Over => Time::NEVER,
        }
    }

    /// `event` happened, and now it is `now`.
    pub fn handle(&mut self, now: Time, sample: Sample, event: Event) -> Vec<Action> {
        // A command that ended was in time or not when it ended, however late that is heard.
        if !matches!(event, Event::Child(Child::Ended { .. })) {
            self.watch(now);
        }
        match event {
            Event::Woke => self.woke(now, sample),
            Event::Heard(heard) => self.heard(now, sample, heard),
            Event::Signal(signal) => self.signal(now, signal, Origin::Process),
            Event::Typed(signal) => self.signal(now, signal, Origin::Terminal),
            Event::Child(child) => self.child(now, child),
        }
        self.watch(now);
        self.mention_wait(now);
        self.finish(now);
        std::mem::take(&mut self.out)
    }

    fn woke(&mut self, now: Time, sample: Sample) {
        if matches!(self.phase, Phase::Acquiring) {
            let step = self.attempts.woke(now, sample);
            self.step(now, step);
        } else if matches!(self.phase, Phase::Starting { .. } | Phase::Running(_) | Phase::Stopping { .. })
            && let Some(keeper) = self.keeper.as_mut()
            && let Some(next) = keeper.woke(now)
        {
            self.act(next);
        }
    }

    fn heard(&mut self, now: Time, sample: Sample, heard: Heard) {
        if let Answer::Remark(remark) = heard.answer {
            return self.out.push(Action::Tell(Notice::Remark { instance: heard.instance, remark }));
        }
        match &mut self.phase {
            Phase::Acquiring => {
                let step = self.attempts.heard(now, sample, heard);
                self.step(now, step);
            }
            Phase::Starting { .. } | Phase::Running(_) | Phase::Stopping { .. } => {
                let moves = self.keeper.as_mut().map(|keeper| keeper.heard(now, &heard)).unwrap_or_default();
                for next in moves {
                    self.act(next);
                }
            }
            Phase::Releasing { giveback, .. } => {
                if let Answer::Release(attempt, answer) = heard.answer {
                    giveback.heard(heard.instance, attempt, answer);
                }
            }
            Phase::Over => {}
        }
    }

    fn step(&mut self, now: Time, step: Step) {
        self.out.extend(self.attempts.take_long_lease().map(Notice::LongLease).map(Action::Tell));
        match step {
            Step::Wait => {}
            Step::Acquire => {
                self.out.push(Action::Acquire(self.attempts.number(), self.attempts.slot()));
                // What is in the other slots tells whether other hosts count on as many.
                if self.terms.slots > 1 {
                    self.out.push(Action::Watch { instances: self.everybody(), waited: None });
                }
            }
            Step::Check(instances) => self.out.push(Action::Watch { instances, waited: None }),
            Step::GiveBack(watch) => {
                self.out.push(Action::Release(self.attempts.number(), Parting::Stay));
                if let Some(watch) = watch {
                    let waited = (watch == Watch::Queue).then(|| now.since(self.begun));
                    self.out.push(Action::Watch { instances: self.everybody(), waited });
                }
            }
            Step::Look(look) => {
                let instances = match look {
                    Look::None | Look::Try => return,
                    Look::One(instance) => vec![instance],
                    Look::All => self.everybody(),
                };
                let waited = self.attempts.is_queued().then(|| now.since(self.begun));
                self.out.push(Action::Watch { instances, waited });
            }
            Step::Won(holding, votes) => self.start(now, *holding, &votes),
            // A place in line is left behind the same way as a lock.
            Step::GiveUp(outcome) if self.attempts.is_queued() => self.release(now, outcome, false),
            Step::GiveUp(outcome) => {
                self.out.push(Action::Dismiss);
                self.end(outcome);
            }
        }
    }

    fn everybody(&self) -> Vec<usize> {
        (0..self.terms.size.count()).collect()
    }

    fn start(&mut self, now: Time, holding: Holding, votes: &[Option<Vote>]) {
        let schedule = self.terms.schedule;
        let mut keeper = Keeper::new(schedule, self.attempts.number(), holding, votes, now);
        let Some(Move::Deadline(deadline)) = keeper.new_deadline() else { return };
        self.deadline = deadline;
        self.keeper = Some(keeper);
        self.phase = Phase::Starting { signals: Vec::new() };
        self.end_of_wait();
        self.out.push(Action::Start { stop_at: schedule.stop_at(deadline), kill_at: self.kill_line() });
        self.out.push(Action::Tell(Notice::Acquired {
            attempts: self.attempts.number(),
            took: now.since(self.begun),
            left: deadline.since(now),
        }));
    }

    fn act(&mut self, next: Move) {
        let action = match next {
            Move::Extend(missing, instances) => Action::Extend(missing, instances),
            Move::Deadline(deadline) => {
                self.deadline = deadline;
                Action::Guard(self.kill_line())
            }
            Move::Tell(notice) => Action::Tell(notice),
        };
        self.out.push(action);
    }

    fn release(&mut self, now: Time, outcome: Outcome, held: bool) {
        self.keeper = None;
        self.end_of_wait();
        // A number of its own: an answer to the give-back of the last attempt is none to this.
        let attempt = self.attempts.number().saturating_add(1);
        let keep = self.rest(now, &outcome);
        let giveback = Giveback::new(self.terms.size, attempt, now, self.terms.schedule.op_timeout());
        self.phase = Phase::Releasing { giveback, outcome, held };
        self.out.extend([Action::Release(attempt, Parting::Leave { keep }), Action::Dismiss]);
    }

    /// How long the lock is to be kept from others after the command.
    fn rest(&self, now: Time, outcome: &Outcome) -> Duration {
        match outcome {
            Outcome::Ended(_) | Outcome::Overtime => {
                self.started.plus(self.terms.min_hold).since(now).max(self.terms.cooldown)
            }
            _ => Duration::ZERO,
        }
    }

    fn mention_wait(&mut self, now: Time) {
        if matches!(self.phase, Phase::Acquiring) {
            let attempts = &self.attempts;
            let notice = self.mentions.due(now, || Some((attempts.blocker(now)?, attempts.place())));
            self.out.extend(notice.map(Action::Tell));
        }
    }

    fn end_of_wait(&mut self) {
        self.out.extend(self.mentions.end().map(Action::Tell));
    }

    fn finish(&mut self, now: Time) {
        // What was never held is nobody's to answer for, once the kernel has what takes it back.
        if let Phase::Releasing { giveback, outcome, held } = &self.phase
            && (giveback.is_done(now) || !held && giveback.is_sent())
        {
            if *held && !giveback.is_complete() {
                self.out.push(Action::Tell(Notice::ReleaseIncomplete(giveback.answers().to_vec())));
            }
            let outcome = outcome.clone();
            self.end(outcome);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.end_of_wait();
        self.phase = Phase::Over;
        self.out.push(Action::End(outcome));
    }
}

#[cfg(test)]
mod tests;
