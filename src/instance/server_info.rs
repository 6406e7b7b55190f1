//! What a server tells of itself: who answers, for how long it has been up, whether it can be an
//! instance at all, and which mark it has.

use super::server_error::meaning;
use crate::lock::{Account, MarkSeen, Marking, NoVoteReason, PermanentError, ServerWarning};
use redis::Value;
use std::time::Duration;

/// The reply to [`super::scripts::REPORT`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ServerInfo {
    pub(super) account: Option<Account>,
    pub(super) marking: Option<Marking>,
    mode: Option<String>,
    /// The server's clock, since 1970.
    pub(super) clock: Option<Duration>,
}

impl ServerInfo {
    /// What the reply says; `wall` is our clock at the request, and `marks` says whether a mark was
    /// asked for.
    pub(super) fn parse(reply: &Value, wall: Duration, marks: bool) -> Self {
        let parts = match reply {
            Value::Array(parts) => parts.as_slice(),
            Value::ServerError(error) => return Self::untold(meaning(error)),
            _ => &[],
        };
        let [server_info, mark, rest @ ..] = parts else {
            return Self::untold(NoVoteReason::Transient(
                "the reply is not one that Redis gives".into(),
            ));
        };
        let clock = clock(rest);
        let marking = match (text(mark), clock) {
            _ if !marks => None,
            (Some(mark), Some(server_clock)) => Some(Marking::Seen(MarkSeen {
                text: mark.to_owned(),
                server_clock,
                host_clock: wall,
            })),
            _ => Some(Marking::Unavailable),
        };
        let server_info = text(server_info);
        let [run_id, mode, uptime] =
            fields(server_info.unwrap_or_default(), ["run_id", "redis_mode", "uptime_in_seconds"]);
        let account = server_info.map(|_| match (run_id, uptime.and_then(|uptime| uptime.parse::<i64>().ok())) {
            (Some(run_id), Some(uptime)) => Account::Told {
                run_id: run_id.to_owned(),
                uptime: Duration::from_secs(u64::try_from(uptime).unwrap_or_default()),
            },
            _ => Account::Untold(NoVoteReason::Refused(
                PermanentError::Configuration,
                "INFO tells no run_id or uptime_in_seconds, so a restart could not be seen; see --restart-guard".into(),
            )),
        });
        Self { account, marking, mode: mode.map(str::to_owned), clock }
    }

    /// Nothing was told, and this is why: only a missing right is no reason to ask again.
    pub(super) fn untold(why: NoVoteReason) -> Self {
        let account = match why {
            NoVoteReason::Refused(PermanentError::Access, _) => Account::NotPermitted,
            why => Account::Untold(why),
        };
        Self { account: Some(account), marking: None, mode: None, clock: None }
    }

    /// Why this server can never be an instance.
    pub(super) fn unsupported(&self) -> Option<NoVoteReason> {
        let what = match self.mode.as_deref()? {
            "cluster" => "a Redis Cluster node; expected an independent server",
            "sentinel" => "a Sentinel; expected a Redis server",
            _ => return None,
        };
        Some(NoVoteReason::Refused(PermanentError::Configuration, format!("this is {what}")))
    }
}

/// The reply to TIME: seconds and microseconds, each as text.
pub(super) fn clock(parts: &[Value]) -> Option<Duration> {
    let number = |part: &Value| text(part)?.parse().ok();
    let [seconds, micros] = parts else { return None };
    Duration::from_secs(number(seconds)?).checked_add(Duration::from_micros(number(micros)?))
}

/// What a server says of itself to HELLO.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Hello {
    is_replica: bool,
}

impl Hello {
    /// What the reply to `HELLO 3` says; `None` where it does not speak that protocol.
    pub(super) fn parse(reply: &Value) -> Option<Self> {
        let Value::Map(fields) = reply else { return None };
        let is = |value: &Value, text: &str| match value {
            Value::BulkString(bytes) => bytes == text.as_bytes(),
            Value::SimpleString(own) => own == text,
            _ => false,
        };
        let is_replica = fields.iter().any(|(name, role)| is(name, "role") && !is(role, "master"));
        Some(Self { is_replica })
    }

    /// Why this server can never be an instance.
    pub(super) fn unsupported(&self) -> Option<NoVoteReason> {
        let what = "this is a replica; expected an independent server";
        self.is_replica.then(|| NoVoteReason::Refused(PermanentError::Configuration, what.into()))
    }
}

/// What people should know of a server that replied so to `INFO memory` or `INFO replication`: that
/// keys are deleted when memory is full, or that there are replicas.
pub(super) fn remark(reply: &Value) -> Option<ServerWarning> {
    let [limit, policy, replicas] =
        fields(text(reply)?, ["maxmemory", "maxmemory_policy", "connected_slaves"]);
    if limit.is_some_and(|limit| limit != "0")
        && policy.is_some_and(|policy| policy != "noeviction")
    {
        return Some(ServerWarning::Evicts);
    }
    replicas.is_some_and(|replicas| replicas != "0").then_some(ServerWarning::Replicated)
}

