//! What a run does about its command: it watches the clock, passes signals on, and follows what
//! becomes of it.

use super::{Phase, Session};
use crate::lock::{Duty, Time};
use crate::policy::{
    Action, ChildEvent, End, Fault, LossCause, Notice, OnLost, Origin, Outcome, Reaction, Signal,
    Stage,
};

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// When it has run for long enough.
    overtime_at: Time,
    /// When a signal that was passed on has had its time.
    grace_ends: Time,
    /// The lock was lost, and the command was let go on.
    lost: Option<LossCause>,
    /// The command itself ended; what it started has not.
    ended: Option<End>,
}

impl Running {
    /// When to look at the clock next, where the command is to stop at `stop_line`.
    pub(super) fn wake_at(&self, stop_line: Time) -> Time {
        let queue = if self.lost.is_some() { Time::NEVER } else { stop_line };
        queue.min(self.overtime_at).min(self.grace_ends)
    }
}

impl Session {
    /// When the command has to be asked to stop; where a loss is only warned of, when it is a loss.
    pub(super) fn stop_line(&self) -> Time {
        match self.options.on_lost {
            OnLost::Stop => self.options.schedule.stop_at(self.deadline),
            OnLost::Warn => self.deadline,
        }
    }

    /// When the guardian is to kill the tree by itself.
    pub(super) fn kill_line(&self) -> Time {
        self.loss_line().min(self.overtime_line())
    }

    /// When whatever runs without the lock is killed.
    fn loss_line(&self) -> Time {
        match self.options.on_lost {
            OnLost::Stop => self.options.schedule.kill_at(self.deadline),
            OnLost::Warn => Time::NEVER,
        }
    }

    /// When a command that has run for too long has also had its time to stop.
    fn overtime_line(&self) -> Time {
        match &self.phase {
            Phase::Running(running) => running.overtime_at.plus(self.options.schedule.kill_after()),
            Phase::Stopping { kill_at, .. } => *kill_at,
            _ => Time::NEVER,
        }
    }

    /// Compares the clock with the deadline, and with what else is timed.
    pub(super) fn watch(&mut self, now: Time) {
        let Some(extender) = &self.extender else { return };
        self.deadline = extender.deadline().unwrap_or(self.deadline);
        let loss =
            if extender.deadline().is_some() { LossCause::NoQuorum } else { LossCause::KeysGone };
        let is_lost = match self.options.on_lost {
            OnLost::Stop => extender.duty(now) >= Duty::Stop,
            OnLost::Warn => loss == LossCause::KeysGone || now >= self.deadline,
        };
        match &mut self.phase {
            Phase::Starting { .. } if is_lost && self.options.on_lost == OnLost::Stop => {
                self.lose(now, loss);
            }
            Phase::Running(running) if is_lost && running.lost.is_none() => self.lose(now, loss),
            Phase::Running(running) if now >= running.grace_ends => {
                self.stop(now, None);
                self.kill_rest();
            }
            Phase::Running(running) if now >= running.overtime_at => {
                self.out.push(Action::Notify(Notice::MaxRuntimeExceeded));
                self.stop(now, Some(Outcome::Overtime));
            }
            _ => {}
        }
        if let Phase::Stopping { kill_at, killed: killed @ false, .. } = &mut self.phase
            && now >= *kill_at
        {
            *killed = true;
            self.out.extend([Action::Notify(Notice::Killing), Action::Kill]);
        }
    }

    fn lose(&mut self, now: Time, loss: LossCause) {
        self.out.push(Action::RunLostHook);
        match self.options.on_lost {
            OnLost::Stop => {
                self.out.push(Action::Notify(Notice::Stopping(loss)));
                self.stop(now, Some(Outcome::Lost(loss)));
            }
            OnLost::Warn => {
                self.out.push(Action::Notify(Notice::Lost(loss)));
                if let Phase::Running(running) = &mut self.phase {
                    running.lost = Some(loss);
                }
            }
        }
    }

    fn stop(&mut self, now: Time, outcome: Option<Outcome>) {
        let kill_at = self.loss_line().min(now.plus(self.options.schedule.kill_after()));
        // Stopping it would wake it, if it is stopped: too late for that, it is killed where it
        // stands.
        if now < kill_at {
            self.out.push(Action::Stop(self.options.stop_signal));
        }
        self.phase = Phase::Stopping { outcome, kill_at, killed: false };
    }

    fn kill_rest(&mut self) {
        if let Phase::Stopping { killed: killed @ false, .. } = &mut self.phase {
            *killed = true;
            self.out.push(Action::Kill);
        }
    }

