//! What every error reply means: whether waiting mends it, and who else must.

use crate::lock::{NoVoteReason, PermanentError};
use redis::ServerError;

#[derive(Clone, Copy)]
enum ErrorKind {
    /// It goes by itself.
    Transient,
    /// A person must mend it.
    Permanent(PermanentError),
}

use ErrorKind::{Permanent, Transient};
use PermanentError::{Access, Configuration};

/// By the first word of the reply, for the errors that Redis gives a word of their own.
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

/// By words in the text, for the errors that are a plain `ERR`; also when a script met them.
const TEXTS: [(&str, ErrorKind); 10] = [
    ("max number of clients", Transient),
    ("The user executing the script can't", Permanent(Access)),
    // The same since Redis 7.2.
    ("ACL failure in script", Permanent(Access)),
    ("without any password configured", Permanent(Access)),
    ("unknown command", Permanent(Configuration)),
    ("DB index is out of range", Permanent(Configuration)),
    // A number that no database can have.
    ("value is out of range", Permanent(Configuration)),
    ("SELECT is not allowed in cluster mode", Permanent(Configuration)),
    // Redis 6.2 wraps what a script met into a text.
    ("read only replica", Permanent(Configuration)),
    ("OOM command not allowed", Transient),
];

/// What an error reply means. An error that is not in the tables is waited out: it is none that
/// redlock knows to be for ever, and giving up on it could give up on a lock that is held.
pub(super) fn meaning(error: &ServerError) -> NoVoteReason {
    let text = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    // What follows quotes the request, which may be a whole script.
    let text = text.split(", with args beginning with").next().unwrap_or_default();
    // Nor do the hash of the script and the line in it say anything to a person.
    let is_hash = |word: &str| word.split(',').next().is_some_and(|hash| hash.len() == 40);
    let text = text
        .rsplit_once(" script: ")
        .filter(|(_, word)| is_hash(word))
        .map_or(text, |(text, _)| text)
        .to_owned();
    // Redis 6.2 puts the place before the words.
    let place = text.rsplit_once("@user_script:").and_then(|(_, rest)| rest.split_once(": "));
    let text = place.map_or_else(|| text.clone(), |(_, words)| words.to_owned());
    // DENIED is followed by a page of advice.
    let sentence = text.split(". ").next().unwrap_or_default().to_owned();
    let text = if text.len() > 300 { sentence.chars().take(300).collect() } else { text };
    let by_code = CODES.iter().find(|(code, _)| *code == error.code());
    let known = by_code.or_else(|| TEXTS.iter().find(|(words, _)| text.contains(words)));
    match known {
        Some((_, Permanent(kind))) => NoVoteReason::Refused(*kind, text),
        Some((_, Transient)) | None => NoVoteReason::Transient(text),
    }
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
    fn what_was_sent_is_not_quoted() {
        let unknown =
            meaning(&error("ERR unknown command 'EVAL', with args beginning with: 'local v' "));
        assert_eq!(
            unknown,
            NoVoteReason::Refused(Configuration, "ERR unknown command 'EVAL'".into())
        );
        let hash = "7ec09ae911e980f8d73de1d0226f2464713c2125";
        let unknown = meaning(&error(&format!("READONLY no script: {hash}, on @user_script:1.")));
        assert_eq!(unknown, NoVoteReason::Refused(Configuration, "READONLY no".into()));
        let words = "The user executing the script can't run this command or subcommand";
        let unknown = meaning(&error(&format!(
            "ERR Error running script (call to f_{hash}): @user_script:1: @user_script: 1: {words}"
        )));
        assert_eq!(unknown, NoVoteReason::Refused(Access, words.into()));
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
            ("ERR DB index is out of range", Some(Configuration)),
        ] {
            match (meaning(&error(line)), refusal) {
                (NoVoteReason::Transient(text), None) => assert_eq!(text, line),
                (NoVoteReason::Refused(kind, text), Some(expected)) => {
                    assert_eq!((kind, text.as_str()), (expected, line));
                }
                (other, _) => panic!("{line}: {other:?}"),
            }
        }
    }
}
