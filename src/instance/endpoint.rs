//! Where one instance is and how to be let in.

use super::redacted::redacted;
use super::tls::{Channel, Tls};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// The address of one instance, its database, and the credentials for it.
#[derive(Clone)]
pub struct Endpoint {
    address: Address,
    db: i64,
    credentials: Option<Credentials>,
    cover: Cover,
}

/// Whether what is said is encrypted.
#[derive(Clone)]
enum Cover {
    /// It is not.
    Plain,
    /// It must be, and nobody has said how yet.
    Wanted,
    /// It is.
    Tls(Channel),
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
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: String,
}

/// What stands in for the user and the password of a URL that lacks them.
#[derive(Clone, Default)]
pub struct Login {
    /// The user of an ACL.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
}

impl Endpoint {
    /// The endpoint of `url`: `redis[s]://[[user]:password@]host[:port][/db]`, `unix:///path[?db=N]`, or `host[:port]`.
    /// What the URL has no word of is taken from `default`. With `rediss://` it must be given its TLS before use.
    ///
    /// # Errors
    /// When the URL cannot be understood, or there is a user and no password; the error names it without its password.
    pub fn parse(url: &str, default: &Login) -> Result<Self, InvalidUrl> {
        let invalid = |expected| InvalidUrl { shown: redacted(url), expected };
        let expected = "redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB], unix:///PATH, or HOST[:PORT]";
        let encrypted = ["rediss://", "valkeys://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        if encrypted.is_some() && !cfg!(feature = "tls") {
            return Err(invalid("redis:// or unix:// (this redlock was built without TLS)"));
        }
        let full = match encrypted {
            // The crate would read it only with a TLS of its own.
            Some(rest) => format!("redis://{rest}"),
            None if url.contains("://") => url.to_owned(),
            None => format!("redis://{url}"),
        };
        // Without a scheme there is no place for more than a host and a port.
        if !url.contains("://") && url.contains(['/', '?', '#', '@']) {
            return Err(invalid(expected));
        }
        let info: ConnectionInfo = full.as_str().into_connection_info().map_err(|_| invalid(expected))?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) if !host.is_empty() => Address::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(invalid(expected)),
        };
        let settings = info.redis_settings();
        let or_default =
            |own: Option<&str>, default: &Option<String>| own.map(str::to_owned).or_else(|| default.clone());
        let user = or_default(settings.username(), &default.user);
        let credentials = match or_default(settings.password(), &default.password) {
            Some(password) => Some(Credentials { user, password }),
            // Without one, it would be let in as somebody else.
            None if user.is_some() => {
                return Err(invalid(
                    "a password for the user: in the URL, in REDLOCK_PASSWORD or with --password-file",
                ));
            }
            None => None,
        };
        let cover = if encrypted.is_some() { Cover::Wanted } else { Cover::Plain };
        Ok(Self { address, db: settings.db(), credentials, cover })
    }

    /// Whether its URL asks for TLS.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        !matches!(self.cover, Cover::Plain)
    }

    /// Whether its server may expect TLS where there is none.
    pub(super) const fn may_lack_tls(&self) -> bool {
        matches!((&self.address, &self.cover), (Address::Tcp(..), Cover::Plain))
    }

    /// Gives it the TLS that its URL asks for, if it does.
    ///
    /// # Errors
    /// When no certificate could be for what it names as its host.
    pub fn cover_with(&mut self, tls: &Tls) -> Result<(), InvalidUrl> {
        if let (Address::Tcp(host, _), Cover::Wanted) = (&self.address, &self.cover) {
            let shown = || redacted(&format!("rediss://{self}"));
            let expected = "a host name or an address that a certificate can be for";
            self.cover = Cover::Tls(tls.channel_to(host).ok_or_else(|| InvalidUrl { shown: shown(), expected })?);
        }
        Ok(())
    }

    /// The way through TLS, where the URL asks for one.
    ///
    /// # Errors
    /// When it asks for one and was given none.
    pub(super) fn channel(&self) -> io::Result<Option<&Channel>> {
        match &self.cover {
            Cover::Plain => Ok(None),
            Cover::Tls(channel) => Ok(Some(channel)),
            Cover::Wanted => Err(io::Error::other("TLS was not set up")),
        }
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
        match (&self.address, &other.address) {
            (Address::Tcp(host, port), Address::Tcp(other, its)) => port == its && is_same_host(host, other),
            (one, other) => one == other,
        }
    }
}

/// Whether two names of a host are certainly of the same one: without a resolver, which may say something else a moment later.
fn is_same_host(one: &str, other: &str) -> bool {
    let is_local = |name: &str| name.eq_ignore_ascii_case("localhost");
    let is_loopback = |name: &str| ["127.0.0.1", "::1"].contains(&name);
    one.eq_ignore_ascii_case(other) || is_local(one) && is_loopback(other) || is_loopback(one) && is_local(other)
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

#[cfg(test)]
mod tests;
