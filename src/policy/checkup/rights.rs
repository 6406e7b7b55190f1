//! Which right is missing, by the commands that a try was refused.

use super::FoundFault;
use crate::lock::{NoVoteReason, PermanentError, RefusedTry};

/// The feature that needs a right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Locking at all.
    Run,
    /// Being woken while waiting.
    Queue,
    /// Telling a server that lost its memory.
    Guard,
    /// `--fence`.
    Fence,
    /// `redlock list`, and the number of waiters.
    Operator,
}

/// The object that an error about a missing right names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Object {
    Command,
    Key,
    Channel,
}

impl Purpose {
    fn of(command: &str, pattern: &str) -> Self {
        match (command, pattern) {
            ("INFO" | "TIME", _) | (_, "redlock-memory") => Self::Guard,
            ("SCAN" | "ZRANGE" | "PUBSUB", _) => Self::Operator,
            (_, "redlock-fence:*") => Self::Fence,
            (_, "redlock-queue:*" | "redlock-wake:*") => Self::Queue,
            _ => Self::Run,
        }
    }
}

impl Object {
    /// By the words of Redis 6.2 to 8 and of Valkey. A name in the text is a name that a user, a key or a
    /// channel was given.
    fn of(text: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["to run the '", "can't run this command"]) {
            Self::Command
        } else if has(&["' key", "the keys", "a key"]) {
            Self::Key
        } else if text.contains("channel") {
            Self::Channel
        } else {
            Self::Command
        }
    }
}

/// The faults of a server that refused these tries: one for each word of the ACL, and one for all
/// errors that go by themselves. `prefix` is that of the keys of locks.
pub(super) fn faults(refused: &[RefusedTry], prefix: &str) -> Vec<FoundFault> {
    let mut faults: Vec<FoundFault> = vec![];
    for RefusedTry { pattern, command, why } in refused {
        let purpose = Purpose::of(command, pattern);
        let fault = match why {
            NoVoteReason::Refused(PermanentError::Access, text) => {
                FoundFault::Missing(word(Object::of(text), command, pattern, prefix), purpose)
            }
            NoVoteReason::Refused(PermanentError::Configuration, text) if is_unknown(text) => {
                FoundFault::Renamed(command.clone(), purpose)
            }
            NoVoteReason::Refused(..) => FoundFault::Silent(why.clone()),
            _ => FoundFault::TakesNoKeys(why.clone()),
        };
        let is_told = |other: &FoundFault| match (other, &fault) {
            (FoundFault::Missing(one, _), FoundFault::Missing(other, _))
            | (FoundFault::Renamed(one, _), FoundFault::Renamed(other, _)) => one == other,
            (FoundFault::Silent(_), FoundFault::Silent(_))
            | (FoundFault::TakesNoKeys(_), FoundFault::TakesNoKeys(_)) => true,
            _ => false,
        };
        if !faults.iter().any(is_told) {
            faults.push(fault);
        }
    }
    faults
}

/// The fault of a server that answered nothing but this error.
pub(super) fn of_error(why: &NoVoteReason, prefix: &str) -> FoundFault {
    let silent = || FoundFault::Silent(why.clone());
    let NoVoteReason::Refused(PermanentError::Access, text) = why else { return silent() };
    if !text.starts_with("NOPERM") {
        return silent();
    }
    let command = text.split_once("to run the '").and_then(|(_, rest)| rest.split_once('\''));
    match (Object::of(text), command) {
        (Object::Command, None) => silent(),
        (object, command) => {
            let command = command.map_or("", |(command, _)| command);
            FoundFault::Missing(word(object, command, "", prefix), Purpose::Run)
        }
    }
}

/// The word of an ACL that gives a right.
fn word(object: Object, command: &str, pattern: &str, prefix: &str) -> String {
    match object {
        Object::Command if command == "PUBSUB" => "+pubsub|numsub".into(),
        Object::Command => format!("+{}", command.to_lowercase()),
        Object::Key if pattern.is_empty() => format!("~{prefix}*"),
        Object::Key => format!("~{pattern}"),
        Object::Channel => format!("&{pattern}"),
    }
}

