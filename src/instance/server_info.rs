//! Report of a server on itself: `run_id`, uptime, mark, and fitness as an instance.

use super::server_error::meaning;
use crate::lock::{Account, MarkSeen, Marking, NoVoteReason, PermanentError, ServerWarning};
use redis::Value;
use std::time::Duration;

/// The reply to [`super::scripts::REPORT`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ServerInfo {
    pub(super) account: Option<Account>,
    pub(super) marking: Option<Marking>,
    mode: Option<Mode>,
    /// The server's clock, since 1970.
    pub(super) clock: Option<Duration>,
}

impl ServerInfo {
    /// Parses the reply. `wall` is our clock at the request. `marks` says whether a mark was
    /// requested.
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
        let names = ["run_id", "redis_mode", "server_mode", "uptime_in_seconds"];
        let [run_id, redis, valkey, uptime] = fields(server_info.unwrap_or_default(), names);
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
        Self { account, marking, mode: redis.or(valkey).map(Mode::parse), clock }
    }

    /// A reply without a report, for the reason `why`. Only a missing right ends further requests.
    pub(super) fn untold(why: NoVoteReason) -> Self {
        let account = match why {
            NoVoteReason::Refused(PermanentError::Access, _) => Account::NotPermitted,
            why => Account::Untold(why),
        };
        Self { account: Some(account), marking: None, mode: None, clock: None }
    }

    /// Reason why this server can never be an instance. `hello` is its mode by HELLO.
    ///
    /// A server whose report has no mode may be a cluster node of a family unknown to redlock. Such
    /// a server has no vote.
    pub(super) fn unsupported(&self, hello: Option<Mode>) -> Option<NoVoteReason> {
        let is_told = matches!(self.account, Some(Account::Told { .. }));
        match self.mode.or(hello) {
            Some(mode) => mode.unsupported(),
            None if is_told => Some(configuration(
                "neither INFO nor HELLO tells its mode (redis_mode, server_mode, mode); \
                 expected an independent server",
            )),
            None => None,
        }
    }
}

/// The mode of a server: `redis_mode` in INFO, `server_mode` since Valkey 8, `mode` in HELLO.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    Standalone,
    ClusterNode,
    Sentinel,
    /// A mode unknown to redlock.
    Other,
}

impl Mode {
    fn parse(text: &str) -> Self {
        match text {
            "standalone" => Self::Standalone,
            "cluster" => Self::ClusterNode,
            "sentinel" => Self::Sentinel,
            _ => Self::Other,
        }
    }

    fn unsupported(self) -> Option<NoVoteReason> {
        Some(configuration(match self {
            Self::Standalone => return None,
            Self::ClusterNode => "this is a Redis Cluster node; expected an independent server",
            Self::Sentinel => "this is a Sentinel; expected a Redis server",
            Self::Other => "this server runs in an unknown mode; expected an independent server",
        }))
    }
}

fn configuration(what: &str) -> NoVoteReason {
    NoVoteReason::Refused(PermanentError::Configuration, what.into())
}

/// The reply to TIME: seconds and microseconds, each as text.
pub(super) fn clock(parts: &[Value]) -> Option<Duration> {
    let number = |part: &Value| text(part)?.parse().ok();
    let [seconds, micros] = parts else { return None };
    Duration::from_secs(number(seconds)?).checked_add(Duration::from_micros(number(micros)?))
}

/// The reply to HELLO.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Hello {
    is_replica: bool,
    pub(super) mode: Option<Mode>,
}

impl Hello {
    /// Parses the reply to `HELLO 3`. `None` if the server does not support that protocol.
    pub(super) fn parse(reply: &Value) -> Option<Self> {
        let Value::Map(fields) = reply else { return None };
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| text(key) == Some(name));
            found.and_then(|(_, value)| text(value))
        };
        let is_replica = field("role").is_some_and(|role| role != "master");
        Some(Self { is_replica, mode: field("mode").map(Mode::parse) })
    }

    /// Reason why this server can never be an instance.
    pub(super) fn unsupported(&self) -> Option<NoVoteReason> {
        let what = "this is a replica; expected an independent server";
        self.is_replica.then(|| configuration(what))
    }
}

/// The warning in the reply to `INFO memory` or `INFO replication`: keys are evicted when memory is
/// full, or there are replicas.
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

pub(super) fn text(reply: &Value) -> Option<&str> {
    match reply {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The values of the fields with these names. Each line is split once, since a section of INFO has
/// many more lines than fields of interest.
pub(super) fn fields<'a, const N: usize>(text: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let mut values = [None; N];
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        if let Some((_, found)) = names.iter().zip(&mut values).find(|(other, _)| **other == name) {
            *found = Some(value);
        }
    }
    values
}

#[cfg(test)]
mod tests;
