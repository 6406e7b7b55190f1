//! Where one instance is and how to be let in.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use std::fmt;
use std::path::PathBuf;

/// The address of one instance, its database, and the credentials for it.
#[derive(Clone)]
pub struct Endpoint {
    address: Address,
    db: i64,
    credentials: Option<Credentials>,
}

/// What a connection is made to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// A host name or an address without brackets, and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(PathBuf),
}

/// A password, and the user it belongs to if that is not `default`.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// The user of an ACL.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl Endpoint {
    /// The endpoint of `url`: `redis://[[user]:password@]host[:port][/db]`, `unix:///path[?db=N]`, or `host[:port]`.
    /// Where the URL has no password, `default` is used.
    ///
    /// # Errors
    /// When the URL cannot be understood; the error names it without its password.
    pub fn parse(url: &str, default: Option<&Credentials>) -> Result<Self, InvalidUrl> {
        let invalid = |expected| InvalidUrl { shown: redacted(url), expected };
        let expected = "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], unix:///PATH, or HOST[:PORT]";
        let full = if url.contains("://") { url.to_owned() } else { format!("redis://{url}") };
        // Without a scheme there is no place for more than a host and a port.
        if full.len() != url.len() && url.contains(['/', '?', '#', '@']) {
            return Err(invalid(expected));
        }
        if full.starts_with("rediss://") || full.starts_with("valkeys://") {
            return Err(invalid("redis:// or unix:// (TLS is not built in)"));
        }
        let info: ConnectionInfo = full.as_str().into_connection_info().map_err(|_| invalid(expected))?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) if !host.is_empty() => Address::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(invalid(expected)),
        };
        let settings = info.redis_settings();
        let own = settings.password().map(|password| Credentials {
            user: settings.username().map(str::to_owned).or_else(|| default.and_then(|d| d.user.clone())),
            password: password.to_owned(),
        });
        Ok(Self { address, db: settings.db(), credentials: own.or_else(|| default.cloned()) })
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    pub(super) const fn db(&self) -> i64 {
        self.db
    }

    pub(super) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Whether both reach the same server by the same way; another database is no other server.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

/// The address as people write it, without credentials.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}")?,
            Address::Tcp(host, port) => write!(f, "{host}:{port}")?,
            Address::Unix(path) => write!(f, "{}", path.display())?,
        }
        if self.db == 0 { Ok(()) } else { write!(f, "/{}", self.db) }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A URL that cannot be understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidUrl {
    shown: String,
    expected: &'static str,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the URL '{}': expected {}", self.shown, self.expected)
    }
}

impl std::error::Error for InvalidUrl {}

/// `url` with everything that could be a secret replaced: what is between the scheme and the last `@`, and every query,
/// since a socket's password stands there. Control characters are shown as such.
#[must_use]
pub fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?…"));
    let (secret, place) = rest.rsplit_once('@').map_or(("", rest), |(_, place)| ("…@", place));
    let joint = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{joint}{secret}{place}{query}").escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_read_as_redis_cli_reads_them() {
        for (url, shown) in [
            ("redis://127.0.0.1", "127.0.0.1:6379"),
            ("redis://user:secret@cache-1:7000/2", "cache-1:7000/2"),
            ("redis://:p%40ss@[::1]:7000", "[::1]:7000"),
            ("cache-1", "cache-1:6379"),
            ("cache-1:7000", "cache-1:7000"),
            ("unix:///run/redis.sock?db=3", "/run/redis.sock/3"),
        ] {
            assert_eq!(Endpoint::parse(url, None).unwrap().to_string(), shown, "{url}");
        }
    }

    #[test]
    fn a_password_in_the_url_goes_before_the_default() {
        let default = Credentials { user: Some("lk".into()), password: "file".into() };
        for (url, user, password) in [
            ("redis://h", Some("lk"), "file"),
            ("redis://:url@h", Some("lk"), "url"),
            ("redis://me:url@h", Some("me"), "url"),
            ("redis://:p%40ss@h", Some("lk"), "p@ss"),
        ] {
            let endpoint = Endpoint::parse(url, Some(&default)).unwrap();
            let credentials = endpoint.credentials().unwrap();
            assert_eq!((credentials.user.as_deref(), credentials.password.as_str()), (user, password), "{url}");
        }
    }

    #[test]
    fn an_error_shows_the_url_without_its_password() {
        for (url, shown) in [
            ("redis://user:secret@host:notaport", "redis://…@host:notaport"),
            ("user:sec@ret@host:notaport", "…@host:notaport"),
            ("http://:secret@host", "http://…@host"),
            ("rediss://:secret@host", "rediss://…@host"),
            ("unix:?pass=secret", "unix:?…"),
            ("", ""),
        ] {
            let error = Endpoint::parse(url, None).unwrap_err().to_string();
            assert!(error.contains(&format!("'{shown}'")), "{url}: {error}");
            assert!(!error.contains("sec"), "{url}: {error}");
        }
    }

    #[test]
    fn the_database_makes_no_other_server() {
        let at = |url| Endpoint::parse(url, None).unwrap();
        assert!(at("redis://a/1").is_same_server(&at("a:6379")));
        assert!(!at("redis://a").is_same_server(&at("redis://b")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_show_a_password(before in ".{0,9}", after in ".{0,9}") {
            let url = format!("redis://{}:hunter2@{after}", before.replace('@', ""));
            match Endpoint::parse(&url, None) {
                Ok(endpoint) => {
                    let shown = format!("{endpoint} {endpoint:?}");
                    prop_assert!(!shown.contains("hunter2"));
                }
                Err(error) => prop_assert!(!error.to_string().contains("hunter2")),
            }
        }
    }
}
