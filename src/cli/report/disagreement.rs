//! A host that disagrees about a lock, in words that name both sides.

use super::super::duration::shown;
use super::super::report::holder::who;
use super::Report;
use crate::lock::{Difference, LockValue, ObservedHolder};
use crate::supervisor::since_1970;
use std::time::Duration;

impl Report {
    /// Refusal of this run beside `holder`, naming both sides.
    pub(super) fn disagreement(&self, holder: &ObservedHolder, difference: &Difference) -> String {
        let (name, holder) = (&self.name, who(Some(holder), since_1970()));
        let ours = self.instances.join(", ");
        let (ours, theirs, advice) = match difference {
            Difference::Count(count) => (
                format!("names {} ({ours})", servers(self.instances.len())),
                format!("names {}", servers(*count)),
                "name the same servers on every host",
            ),
            Difference::Slots(slots) => (
                format!("counts on {} slots", self.slots),
                format!("counts on {slots}"),
                "give the same --slots on every host",
            ),
            Difference::Servers(others) => {
                let others: Vec<&str> =
                    others.iter().map(|number| self.instance(*number)).collect();
                (
                    format!("names {ours}"),
                    format!("names others instead of {}", others.join(", ")),
                    "name the same servers on every host, each by the same name",
                )
            }
        };
        format!(
            "hosts disagree about '{name}', so two could hold it: this run {ours}, and a holder {theirs}: {holder}; {advice}"
        )
    }

    /// The command is stopped in favour of a host that had the lock on `instance` first.
    pub(super) fn giving_way(&self, instance: usize) -> String {
        format!(
            "{} had '{}' for another host first; stopping the command",
            self.instance(instance),
            self.name
        )
    }

    /// Warning about a lease that the restart guard of this run does not cover.
    pub(super) fn long_lease(&self, holder: &ObservedHolder) -> String {
        let ttl = LockValue::parse(&holder.value)
            .map(|lock_value| Duration::from_millis(lock_value.ttl_ms))
            .unwrap_or_default();
        format!(
            "'{}': the lease of {} is {}, longer than the --restart-guard of this run, which does not cover it; give every host \
             the same --restart-guard",
            self.name,
            who(Some(holder), since_1970()),
            shown(ttl)
        )
    }
}

fn servers(count: usize) -> String {
    if count == 1 { "1 server".into() } else { format!("{count} servers") }
}
