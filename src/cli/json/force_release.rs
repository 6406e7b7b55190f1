//! The document of `redlock force-release`.

use super::super::report::describe::unknown;
use super::super::report::force_release::Found;
use super::super::servers::Servers;
use super::{Moment, ShownHolder, line, millis};
use crate::instance::Endpoint;
use crate::lock::{Name, NoVoteReason, Removal, Wanted};
use crate::policy::ForcedRelease;
use serde::Serialize;
use std::time::Duration;

#[derive(Debug, Serialize)]
struct Document<'a> {
    verb: &'static str,
    at: Moment,
    names: Vec<&'a str>,
    id: &'a str,
    outcome: &'static str,
    holder: Option<ShownHolder>,
    left_ms: Option<u64>,
    instances: Vec<InstanceRemoval>,
}

#[derive(Debug, Serialize)]
struct InstanceRemoval {
    #[serde(rename = "instance")]
    name: String,
    outcome: &'static str,
    left_ms: Option<u64>,
    why: Option<String>,
}

/// The document of a lock that was taken away, or was to be.
pub(in super::super) fn force_release(found: &Found<'_>, now: Duration) -> String {
    let (outcome, left) = match found.forced {
        ForcedRelease::Revoked(left) => ("revoked", Some(left)),
        ForcedRelease::Deleted => ("deleted", None),
        ForcedRelease::NotHeld => ("not_held", None),
        ForcedRelease::WithoutExpiry => ("without_expiry", None),
        ForcedRelease::TooFew(_) => ("too_few", None),
    };
    let instances = found.servers.endpoints.iter().zip(found.removals);
    line(&Document {
        verb: "force-release",
        at: Moment::new(now),
        names: found.names.iter().map(Name::as_str).collect(),
        id: &Wanted::word(found.value),
        outcome,
        holder: Some(ShownHolder::of(found.value)),
        left_ms: left.map(millis),
        instances: instances
            .map(|(endpoint, removal)| InstanceRemoval::new(endpoint, removal))
            .collect(),
    })
}

/// The document of a holder that does not hold the lock.
pub(in super::super) fn not_held(
    names: &[&str],
    id: &str,
    servers: &Servers,
    now: Duration,
) -> String {
    let absent = Ok(Removal::Absent);
    line(&Document {
        verb: "force-release",
        at: Moment::new(now),
        names: names.to_vec(),
        id,
        outcome: "not_held",
        holder: None,
        left_ms: None,
        instances: servers.endpoints.iter().map(|one| InstanceRemoval::new(one, &absent)).collect(),
    })
}

impl InstanceRemoval {
    fn new(endpoint: &Endpoint, removal: &Result<Removal, NoVoteReason>) -> Self {
        let (outcome, left, why) = match removal {
            Ok(Removal::Revoked(left)) => ("revoked", Some(*left), None),
            Ok(Removal::AlreadyRevoked(left)) => ("already_revoked", Some(*left), None),
            Ok(Removal::Deleted) => ("deleted", None, None),
            Ok(Removal::WithoutExpiry) => ("without_expiry", None, None),
            Ok(Removal::Absent) => ("absent", None, None),
            Err(why) => ("unknown", None, Some(unknown(why))),
        };
        Self { name: endpoint.to_string(), outcome, left_ms: left.map(millis), why }
    }
}
