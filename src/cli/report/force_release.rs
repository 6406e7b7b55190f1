//! A lock that an operator takes away, in words.

use super::super::args::ForceReleaseArgs;
use super::super::duration::shown;
use super::super::missing_dashes::quoted;
use super::super::servers::Servers;
use super::Report;
use super::describe::unknown;
use super::holder::safe;
use super::printer::{Printer, Volume};
use super::status::person;
use crate::lock::{Force, LockValue, Name, NoVoteReason, Removal, Wanted, digest};
use crate::policy::ForcedRelease;
use std::fmt::Write as _;

/// A forced release and its effect.
pub(in super::super) struct Found<'a> {
    pub(in super::super) names: &'a [Name],
    /// The value of the holder.
    pub(in super::super) value: &'a str,
    pub(in super::super) servers: &'a Servers,
    pub(in super::super) forced: ForcedRelease,
    /// The effect on each server.
    pub(in super::super) removals: &'a [Result<Removal, NoVoteReason>],
}

/// A holder, as an operator names it.
fn holder(value: &str) -> String {
    match LockValue::parse(value) {
        Some(lock_value) => format!("{}, id {}", person(&lock_value), safe(&lock_value.id)),
        None => format!("another client, value {}", digest(value)),
    }
}

/// The question before a lock is taken away.
pub(in super::super) fn question(value: &str, force: Force) -> String {
    let what = match (force, LockValue::parse(value)) {
        (Force::Delete, _) => "delete its key at once, so that the next may run beside it",
        (Force::Revoke, Some(_)) => "stop its command and take the lock away",
        (Force::Revoke, None) => "take the lock away",
    };
    format!("held by {}; {what}? [y/N] ", holder(value))
}

/// The command line to type for each holder.
pub(in super::super) fn commands(args: &ForceReleaseArgs, holders: &[&str]) -> String {
    let names = args.name.iter().map(|name| quoted(name));
    let names = names.chain(args.locks.iter().map(|name| format!("-l {}", quoted(name))));
    let names = names.chain(args.key.iter().map(|key| format!("--key {}", quoted(key))));
    let names: Vec<String> = names.collect();
    let line = |value: &&str| {
        let (names, id) = (names.join(" "), quoted(&Wanted::word(value)));
        format!("  redlock force-release {names} --id {id}\n")
    };
    let lines: String = holders.iter().map(line).collect();
    match holders {
        [] => lines,
        [_] => format!("to take it away:\n{lines}"),
        _ => format!("to take it from one of them:\n{lines}"),
    }
}

/// The result for the lock as a whole and on each server.
pub(in super::super) fn outcome(found: &Found<'_>) -> String {
    let names: Vec<&str> = found.names.iter().map(Name::as_str).collect();
    let mut text = format!("{}: {}\n", safe(&names.join(", ")), overall(found));
    for (server, removal) in found.servers.endpoints.iter().zip(found.removals) {
        let _ = writeln!(text, "  {server}: {}", safe(&on_server(removal)));
    }
    text
}

fn overall(found: &Found<'_>) -> String {
    let holder = holder(found.value);
    let (count, most) = (found.servers.size.count(), found.servers.size.blocking());
    match found.forced {
        ForcedRelease::Revoked(left) => {
            let left = shown(left);
            match LockValue::parse(found.value) {
                Some(value) if found.is_kept(&value) => format!(
                    "taken away from {holder}; its command has ended, and --min-hold or --cooldown kept the lock: \
                     free in {left}, or at once with --now"
                ),
                Some(_) => format!(
                    "taken away from {holder}; its redlock stops the command, and the lock is free when that has \
                     ended, in at most {left}"
                ),
                None => format!("taken away from {holder}; free in {left}"),
            }
        }
        ForcedRelease::Deleted => format!(
            "free: deleted the lock of {holder}; if its command still runs, the next one runs beside it"
        ),
        ForcedRelease::NotHeld => format!("not held by {holder}"),
        ForcedRelease::WithoutExpiry => format!(
            "held by {holder}, without expiry: nothing tells when that client is done; give --now once it is"
        ),
        ForcedRelease::TooFew(0) => {
            format!(
                "still held by {holder}: too few of {count} servers could be reached; try again"
            )
        }
        ForcedRelease::TooFew(taken) => format!(
            "may still be held by {holder}: taken away on {taken} of {count} servers, and {most} are needed; try again"
        ),
    }
}

impl Found<'_> {
    /// Whether an extension is shorter than the time that the key has left. The key is then one
    /// that `--min-hold` or `--cooldown` left behind.
    fn is_kept(&self, value: &LockValue) -> bool {
        let ttl = std::time::Duration::from_millis(value.ttl_ms);
        matches!(self.forced, ForcedRelease::Revoked(left) if left > ttl)
    }
}

fn on_server(removal: &Result<Removal, NoVoteReason>) -> String {
    match removal {
        Ok(Removal::Revoked(left)) => format!("revoked, free in {}", shown(*left)),
        Ok(Removal::AlreadyRevoked(left)) => format!("revoked before, free in {}", shown(*left)),
        Ok(Removal::Deleted) => "deleted".into(),
        Ok(Removal::WithoutExpiry) => "kept, it has no expiry".into(),
        Ok(Removal::Absent) => "had no such lock".into(),
        Err(why) => unknown(why),
    }
}

impl Report {
    /// Whether a question on stderr can be read.
    pub(in super::super) fn is_on_terminal() -> bool {
        Printer::is_on_terminal()
    }

    /// Prints a question. The answer is typed in the same line.
    pub(in super::super) fn ask(&self, question: &str) {
        self.printer.ask(Volume::Quiet, &format!("'{}' is {question}", self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Revocation;

    #[test]
    fn a_holder_is_named_by_its_id_or_by_its_digest() {
        let value = LockValue::example("web1", &[]).to_line();
        assert_eq!(holder(&value), "deploy@web1 (migrate.sh, pid 42), id 4fa2");
        let text = question(&value, Force::Revoke);
        assert!(text.ends_with("; stop its command and take the lock away? [y/N] "), "{text}");
        assert!(question(&value, Force::Delete).contains("may run beside it"));
        let foreign = holder("secret");
        assert!(foreign.starts_with("another client, value sha256:"), "{foreign}");
        let revoked =
            Revocation::new("a@b", None, 1).header() + &Revocation::foreign_rest(&digest("secret"));
        assert_eq!(holder(&revoked), foreign);
    }
}
