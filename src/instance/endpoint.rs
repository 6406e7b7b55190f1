//! Where one instance is and how to be let in.

use super::redacted::redacted;
use super::tls::{Channel, Tls};
use super::url::{Protocol, Url, UrlProblem};
use crate::lock::ServerName;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// The address of one instance, its database, and the credentials for it.
#[derive(Clone)]
pub struct Endpoint {
    address: Address,
    db: i64,
    credentials: Option<Credentials>,
    cover: TlsMode,
    protocol: Protocol,
}

/// Whether what is said is encrypted.
#[derive(Clone)]
enum TlsMode {
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
    /// The endpoint of `url`: `redis[s]://[[user]:password@]host[:port][/db][?parameters]`,
    /// `unix://[[user]:password@]/path[?parameters]`, or `host[:port]`. What the URL does not say
    /// is taken from `default`. With `rediss://` it must be given its TLS before use.
    ///
    /// # Errors
    /// When the URL cannot be understood, or there is a user and no password; the error names it
    /// without its password.
    pub fn parse(url: &str, default: &Login) -> Result<Self, InvalidUrl> {
        let invalid = |problem| InvalidUrl { shown: redacted(url), problem };
        let parsed = Url::parse(url).map_err(invalid)?;
        let is_encrypted = parsed.is_encrypted();
        if is_encrypted && !cfg!(feature = "tls") {
            return Err(invalid(
                "expected redis:// or unix:// (this redlock was built without TLS)".into(),
            ));
        }
        let user = parsed.user.or_else(|| default.user.clone());
        let credentials = match parsed.password.or_else(|| default.password.clone()) {
            Some(password) => Some(Credentials { user, password }),
            // Without one, it would be let in as somebody else.
            None if user.is_some() => {
                let expected = "a password for the user: in the URL, in REDLOCK_PASSWORD or with --password-file";
                return Err(invalid(format!("expected {expected}").into()));
            }
            None => None,
        };
        let cover = if is_encrypted { TlsMode::Wanted } else { TlsMode::Plain };
        Ok(Self {
            address: parsed.address,
            db: parsed.db,
            credentials,
            cover,
            protocol: parsed.protocol,
        })
    }

    /// Whether its URL asks for TLS.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        !matches!(self.cover, TlsMode::Plain)
    }

    /// Whether it is logged in to.
    #[must_use]
    pub const fn has_login(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whether it is on this host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.address {
            Address::Unix(_) => true,
            Address::Tcp(host, _) => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }

    /// Whether its server may expect TLS where there is none.
    pub(super) const fn may_lack_tls(&self) -> bool {
        matches!((&self.address, &self.cover), (Address::Tcp(..), TlsMode::Plain))
    }

    /// Gives it the TLS that its URL asks for, if it does.
    ///
    /// # Errors
    /// When no certificate could be for what it names as its host.
    pub fn cover_with(&mut self, tls: &Tls) -> Result<(), InvalidUrl> {
        if let (Address::Tcp(host, _), TlsMode::Wanted) = (&self.address, &self.cover) {
            let shown = || redacted(&format!("rediss://{self}"));
            let problem = UrlProblem::from(
                "expected a host name or an address that a certificate can be for",
            );
            self.cover = TlsMode::Tls(
                tls.channel_to(host).ok_or_else(|| InvalidUrl { shown: shown(), problem })?,
            );
        }
        Ok(())
    }

    /// The way through TLS, where the URL asks for one.
    ///
    /// # Errors
    /// When it asks for one and was given none.
    pub(super) fn channel(&self) -> io::Result<Option<&Channel>> {
        match &self.cover {
            TlsMode::Plain => Ok(None),
            TlsMode::Tls(channel) => Ok(Some(channel)),
            TlsMode::Wanted => Err(io::Error::other("TLS was not set up")),
        }
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    pub(super) const fn db(&self) -> i64 {
        self.db
    }

    /// Whether the connection may begin with `HELLO`.
    pub(super) fn may_greet(&self) -> bool {
        self.protocol == Protocol::Newest
    }

    pub(super) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The name by which other hosts may know this server.
    #[must_use]
    pub fn server_name(&self) -> ServerName {
        match &self.address {
            Address::Tcp(host, port) => ServerName::tcp(host, *port, self.db),
            Address::Unix(path) => ServerName::socket(&path.to_string_lossy(), self.db),
        }
    }

    /// Whether both reach the same server by the same way; another database is no other server.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        match (&self.address, &other.address) {
            (Address::Tcp(host, port), Address::Tcp(other, its)) => {
                port == its && is_same_host(host, other)
            }
            (one, other) => one == other,
        }
    }
}

/// Whether two names of a host are certainly of the same one: without a resolver, which may say
/// something else a moment later.
fn is_same_host(one: &str, other: &str) -> bool {
    let is_local = |name: &str| name.eq_ignore_ascii_case("localhost");
    let is_loopback = |name: &str| ["127.0.0.1", "::1"].contains(&name);
    one.eq_ignore_ascii_case(other)
        || is_local(one) && is_loopback(other)
        || is_loopback(one) && is_local(other)
}

/// The address as people write it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The address and the database, without credentials.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
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
    problem: UrlProblem,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the URL '{}': {}", self.shown, self.problem)
    }
}

impl std::error::Error for InvalidUrl {}

#[cfg(test)]
mod tests;
