//! The JSON output of the operator's verbs; docs/json.md describes each field.
//!
//! Fields are added and never renamed or removed.

use super::report::describe::unknown;
use super::report::status::is_kept;
use super::seen::{LockSeen, Overall, SlotSeen};
use super::servers::Servers;
use crate::instance::Endpoint;
use crate::lock::{Doubt, HeldBy, KeyView, LockState, LockValue, QueueView, Revocation, digest};
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};

mod doctor;
mod force_release;
mod list;

pub(super) use doctor::{Told, doctor};
pub(super) use force_release::{force_release, not_held};
pub(super) use list::list;

/// The last moment that RFC 3339 can tell: the end of the year 9999.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// A moment as text and as a number, since 1970.
#[derive(Debug, Serialize)]
pub(super) struct Moment {
    rfc3339: String,
    ms: u64,
}

impl Moment {
    /// The moment at this time since 1970.
    pub(super) fn new(since_1970: Duration) -> Self {
        let at = since_1970.min(LAST);
        let rfc3339 = humantime::format_rfc3339_millis(UNIX_EPOCH + at).to_string();
        Self { rfc3339, ms: millis(at) }
    }
}

#[derive(Debug, Serialize)]
struct Status<'a> {
    verb: &'static str,
    at: Moment,
    quorum: usize,
    locks: Vec<Lock<'a>>,
}

#[derive(Debug, Serialize)]
struct Lock<'a> {
    name: &'a str,
    key: &'a str,
    state: &'static str,
    slots: Vec<Slot<'a>>,
    waiting: u32,
    first_waiting: Option<First<'a>>,
}

#[derive(Debug, Serialize)]
struct First<'a> {
    id: &'a str,
    since: Moment,
}

#[derive(Debug, Serialize)]
struct Slot<'a> {
    #[serde(rename = "slot")]
    number: usize,
    key: &'a str,
    state: &'static str,
    doubt: Option<&'static str>,
    holder: Option<ShownHolder>,
    left_ms: Option<u64>,
    kept: bool,
    instances: Vec<Instance>,
}

#[derive(Debug, Serialize)]
struct Instance {
    #[serde(rename = "instance")]
    name: String,
    view: &'static str,
    why: Option<String>,
    holder: Option<ShownHolder>,
    left_ms: Option<u64>,
}

/// A holder; of another client, nothing but the digest of its value is told.
#[derive(Debug, Serialize)]
pub(super) struct ShownHolder {
    client: &'static str,
    digest: String,
    id: Option<String>,
    owner: Option<String>,
    pid: Option<u32>,
    cmd: Option<String>,
    reason: Option<String>,
    since: Option<Moment>,
    ttl_ms: Option<u64>,
    fence: Option<u64>,
    revoked: Option<Revoked>,
}

/// The revocation of a lock by an operator.
#[derive(Debug, Serialize)]
struct Revoked {
    by: String,
    reason: Option<String>,
    at: Moment,
}

impl ShownHolder {
    /// The holder that wrote `value`.
    pub(super) fn of(value: &str) -> Self {
        let digest = digest(value);
        let revoked = Revocation::parse(value).map(|revocation| Revoked {
            by: revocation.by,
            reason: revocation.reason,
            at: Moment::new(Duration::from_secs(revocation.at)),
        });
        match LockValue::parse(value) {
            Some(value) => Self {
                client: "redlock",
                digest,
                id: Some(value.id),
                owner: Some(value.owner),
                pid: Some(value.pid),
                cmd: Some(value.cmd),
                reason: value.reason,
                since: Some(Moment::new(Duration::from_secs(value.since))),
                ttl_ms: Some(value.ttl_ms),
                revoked,
                fence: value.fence,
            },
            None => Self {
                client: "other",
                digest,
                id: None,
                owner: None,
                pid: None,
                cmd: None,
                reason: None,
                since: None,
                ttl_ms: None,
                revoked,
                fence: None,
            },
        }
    }
}

/// The document of `redlock status`.
pub(super) fn status(locks: &[LockSeen], servers: &Servers, now: Duration) -> String {
    let lock = |lock| Lock::new(lock, &servers.endpoints);
    let (verb, quorum) = ("status", servers.size.quorum());
    let locks = locks.iter().map(lock).collect();
    line(&Status { verb, at: Moment::new(now), quorum, locks })
}

/// One line of JSON.
pub(super) fn line(document: &impl Serialize) -> String {
    // Structs of strings and numbers always have a JSON form.
    serde_json::to_string(document).unwrap_or_default() + "\n"
}

impl<'a> Lock<'a> {
    fn new(lock: &'a LockSeen, endpoints: &[Endpoint]) -> Self {
        let slots = lock.slots.iter().enumerate();
        Self {
            name: &lock.name,
            key: &lock.key,
            state: match lock.overall() {
                Overall::Free => "free",
                Overall::Held => "held",
                Overall::Undetermined => "undetermined",
            },
            slots: slots.map(|(number, slot)| Slot::new(number + 1, slot, endpoints)).collect(),
            waiting: lock.queue.waiting,
            first_waiting: first(&lock.queue),
        }
    }
}

fn first(queue: &QueueView) -> Option<First<'_>> {
    queue.first.as_ref().map(|first| First { id: &first.id, since: Moment::new(first.since) })
}

impl<'a> Slot<'a> {
    fn new(number: usize, slot: &'a SlotSeen, endpoints: &[Endpoint]) -> Self {
        let by = if let LockState::Held(by) = &slot.state { Some(by) } else { None };
        let instances = endpoints.iter().zip(&slot.views);
        Self {
            number,
            key: &slot.key,
            state: match slot.state {
                LockState::Held(_) => "held",
                LockState::Free => "free",
                LockState::Undetermined(_) => "undetermined",
            },
            doubt: match slot.state {
                LockState::Undetermined(doubt) => Some(word(doubt)),
                LockState::Held(_) | LockState::Free => None,
            },
            holder: by.map(|by| ShownHolder::of(&by.value)),
            left_ms: by.and_then(|by| by.left).map(millis),
            kept: by.is_some_and(kept),
            instances: instances.map(|(endpoint, view)| Instance::new(endpoint, view)).collect(),
        }
    }
}

fn kept(by: &HeldBy) -> bool {
    by.lock_value().is_some_and(|value| is_kept(by, &value))
}

const fn word(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::TooFewAnswers => "too_few_answers",
        Doubt::SplitVote => "split_vote",
        Doubt::Minority => "minority",
        Doubt::MayHaveForgotten => "may_have_forgotten",
    }
}

impl Instance {
    fn new(endpoint: &Endpoint, view: &KeyView) -> Self {
        let holder = if let KeyView::Held(holder) = view { Some(holder) } else { None };
        let (view, why) = match view {
            KeyView::Held(_) => ("held", None),
            KeyView::Free => ("free", None),
            KeyView::Abstains(why) => ("abstains", Some(unknown(why))),
            KeyView::Unknown(why) => ("unknown", Some(unknown(why))),
        };
        Self {
            name: endpoint.to_string(),
            view,
            why,
            holder: holder.map(|holder| ShownHolder::of(&holder.value)),
            left_ms: holder.and_then(|holder| holder.left).map(millis),
        }
    }
}

/// A length in milliseconds.
pub(super) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
