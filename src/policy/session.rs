//! One run from the first vote to the last release: event in, actions out.
//!
//! Before any event is looked at, the clock is compared with the deadline: a timer that fired, or
//! an answer that came, is no proof of the time.

mod command;

use super::progress::WaitProgress;
use super::weaknesses::Weaknesses;
use super::{
    AcquireStep, Acquisition, Action, ChildEvent, Event, ExtendStep, Extender, Notice, OnLost,
    Origin, Outcome, Poll, ProgressStyle, ReleaseRound, RunOptions, Signal, StatusPurpose,
};
use crate::lock::{
    Account, AfterRelease, Agreement, Extension, HeldLock, InstanceResponse, Response, Sample,
    Time, Vote,
};
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
        release_round: ReleaseRound,
        outcome: Outcome,
        held: bool,
    },
    Over,
}

/// One run.
#[derive(Debug)]
pub struct Session {
    options: RunOptions,
    begun: Time,
    progress: WaitProgress,
    started: Time,
    acquisition: Acquisition,
    extender: Option<Extender>,
    weaknesses: Weaknesses,
    /// The last deadline there was; a lost lock has none of its own.
    deadline: Time,
    phase: Phase,
    out: Vec<Action>,
}

impl Session {
    /// A run that begins at `now`; its first actions come from [`Event::Woke`].
    #[must_use]
    pub fn new(options: RunOptions, agreement: Agreement, now: Time) -> Self {
        let begin = now.plus(options.delay);
        let RunOptions { size, schedule, wait_limit, slots, guard, .. } = options;
        let mut acquisition =
            Acquisition::new(size, schedule, wait_limit, slots, guard, agreement, begin);
        if options.progress == ProgressStyle::Live {
            acquisition.keep_up();
        }
        Self {
            options,
            begun: now,
            progress: WaitProgress::new(options.progress, begin),
            started: Time::default(),
            acquisition,
            extender: None,
            weaknesses: Weaknesses::new(options.schedule.op_timeout()),
            deadline: Time::default(),
            phase: Phase::Acquiring,
            out: Vec::new(),
        }
    }

