//! The servers of a host, as short hashes of their names in the lock value.
//!
//! A name is the only identity that is known before the first request: the value of an acquisition
//! goes to all instances in one round trip, before any `run_id` is known. A name outlives a restart
//! and a replaced server; a `run_id` does not. One server may have two names, which
//! [`super::Agreement`] allows for.

use super::hex;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The name of one server.
#[derive(Clone, Debug, Eq, PartialEq, PartialOrd, Ord)]
pub struct ServerName {
    /// First 6 hex digits of SHA-256 over the name.
    hash: String,
    /// Whether the name means another server on another host: a loopback address, or a socket.
    is_local: bool,
}

impl ServerName {
    /// Number of hex digits of a hash.
    const DIGITS: usize = 6;
    /// Prefix of a local name.
    const LOCAL: char = '~';

    /// The server at this host and port, in this database. The keys are the same only if all three
    /// are.
    #[must_use]
    pub fn tcp(host: &str, port: u16, db: i64) -> Self {
        let host = host.trim_end_matches('.').to_lowercase();
        let host = if matches!(host.as_str(), "127.0.0.1" | "::1") { "localhost" } else { &host };
        let is_local = host == "localhost" || host.starts_with("127.");
        Self::new(&format!("{host}:{port}/{db}"), is_local)
    }

    /// The server at the socket with this path, in this database.
    #[must_use]
    pub fn socket(path: &str, db: i64) -> Self {
        Self::new(&format!("{path}/{db}"), true)
    }

    fn new(name: &str, is_local: bool) -> Self {
        let digest = Sha256::digest(name);
        Self { hash: hex(digest.get(..Self::DIGITS / 2).unwrap_or_default()), is_local }
    }

    /// Whether the name means another server on another host.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.is_local
    }

    fn parse(word: &str) -> Option<Self> {
        let (hash, is_local) =
            word.strip_prefix(Self::LOCAL).map_or((word, false), |hash| (hash, true));
        let is_hash =
            hash.len() == Self::DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Self { hash: hash.to_owned(), is_local })
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_local {
            write!(f, "{}", Self::LOCAL)?;
        }
        f.write_str(&self.hash)
    }
}

/// Largest number of servers in a list.
const MAX: usize = 32;

/// The sorted list of these servers. `None` for more than 32 servers, since values are bounded.
#[must_use]
pub fn server_list(servers: &[ServerName]) -> Option<String> {
    let mut words: Vec<String> = servers.iter().map(ToString::to_string).collect();
    words.sort_unstable();
    (words.len() <= MAX).then(|| words.join(","))
}

/// Parses a list. `None` if another program wrote the list.
#[must_use]
pub(super) fn parse_server_list(list: &str) -> Option<Vec<ServerName>> {
    let words: Vec<&str> = list.split(',').take(MAX + 1).collect();
    if words.len() > MAX { None } else { words.into_iter().map(ServerName::parse).collect() }
}

/// Whether two owners (`user@host`) are certain to be on one host.
#[must_use]
pub fn are_on_one_host(one: &str, other: &str) -> bool {
    host(one).is_some_and(|host_of_one| Some(host_of_one) == host(other))
}

/// The host of an owner. `None` if unknown.
fn host(owner: &str) -> Option<&str> {
    let (_, host) = owner.rsplit_once('@')?;
    // Hosts without a name of their own are called localhost.
    Some(host)
        .filter(|host| !host.is_empty() && !host.contains(' ') && !host.starts_with("localhost"))
}

