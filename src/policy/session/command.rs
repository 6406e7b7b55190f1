//! The command of a run: deadlines, signals, and the events of its process tree.

use super::{Phase, Session};
use crate::lock::Time;
use crate::policy::deadlines::Deadlines;
use crate::policy::{
    Action, ChildEvent, End, Fault, LossCause, Notice, OnLost, Origin, Outcome, Reaction, Signal,
    Stage,
};

impl Session {
    /// Acts on the deadlines that have passed at `now`.
    pub(super) fn check_deadlines(&mut self, now: Time) {
        let Some(extender) = &self.extender else { return };
        let expiry = extender.deadline();
        if let Some(expiry) = expiry {
            self.deadlines.extended(expiry);
        }
        let is_lost = expiry.is_none() || now >= self.deadlines.stop_line();
        if self.deadlines.is_loss_pending && is_lost {
            let cause = match (extender.revocation(), expiry) {
                (Some(revocation), _) => LossCause::Revoked(revocation.clone()),
                (None, Some(_)) => LossCause::NoQuorum,
                (None, None) => LossCause::KeysGone,
            };
            self.lose(now, &cause);
        } else if now >= self.deadlines.signal_grace {
            self.stop(now, None);
            self.kill();
        } else if now >= self.deadlines.max_runtime {
            self.out.push(Action::Notify(Notice::MaxRuntimeExceeded));
            self.stop(now, Some(Outcome::Overtime));
        }
        if self.deadlines.is_kill_due(now) {
            self.out.push(Action::Notify(Notice::Killing));
            self.kill();
        }
    }

    fn lose(&mut self, now: Time, cause: &LossCause) {
        self.out.push(Action::RunLostHook);
        match self.options.on_lost {
            OnLost::Stop => {
                self.out.push(Action::Notify(Notice::Stopping(cause.clone())));
                self.stop(now, Some(Outcome::Lost(cause.clone())));
            }
            OnLost::Warn => {
                self.out.push(Action::Notify(Notice::Lost(cause.clone())));
                self.deadlines.is_loss_pending = false;
                if let Phase::Running { lost, .. } = &mut self.phase {
                    *lost = Some(cause.clone());
                }
            }
        }
    }

    /// Stops the command in favour of a run that held the lock on `instance` before. If the command
    /// is being stopped already, the outcome stays.
    pub(super) fn give_way(&mut self, now: Time, instance: usize, outcome: Outcome) {
        if !matches!(self.phase, Phase::Stopping { .. }) {
            self.out.push(Action::RunLostHook);
            self.out.push(Action::Notify(Notice::GivingWay { instance }));
            self.stop(now, Some(outcome));
        }
    }

    fn stop(&mut self, now: Time, outcome: Option<Outcome>) {
        if self.deadlines.stopping(now) {
            self.out.push(Action::Stop(self.options.stop_signal));
        }
        self.phase = Phase::Stopping { outcome };
    }

    /// Kills the process tree, once.
    fn kill(&mut self) {
        if self.deadlines.killed() {
            self.out.push(Action::Kill);
        }
    }

    pub(super) fn handle_signal(&mut self, now: Time, signal: Signal, origin: Origin) {
        let stage = match &self.phase {
            Phase::Acquiring => Stage::Waiting,
            Phase::Starting { .. } => Stage::Starting,
            Phase::Running { .. } | Phase::Stopping { .. } => Stage::Running,
            Phase::Releasing { .. } | Phase::Over => Stage::Releasing,
        };
        if let Phase::Running { .. } = self.phase
            && self.options.escalates
            && signal.asks_to_end()
        {
            self.deadlines.signalled(now);
        }
        match signal.reaction(stage, origin) {
            Reaction::Leave => self.release(now, Outcome::Interrupted(signal), false),
            Reaction::Stop => self.out.push(Action::Suspend(signal)),
            Reaction::Pass => self.out.push(Action::ForwardSignal(signal)),
            Reaction::Keep => {
                if let Phase::Starting { signals } = &mut self.phase {
                    signals.push((signal, origin));
                }
            }
            Reaction::Nothing => {}
        }
    }

    pub(super) fn handle_child(&mut self, now: Time, child: ChildEvent) {
        match child {
            ChildEvent::Unkillable(pid) => {
                self.out.push(Action::Notify(Notice::Unkillable { pid }));
            }
            ChildEvent::Unseen => self.out.push(Action::Notify(Notice::Unseen)),
            _ => {}
        }
        match self.phase {
            Phase::Starting { .. } | Phase::Running { .. } => self.handle_child_of_run(now, child),
            Phase::Stopping { .. } => self.handle_child_of_stop(now, child),
            // Without the guardian no command can be started.
            Phase::Acquiring if child == ChildEvent::Orphaned => {
                self.release(now, Outcome::Failed(Fault::GuardianLost), false);
            }
            // The guardian may exit after the command.
            Phase::Acquiring | Phase::Releasing { .. } | Phase::Over => {}
        }
    }