    pub(super) fn signal(&mut self, now: Time, signal: Signal, origin: Origin) {
        let stage = match &self.phase {
            Phase::Acquiring => Stage::Waiting,
            Phase::Starting { .. } => Stage::Starting,
            Phase::Running(_) | Phase::Stopping { .. } => Stage::Running,
            Phase::Releasing { .. } | Phase::Over => Stage::Releasing,
        };
        if let Phase::Running(running) = &mut self.phase
            && self.options.escalates
            && signal.asks_to_end()
        {
            running.grace_ends =
                running.grace_ends.min(now.plus(self.options.schedule.kill_after()));
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

    pub(super) fn child(&mut self, now: Time, child: ChildEvent) {
        match child {
            ChildEvent::Unkillable(pid) => {
                self.out.push(Action::Notify(Notice::Unkillable { pid }));
            }
            ChildEvent::Unseen => self.out.push(Action::Notify(Notice::Unseen)),
            _ => {}
        }
        match &mut self.phase {
            Phase::Starting { .. } | Phase::Running(_) => self.child_of_run(now, child),
            Phase::Stopping { outcome, killed, .. } => match child {
                // What it started may live on: nothing outlives a lost lock.
                ChildEvent::Ended { end, .. } => {
                    outcome.get_or_insert(Outcome::Ended(end));
                    self.kill_rest();
                }
                // A guardian that was told to kill, and died before it said that no process is
                // left, may not have done it.
                ChildEvent::Orphaned => {
                    *killed = true;
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
            },
            // Without a guardian no command may be started.
            Phase::Acquiring if child == ChildEvent::Orphaned => {
                self.release(now, Outcome::Failed(Fault::GuardianLost), false);
            }
            // The guardian of a command that is over may go.
            Phase::Acquiring | Phase::Releasing { .. } | Phase::Over => {}
        }
    }

    fn child_of_run(&mut self, now: Time, child: ChildEvent) {
        match child {
            ChildEvent::Started => self.started(now),
            ChildEvent::TooLate => self.too_late(now),
            ChildEvent::NotStarted(error) => self.release(now, Outcome::CannotRun(error), true),
            ChildEvent::Ended { end, at } => self.ended(now, end, at),
            ChildEvent::Expired => {
                let overtime = self.overtime_line() <= self.options.schedule.kill_at(self.deadline);
                let outcome =
                    if overtime { Outcome::Overtime } else { Outcome::Lost(LossCause::NoQuorum) };
                self.stop(now, Some(outcome));
                self.kill_rest();
            }
            ChildEvent::Orphaned => {
                self.stop(now, Some(Outcome::Failed(Fault::GuardianLost)));
                self.kill_rest();
            }
            // A job stops as a whole. Another stop is the command's own affair, and the lock is
            // kept.
            ChildEvent::Stopped(signal) if signal.stops_a_job() => {
                self.out.push(Action::Suspend(signal));
            }
            ChildEvent::Resumed => self.out.push(Action::Resume),
            ChildEvent::Gone => self.gone(now),
            ChildEvent::Stopped(_) | ChildEvent::Unkillable(_) | ChildEvent::Unseen => {}
        }
    }

    /// Nothing is left to run, whether the command's end was seen or not.
    fn gone(&mut self, now: Time) {
        if let Phase::Running(Running { ended, lost, .. }) = self.phase {
            let outcome = ended.map_or(Outcome::Failed(Fault::EndUnseen), Outcome::Ended);
            self.release(now, lost.map_or(outcome, Outcome::Lost), true);
        }
    }

    /// The child was not to start the command any more. After a signal that ends a wait there is no
    /// other attempt.
    fn too_late(&mut self, now: Time) {
        self.extender = None;
        self.weaknesses.failed();
        if let Phase::Starting { signals } = std::mem::replace(&mut self.phase, Phase::Acquiring)
            && let Some(signal) =
                signals.into_iter().map(|(signal, _)| signal).find(|signal| signal.ends_a_wait())
        {
            return self.release(now, Outcome::Interrupted(signal), false);
        }
        let step = self.acquisition.too_late(now);
        self.step(now, step);
    }

    fn started(&mut self, now: Time) {
        self.started = now;
        let overtime_at = self.options.max_runtime.map_or(Time::NEVER, |length| now.plus(length));
        let running = Running { overtime_at, grace_ends: Time::NEVER, lost: None, ended: None };
        if let Phase::Starting { signals } =
            std::mem::replace(&mut self.phase, Phase::Running(running))
        {
            if overtime_at < Time::NEVER {
                self.out.push(Action::SetKillDeadline(self.kill_line()));
            }
            for (signal, origin) in signals {
                self.signal(now, signal, origin);
            }
        }
    }

    fn ended(&mut self, now: Time, end: End, at: Time) {
        let Phase::Running(running) = &mut self.phase else { return };
        match running.lost {
            Some(loss) => self.release(now, Outcome::Lost(loss), true),
            None if at >= self.deadline && self.options.on_lost == OnLost::Warn => {
                self.release(now, Outcome::Lost(LossCause::EndedAfterExpiry), true);
            }
            None if at >= self.deadline => {
                self.stop(now, Some(Outcome::Lost(LossCause::EndedAfterExpiry)));
                self.kill_rest();
            }
            None if self.options.awaits_descendants => {
                running.ended = Some(end);
                self.out.push(Action::AwaitDescendants);
            }
            None => self.release(now, Outcome::Ended(end), true),
        }
    }
}
