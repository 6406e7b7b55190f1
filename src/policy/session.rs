//! One run from the first vote to the last release: event in, actions out.
//!
//! Before any event is looked at, the clock is compared with the deadline: a timer that fired, or an answer that came,
//! is no proof of the time.

use super::{
    Action, Attempts, Child, Event, Fault, Giveback, Keeper, Loss, Move, Notice, Outcome, Signal, Step, Terms,
};
use crate::lock::{Answer, Duty, Heard, Holding, Sample, Time};
use std::time::Duration;

#[derive(Debug)]
enum Phase {
    Acquiring,
    Starting { signals: Vec<Signal> },
    Running,
    Stopping { outcome: Outcome, kill_at: Time, killed: bool },
    Releasing { giveback: Giveback, outcome: Outcome, held: bool },
    Over,
}

/// One run.
#[derive(Debug)]
pub struct Session {
    terms: Terms,
    begun: Time,
    said_waiting: bool,
    attempts: Attempts,
    keeper: Option<Keeper>,
    /// The last deadline there was; a lost lock has none of its own.
    deadline: Time,
    phase: Phase,
    out: Vec<Action>,
}

impl Session {
    /// How long a wait lasts before it is mentioned.
    pub const SILENT_WAIT: Duration = Duration::from_secs(1);

    /// A run that begins at `now`; its first actions come from [`Event::Woke`].
    #[must_use]
    pub fn new(terms: Terms, now: Time) -> Self {
        Self {
            terms,
            begun: now,
            said_waiting: false,
            attempts: Attempts::new(terms.size, terms.schedule, terms.patience),
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
            Phase::Acquiring if self.said_waiting || self.attempts.blocker().is_none() => self.attempts.wake_at(),
            Phase::Acquiring => self.attempts.wake_at().min(self.begun.plus(Self::SILENT_WAIT)),
            Phase::Starting { .. } | Phase::Running => keeper.min(self.terms.schedule.stop_at(self.deadline)),
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
            Event::Signal(signal) => self.signal(now, signal),
            Event::Child(child) => self.child(now, child),
        }
        self.watch(now);
        self.mention_wait(now);
        self.finish(now);
        std::mem::take(&mut self.out)
    }

    /// Compares the clock with the deadline.
    fn watch(&mut self, now: Time) {
        let Some(keeper) = &self.keeper else { return };
        self.deadline = keeper.deadline().unwrap_or(self.deadline);
        let loss = if keeper.deadline().is_some() { Loss::Silence } else { Loss::Taken };
        if matches!(self.phase, Phase::Starting { .. } | Phase::Running) && keeper.duty(now) >= Duty::Stop {
            self.out.push(Action::Tell(Notice::Stopping(loss)));
            self.stop(now, Outcome::Lost(loss));
        }
        if let Phase::Stopping { kill_at, killed: killed @ false, .. } = &mut self.phase
            && now >= *kill_at
        {
            *killed = true;
            self.out.extend([Action::Tell(Notice::Killing), Action::Kill]);
        }
    }

    fn stop(&mut self, now: Time, outcome: Outcome) {
        let schedule = &self.terms.schedule;
        let kill_at = schedule.kill_at(self.deadline).min(now.plus(schedule.kill_after()));
        // Stopping it would wake it, if it is stopped: too late for that, it is killed where it stands.
        if now < kill_at {
            self.out.push(Action::Stop(self.terms.stop_signal));
        }
        self.phase = Phase::Stopping { outcome, kill_at, killed: false };
    }

    fn woke(&mut self, now: Time, sample: Sample) {
        if matches!(self.phase, Phase::Acquiring) {
            let step = self.attempts.woke(now, sample);
            self.step(now, step);
        } else if matches!(self.phase, Phase::Starting { .. } | Phase::Running | Phase::Stopping { .. })
            && let Some(keeper) = self.keeper.as_mut()
            && let Some(next) = keeper.woke(now)
        {
            self.act(next);
        }
    }