fn text(reply: &Value) -> Option<&str> {
    match reply {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// The values of the fields with these names, in one pass, which ends with the last of them.
fn fields<'a, const N: usize>(text: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let mut values = [None; N];
    for line in text.lines() {
        for (name, value) in names.iter().zip(&mut values) {
            if let Some(found) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
                *value = Some(found);
            }
        }
        if values.iter().all(Option::is_some) {
            break;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn server_info(lines: &str) -> Value {
        bulk(&format!("# Server\r\nredis_version:7.0.15\r\n{lines}"))
    }

    fn parse(parts: Vec<Value>) -> ServerInfo {
        ServerInfo::parse(&Value::Array(parts), Duration::from_secs(9), true)
    }

    #[test]
    fn the_account_is_read_from_the_reply() {
        let reply = |mode: &str| {
            server_info(&format!("redis_mode:{mode}\r\nrun_id:abc\r\nuptime_in_seconds:7\r\n"))
        };
        let server_info =
            parse(vec![reply("standalone"), bulk("abc 1 2"), bulk("3"), bulk("500000")]);
        let told = Account::Told { run_id: "abc".into(), uptime: Duration::from_secs(7) };
        assert_eq!(
            (server_info.account, server_info.clock),
            (Some(told), Some(Duration::from_millis(3_500)))
        );
        let seen = MarkSeen {
            text: "abc 1 2".into(),
            server_clock: Duration::from_millis(3_500),
            host_clock: Duration::from_secs(9),
        };
        assert_eq!(server_info.marking, Some(Marking::Seen(seen)));
        for (mode, fits) in [("standalone", true), ("cluster", false), ("sentinel", false)] {
            assert_eq!(
                parse(vec![reply(mode), Value::Nil]).unsupported().is_none(),
                fits,
                "{mode}"
            );
        }
    }

    #[test]
    fn an_account_without_its_fields_is_none_and_a_negative_uptime_is_zero() {
        let told =
            |uptime| Account::Told { run_id: "abc".into(), uptime: Duration::from_secs(uptime) };
        for (lines, expected) in [
            ("run_id:abc\r\nuptime_in_seconds:-3600\r\n", Some(told(0))),
            ("run_id:abc\r\nuptime_in_seconds:31\r\n", Some(told(31))),
            ("run_id:abc\r\n", None),
            ("uptime_in_seconds:31\r\n", None),
            ("run_id:abc\r\nuptime_in_seconds:long\r\n", None),
        ] {
            let account = parse(vec![server_info(lines), Value::Nil]).account.unwrap();
            match expected {
                Some(expected) => assert_eq!(account, expected, "{lines}"),
                None => assert!(
                    matches!(account, Account::Untold(NoVoteReason::Refused(..))),
                    "{lines}: {account:?}"
                ),
            }
        }
        assert_eq!(
            parse(vec![Value::Nil, bulk("abc 1 2"), bulk("3"), bulk("0")]).account,
            None,
            "it was not asked"
        );
    }

    #[test]
    fn only_a_missing_right_ends_the_asking() {
        let error =
            |line: &str| redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        for (line, expected) in [
            ("NOPERM this user has no permissions to run the 'info' command", true),
            ("ERR The user executing the script can't run this command or subcommand", true),
            ("BUSY Redis is busy running a script", false),
            ("LOADING Redis is loading the dataset in memory", false),
            ("ERR unknown command 'INFO'", false),
        ] {
            let account = ServerInfo::parse(&error(line), Duration::ZERO, true).account;
            assert_eq!(account == Some(Account::NotPermitted), expected, "{line}: {account:?}");
            assert_eq!(
                matches!(account, Some(Account::Untold(_))),
                !expected,
                "{line}: {account:?}"
            );
        }
        assert!(matches!(
            ServerInfo::parse(&Value::Nil, Duration::ZERO, true).account,
            Some(Account::Untold(_))
        ));
    }

    #[test]
    fn a_mark_that_cannot_be_made_is_said_to_be_unavailable() {
        assert_eq!(
            parse(vec![server_info("run_id:a\r\n"), Value::Nil]).marking,
            Some(Marking::Unavailable)
        );
        let parts = vec![server_info("run_id:a\r\n"), Value::Nil];
        assert_eq!(ServerInfo::parse(&Value::Array(parts), Duration::ZERO, false).marking, None);
    }

    #[test]
    fn a_server_that_may_forget_keys_says_so() {
        for (limit, policy, forgets) in
            [("0", "allkeys-lru", false), ("1", "noeviction", false), ("1", "volatile-ttl", true)]
        {
            let text = format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
            let expected = forgets.then_some(ServerWarning::Evicts);
            assert_eq!(remark(&Value::BulkString(text.into_bytes())), expected, "{limit} {policy}");
        }
        assert_eq!(remark(&Value::Nil), None);
    }

    #[test]
    fn a_server_with_replicas_says_so() {
        for (count, expected) in
            [(0, None), (1, Some(ServerWarning::Replicated)), (12, Some(ServerWarning::Replicated))]
        {
            assert_eq!(
                remark(&bulk(&format!(
                    "# Replication\r\nrole:master\r\nconnected_slaves:{count}\r\n"
                ))),
                expected
            );
        }
    }

    #[test]
    fn a_replica_says_so_at_the_first_word() {
        let said = |role: &str| {
            Hello::parse(&Value::Map(vec![
                (bulk("proto"), Value::Int(3)),
                (bulk("role"), bulk(role)),
            ]))
            .unwrap()
        };
        assert_eq!(said("master").unsupported(), None);
        assert!(said("replica").unsupported().is_some());
        assert_eq!(Hello::parse(&Value::Nil), None);
    }
}
