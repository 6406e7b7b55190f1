//! The facts that one server tells to `redlock doctor`. No user's lock is touched, and no key is
//! left.

use super::address::Address;
use super::endpoint::Endpoint;
use super::inspector::{Inspector, checked};
use super::list::KeyPattern;
use super::reply::unexpected_reply;
use super::scripts::{PEEK, RIGHTS};
use super::server_error::meaning;
use super::server_info::{Hello, ServerInfo, fields, text};
use crate::lock::{ListedKey, NoVoteReason, RefusedTry, RestartGuard, ServerReport};
use redis::{Cmd, Value};
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::lookup_host;

/// The facts that a server tells on one connection.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts {
    /// The server's id, uptime and mark.
    pub report: Option<ServerReport>,
    /// Its clock, since 1970.
    pub clock: Option<Duration>,
    /// Its version, memory, connections, replicas and saves, from INFO.
    pub info: InfoFields,
    /// Commands that were tried and refused.
    pub refused: Vec<RefusedTry>,
}

/// Fields of INFO; zero or false where a field is missing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InfoFields {
    /// The numbers in front of the first two dots of the version.
    pub version: Option<(u32, u32)>,
    /// `maxmemory` is set, and its policy is not `noeviction`.
    pub evicts: bool,
    /// Used memory in percent of `maxmemory`.
    pub memory_percent: Option<u64>,
    /// Connections in percent of `maxclients`.
    pub clients_percent: Option<u64>,
    /// `connected_slaves`.
    pub replicas: u64,
    /// The last save, or the last write of the log, failed.
    pub save_failed: bool,
}

impl InfoFields {
    pub(super) fn parse(info: &str) -> Self {
        let [version, limit, policy, used, clients, max_clients, replicas, rdb, aof] = fields(
            info,
            [
                "redis_version",
                "maxmemory",
                "maxmemory_policy",
                "used_memory",
                "connected_clients",
                "maxclients",
                "connected_slaves",
                "rdb_last_bgsave_status",
                "aof_last_write_status",
            ],
        );
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
        let percent = |part: Option<u64>, whole: Option<u64>| {
            let whole = whole.filter(|whole| *whole > 0)?;
            Some(part?.saturating_mul(100) / whole)
        };
        let limit = number(limit);
        let mut parts = version.unwrap_or_default().split('.').map(|part| part.parse().ok());
        let is_bad = |status: Option<&str>| status.is_some_and(|status| status != "ok");
        Self {
            version: parts.next().flatten().zip(parts.next().flatten()),
            evicts: limit.is_some_and(|limit| limit > 0)
                && policy.is_some_and(|policy| policy != "noeviction"),
            memory_percent: percent(number(used), limit),
            clients_percent: percent(number(clients), number(max_clients)),
            replicas: number(replicas).unwrap_or_default(),
            save_failed: is_bad(rdb) || is_bad(aof),
        }
    }
}

impl Inspector {
    /// The facts of the server. The rights are tried on `own`, a key that nothing else uses and
    /// that is not set.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or can never be an instance.
    pub async fn examine(
        &mut self,
        own: &str,
        guard: RestartGuard,
        wall: Duration,
    ) -> Result<ServerFacts, NoVoteReason> {
        let (mut peek, mut rights, mut info) = (Cmd::new(), Cmd::new(), Cmd::new());
        let marks = guard != RestartGuard::Off;
        peek.arg("EVAL").arg(PEEK).arg(0).arg(i32::from(marks));
        rights.arg("EVAL").arg(RIGHTS).arg(1).arg(own).arg(i32::from(marks));
        info.arg("INFO");
        let replies = self.ask(&[rights, peek, info]).await?;
        let [rights, peek, info] =
            <[Value; 3]>::try_from(replies).map_err(|_| unexpected_reply())?;
        let mut refused = refused(checked(rights)?).ok_or_else(unexpected_reply)?;
        let server = ServerInfo::parse(&peek, wall, marks);
        let unsupported = self.hello().and_then(Hello::unsupported);
        let mode = self.hello().and_then(|hello| hello.mode);
        if let Some(why) = unsupported.or_else(|| server.unsupported(mode)) {
            return Err(why);
        }
        refused.extend(self.refused_wake_up(own).await?);
        Ok(ServerFacts {
            clock: server.clock,
            report: Some(ServerReport { account: server.account, marking: server.marking }),
            info: text(&info).map(InfoFields::parse).unwrap_or_default(),
            refused,
        })
    }

