//! The clock of the model on the scale of redlock's types.

use super::mutants::Rule;
use super::state::{INSTANCES, LEASE, OLD, Stamp};
use redlock_cli::lock::{Agreement, ClusterSize, RestartGuard, Schedule, ServerName, Time, Ttl};
use redlock_cli::policy::{MinHoldOn, OnLost, ProgressStyle, RunOptions, Signal, WaitLimit};
use std::time::Duration;

/// The present moment of the model on the clock of every client.
pub(super) const NOW: Time = Time::from_nanos(1_000_000_000_000_000);
/// The clocks of servers and hosts when a mark is set, since 1970.
pub(super) const MARKED: Duration = Duration::from_secs(1_700_000_000);

pub(super) fn size() -> ClusterSize {
    ClusterSize::redlock(INSTANCES).unwrap()
}

/// With this TTL, the drift, a second of the mark's age, and all time limits except for half the
/// TTL are small compared with a tick of 33 seconds.
pub(super) fn ttl() -> Ttl {
    Ttl::new(Duration::from_secs(100)).unwrap()
}

pub(super) fn schedule() -> Schedule {
    Schedule::new(ttl(), None, None).unwrap()
}

/// A third of the validity, and a microsecond for the order within a tick.
pub(super) fn tick() -> Duration {
    ttl().validity() / u32::from(LEASE) + Duration::from_micros(1)
}

/// The moment on the clock of a client.
pub(super) fn time(stamp: Stamp) -> Time {
    NOW.minus(tick() * u32::from(stamp.age)).plus(Duration::from_nanos(stamp.order.into()))
}

/// The stamp of a moment.
pub(super) fn stamp(time: Time) -> Stamp {
    let begun = NOW.minus(tick() * u32::from(LEASE));
    let since = time.since(begun).as_nanos();
    let ticks = u8::try_from(since / tick().as_nanos()).unwrap();
    let order = u8::try_from(since % tick().as_nanos()).unwrap();
    Stamp { age: LEASE - ticks, order }
}

/// The whole ticks until `deadline`, rounded up.
pub(super) fn ticks_until(deadline: Time) -> u8 {
    u8::try_from(deadline.since(NOW).as_nanos().div_ceil(tick().as_nanos())).unwrap()
}

pub(super) fn guard(rule: Rule) -> RestartGuard {
    match rule {
        Rule::NoGuard => RestartGuard::Off,
        Rule::ShortGuard => RestartGuard::For(ttl().length() / 2),
        _ => RestartGuard::For(ttl().length()),
    }
}

pub(super) fn options(rule: Rule) -> RunOptions {
    RunOptions {
        size: size(),
        schedule: schedule(),
        guard: guard(rule),
        wait_limit: WaitLimit::Forever,
        delay: Duration::ZERO,
        slots: 1,
        is_fenced: false,
        progress: ProgressStyle::News,
        min_hold: Duration::ZERO,
        min_hold_on: MinHoldOn::Always,
        cooldown: Duration::ZERO,
        stop_signal: Signal::TERM,
        escalates: false,
        on_lost: OnLost::Stop,
        max_runtime: None,
        awaits_descendants: false,
    }
}

pub(super) fn agreement(rule: Rule) -> Agreement {
    let name = |port| ServerName::tcp("host", port, 0);
    let servers = [1, 2, 3].map(name).to_vec();
    Agreement::new("user@host", 1, servers, guard(rule), schedule().op_timeout())
}

const _: () = assert!(OLD > LEASE + 3, "a memory is old for a request that was sent a lease ago");
