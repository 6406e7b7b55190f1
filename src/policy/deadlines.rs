//! Deadlines of a command and its lock: one moment for each, [`Time::NEVER`] for those not set.

use super::{MinHoldOn, OnLost, RunOptions};
use crate::lock::{Schedule, Time};
use std::time::Duration;

/// Deadlines of one held lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    schedule: Schedule,
    on_lost: OnLost,
    cooldown: Duration,
    min_hold_on: MinHoldOn,
    /// Expiry of the lock. After a loss, the last expiry before the loss.
    expiry: Time,
    /// Whether a loss has still to be acted on.
    pub(super) is_loss_pending: bool,
    /// `--max-runtime`, or `--max-hold` of a lock without a command: ask the command to stop.
    pub(super) max_runtime: Time,
    /// End of kill-after behind a signal of the user: kill the command.
    pub(super) signal_grace: Time,
    /// End of kill-after behind a request to stop: kill the process tree.
    kill: Time,
    /// Whether the kill was ordered.
    is_killed: bool,
    /// `--min-hold`: keep the lock until then. Before the start, a moment that has passed.
    min_hold: Time,
}

impl Deadlines {
    /// The deadlines of a run without a lock: none.
    pub(super) const fn none(options: &RunOptions) -> Self {
        Self {
            schedule: options.schedule,
            on_lost: options.on_lost,
            cooldown: options.cooldown,
            min_hold_on: options.min_hold_on,
            expiry: Time::NEVER,
            is_loss_pending: false,
            max_runtime: Time::NEVER,
            signal_grace: Time::NEVER,
            kill: Time::NEVER,
            is_killed: false,
            min_hold: Time::from_nanos(0),
        }
    }

    /// The lock was acquired until `expiry`. With `--on-lost warn` a loss is reported only once the
    /// command has started.
    pub(super) fn acquired(&mut self, expiry: Time) {
        self.expiry = expiry;
        self.is_loss_pending = self.on_lost == OnLost::Stop;
    }

    /// The lock expires at `expiry`.
    pub(super) const fn extended(&mut self, expiry: Time) {
        self.expiry = expiry;
    }

    /// The command started at `now`.
    pub(super) fn started(&mut self, now: Time, options: &RunOptions) {
        self.is_loss_pending = true;
        self.max_runtime = options.max_runtime.map_or(Time::NEVER, |length| now.plus(length));
        self.min_hold = now.plus(options.min_hold);
    }

    /// A signal of the user that asks the command to end came at `now`. The first one counts.
    pub(super) fn signalled(&mut self, now: Time) {
        self.signal_grace = self.signal_grace.min(now.plus(self.schedule.kill_after()));
    }

    /// The command is to end from `now` on. Returns whether there is time left to ask: a stopped
    /// command would be continued by the request, so at the kill line it is killed instead.
    pub(super) fn stopping(&mut self, now: Time) -> bool {
        self.kill = self.loss_kill().min(now.plus(self.schedule.kill_after()));
        self.is_loss_pending = false;
        (self.max_runtime, self.signal_grace) = (Time::NEVER, Time::NEVER);
        now < self.kill
    }

    /// Whether the kill is due at `now`.
    pub(super) fn is_kill_due(&self, now: Time) -> bool {
        !self.is_killed && now >= self.kill
    }

    /// The kill is ordered. Returns whether that is the first time.
    pub(super) const fn killed(&mut self) -> bool {
        !std::mem::replace(&mut self.is_killed, true)
    }

    /// Start line: do not start the command then or later.
    pub(super) fn start_line(&self) -> Time {
        self.schedule.stop_at(self.expiry)
    }

    /// Stop line: ask the command to stop. With `--on-lost warn`, report a loss.
    pub(super) fn stop_line(&self) -> Time {
        match self.on_lost {
            OnLost::Stop => self.schedule.stop_at(self.expiry),
            OnLost::Warn => self.expiry,
        }
    }

    /// Kill line of a lock that is not extended.
    fn loss_kill(&self) -> Time {
        match self.on_lost {
            OnLost::Stop => self.schedule.kill_at(self.expiry),
            OnLost::Warn => Time::NEVER,
        }
    }

    /// Kill line of a command that runs for too long, or was asked to stop.
    fn run_kill(&self) -> Time {
        self.kill.min(self.max_runtime.plus(self.schedule.kill_after()))
    }

    /// Kill line: the guardian kills the process tree then.
    pub(super) fn kill_line(&self) -> Time {
        self.loss_kill().min(self.run_kill())
    }

    /// Whether a kill at the kill line is due to the run time and not to a loss.
    pub(super) fn is_run_time_over_first(&self) -> bool {
        self.run_kill() <= self.schedule.kill_at(self.expiry)
    }

    /// Whether the lock had expired at `at`.
    pub(super) fn is_expired(&self, at: Time) -> bool {
        at >= self.expiry
    }

