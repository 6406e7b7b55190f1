//! Findings of a checkup in words: each fault with its advice.

use super::super::duration::shown;
use super::super::json::Told;
use super::Report;
use super::describe::unknown;
use super::holder::safe;
use crate::lock::NoVoteReason;
use crate::policy::{Finding, FoundFault, Purpose};

impl Report {
    /// One finding in words.
    pub(in super::super) fn finding(&self, finding: &Finding) -> Told {
        Told {
            instance: finding.instance.map(|number| self.instance(number).to_owned()),
            code: finding.fault.code(),
            text: self.fault(&finding.fault),
        }
    }

    fn fault(&self, fault: &FoundFault) -> String {
        match fault {
            FoundFault::Silent(why) => format!("{}; {}", safe(&unknown(why)), advice(why)),
            FoundFault::Old(major, minor) => {
                format!("it is version {major}.{minor}; redlock needs Redis 6.2 or later: upgrade it")
            }
            FoundFault::NoVote(why) => {
                format!("it has no vote yet, and the others are no majority: {}; wait", safe(&unknown(why)))
            }
            FoundFault::SameServer(one) => {
                format!("it is the same server as {}; name each server once", self.instance(*one))
            }
            FoundFault::Evicts => "it deletes keys, and so locks, when its memory is full; set maxmemory-policy to noeviction".into(),
            FoundFault::MemoryFull(percent) => {
                format!("{percent} % of its memory is used; at its limit it takes no new locks: raise maxmemory")
            }
            FoundFault::ClientsFull(percent) => {
                format!("{percent} % of its connections are used; raise maxclients")
            }
            FoundFault::Replicas(count) => {
                format!("it has replicas ({count}); one that is promoted may not have heard of a lock: use a server without")
            }
            FoundFault::SaveFailed => {
                "its last save failed; with stop-writes-on-bgsave-error it takes no new locks: mend its disk, or turn saving off".into()
            }
            FoundFault::Missing(word, purpose) => {
                let (word, without) = (safe(word), without(word, *purpose));
                format!("the user of redlock lacks {word}, so {without}; ACL SETUSER USER {word} gives it")
            }
            FoundFault::Renamed(command, purpose) => format!(
                "it does not know {}, so {}; do not rename the command (rename-command)",
                safe(command),
                without(command, *purpose)
            ),
            FoundFault::TakesNoKeys(why) => {
                format!("it takes no new locks now: {}; mend that", safe(&unknown(why)))
            }
            FoundFault::Clock(apart) => format!(
                "its clock differs from the one of this host by {}; let a time service set both",
                shown(*apart)
            ),
            FoundFault::Slow(trip, wanted) => format!(
                "a round trip takes {}, much of --op-timeout; give --op-timeout {}",
                shown(*trip),
                shown(*wanted).replace(' ', "")
            ),
            FoundFault::Addresses(count) => format!(
                "its name has {count} addresses, so that it may be another server each time; use a name for each server"
            ),
            FoundFault::Certificate(left) => format!(
                "a certificate expires in {} days; renew it", left.as_secs() / 86_400
            ),
            FoundFault::ClocksApart(other, apart) => format!(
                "its clock and the one of {} differ by {}; let a time service set both",
                self.instance(*other),
                shown(*apart)
            ),
            FoundFault::Open => "it accepts commands without a password; set one for the default user (requirepass), or turn it off (ACL SETUSER default off)".into(),
            FoundFault::NoExpiry(_)
            | FoundFault::OtherCount(..)
            | FoundFault::OtherServers(..)
            | FoundFault::OtherSlots(..)
            | FoundFault::LongTtl(..) => self.fault_of_lock(fault),
        }
    }

    /// The text of a fault of a lock.
    fn fault_of_lock(&self, fault: &FoundFault) -> String {
        match fault {
            FoundFault::NoExpiry(key) => format!(
                "the key '{}' never expires, so that its lock is never free; delete it if its owner is gone",
                safe(key)
            ),
            FoundFault::OtherCount(key, owner, count) => format!(
                "'{}' is held by {}, which counts on {count} servers and not on {}; name the same servers on every host",
                safe(key),
                safe(owner),
                self.instance_count()
            ),
            FoundFault::LongTtl(key, owner, ttl) => format!(
                "'{}' is held by {} with a ttl of {}, which is longer than the restart guard of this host; set the same \
                 REDLOCK_RESTART_GUARD on every host",
                safe(key),
                safe(owner),
                shown(*ttl)
            ),
            FoundFault::OtherServers(key, owner, server) => format!(
                "'{}' is held by {}, which does not name {}; name the same servers on every host",
                safe(key),
                safe(owner),
                self.instance(*server)
            ),
            FoundFault::OtherSlots(key, few, many) => format!(
                "the holders of '{}' count on {few} slots and on {many}; give all the same --slots",
                safe(key)
            ),
            _ => String::new(),
        }
    }
}

/// Advice about a server that does not answer, or refuses.
fn advice(why: &NoVoteReason) -> &'static str {
    match why {
        NoVoteReason::Refused(_, text) if text.starts_with("DENIED") => {
            "set a password for the default user, or turn it off; see docs/servers.md"
        }
        NoVoteReason::Refused(..) => "see docs/servers.md",
        _ => "start it, or mend the way to it",
    }
}

/// The effect of the missing right or command.
fn without(word: &str, purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Run => "nothing can be locked",
        Purpose::Queue => "those who wait are not woken",
        Purpose::Guard => "a server that lost its memory may not be noticed",
        Purpose::Fence => "runs with --fence are refused",
        Purpose::Operator if word.to_uppercase().contains("PUBSUB") => {
            "the dead in a queue count as waiting"
        }
        Purpose::Operator if word.to_uppercase().contains("SCAN") => "'redlock list' does not work",
        Purpose::Operator => "how many wait is not known",
    }
}
