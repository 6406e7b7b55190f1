//! One run from the first vote to the last release: event in, actions out.
//!
//! The clock is compared with the deadlines before every event, since neither a timer nor a
//! response proves the time.

mod command;

use super::deadlines::Deadlines;
use super::progress::WaitProgress;
use super::weaknesses::Weaknesses;
use super::{
    AcquireResult, Acquisition, Action, ChildEvent, End, Event, Extender, LossCause, Notice,
    OnLost, Origin, Outcome, ReleaseRound, Rival, RunOptions, Signal,
};
use crate::lock::{
    Account, AfterRelease, Agreement, HeldLock, InstanceResponse, Response, Sample, Time, Vote,
};
use std::time::Duration;

#[derive(Debug)]
enum Phase {
    Acquiring,
    Starting {
        /// Signals for the command, in their order.
        signals: Vec<(Signal, Origin)>,
    },
    Running {
        /// Loss that was only reported.
        lost: Option<LossCause>,
        /// End of the command. The run waits for its descendants.
        ended: Option<End>,
    },
    /// The command is asked to end. Without an outcome, the outcome is that of the command.
    Stopping {
        outcome: Option<Outcome>,
    },
    Releasing {
        release_round: ReleaseRound,
        outcome: Outcome,
        was_held: bool,
    },
    Over,
}

/// One run.
#[derive(Debug)]
pub struct Session {
    options: RunOptions,
    begun: Time,
    acquired_at: Time,
    extensions: u32,
    progress: WaitProgress,
    acquisition: Acquisition,
    extender: Option<Extender>,
    weaknesses: Weaknesses,
    deadlines: Deadlines,
    phase: Phase,
    out: Vec<Action>,
}

impl Session {
    /// A run that begins at `now`. The first actions follow [`Event::Woke`]. `agreement` is the
    /// configuration of this host.
    #[must_use]
    pub fn new(options: RunOptions, agreement: Agreement, now: Time) -> Self {
        Self {
            options,
            begun: now,
            acquired_at: now,
            extensions: 0,
            progress: WaitProgress::new(options.progress, now.plus(options.delay)),
            acquisition: Acquisition::new(&options, agreement, now),
            extender: None,
            weaknesses: Weaknesses::new(options.schedule.op_timeout()),
            deadlines: Deadlines::none(&options),
            phase: Phase::Acquiring,
            out: Vec::new(),
        }
    }

    /// The held lock. `None` before the acquisition, and from the release on.
    #[must_use]
    pub fn held_lock(&self) -> Option<&HeldLock> {
        self.extender.as_ref().map(Extender::held_lock)
    }