    /// How long the lock is kept after a command that ended at `now`, with success or not.
    pub(super) fn hold_for(&self, now: Time, has_succeeded: bool) -> Duration {
        if has_succeeded || self.min_hold_on == MinHoldOn::Always {
            self.min_hold.since(now).max(self.cooldown)
        } else {
            self.cooldown
        }
    }

    /// The earliest deadline that needs an action of the session.
    pub(super) fn earliest(&self) -> Time {
        let stop_line = if self.is_loss_pending { self.stop_line() } else { Time::NEVER };
        let kill = if self.is_killed { Time::NEVER } else { self.kill };
        stop_line.min(kill).min(self.max_runtime).min(self.signal_grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(millis: u64) -> Time {
        Time::default().plus(ms(millis))
    }

    /// Expiry at 10 s, so stop line at 9.25 s and kill line at 9.85 s; start at 1 s.
    fn running(options: RunOptions) -> Deadlines {
        changed(starting(options), |deadlines| deadlines.started(at(1_000), &options))
    }

    /// A moment that is not set, in milliseconds.
    const NEVER: u64 = u64::MAX;

    fn starting(options: RunOptions) -> Deadlines {
        let mut deadlines = Deadlines::none(&options);
        deadlines.acquired(at(10_000));
        deadlines
    }

    fn changed(mut deadlines: Deadlines, change: impl FnOnce(&mut Deadlines)) -> Deadlines {
        change(&mut deadlines);
        deadlines
    }

    #[test]
    fn each_stage_of_a_command_has_its_deadlines() {
        let stop = RunOptions::for_test(3);
        let warn = RunOptions { on_lost: OnLost::Warn, ..stop };
        let bounded = RunOptions { max_runtime: Some(ms(2_000)), ..stop };
        let extended = changed(running(stop), |running| running.extended(at(20_000)));
        let signalled = changed(running(stop), |running| {
            running.signalled(at(2_000));
            running.signalled(at(2_500));
        });
        let stopping = |options, now, asks| {
            changed(running(options), |running| assert_eq!(running.stopping(at(now)), asks))
        };
        let killed = changed(stopping(stop, 3_000, true), |stopping| {
            assert!(!stopping.is_kill_due(at(3_749)) && stopping.is_kill_due(at(3_750)));
            assert!(stopping.killed() && !stopping.killed());
            assert!(!stopping.is_kill_due(at(3_750)));
        });
        for (label, deadlines, stop_line, kill_line, earliest) in [
            ("starting", starting(stop), 9_250, 9_850, 9_250),
            ("starting, on-lost warn", starting(warn), 10_000, NEVER, NEVER),
            ("running", running(stop), 9_250, 9_850, 9_250),
            ("running, on-lost warn", running(warn), 10_000, NEVER, 10_000),
            ("max-runtime", running(bounded), 9_250, 3_750, 3_000),
            ("extended", extended, 19_250, 19_850, 19_250),
            ("two signals of the user", signalled, 9_250, 9_850, 2_750),
            ("stopping at max-runtime", stopping(bounded, 3_000, true), 9_250, 3_750, 3_750),
            ("stopping at the stop line", stopping(stop, 9_250, true), 9_250, 9_850, 9_850),
            ("stopping at the kill line", stopping(stop, 9_850, false), 9_250, 9_850, 9_850),
            ("killed", killed, 9_250, 3_750, NEVER),
        ] {
            assert_eq!(deadlines.stop_line(), at(stop_line), "{label}");
            assert_eq!(deadlines.kill_line(), at(kill_line), "{label}");
            assert_eq!(deadlines.earliest(), at(earliest), "{label}");
        }
        assert_eq!(starting(warn).start_line(), at(9_250));
        assert_eq!(Deadlines::none(&stop).earliest(), Time::NEVER);
        assert!(!running(stop).is_expired(at(9_999)) && running(stop).is_expired(at(10_000)));
        for (max_runtime, is_first) in [(8_100, true), (8_101, false)] {
            let options = RunOptions { max_runtime: Some(ms(max_runtime)), ..stop };
            assert_eq!(running(options).is_run_time_over_first(), is_first, "{max_runtime}");
        }
        let kept = RunOptions { min_hold: ms(900), cooldown: ms(300), ..stop };
        for (now, hold_for) in [(1_100, 800), (1_700, 300), (9_000, 300)] {
            for has_succeeded in [true, false] {
                assert_eq!(running(kept).hold_for(at(now), has_succeeded), ms(hold_for), "{now}");
            }
        }
        let on_success = running(RunOptions { min_hold_on: MinHoldOn::Success, ..kept });
        assert_eq!(on_success.hold_for(at(1_100), true), ms(800));
        assert_eq!(on_success.hold_for(at(1_100), false), ms(300));
    }
}
