//! The address of one instance, and the credentials for it.

use super::address::Address;
use super::redacted::redacted;
use super::tls::{Channel, Tls};
use super::url::{Protocol, Url, UrlProblem};
use crate::lock::ServerName;
use std::fmt;
use std::io;
use std::net::IpAddr;

/// The address of one instance, its database, and the credentials.
#[derive(Clone)]
pub struct Endpoint {
    address: Address,
    db: i64,
    credentials: Option<Credentials>,
    cover: TlsMode,
    protocol: Protocol,
}

/// Encryption of the connection.
#[derive(Clone)]
enum TlsMode {
    /// No encryption.
    Plain,
    /// TLS is required, and not configured yet.
    Wanted,
    /// TLS.
    Tls(Channel),
}

/// A password, and the user unless that is `default`.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: String,
}

/// Defaults for the user and the password of a URL without these.
#[derive(Clone, Default)]
pub struct Login {
    /// The user of an ACL.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
}

impl Endpoint {
    /// The endpoint of `url`: `redis[s]://[[user]:password@]host[:port][/db][?parameters]`,
    /// `unix://[[user]:password@]/path[?parameters]`, or `host[:port]`. Missing parts of the URL
    /// are taken from `default`. An endpoint of a `rediss://` URL must be given TLS before use.
    ///
    /// # Errors
    /// When the URL cannot be parsed, or has a user and no password. The error names the URL
    /// without the password.
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
            // Without a password no AUTH is sent, and the server would take redlock for the user
            // `default`.
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

    /// Whether the URL requests TLS.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        !matches!(self.cover, TlsMode::Plain)
    }

    /// Whether redlock logs in to the server.
    #[must_use]
    pub const fn has_login(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whether the server is on this host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.address {
            Address::Unix(_) => true,
            Address::Tcp(host, _) => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }

    /// Whether the server may expect TLS on a connection without TLS.
    pub(super) const fn may_lack_tls(&self) -> bool {
        matches!((&self.address, &self.cover), (Address::Tcp(..), TlsMode::Plain))
    }

    /// Sets the TLS client, if the URL requests TLS.
    ///
    /// # Errors
    /// When the host of the URL cannot be the name of a certificate.
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

    /// The TLS channel. `None` if the URL does not request TLS.
    ///
    /// # Errors
    /// When the URL requests TLS and none was set.
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

    /// Whether both endpoints have the same address. Two databases of one server are the same
    /// server.
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

/// Whether two names certainly mean the same host. No resolver is asked, since its answer may
/// change.
fn is_same_host(one: &str, other: &str) -> bool {
    let is_local = |name: &str| name.eq_ignore_ascii_case("localhost");
    let is_loopback = |name: &str| ["127.0.0.1", "::1"].contains(&name);
    one.eq_ignore_ascii_case(other)
        || is_local(one) && is_loopback(other)
        || is_loopback(one) && is_local(other)
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

/// Error of a URL that cannot be parsed.
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
