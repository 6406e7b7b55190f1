//! The meaning of each error reply: transient or permanent.

use crate::lock::{NoVoteReason, PermanentError};
use redis::ServerError;

#[derive(Clone, Copy)]
enum ErrorKind {
    /// The error ends by itself.
    Transient,
    /// A person must mend the error.
    Permanent(PermanentError),
}

use ErrorKind::{Permanent, Transient};
use PermanentError::{Access, Configuration};

/// Kinds by the first word of the reply, for the errors to which Redis gives a code of their own.
const CODES: [(&str, ErrorKind); 16] = [
    ("LOADING", Transient),
    ("BUSY", Transient),
    ("TRYAGAIN", Transient),
    ("MASTERDOWN", Transient),
    ("NOREPLICAS", Transient),
    ("OOM", Transient),
    ("MISCONF", Transient),
    ("NOAUTH", Permanent(Access)),
    ("WRONGPASS", Permanent(Access)),
    ("NOPERM", Permanent(Access)),
    ("DENIED", Permanent(Configuration)),
    ("MOVED", Permanent(Configuration)),
    ("ASK", Permanent(Configuration)),
    ("READONLY", Permanent(Configuration)),
    ("CLUSTERDOWN", Permanent(Configuration)),
    ("CROSSSLOT", Permanent(Configuration)),
];

/// Kinds by words that the text contains in this order, in lower case: for the errors with the code
/// `ERR`, and for the errors that Redis 6.2 wraps into the text of a script's error.
///
/// Each server family words the errors of a script in its own way: an unknown command is an
/// "unknown command", an "Unknown Redis command called from Lua script" (6.2), one "from script"
/// (7.0), and an "Unknown command called from script" (Valkey).
const TEXTS: [(&[&str], ErrorKind); 14] = [
    (&["max number of clients"], Transient),
    (&[SCRIPT_ACL[0]], Permanent(Access)),
    (&[SCRIPT_ACL[1]], Permanent(Access)),
    (&["without any password configured"], Permanent(Access)),
    (&["unknown ", "command"], Permanent(Configuration)),
    // A command that was renamed to the name of another command.
    (&["wrong number of arg"], Permanent(Configuration)),
    (&["command is not allowed from script"], Permanent(Configuration)),
    (&["error compiling script"], Permanent(Configuration)),
    (&["db index is out of range"], Permanent(Configuration)),
    // A number that no database can have.
    (&["value is out of range"], Permanent(Configuration)),
    (&["select is not allowed in cluster mode"], Permanent(Configuration)),
    (&["read only replica"], Permanent(Configuration)),
    (&["oom command not allowed"], Transient),
    (&["not enough good replicas"], Transient),
];

/// A missing right inside a script, in the words of Redis up to 7.0 and of later servers.
const SCRIPT_ACL: [&str; 2] = ["the user executing the script can't", "acl failure in script"];

/// Longest kept text of an error, in characters.
const TEXT_MAX: usize = 300;

/// The meaning of an error reply. An error outside the tables counts as transient: the error may
/// pass, and a run that gives up might give up a held lock.
pub(super) fn meaning(error: &ServerError) -> NoVoteReason {
    let text = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    let text = cut(without_place(&text));
    let code = text.split(' ').next().unwrap_or_default();
    let by_code = CODES.iter().find(|(known, _)| *known == code).map(|(_, kind)| kind);
    let lower = text.to_lowercase();
    let by_text = || TEXTS.iter().find(|(words, _)| has_in_order(&lower, words)).map(|(_, k)| k);
    match by_code.or_else(by_text) {
        Some(Permanent(kind)) => NoVoteReason::Refused(*kind, with_code(text, &lower)),
        Some(Transient) | None => NoVoteReason::Transient(text),
    }
}

/// Adds the code of a missing right, which the error lacks inside a script.
fn with_code(text: String, lower: &str) -> String {
    if !SCRIPT_ACL.iter().any(|words| lower.contains(words)) {
        return text;
    }
    format!("NOPERM {}", text.strip_prefix("ERR ").unwrap_or(&text))
}

/// The text of an error without the request, the script's hash and the line in the script.
fn without_place(text: &str) -> &str {
    // A quoted request may be a whole script.
    let text = text.split(", with args beginning with").next().unwrap_or_default();
    // Redis 7 and Valkey name the place behind the words.
    let is_place = |place: &str| place.contains("@user_script:");
    let behind = text.rsplit_once(" script: ").filter(|(_, place)| is_place(place));
    let text = behind.map_or(text, |(words, _)| words);
    // Redis 6.2 names the place before the words, and writes the code of the error as on the wire.
    let before = text.rsplit_once("@user_script:").and_then(|(_, rest)| rest.split_once(": "));
    before.map_or(text, |(_, words)| words.strip_prefix('-').unwrap_or(words))
}

