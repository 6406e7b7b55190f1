//! The only module that reads a clock.

use crate::lock::Time;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{
    ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags,
};
use nix::time::{ClockId, clock_gettime};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Now, on the clock that counts suspend (`CLOCK_BOOTTIME`).
///
/// On a kernel without that clock (before 2.6.39), the time is always [`Time::NEVER`]: no lock is
/// ever in time.
#[must_use]
pub fn now() -> Time {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Time::NEVER, |at| Time::from_nanos(nanos(&at)))
}

/// The wall clock, since 1970: for messages, for the order of the queue, and for the comparison of
/// a mark with the server's clock. No deadline depends on the wall clock.
#[must_use]
pub fn since_1970() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME)
        .map_or(Duration::ZERO, |at| Duration::from_nanos(nanos(&at)))
}

/// Sleeps for `millis` milliseconds. Only for a wait without an event to wait for.
#[expect(clippy::disallowed_methods, reason = "each caller says why there is nothing to wait for")]
pub(super) fn pause(millis: u16) {
    std::thread::sleep(Duration::from_millis(millis.into()));
}

fn nanos(at: &TimeSpec) -> u64 {
    let seconds = u64::try_from(at.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(at.tv_nsec()).unwrap_or(0))
}

/// A timer on the clock of [`now`]. A timer that is not set never fires.
#[derive(Debug)]
pub(super) struct Timer {
    fd: TimerFd,
    set: Time,
}

impl Timer {
    /// A timer that is not set.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { fd: TimerFd::new(TimerClock::CLOCK_BOOTTIME, flags)?, set: Time::NEVER })
    }

    /// Fires at `at`, or at once if `at` has passed. Setting the same moment again costs nothing.
    pub(super) fn set(&mut self, at: Time) -> io::Result<()> {
        if at == self.set {
            return Ok(());
        }
        if at == Time::NEVER {
            self.fd.unset()?;
        } else {
            // Zero would disarm the timer.
            let spec = TimeSpec::from_duration(Duration::from_nanos(at.as_nanos().max(1)));
            self.fd.set(Expiration::OneShot(spec), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        }
        self.set = at;
        Ok(())
    }

    /// Clears the expiration of a timer that fired.
    pub(super) fn clear(&mut self) {
        // An empty read means that the timer did not fire, and is still set.
        if nix::unistd::read(&self.fd, &mut [0; 8]).is_ok() {
            self.set = Time::NEVER;
        }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A [`Timer`] for the loop.
#[derive(Debug)]
pub(super) struct AsyncTimer {
    timer: Timer,
    ready: AsyncFd<OwnedFd>,
}

impl AsyncTimer {
    /// A timer that is not set.
    pub(super) fn new() -> io::Result<Self> {
        let timer = Timer::new()?;
        let ready = super::sys::status(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, ready })
    }

    /// Returns at `at` or a little later, perhaps also earlier: read the clock then.
    pub(super) async fn wait_until(&mut self, at: Time) -> io::Result<()> {
        self.timer.set(at)?;
        let mut guard = self.ready.readable().await?;
        self.timer.clear();
        guard.clear_ready();
        Ok(())
    }
}