    /// The error of the command that excludes this connection from wake-ups, if the server refuses
    /// it. A server with `?protocol=2` gets no such command.
    async fn refused_wake_up(&mut self, own: &str) -> Result<Option<RefusedTry>, NoVoteReason> {
        let wake = |command: &str, why| RefusedTry {
            pattern: "redlock-wake:*".into(),
            command: command.into(),
            why,
        };
        if let Some(why) = self.hello_refused() {
            return Ok(Some(wake("HELLO", why.clone())));
        }
        if self.hello().is_none() {
            return Ok(None);
        }
        let mut subscribe = Cmd::new();
        subscribe.arg("SUBSCRIBE").arg(format!("redlock-wake:{own}"));
        let reply = self.ask(&[subscribe]).await?.pop().ok_or_else(unexpected_reply)?;
        Ok(checked(reply).err().map(|why| wake("SUBSCRIBE", why)))
    }

    /// One round trip.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn ping(&mut self) -> Result<(), NoVoteReason> {
        let mut ping = Cmd::new();
        ping.arg("PING");
        self.ask(&[ping]).await.map(drop)
    }

    /// The keys that fit a pattern. No keys if the server refuses to list them.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn locks(&mut self, pattern: &KeyPattern) -> Result<Vec<ListedKey>, NoVoteReason> {
        let mut locks = vec![];
        match self.list(pattern, |key| locks.push(key)).await {
            Ok(()) | Err(NoVoteReason::Refused(..) | NoVoteReason::Transient(_)) => Ok(locks),
            Err(why) => Err(why),
        }
    }

    /// The number of IPv4 or of IPv6 addresses of the endpoint's name, whichever is larger: a name
    /// with one address of each kind is one host.
    pub async fn addresses(endpoint: &Endpoint) -> usize {
        let Address::Tcp(host, port) = endpoint.address() else { return 1 };
        let Ok(found) = lookup_host((host.as_str(), *port)).await else { return 0 };
        let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let short = addresses.iter().filter(|address| address.is_ipv4()).count();
        short.max(addresses.len() - short)
    }

    /// The error that the server sends to every new connection before it closes the connection, as
    /// in protected mode. No request is sent: the reset that follows one would discard the error.
    pub async fn refusal(endpoint: &Endpoint, limit: Duration) -> Option<NoVoteReason> {
        let mut inspector = Self::connect(endpoint, limit).await.ok()?;
        match inspector.listen().await {
            Ok(Value::ServerError(error)) => Some(meaning(&error)),
            _ => None,
        }
    }

    /// Whether the server obeys a connection without a password.
    pub async fn is_open(endpoint: &Endpoint, limit: Duration) -> bool {
        let Ok(mut inspector) = Self::connect(endpoint, limit).await else { return false };
        inspector.forget_login();
        let mut ping = Cmd::new();
        ping.arg("PING");
        match inspector.ask(&[ping]).await {
            Ok(replies) => !matches!(replies.first(), None | Some(Value::ServerError(_))),
            Err(_) => false,
        }
    }
}

/// The reply to [`RIGHTS`]: pattern, command and error in turn.
pub(super) fn refused(reply: Value) -> Option<Vec<RefusedTry>> {
    let Value::Array(parts) = reply else { return None };
    let refused = |parts: &[Value]| {
        let [pattern, command, error] = parts else { return None };
        // The script replies the error as text. It means the same as an error reply with that text.
        let line =
            format!("-{}\r\n", text(error)?.trim_start_matches('-').replace(['\r', '\n'], " "));
        let Value::ServerError(error) = redis::parse_redis_value(line.as_bytes()).ok()? else {
            return None;
        };
        let (pattern, command) = (text(pattern)?.to_owned(), text(command)?.to_owned());
        Some(RefusedTry { pattern, command, why: meaning(&error) })
    };
    parts.chunks(3).map(refused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_info_are_read_by_their_meaning() {
        let text = "redis_version:6.0.16\r\nmaxmemory:200\r\nmaxmemory_policy:volatile-lru\r\nused_memory:150\r\n\
                    connected_clients:9\r\nmaxclients:10\r\nconnected_slaves:2\r\nrdb_last_bgsave_status:err\r\n";
        let expected = InfoFields {
            version: Some((6, 0)),
            evicts: true,
            memory_percent: Some(75),
            clients_percent: Some(90),
            replicas: 2,
            save_failed: true,
        };
        assert_eq!(InfoFields::parse(text), expected);
        let unlimited = "maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\nused_memory:9\r\n";
        assert_eq!(InfoFields::parse(unlimited), InfoFields::default());
    }
}