    /// When to send [`Event::Woke`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let extender = self.extender.as_ref().map_or(Time::NEVER, Extender::wake_at);
        let extender = extender.min(self.weaknesses.wake_at());
        match &self.phase {
            Phase::Acquiring if self.acquisition.has_failed() => {
                self.acquisition.wake_at().min(self.progress.wake_at())
            }
            Phase::Acquiring => self.acquisition.wake_at(),
            // What is only warned of is told of a command that runs.
            Phase::Starting { .. } if self.options.on_lost == OnLost::Warn => extender,
            Phase::Starting { .. } => extender.min(self.stop_line()),
            Phase::Running(running) => extender.min(running.wake_at(self.stop_line())),
            Phase::Stopping { killed: true, .. } => extender,
            Phase::Stopping { kill_at, .. } => extender.min(*kill_at),
            Phase::Releasing { release_round, .. } => {
                release_round.limit().min(self.weaknesses.wake_at())
            }
            Phase::Over => Time::NEVER,
        }
    }

    /// `event` happened, and now it is `now`.
    pub fn handle(&mut self, now: Time, sample: Sample, event: Event) -> Vec<Action> {
        // A command that ended was in time or not when it ended, however late that is heard.
        if !matches!(event, Event::Child(ChildEvent::Ended { .. })) {
            self.watch(now);
        }
        match event {
            Event::Woke => self.woke(now, sample),
            Event::Response(heard) => self.heard(now, sample, heard),
            Event::Signal(signal) => self.signal(now, signal, Origin::Process),
            Event::Typed(signal) => self.signal(now, signal, Origin::Terminal),
            Event::Child(child) => self.child(now, child),
        }
        self.watch(now);
        self.mention_wait(now);
        self.out.extend(self.weaknesses.due(now).map(Action::Notify));
        self.finish(now);
        std::mem::take(&mut self.out)
    }

    fn woke(&mut self, now: Time, sample: Sample) {
        if matches!(self.phase, Phase::Acquiring) {
            let step = self.acquisition.woke(now, sample);
            self.step(now, step);
        } else if matches!(
            self.phase,
            Phase::Starting { .. } | Phase::Running(_) | Phase::Stopping { .. }
        ) && let Some(extender) = self.extender.as_mut()
            && let Some(next) = extender.woke(now)
        {
            self.act(next);
        }
    }

    fn heard(&mut self, now: Time, sample: Sample, heard: InstanceResponse) {
        if let Response::Warning(warning) = heard.response {
            let notice = self.weaknesses.warned(heard.instance, warning);
            return self.out.extend(notice.map(Action::Notify));
        }
        self.heard_late_vote(&heard);
        match &mut self.phase {
            Phase::Acquiring => {
                let step = self.acquisition.heard(now, sample, heard);
                self.step(now, step);
            }
            Phase::Starting { .. } | Phase::Running(_) | Phase::Stopping { .. } => {
                self.look_beside(now, &heard);
                let moves = self
                    .extender
                    .as_mut()
                    .map(|extender| extender.heard(now, &heard))
                    .unwrap_or_default();
                for next in moves {
                    self.act(next);
                }
            }
            Phase::Releasing { release_round, .. } => {
                if let Response::Release(attempt, response) = heard.response {
                    release_round.heard(heard.instance, attempt, response);
                }
            }
            Phase::Over => {}
        }
    }

    /// The lock was acquired without this vote, if it is one. A server that cannot say whether it
    /// has restarted has no vote.
    fn heard_late_vote(&mut self, heard: &InstanceResponse) {
        let Response::Vote(attempt, vote) = &heard.response else { return };
        if *attempt != self.acquisition.number() {
            return;
        }
        match heard.report.as_ref().and_then(|report| report.account.as_ref()) {
            Some(Account::Untold(why)) => {
                self.weaknesses.voted(heard.instance, &Vote::Unknown(why.clone()));
            }
            _ => self.weaknesses.voted(heard.instance, vote),
        }
    }

    /// Another's key where ours should be may be that of a host that names other servers.
    fn look_beside(&mut self, now: Time, heard: &InstanceResponse) {
        let instance = heard.instance;
        match &heard.response {
            Response::Extension(Extension::Foreign) if self.acquisition.asks_beside() => {
                self.out.push(Action::AskStatus { instances: vec![instance], waited: None });
            }
            Response::Status(status) => {
                let notice = self.acquisition.beside(now, instance, status);
                self.out.extend(notice.map(Action::Notify));
            }
            _ => {}
        }
    }

    fn step(&mut self, now: Time, step: AcquireStep) {
        self.out
            .extend(self.acquisition.take_long_lease().map(Notice::LongLease).map(Action::Notify));
        match step {
            AcquireStep::Wait => {}
            AcquireStep::Acquire => {
                self.out.push(Action::Acquire(self.acquisition.number(), self.acquisition.slot()));
                // What is in the other slots tells whether other hosts count on as many.
                if self.options.slots > 1 {
                    self.out.push(Action::AskStatus { instances: self.everybody(), waited: None });
                }
            }
            AcquireStep::Check(instances) => {
                self.out.push(Action::AskStatus { instances, waited: None });
            }
            AcquireStep::Release(watch) => {
                self.out.push(Action::Release(self.acquisition.number(), AfterRelease::StayQueued));
                if let Some(watch) = watch {
                    let waited = (watch == StatusPurpose::Queue).then(|| now.since(self.begun));
                    self.out.push(Action::AskStatus { instances: self.everybody(), waited });
                }
            }
            AcquireStep::Poll(look) => {
                let instances = match look {
                    Poll::None | Poll::Try => return,
                    Poll::One(instance) => vec![instance],
                    Poll::All => self.everybody(),
                };
                let waited = self.acquisition.is_queued().then(|| now.since(self.begun));
                self.out.push(Action::AskStatus { instances, waited });
            }
            AcquireStep::Won(held_lock, votes) => self.start(now, *held_lock, &votes),
            // A place in line is left behind the same way as a lock.
            AcquireStep::GiveUp(outcome) if self.acquisition.is_queued() => {
                self.release(now, outcome, false);
            }
            AcquireStep::GiveUp(outcome) => {
                self.out.push(Action::Dismiss);
                self.end(now, outcome);
            }
        }
    }

    fn everybody(&self) -> Vec<usize> {
        (0..self.options.size.count()).collect()
    }

    fn start(&mut self, now: Time, held_lock: HeldLock, votes: &[Option<Vote>]) {
        let schedule = self.options.schedule;
        let duplicates = held_lock.duplicates();
        let notices = duplicates.map(|(one, other)| Notice::SameServer { one, other });
        let notices: Vec<_> = notices.map(Action::Notify).collect();
        let mut extender =
            Extender::new(schedule, self.acquisition.number(), held_lock, votes, now);
        let Some(ExtendStep::Deadline(deadline)) = extender.new_deadline() else { return };
        self.deadline = deadline;
        self.extender = Some(extender);
        self.phase = Phase::Starting { signals: Vec::new() };
        self.weaknesses.acquired(now, votes);
        self.end_of_wait();
        self.out
            .push(Action::Start { stop_at: schedule.stop_at(deadline), kill_at: self.kill_line() });
        self.out.extend(notices);
        self.out.push(Action::Notify(Notice::Acquired {
            attempts: self.acquisition.number(),
            took: now.since(self.begun),
            left: deadline.since(now),
        }));
    }

    fn act(&mut self, next: ExtendStep) {
        let action = match next {
            ExtendStep::Extend(missing, instances) => Action::Extend(missing, instances),
            ExtendStep::Deadline(deadline) => {
                self.deadline = deadline;
                Action::SetKillDeadline(self.kill_line())
            }
            ExtendStep::Notify(notice) => Action::Notify(notice),
        };
        self.out.push(action);
    }

    fn release(&mut self, now: Time, outcome: Outcome, held: bool) {
        self.extender = None;
        self.end_of_wait();
        // A number of its own: an answer to the release of the last attempt is none to this.
        let attempt = self.acquisition.number().saturating_add(1);
        let hold_for = self.rest(now, &outcome);
        let release_round =
            ReleaseRound::new(self.options.size, attempt, now, self.options.schedule.op_timeout());
        self.phase = Phase::Releasing { release_round, outcome, held };
        self.out.extend([
            Action::Release(attempt, AfterRelease::LeaveQueue { hold_for }),
            Action::Dismiss,
        ]);
    }

    /// How long the lock is to be kept from others after the command.
    fn rest(&self, now: Time, outcome: &Outcome) -> Duration {
        match outcome {
            Outcome::Ended(_) | Outcome::Overtime => {
                self.started.plus(self.options.min_hold).since(now).max(self.options.cooldown)
            }
            _ => Duration::ZERO,
        }
    }

    fn mention_wait(&mut self, now: Time) {
        if matches!(self.phase, Phase::Acquiring) {
            let acquisition = &self.acquisition;
            let notice =
                self.progress.due(now, || Some((acquisition.blocker(now)?, acquisition.place())));
            self.out.extend(notice.map(Action::Notify));
        }
    }

    fn end_of_wait(&mut self) {
        self.out.extend(self.progress.end().map(Action::Notify));
    }

    fn finish(&mut self, now: Time) {
        // What was never held is nobody's to answer for, once the kernel has what takes it back.
        if let Phase::Releasing { release_round, outcome, held } = &self.phase
            && (release_round.is_done(now) || !held && release_round.is_sent())
        {
            if *held && !release_round.is_complete() {
                self.out.push(Action::Notify(Notice::ReleaseIncomplete(
                    release_round.answers().to_vec(),
                )));
            }
            let outcome = outcome.clone();
            self.end(now, outcome);
        }
    }

    fn end(&mut self, now: Time, outcome: Outcome) {
        self.end_of_wait();
        self.out.extend(self.weaknesses.end(now).map(Action::Notify));
        self.phase = Phase::Over;
        self.out.push(Action::End(outcome));
    }
}

#[cfg(test)]
mod tests;
