//! The servers that a host names, as short hashes of their names: enough for another host to see
//! whether it names the same.
//!
//! The names are the only identity that is known before the first byte is written: the value of an
//! acquisition goes to all instances in one round trip, before any of them has told its `run_id`. A
//! name outlives a restart and a replaced server, and a `run_id` does not. The price: one server
//! may have two names, which [`super::Agreement`] has to allow for.

use super::hex;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// One server by its name.
#[derive(Clone, Debug, Eq, PartialEq, PartialOrd, Ord)]
pub struct ServerName {
    /// The first 6 hex digits of SHA-256 over the name.
    hash: String,
    /// The name leads to another server on another host: a loopback address, or a socket.
    is_local: bool,
}

impl ServerName {
    /// How many hex digits of the hash are kept.
    const DIGITS: usize = 6;
    /// What stands before a name that means something on one host only.
    const LOCAL: char = '~';

    /// The server at this host and port, in this database: the same keys are there only where all
    /// three are the same.
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
        let digits = hex(&Sha256::digest(name));
        Self { hash: digits.chars().take(Self::DIGITS).collect(), is_local }
    }

    /// Whether the name leads elsewhere on another host.
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

/// The largest number of servers that a lock value lists.
const MOST: usize = 32;

/// The list of these servers in a lock value: sorted, so that the order of the URLs makes no
/// difference. `None` where there are too many for a value of bounded size.
#[must_use]
pub fn server_list(servers: &[ServerName]) -> Option<String> {
    let mut words: Vec<String> = servers.iter().map(ToString::to_string).collect();
    words.sort_unstable();
    (words.len() <= MOST).then(|| words.join(","))
}

/// The servers in a list of a lock value; `None` where redlock did not write it.
#[must_use]
pub(super) fn parse_server_list(list: &str) -> Option<Vec<ServerName>> {
    let words: Vec<&str> = list.split(',').take(MOST + 1).collect();
    if words.len() > MOST { None } else { words.into_iter().map(ServerName::parse).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_one_hash_however_its_name_is_written() {
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
    fn a_list_survives_the_way_through_a_claim_and_tells_no_order() {
        let (a, b, c) =
            (ServerName::tcp("a", 1, 0), ServerName::tcp("b", 1, 0), ServerName::socket("/c", 0));
        let list = server_list(&[a.clone(), b.clone(), c.clone()]).unwrap();
        assert_eq!(server_list(&[c.clone(), a.clone(), b.clone()]), Some(list.clone()));
        let parsed = parse_server_list(&list).unwrap();
        assert!(parsed.len() == 3 && [a, b, c].iter().all(|name| parsed.contains(name)), "{list}");
    }

    #[test]
    fn a_list_is_bounded_and_a_foreign_one_is_none() {
        let many: Vec<_> = (0..33).map(|port| ServerName::tcp("a", port, 0)).collect();
        assert_eq!(server_list(&many), None);
        assert_eq!(server_list(&many[..32]).map(|list| list.len()), Some(32 * 7 - 1));
        for list in ["", "abcde", "abcdefg", "~", "abcdef,", "redis1", &"abcdef,".repeat(1_000)] {
            assert_eq!(parse_server_list(list), None, "{list}");
        }
    }
}
