//! Waiting for a state, with a bound. Nothing else in the tests reads a clock or sleeps.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Time limit for an event that has to come. Much longer than any event takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The clock that redlock uses.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME can be read").into()
}

/// The wall clock, for the stamps of servers and commands.
pub(crate) fn wall() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME).expect("CLOCK_REALTIME can be read").into()
}

/// The time since a moment of [`now`].
pub(crate) fn since(moment: Duration) -> Duration {
    now().saturating_sub(moment)
}

/// The result of `probe`, or `None` if there is none within `patience`.
pub(crate) fn within<T>(patience: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + patience;
    loop {
        // Read before the probe, so that one probe follows the end of the time.
        let over = now() >= end;
        let found = probe();
        if found.is_some() || over {
            return found;
        }
        pause(Duration::from_millis(3));
    }
}

/// Waits until `probe` returns a value.
pub(crate) fn until_some<T>(label: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, probe).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain until {label}"))
}

/// Waits until `probe` returns true.
pub(crate) fn until(label: &str, mut probe: impl FnMut() -> bool) {
    until_some(label, || probe().then_some(()));
}

/// Lets time pass, for a test whose subject is time and that has no event to wait for.
pub(crate) fn let_pass(time: Duration) {
    let start = now();
    while since(start) <= time {
        pause(Duration::from_millis(3));
    }
}

#[allow(clippy::disallowed_methods, reason = "between two looks at a state that nobody announces")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