    fn handle_child_of_stop(&mut self, now: Time, child: ChildEvent) {
        let Phase::Stopping { outcome } = &mut self.phase else { return };
        match child {
            // Descendants may be left. They must not outlive a lost lock.
            ChildEvent::Ended { end, .. } => {
                outcome.get_or_insert(Outcome::Ended(end));
                self.kill();
            }
            // The guardian may have died before it carried out the order to kill.
            ChildEvent::Orphaned => {
                let _ = self.deadlines.killed();
                self.out.push(Action::Kill);
            }
            ChildEvent::Gone | ChildEvent::NotStarted(_) | ChildEvent::TooLate => {
                let outcome =
                    outcome.clone().unwrap_or(Outcome::Ended(End::Signaled(Signal::KILL)));
                self.release(now, outcome, true);
            }
            ChildEvent::Resumed => self.out.push(Action::Resume),
            ChildEvent::Started
            | ChildEvent::Stopped(_)
            | ChildEvent::Expired
            | ChildEvent::Unkillable(_)
            | ChildEvent::Unseen => {}
        }
    }

    fn handle_child_of_run(&mut self, now: Time, child: ChildEvent) {
        match child {
            ChildEvent::Started => self.started(now),
            ChildEvent::TooLate => self.start_refused(now),
            ChildEvent::NotStarted(error) => self.release(now, Outcome::CannotRun(error), true),
            ChildEvent::Ended { end, at } => self.ended(now, end, at),
            ChildEvent::Expired => {
                let outcome = if self.deadlines.is_run_time_over_first() {
                    Outcome::Overtime
                } else {
                    Outcome::Lost(LossCause::NoQuorum)
                };
                self.stop(now, Some(outcome));
                self.kill();
            }
            ChildEvent::Orphaned => {
                self.stop(now, Some(Outcome::Failed(Fault::GuardianLost)));
                self.kill();
            }
            // A job stops as a whole. If SIGSTOP stops the command alone, the lock is kept.
            ChildEvent::Stopped(signal) if signal.stops_a_job() => {
                self.out.push(Action::Suspend(signal));
            }
            ChildEvent::Resumed => self.out.push(Action::Resume),
            ChildEvent::Gone => self.gone(now),
            ChildEvent::Stopped(_) | ChildEvent::Unkillable(_) | ChildEvent::Unseen => {}
        }
    }

    /// Acts on an empty process tree, even if the end of the command was not seen.
    fn gone(&mut self, now: Time) {
        if let Phase::Running { ended, lost } = &self.phase {
            let (ended, lost) = (*ended, lost.clone());
            let outcome = ended.map_or(Outcome::Failed(Fault::EndUnseen), Outcome::Ended);
            self.release(now, lost.map_or(outcome, Outcome::Lost), true);
        }
    }

    /// Acts on a start line that had passed: the next attempt follows, unless a signal has ended
    /// the wait.
    fn start_refused(&mut self, now: Time) {
        self.extender = None;
        self.deadlines = Deadlines::none(&self.options);
        self.weaknesses.failed();
        if let Phase::Starting { signals } = std::mem::replace(&mut self.phase, Phase::Acquiring)
            && let Some(signal) =
                signals.into_iter().map(|(signal, _)| signal).find(|signal| signal.ends_a_wait())
        {
            return self.release(now, Outcome::Interrupted(signal), false);
        }
        let result = self.acquisition.start_refused(now, &mut self.out);
        self.advance(now, result);
    }

    fn started(&mut self, now: Time) {
        let running = Phase::Running { lost: None, ended: None };
        if let Phase::Starting { signals } = std::mem::replace(&mut self.phase, running) {
            self.deadlines.started(now, &self.options);
            if self.options.max_runtime.is_some() {
                self.out.push(Action::SetKillDeadline(self.deadlines.kill_line()));
            }
            for (signal, origin) in signals {
                self.handle_signal(now, signal, origin);
            }
        }
    }

    fn ended(&mut self, now: Time, end: End, at: Time) {
        let Phase::Running { lost, ended } = &mut self.phase else { return };
        match lost {
            Some(cause) => {
                let outcome = Outcome::Lost(cause.clone());
                self.release(now, outcome, true);
            }
            None if self.deadlines.is_expired(at) => {
                let outcome = Outcome::Lost(LossCause::EndedAfterExpiry);
                self.out.push(Action::RunLostHook);
                match self.options.on_lost {
                    OnLost::Warn => self.release(now, outcome, true),
                    OnLost::Stop => {
                        self.stop(now, Some(outcome));
                        self.kill();
                    }
                }
            }
            None if self.options.awaits_descendants => {
                *ended = Some(end);
                self.out.push(Action::AwaitDescendants);
            }
            None => self.release(now, Outcome::Ended(end), true),
        }
    }
}
