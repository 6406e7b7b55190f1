//! What every error reply means: whether waiting mends it, and who else must.

use crate::lock::{Refusal, Unknown};
use redis::ServerError;

#[derive(Clone, Copy)]
enum Meaning {
    /// It goes by itself.
    Transient,
    /// A person must mend it.
    Permanent(Refusal),
}

use Meaning::{Permanent, Transient};
use Refusal::{Access, Configuration};

/// By the first word of the reply, for the errors that Redis gives a word of their own.
const CODES: [(&str, Meaning); 17] = [
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
    ("WRONGTYPE", Permanent(Configuration)),
    ("MOVED", Permanent(Configuration)),
    ("ASK", Permanent(Configuration)),
    ("READONLY", Permanent(Configuration)),
    ("CLUSTERDOWN", Permanent(Configuration)),
    ("CROSSSLOT", Permanent(Configuration)),
];

/// By words in the text, for the errors that are a plain `ERR`; also when a script met them.
const TEXTS: [(&str, Meaning); 12] = [
    ("max number of clients", Transient),
    ("The user executing the script can't", Permanent(Access)),
    ("without any password configured", Permanent(Access)),
    ("invalid password", Permanent(Access)),
    ("invalid username-password", Permanent(Access)),
    ("unknown command", Permanent(Configuration)),
    ("DB index is out of range", Permanent(Configuration)),
    ("invalid DB index", Permanent(Configuration)),
    ("read only replica", Permanent(Configuration)),
    ("OOM command not allowed", Transient),
    ("SELECT is not allowed in cluster mode", Permanent(Configuration)),
    ("unknown subcommand", Permanent(Configuration)),
];

/// What an error reply means. An error that is not in the tables is waited out: it is none that redlock knows to be
/// for ever, and giving up on it could give up on a lock that is held.
pub(super) fn meaning(error: &ServerError) -> Unknown {
    let text = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    // What follows quotes the request, which may be a whole script.
    let text = text.split(", with args beginning with").next().unwrap_or_default().to_owned();
    let by_code = CODES.iter().find(|(code, _)| *code == error.code());
    let known = by_code.or_else(|| TEXTS.iter().find(|(words, _)| text.contains(words)));
    match known {
        Some((_, Permanent(kind))) => Unknown::Refused(*kind, text),
        Some((_, Transient)) | None => Unknown::Transient(text),
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
        let unknown = meaning(&error("ERR unknown command 'EVAL', with args beginning with: 'local v' "));
        assert_eq!(unknown, Unknown::Refused(Configuration, "ERR unknown command 'EVAL'".into()));
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
            ("ERR something nobody has seen", None),
            ("NOAUTH Authentication required.", Some(Access)),
            ("WRONGPASS invalid username-password pair", Some(Access)),
            ("NOPERM this user has no permissions to run the 'set' command", Some(Access)),
            ("ERR The user executing the script can't run this command or subcommand", Some(Access)),
            ("READONLY You can't write against a read only replica.", Some(Configuration)),
            ("WRONGTYPE Operation against a key", Some(Configuration)),
            ("MOVED 1234 10.0.0.1:6379", Some(Configuration)),
            ("CLUSTERDOWN Hash slot not served", Some(Configuration)),
            ("ERR unknown command 'EVAL'", Some(Configuration)),
            ("ERR DB index is out of range", Some(Configuration)),
        ] {
            match (meaning(&error(line)), refusal) {
                (Unknown::Transient(text), None) => assert_eq!(text, line),
                (Unknown::Refused(kind, text), Some(expected)) => assert_eq!((kind, text.as_str()), (expected, line)),
                (other, _) => panic!("{line}: {other:?}"),
            }
        }
    }
}