    fn heard(&mut self, now: Time, sample: Sample, heard: Heard) {
        match &mut self.phase {
            Phase::Acquiring => {
                let step = self.attempts.heard(now, sample, heard);
                self.step(now, step);
            }
            Phase::Starting { .. } | Phase::Running | Phase::Stopping { .. } => {
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
        match step {
            Step::Wait => {}
            Step::Acquire => self.out.push(Action::Acquire(self.attempts.number())),
            Step::GiveBack => self.out.push(Action::Release(self.attempts.number())),
            Step::Won(holding) => self.start(now, *holding),
            Step::GiveUp(outcome) => self.end(outcome),
        }
    }

    fn start(&mut self, now: Time, holding: Holding) {
        let schedule = self.terms.schedule;
        let mut keeper = Keeper::new(schedule, self.terms.size.count(), self.attempts.number(), holding, now);
        let Some(Move::Deadline(deadline)) = keeper.new_deadline() else { return };
        self.deadline = deadline;
        self.keeper = Some(keeper);
        self.phase = Phase::Starting { signals: Vec::new() };
        self.out.push(Action::Start { stop_at: schedule.stop_at(deadline), kill_at: schedule.kill_at(deadline) });
        self.out.push(Action::Tell(Notice::Acquired {
            attempts: self.attempts.number(),
            took: now.since(self.begun),
            left: deadline.since(now),
        }));
    }

    fn act(&mut self, next: Move) {
        self.out.push(match next {
            Move::Extend(round, instances) => Action::Extend(round, instances),
            Move::Deadline(deadline) => Action::Guard(self.terms.schedule.kill_at(deadline)),
            Move::Tell(notice) => Action::Tell(notice),
        });
    }

    fn signal(&mut self, now: Time, signal: Signal) {
        match &mut self.phase {
            Phase::Acquiring if signal.ends_a_wait() => self.release(now, Outcome::Interrupted(signal), false),
            Phase::Starting { signals } => signals.push(signal),
            Phase::Running | Phase::Stopping { .. } => self.out.push(Action::Pass(signal)),
            Phase::Acquiring | Phase::Releasing { .. } | Phase::Over => {}
        }
    }

    fn child(&mut self, now: Time, child: Child) {
        match &self.phase {
            Phase::Starting { .. } | Phase::Running => self.child_of_run(now, child),
            Phase::Stopping { outcome, .. } => match child {
                // What it started may live on: nothing outlives a lost lock.
                Child::Ended { .. } | Child::Orphaned => self.kill_rest(),
                Child::Gone | Child::NotStarted(_) | Child::TooLate => {
                    let outcome = outcome.clone();
                    self.release(now, outcome, true);
                }
                Child::Started | Child::Stopped(_) | Child::Resumed | Child::Expired => {}
            },
            // The guardian of a command that is over may go.
            Phase::Acquiring | Phase::Releasing { .. } | Phase::Over => {}
        }
    }

    fn child_of_run(&mut self, now: Time, child: Child) {
        match child {
            Child::Started => {
                if let Phase::Starting { signals } = std::mem::replace(&mut self.phase, Phase::Running) {
                    self.out.extend(signals.into_iter().map(Action::Pass));
                }
            }
            Child::TooLate => {
                self.keeper = None;
                self.phase = Phase::Acquiring;
                let step = self.attempts.too_late(now);
                self.step(now, step);
            }
            Child::NotStarted(error) => self.release(now, Outcome::CannotRun(error), true),
            Child::Ended { end, at } if at < self.deadline => self.release(now, Outcome::Ended(end), true),
            Child::Ended { .. } => {
                self.stop(now, Outcome::Lost(Loss::Overrun));
                self.kill_rest();
            }
            Child::Expired => {
                self.stop(now, Outcome::Lost(Loss::Silence));
                self.kill_rest();
            }
            Child::Orphaned => {
                self.stop(now, Outcome::Failed(Fault::GuardianLost));
                self.kill_rest();
            }
            Child::Stopped(_) => self.out.push(Action::Suspend),
            Child::Resumed => self.out.push(Action::Resume),
            // It follows a kill, and nobody has ordered one.
            Child::Gone => {}
        }
    }

    fn kill_rest(&mut self) {
        if let Phase::Stopping { killed, .. } = &mut self.phase {
            *killed = true;
            self.out.push(Action::Kill);
        }
    }

    fn release(&mut self, now: Time, outcome: Outcome, held: bool) {
        self.keeper = None;
        let attempt = self.attempts.number();
        let giveback = Giveback::new(self.terms.size, attempt, now, self.terms.schedule.op_timeout());
        self.phase = Phase::Releasing { giveback, outcome, held };
        self.out.extend([Action::Release(attempt), Action::Dismiss]);
    }

    fn mention_wait(&mut self, now: Time) {
        if matches!(self.phase, Phase::Acquiring)
            && !self.said_waiting
            && now >= self.begun.plus(Self::SILENT_WAIT)
            && let Some(blocker) = self.attempts.blocker()
        {
            self.said_waiting = true;
            self.out.push(Action::Tell(Notice::Waiting(blocker.clone())));
        }
    }

    fn finish(&mut self, now: Time) {
        if let Phase::Releasing { giveback, outcome, held } = &self.phase
            && giveback.is_done(now)
        {
            if *held && !giveback.is_complete() {
                self.out.push(Action::Tell(Notice::ReleaseIncomplete(giveback.answers().to_vec())));
            }
            let outcome = outcome.clone();
            self.end(outcome);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.phase = Phase::Over;
        self.out.push(Action::End(outcome));
    }
}

#[cfg(test)]
mod tests;