/// Whether a server that answers this does not have a command by its name.
fn is_unknown(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("unknown ") || text.contains("wrong number of arg")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pattern: &str, command: &str, text: &str) -> RefusedTry {
        let why = NoVoteReason::Refused(PermanentError::Access, text.into());
        RefusedTry { pattern: pattern.into(), command: command.into(), why }
    }

    #[test]
    fn a_missing_right_is_the_word_of_the_acl_that_gives_it() {
        let script = "NOPERM The user executing the script can't ";
        for (pattern, command, text, expected, purpose) in [
            ("", "DEL", "run this command or subcommand", "+del", Purpose::Run),
            ("", "INFO", "run this command or subcommand", "+info", Purpose::Guard),
            ("", "PUBSUB", "run this command or subcommand", "+pubsub|numsub", Purpose::Operator),
            (
                "redlock-queue:*",
                "ZADD",
                "access at least one of the keys mentioned in the command arguments",
                "~redlock-queue:*",
                Purpose::Queue,
            ),
            ("", "GET", "access at least one of the keys mentioned in the", "~p:*", Purpose::Run),
            (
                "redlock-wake:*",
                "PUBLISH",
                "publish to the channel mentioned in the command",
                "&redlock-wake:*",
                Purpose::Queue,
            ),
        ] {
            let found = faults(&[refused(pattern, command, &format!("{script}{text}"))], "p:");
            assert_eq!(found, [FoundFault::Missing(expected.into(), purpose)], "{text}");
        }
        for (pattern, command, text, expected, purpose) in [
            (
                "redlock-memory",
                "GET",
                "User u has no permissions to access the 'redlock-memory' key",
                "~redlock-memory",
                Purpose::Guard,
            ),
            (
                "redlock-fence:*",
                "SET",
                "No permissions to access a key",
                "~redlock-fence:*",
                Purpose::Fence,
            ),
            (
                "redlock-wake:*",
                "SUBSCRIBE",
                "this user has no permissions to access one of the channels used as arguments",
                "&redlock-wake:*",
                Purpose::Queue,
            ),
            (
                "redlock-wake:*",
                "SUBSCRIBE",
                "User channel has no permissions to run the 'subscribe' command",
                "+subscribe",
                Purpose::Queue,
            ),
        ] {
            let found = faults(&[refused(pattern, command, &format!("NOPERM {text}"))], "p:");
            assert_eq!(found, [FoundFault::Missing(expected.into(), purpose)], "{text}");
        }
    }

    #[test]
    fn a_pattern_that_is_missing_is_told_once() {
        let text = "NOPERM No permissions to access a key";
        let queue = |command: &str| refused("redlock-queue:*", command, text);
        let found = faults(&["ZADD", "ZREM", "ZRANGE"].map(queue), "p:");
        assert_eq!(found, [FoundFault::Missing("~redlock-queue:*".into(), Purpose::Queue)]);
    }

    #[test]
    fn an_error_that_is_all_that_a_server_says_is_read_for_its_right() {
        let missing = |word: &str| FoundFault::Missing(word.into(), Purpose::Run);
        for (text, expected) in [
            ("NOPERM this user has no permissions to run the 'eval' command", Some("+eval")),
            ("NOPERM User u has no permissions to run the 'select' command", Some("+select")),
            (
                "NOPERM this user has no permissions to access one of the keys used as arguments",
                Some("~p:*"),
            ),
            ("WRONGPASS invalid username-password pair or user is disabled.", None),
            ("NOAUTH Authentication required.", None),
        ] {
            let why = NoVoteReason::Refused(PermanentError::Access, text.into());
            let expected = expected.map_or_else(|| FoundFault::Silent(why.clone()), missing);
            assert_eq!(of_error(&why, "p:"), expected);
        }
    }

    #[test]
    fn a_command_that_was_renamed_is_no_missing_right() {
        let error = |text: &str| {
            let why = NoVoteReason::Refused(PermanentError::Configuration, text.into());
            faults(&[RefusedTry { why, ..refused("", "DEL", "") }], "p:")
        };
        let renamed = [FoundFault::Renamed("DEL".into(), Purpose::Run)];
        assert_eq!(error("ERR Unknown Redis command called from script"), renamed);
        assert!(matches!(error("READONLY You can't write")[..], [FoundFault::Silent(_)]));
    }
}