    /// The moment at which [`Event::Woke`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let next_step = match &self.phase {
            Phase::Acquiring if self.acquisition.has_failed() => {
                self.acquisition.wake_at().min(self.progress.wake_at())
            }
            Phase::Acquiring => self.acquisition.wake_at(),
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => {
                let extender = self.extender.as_ref().map_or(Time::NEVER, Extender::wake_at);
                extender.min(self.acquisition.rival_wake_at())
            }
            Phase::Releasing { release_round, .. } => release_round.limit(),
            Phase::Over => Time::NEVER,
        };
        next_step.min(self.deadlines.earliest()).min(self.weaknesses.wake_at())
    }

    /// Takes an event that came at `now`. Returns the actions, in their order (`Action::rank`).
    pub fn handle(&mut self, now: Time, sample: Sample, event: Event) -> Vec<Action> {
        self.out.extend(Notice::of(&event).map(Action::Notify));
        // The end of a command has its own moment, so that a late event does not make a late end.
        if !matches!(event, Event::Child(ChildEvent::Ended { .. })) {
            self.check_deadlines(now);
        }
        match event {
            Event::Woke => self.handle_timeout(now, sample),
            Event::Response(received) => self.handle_response(now, sample, received),
            Event::Signal(signal) => self.handle_signal(now, signal, Origin::Process),
            Event::Typed(signal) => self.handle_signal(now, signal, Origin::Terminal),
            Event::Child(child) => self.handle_child(now, child),
        }
        self.check_deadlines(now);
        self.report_progress(now);
        self.out.extend(self.weaknesses.due(now).map(Action::Notify));
        self.finish(now);
        self.out.sort_by_key(Action::rank);
        std::mem::take(&mut self.out)
    }

    fn handle_timeout(&mut self, now: Time, sample: Sample) {
        match (&self.phase, &mut self.extender) {
            (Phase::Acquiring, _) => {
                let result = self.acquisition.handle_timeout(now, sample, &mut self.out);
                self.advance(now, result);
            }
            (_, Some(extender)) => {
                extender.handle_timeout(now, &mut self.out);
                self.acquisition.poll_rivals(now, &mut self.out);
            }
            _ => {}
        }
    }

    fn handle_response(&mut self, now: Time, sample: Sample, received: InstanceResponse) {
        let instance = received.instance;
        if let Response::Warning(warning) = received.response {
            let notice = self.weaknesses.warned(instance, warning);
            self.out.extend(notice.map(Action::Notify));
            return;
        }
        self.note_late_vote(&received);
        match &mut self.phase {
            Phase::Acquiring => {
                let out = &mut self.out;
                let result = self.acquisition.handle_response(now, sample, received, out);
                self.advance(now, result);
            }
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => {
                self.search_rival(now, &received);
                let Some(extender) = &mut self.extender else { return };
                extender.handle_response(now, &received, &mut self.out);
                if let Some(expiry) = extender.moved_deadline() {
                    self.deadlines.extended(expiry);
                    self.extensions = self.extensions.saturating_add(1);
                    self.out.push(Action::SetKillDeadline(self.deadlines.kill_line()));
                    self.out.push(Action::Notify(Notice::Extended {
                        count: self.extensions,
                        left: expiry.since(now),
                        every: self.options.schedule.extend_every(),
                    }));
                }
            }
            Phase::Releasing { release_round, .. } => {
                if let Response::Release(attempt, release) = received.response {
                    release_round.record(instance, attempt, release);
                }
            }
            Phase::Over => {}
        }
    }

    /// Notes a vote that came after the acquisition. A server without a report has no vote.
    fn note_late_vote(&mut self, received: &InstanceResponse) {
        let Response::Vote(attempt, vote) = &received.response else { return };
        if *attempt != self.acquisition.number() {
            return;
        }
        match received.report.as_ref().and_then(|report| report.account.as_ref()) {
            Some(Account::Untold(reason)) => {
                self.weaknesses.voted(received.instance, &Vote::Unknown(reason.clone()));
            }
            _ => self.weaknesses.voted(received.instance, vote),
        }
    }

    /// Looks for a run on another host that holds the lock by other servers or slots. If an
    /// instance denied this run, this run is the later one, and gives way.
    fn search_rival(&mut self, now: Time, received: &InstanceResponse) {
        let rival = self.acquisition.compare_rival(now, received, &mut self.out);
        match rival {
            Some(Rival::First { instance, holder, difference })
                if self.options.on_lost == OnLost::Stop =>
            {
                self.give_way(now, instance, Outcome::Disagreed(holder, difference));
            }
            Some(Rival::First { holder, difference, .. } | Rival::Beside(holder, difference)) => {
                self.out.push(Action::Notify(Notice::HeldBeside(holder, difference)));
            }
            None => {}
        }
    }

    /// Starts the command after a successful acquisition. Ends the run after the last attempt.
    fn advance(&mut self, now: Time, result: AcquireResult) {
        let long_lease = self.acquisition.take_long_lease().map(Notice::LongLease);
        self.out.extend(long_lease.map(Action::Notify));
        match result {
            AcquireResult::Pending => {}
            AcquireResult::Acquired(held_lock, votes) => self.start(now, *held_lock, &votes),
            // The release also takes the contender out of the queue.
            AcquireResult::GivenUp(outcome) if self.acquisition.is_queued() => {
                self.release(now, outcome, false);
            }
            AcquireResult::GivenUp(outcome) => {
                self.out.push(Action::Dismiss);
                self.end(now, outcome);
            }
        }
    }

    fn start(&mut self, now: Time, held_lock: HeldLock, votes: &[Option<Vote>]) {
        let attempt = self.acquisition.number();
        let duplicates = held_lock.duplicates();
        let notices: Vec<_> =
            duplicates.map(|(one, other)| Notice::SameServer { one, other }).collect();
        let mut extender = Extender::new(self.options.schedule, attempt, held_lock, votes, now);
        let Some(expiry) = extender.moved_deadline() else { return };
        self.extender = Some(extender);
        self.deadlines.acquired(expiry);
        self.phase = Phase::Starting { signals: Vec::new() };
        self.weaknesses.acquired(now, votes);
        self.end_progress();
        self.out.push(Action::Start {
            stop_at: self.deadlines.start_line(),
            kill_at: self.deadlines.kill_line(),
        });
        self.out
            .extend(notices.into_iter().chain(self.acquisition.fence_notice()).map(Action::Notify));
        self.out.push(Action::Notify(Notice::Acquired {
            attempts: attempt,
            took: now.since(self.begun),
            left: expiry.since(now),
            votes: votes.to_vec(),
        }));
        self.acquired_at = now;
    }

    /// Releases the lock, or the place in the queue, and ends the run with `outcome`.
    fn release(&mut self, now: Time, outcome: Outcome, was_held: bool) {
        let hold_for = match outcome {
            Outcome::Ended(end) => self.deadlines.hold_for(now, end == End::Exited(0)),
            Outcome::Overtime => self.deadlines.hold_for(now, false),
            _ => Duration::ZERO,
        };
        self.extender = None;
        self.deadlines = Deadlines::none(&self.options);
        self.end_progress();
        // A new number, so that late responses to the last attempt's release do not count.
        let attempt = self.acquisition.number().saturating_add(1);
        let release_round =
            ReleaseRound::new(self.options.size, attempt, now, self.options.schedule.op_timeout());
        self.phase = Phase::Releasing { release_round, outcome, was_held };
        self.out.extend([
            Action::Release(attempt, AfterRelease::LeaveQueue { hold_for }),
            Action::Dismiss,
        ]);
    }

    fn report_progress(&mut self, now: Time) {
        if matches!(self.phase, Phase::Acquiring) {
            let acquisition = &self.acquisition;
            let notice =
                self.progress.due(now, || Some((acquisition.blocker(now)?, acquisition.place())));
            self.out.extend(notice.map(Action::Notify));
        }
    }

    fn end_progress(&mut self) {
        self.out.extend(self.progress.end().map(Action::Notify));
    }

    fn finish(&mut self, now: Time) {
        // If the lock was never held, the run ends as soon as every socket has taken the release.
        if let Phase::Releasing { release_round, outcome, was_held } = &self.phase
            && (release_round.is_done(now) || !was_held && release_round.is_sent())
        {
            if *was_held {
                self.out.push(Action::Notify(if release_round.is_complete() {
                    let held = now.since(self.acquired_at);
                    Notice::Released { held, extensions: self.extensions }
                } else {
                    Notice::ReleaseIncomplete(release_round.responses().to_vec())
                }));
            }
            let outcome = outcome.clone();
            self.end(now, outcome);
        }
    }

    fn end(&mut self, now: Time, outcome: Outcome) {
        self.end_progress();
        self.out.extend(self.weaknesses.end(now).map(Action::Notify));
        self.phase = Phase::Over;
        self.out.push(Action::End(outcome));
    }
}

#[cfg(test)]
mod tests;