/// Those of `ours` that a holder with the list `theirs` does not name, if it names one of them. A local
/// name means something on `is_same_host` alone.
#[must_use]
pub fn unnamed_servers(ours: &[ServerName], theirs: &str, is_same_host: bool) -> Vec<usize> {
    let Some(theirs) = parse_server_list(theirs) else { return vec![] };
    let is_comparable = |name: &ServerName| is_same_host || !name.is_local();
    let is_named = |name: &ServerName| is_comparable(name) && theirs.contains(name);
    if !ours.iter().any(is_named) {
        return vec![];
    }
    let is_unnamed = |(_, name): &(usize, &ServerName)| is_comparable(name) && !is_named(name);
    ours.iter().enumerate().filter(is_unnamed).map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_a_holder_does_not_name_are_found_where_names_can_be_compared() {
        let tcp = |name: &str| ServerName::tcp(name, 6379, 0);
        let ours = [tcp("a"), tcp("b"), tcp("127.0.0.2")];
        let list = |names: &[&str]| {
            server_list(&names.iter().map(|name| tcp(name)).collect::<Vec<_>>()).unwrap()
        };
        for (theirs, is_same_host, expected) in [
            (list(&["a", "b", "127.0.0.2"]), true, vec![]),
            (list(&["a", "b", "127.0.0.3"]), true, vec![2]),
            (list(&["a", "b", "127.0.0.3"]), false, vec![]),
            (list(&["a", "c", "d"]), false, vec![1]),
            (list(&["x", "y", "z"]), true, vec![]),
            ("none".into(), true, vec![]),
        ] {
            assert_eq!(unnamed_servers(&ours, &theirs, is_same_host), expected, "{theirs}");
        }
    }

    #[test]
    fn owners_are_on_one_host_unless_the_host_has_no_name_of_its_own() {
        for (owner, is_known) in [
            ("deploy@web1", true),
            ("deploy@example.org@web1", true),
            ("deploy", false),
            ("deploy@", false),
            ("deploy@an unknown host", false),
            ("deploy@localhost", false),
            ("deploy@localhost.localdomain", false),
        ] {
            assert_eq!(are_on_one_host(owner, owner), is_known, "{owner}");
            assert_eq!(are_on_one_host(owner, "ops@web1"), is_known, "{owner}");
            assert!(!are_on_one_host(owner, "deploy@web2"), "{owner}");
        }
    }

    #[test]
    fn every_spelling_of_a_server_name_has_one_hash() {
        let tcp = ServerName::tcp;
        for (label, one, other, is_same) in [
            ("case", tcp("Lock-1", 6379, 0), tcp("lock-1", 6379, 0), true),
            ("the root's dot", tcp("lock-1.", 6379, 0), tcp("lock-1", 6379, 0), true),
            ("loopback", tcp("127.0.0.1", 6379, 0), tcp("localhost", 6379, 0), true),
            ("loopback, IPv6", tcp("::1", 6379, 0), tcp("localhost", 6379, 0), true),
            (
                "another loopback address",
                tcp("127.0.0.2", 6379, 0),
                tcp("localhost", 6379, 0),
                false,
            ),
            ("another port", tcp("lock-1", 6380, 0), tcp("lock-1", 6379, 0), false),
            (
                "another database has other keys",
                tcp("lock-1", 6379, 1),
                tcp("lock-1", 6379, 0),
                false,
            ),
            (
                "another socket",
                ServerName::socket("/run/a", 0),
                ServerName::socket("/run/b", 0),
                false,
            ),
        ] {
            assert_eq!(one == other, is_same, "{label}");
        }
        assert!(tcp("127.0.0.2", 1, 0).is_local() && ServerName::socket("/run/a", 0).is_local());
        assert!(!tcp("lock-1", 1, 0).is_local());
    }

    #[test]
    fn a_list_survives_the_round_trip_and_is_sorted() {
        let (a, b, c) =
            (ServerName::tcp("a", 1, 0), ServerName::tcp("b", 1, 0), ServerName::socket("/c", 0));
        let list = server_list(&[a.clone(), b.clone(), c.clone()]).unwrap();
        assert_eq!(server_list(&[c.clone(), a.clone(), b.clone()]), Some(list.clone()));
        let parsed = parse_server_list(&list).unwrap();
        assert!(parsed.len() == 3 && [a, b, c].iter().all(|name| parsed.contains(name)), "{list}");
    }

    #[test]
    fn a_list_is_bounded_and_a_foreign_list_is_not_parsed() {
        let many: Vec<_> = (0..33).map(|port| ServerName::tcp("a", port, 0)).collect();
        assert_eq!(server_list(&many), None);
        let longest = server_list(&many[..32]).unwrap();
        assert_eq!(longest.len(), 32 * 7 - 1);
        assert_eq!(parse_server_list(&longest).map(|servers| servers.len()), Some(32));
        for list in ["", "abcde", "abcdefg", "~", "abcdef,", "redis1", &"abcdef,".repeat(1_000)] {
            assert_eq!(parse_server_list(list), None, "{list}");
        }
    }
}
