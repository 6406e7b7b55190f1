//! Weaknesses of a lock in words.

use super::super::duration::shown;
use super::Report;
use super::describe::unknown;
use super::holder::safe;
use crate::lock::ServerWarning;
use crate::policy::Weakness;

impl Report {
    /// All weaknesses of one run in one line: instances that cannot vote, then each kind of fault
    /// with the servers that have it.
    pub(super) fn weaknesses(&self, all: &[Weakness]) -> String {
        let voteless: Vec<String> = all.iter().filter_map(|one| self.voteless(one)).collect();
        let mut parts = Vec::new();
        if !voteless.is_empty() {
            parts.push(format!(
                "{} of {} instances cannot vote, {} must grant: {}",
                voteless.len(),
                self.instances.len(),
                self.quorum,
                voteless.join("; ")
            ));
        }
        let mut kinds: Vec<ServerWarning> = Vec::new();
        for weakness in all {
            if let Weakness::Warned(_, warning) = weakness
                && !kinds.contains(warning)
            {
                kinds.push(*warning);
            }
        }
        parts.extend(kinds.into_iter().map(|kind| {
            let with_it: Vec<&str> = all
                .iter()
                .filter_map(|weakness| match weakness {
                    Weakness::Warned(instance, warning) if *warning == kind => Some(*instance),
                    _ => None,
                })
                .map(|instance| self.instance(instance))
                .collect();
            let each = if with_it.len() > 1 { "each of " } else { "" };
            format!("{each}{} {}", with_it.join(", "), fault(kind))
        }));
        format!("'{}': {}", self.name, parts.join("; "))
    }

    /// One fault of one server.
    pub(super) fn server_warning(&self, instance: usize, warning: ServerWarning) -> String {
        format!("'{}': {} {}", self.name, self.instance(instance), fault(warning))
    }

    /// The text for an instance without a vote.
    fn voteless(&self, weakness: &Weakness) -> Option<String> {
        let (instance, why) = match weakness {
            Weakness::NoVote(instance, why) => (*instance, safe(&unknown(why))),
            Weakness::Silent(instance, length) => {
                (*instance, format!("no answer for {}", shown(*length)))
            }
            Weakness::Warned(..) => return None,
        };
        Some(format!("{}: {why}", self.instance(instance)))
    }
}

/// The fault, to follow the names of the servers that have it.
const fn fault(warning: ServerWarning) -> &'static str {
    match warning {
        ServerWarning::Evicts => {
            "deletes keys when its memory is full, locks too; set its maxmemory-policy to noeviction"
        }
        ServerWarning::Replicated => {
            "has a replica, which may not know of a lock when it is promoted; let each server stand alone"
        }
        ServerWarning::Unaccounted => {
            "may not be asked for how long it has been up, so that no restart is noticed; give its user +info"
        }
        ServerWarning::Unmarked => {
            "cannot be marked, so that only its uptime tells of a lost memory; give its user +time and ~redlock-memory"
        }
    }
}
