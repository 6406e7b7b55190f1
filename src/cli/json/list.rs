//! The document of `redlock list`.

use super::super::servers::Servers;
use super::{Moment, ShownHolder, line, millis};
use crate::lock::{Listed, ListedState};
use serde::Serialize;
use std::time::Duration;

#[derive(Debug, Serialize)]
struct List<'a> {
    verb: &'static str,
    at: Moment,
    quorum: usize,
    locks: Vec<ListedLock<'a>>,
}

#[derive(Debug, Serialize)]
struct ListedLock<'a> {
    name: &'a str,
    key: &'a str,
    state: &'static str,
    on: usize,
    holder: ShownHolder,
    left_ms: Option<u64>,
    waiting: u32,
}

/// The document of `redlock list`.
pub(in super::super) fn list(
    locks: &[Listed],
    prefix: &str,
    servers: &Servers,
    now: Duration,
) -> String {
    let locks = locks.iter().map(|lock| ListedLock {
        name: lock.key.strip_prefix(prefix).unwrap_or(&lock.key),
        key: &lock.key,
        state: match lock.state {
            ListedState::Held => "held",
            ListedState::Remnant => "remnant",
            ListedState::Undetermined => "undetermined",
        },
        on: lock.instances,
        holder: ShownHolder::of(&lock.value),
        left_ms: lock.left.map(millis),
        waiting: lock.waiting,
    });
    let (verb, quorum) = ("list", servers.size.quorum());
    line(&List { verb, at: Moment::new(now), quorum, locks: locks.collect() })
}