/// Cuts a long text to its first sentence: DENIED is followed by a page of advice.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    let sentence = text.split(". ").next().unwrap_or_default();
    sentence.chars().take(TEXT_MAX).collect()
}

/// Whether `text` contains all of `words`, each behind the previous one.
fn has_in_order(text: &str, words: &[&str]) -> bool {
    let mut rest = text;
    words.iter().all(|word| {
        let found = rest.split_once(word).map(|(_, behind)| rest = behind);
        found.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{Value, parse_redis_value};

    fn error(line: &str) -> ServerError {
        match parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_request_is_not_quoted() {
        let unknown =
            meaning(&error("ERR unknown command 'EVAL', with args beginning with: 'local v' "));
        assert_eq!(
            unknown,
            NoVoteReason::Refused(Configuration, "ERR unknown command 'EVAL'".into())
        );
        let hash = "7ec09ae911e980f8d73de1d0226f2464713c2125";
        for place in [format!("{hash}, on @user_script:1."), "on @user_script:1.".into()] {
            let unknown = meaning(&error(&format!("READONLY no script: {place}")));
            assert_eq!(unknown, NoVoteReason::Refused(Configuration, "READONLY no".into()));
        }
        let words = "The user executing the script can't run this command or subcommand";
        let unknown = meaning(&error(&format!(
            "ERR Error running script (call to f_{hash}): @user_script:1: @user_script: 1: {words}"
        )));
        assert_eq!(unknown, NoVoteReason::Refused(Access, format!("NOPERM {words}")));
    }

    #[test]
    fn an_error_has_the_same_meaning_inside_a_script() {
        let inside = "@user_script: 1:";
        for (line, expected) in [
            ("-OOM command not allowed", NoVoteReason::Transient("OOM command not allowed".into())),
            ("-MISCONF no", NoVoteReason::Transient("MISCONF no".into())),
            ("-READONLY no", NoVoteReason::Refused(Configuration, "READONLY no".into())),
            (
                "Unknown Redis command called from Lua script",
                NoVoteReason::Refused(
                    Configuration,
                    "Unknown Redis command called from Lua script".into(),
                ),
            ),
        ] {
            let raised = "ERR Error running script (call to f_0123): @user_script:1:";
            assert_eq!(meaning(&error(&format!("{raised} {inside} {line}"))), expected, "{line}");
            assert_eq!(meaning(&error(&format!("{inside} {line}"))), expected, "{line}");
        }
    }

    #[test]
    fn each_error_is_waited_out_or_mended_by_a_person() {
        for (line, refusal) in [
            ("LOADING Redis is loading the dataset in memory", None),
            ("BUSY Redis is busy running a script", None),
            ("OOM command not allowed when used memory > 'maxmemory'.", None),
            ("MISCONF Redis is configured to save RDB snapshots", None),
            ("NOREPLICAS Not enough good replicas to write.", None),
            ("MASTERDOWN Link with MASTER is down", None),
            ("TRYAGAIN Multiple keys request during rehashing", None),
            ("ERR max number of clients reached", None),
            (
                "ERR ACL failure in script: User default has no permissions to run the 'get' command",
                Some(Access),
            ),
            ("ERR SELECT is not allowed in cluster mode", Some(Configuration)),
            (
                "ERR value is out of range, value must between -2147483648 and 2147483647",
                Some(Configuration),
            ),
            ("ERR something nobody has seen", None),
            ("NOAUTH Authentication required.", Some(Access)),
            ("WRONGPASS invalid username-password pair", Some(Access)),
            ("NOPERM this user has no permissions to run the 'set' command", Some(Access)),
            (
                "ERR The user executing the script can't run this command or subcommand",
                Some(Access),
            ),
            ("READONLY You can't write against a read only replica.", Some(Configuration)),
            ("MOVED 1234 10.0.0.1:6379", Some(Configuration)),
            ("CLUSTERDOWN Hash slot not served", Some(Configuration)),
            ("ERR unknown command 'EVAL'", Some(Configuration)),
            ("ERR unknown command `EVAL`", Some(Configuration)),
            ("ERR Unknown Redis command called from script (PEXPIRE)", Some(Configuration)),
            ("ERR Unknown command called from script (PEXPIRE)", Some(Configuration)),
            ("ERR Wrong number of args calling command from script", Some(Configuration)),
            ("ERR This Valkey command is not allowed from script", Some(Configuration)),
            ("ERR the unit is unknown", None),
            ("ERR DB index is out of range", Some(Configuration)),
        ] {
            match (meaning(&error(line)), refusal) {
                (NoVoteReason::Transient(text), None) => assert_eq!(text, line),
                (NoVoteReason::Refused(kind, text), Some(expected)) => {
                    let own = text.strip_prefix("NOPERM ").unwrap_or(&text);
                    assert_eq!(kind, expected, "{line}");
                    assert!(line.ends_with(own), "{line}: {text}");
                }
                (other, _) => panic!("{line}: {other:?}"),
            }
        }
    }
}
