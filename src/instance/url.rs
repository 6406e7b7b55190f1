//! URLs of servers. Every part of a URL is parsed, or the URL is refused with an error about the
//! part.
//!
//! An error never quotes the URL: the faulty part may be a piece of a password.

mod parameters;
mod percent;

use super::address::Address;
use crate::lock::is_unprintable;
use parameters::Parameters;
use percent::{decode, decode_text};
use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Port of a URL without a port.
const DEFAULT_PORT: u16 = 6379;

/// Form of a URL.
const FORM: &str =
    "expected redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB], unix:///PATH, or HOST[:PORT]";

/// Hint for a URL with a raw separator in its password.
const ENCODED: &str =
    "write each '@', ':', '/', '?', '#' and ',' of a password as %40, %3A, %2F, %3F, %23 and %2C";

/// Error of a URL, as the end of a sentence.
pub(super) type UrlProblem = Cow<'static, str>;

/// Version of the protocol of the connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Protocol {
    /// RESP3 if the server has RESP3.
    #[default]
    Newest,
    /// RESP2: no `HELLO`, for a proxy that does not know HELLO.
    Resp2,
}

/// The parts of a URL.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Url {
    scheme: Scheme,
    /// The host and the port, or the path, as written.
    place: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) address: Address,
    pub(super) db: i64,
    pub(super) protocol: Protocol,
}

/// The part before `://`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    /// No scheme: `HOST[:PORT]`.
    Bare,
    Plain(&'static str),
    Encrypted(&'static str),
    Socket(&'static str),
}

impl Scheme {
    const ALL: [Self; 7] = [
        Self::Plain("redis"),
        Self::Plain("valkey"),
        Self::Encrypted("rediss"),
        Self::Encrypted("valkeys"),
        Self::Socket("unix"),
        Self::Socket("redis+unix"),
        Self::Socket("valkey+unix"),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.name()))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "",
            Self::Plain(name) | Self::Encrypted(name) | Self::Socket(name) => name,
        }
    }
}

impl Url {
    /// Parses `text`: `redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB][?PARAMETERS]`,
    /// `unix://[[USER]:PASSWORD@]/PATH[?PARAMETERS]`, or `HOST[:PORT]`.
    ///
    /// # Errors
    /// When a part cannot be parsed, or two parts contradict each other.
    pub(super) fn parse(text: &str) -> Result<Self, UrlProblem> {
        if text.contains(char::is_control) {
            return Err("expected no control characters".into());
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Self::bare(text) };
        let scheme = Scheme::parse(scheme).ok_or(FORM)?;
        if rest.contains('#') {
            return Err(format!("expected no '#'; {ENCODED}").into());
        }
        let (rest, query) =
            rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (login, host) = authority
            .rsplit_once('@')
            .map_or((None, authority), |(login, host)| (Some(login), host));
        // An '@' behind the host may be the end of a password, and the host a piece of that
        // password. A path of a socket may contain an '@'.
        let is_socket = matches!(scheme, Scheme::Socket(_));
        let is_split = [Some(path), query].into_iter().flatten().any(|part| part.contains('@'));
        if is_split && !(is_socket && login.is_none()) {
            return Err(format!("expected no '@' behind the host; {ENCODED}").into());
        }
        let mut parameters = Parameters::parse(query.unwrap_or_default(), is_socket)?;
        parameters.add_login(login)?;
        let address = match scheme {
            Scheme::Socket(_) if host.is_empty() && path.len() > 1 => Address::Unix(socket(path)?),
            Scheme::Socket(_) => return Err(FORM.into()),
            _ => tcp(host)?,
        };
        if !is_socket {
            parameters.add_db(path)?;
        }
        let Parameters { user, password, db, protocol } = parameters;
        let (db, protocol) = (db.unwrap_or(0), protocol.unwrap_or_default());
        let place = if is_socket { path } else { host }.to_owned();
        Ok(Self { scheme, place, user, password, address, db, protocol })
    }

    /// `HOST[:PORT]` without other parts.
    fn bare(text: &str) -> Result<Self, UrlProblem> {
        match text.find(['/', '?', '#', '@']) {
            None => {}
            // Lists are split at commas, even at a comma in a password.
            Some(_) if text.contains('@') => return Err(format!("{FORM}; {ENCODED}").into()),
            Some(_) => return Err(FORM.into()),
        }
        let (address, protocol) = (tcp(text)?, Protocol::default());
        Ok(Self {
            scheme: Scheme::Bare,
            place: text.to_owned(),
            user: None,
            password: None,
            address,
            db: 0,
            protocol,
        })
    }

    /// Whether the URL requests TLS.
    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.scheme, Scheme::Encrypted(_))
    }
}

/// The URL without its credentials.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.user.is_some() || self.password.is_some() { "…@" } else { "" };
        let joint = if self.scheme == Scheme::Bare { "" } else { "://" };
        write!(f, "{}{joint}{login}{}", self.scheme.name(), self.place)?;
        match (self.scheme, self.db) {
            (_, 0) => Ok(()),
            (Scheme::Socket(_), db) => write!(f, "?db={db}"),
            (_, db) => write!(f, "/{db}"),
        }
    }
}

/// The scheme of an unusable URL, if the text before `://` certainly is a scheme.
pub(super) fn known_scheme(text: &str) -> Option<&'static str> {
    let (scheme, _) = text.split_once("://")?;
    let foreign =
        ["http", "https", "tcp"].into_iter().find(|foreign| scheme.eq_ignore_ascii_case(foreign));
    Scheme::parse(scheme).map(Scheme::name).or(foreign)
}

/// `HOST[:PORT]`, with an IPv6 address in brackets.
fn tcp(text: &str) -> Result<Address, UrlProblem> {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, rest))) => {
            let address: Ipv6Addr =
                address.parse().map_err(|_| "expected an IPv6 address in the brackets")?;
            let port =
                if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(FORM)?) };
            (address.to_string(), port)
        }
        Some(None) => return Err("expected a ']' behind the IPv6 address".into()),
        None => {
            let (host, port) =
                text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if host.is_empty() || !host.chars().all(is_of_name) {
                return Err(format!(
                    "expected a host of letters, digits, '-', '.' and '_'; {ENCODED}"
                )
                .into());
            }
            (host.to_owned(), port)
        }
    };
    if ["0.0.0.0", "::"].contains(&host.as_str()) {
        return Err("expected the address of one server, not of all interfaces".into());
    }
    Ok(Address::Tcp(host, port.map_or(Ok(DEFAULT_PORT), number_of_port)?))
}

fn number_of_port(text: &str) -> Result<u16, UrlProblem> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if is_number => Ok(port),
        _ => Err("expected a port from 1 to 65535 behind the ':'".into()),
    }
}

/// The path of a socket, which need not be text.
fn socket(path: &str) -> Result<PathBuf, UrlProblem> {
    let bytes = decode(path);
    if bytes.contains(&0) {
        return Err("expected a path without a NUL".into());
    }
    if String::from_utf8_lossy(&bytes).contains(is_unprintable) {
        return Err("expected no control characters".into());
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests;
