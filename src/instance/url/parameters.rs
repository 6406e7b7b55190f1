//! Parameters of a URL, with the names of redis-py: `?db=`, `?username=`, `?password=` and
//! `?protocol=`.
//!
//! An unknown parameter is refused: the parameter may keep two clients apart, as a database does.

use super::{Protocol, UrlProblem, decode_text};

/// The values that a URL can give in two places: behind `?`, and before the host or behind the `/`.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) db: Option<i64>,
    pub(super) protocol: Option<Protocol>,
}

impl Parameters {
    /// Parses the part behind the `?`. For a socket, `user` and `pass` are also known, as in
    /// redis-rs.
    ///
    /// # Errors
    /// When a parameter is unknown, is repeated, or has an invalid value.
    pub(super) fn parse(query: &str, is_socket: bool) -> Result<Self, UrlProblem> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err("expected each parameter behind the '?' as NAME=VALUE".into());
            };
            // As in a form, a '+' is a space.
            let value = || decode_text(&value.replace('+', " "));
            let text = || {
                value()
                    .and_then(|value| if value.is_empty() { Err(empty(name)) } else { Ok(value) })
            };
            match name {
                "db" => once(&mut parameters.db, number(&value()?)?, "databases")?,
                "username" => once(&mut parameters.user, text()?, "users")?,
                "password" => once(&mut parameters.password, text()?, "passwords")?,
                "user" if is_socket => once(&mut parameters.user, text()?, "users")?,
                "pass" if is_socket => once(&mut parameters.password, text()?, "passwords")?,
                "protocol" => once(&mut parameters.protocol, protocol(&value()?)?, "protocols")?,
                _ => return Err(unknown(name)),
            }
        }
        Ok(parameters)
    }

    /// Adds the part before the `@`.
    ///
    /// # Errors
    /// When the login contradicts the parameters.
    pub(super) fn add_login(&mut self, login: Option<&str>) -> Result<(), UrlProblem> {
        let Some(login) = login else { return Ok(()) };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        if !user.is_empty() {
            once(&mut self.user, decode_text(user)?, "users")?;
        }
        if !password.is_empty() {
            once(&mut self.password, decode_text(password)?, "passwords")?;
        }
        Ok(())
    }

    /// Adds the database behind the host: `/N`, or none for `/` and for no path.
    ///
    /// # Errors
    /// When the database is no number, or contradicts the parameters.
    pub(super) fn add_db(&mut self, path: &str) -> Result<(), UrlProblem> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() { Ok(()) } else { once(&mut self.db, number(path)?, "databases") }
    }
}

/// Sets a value. A second value must equal the first.
fn once<T: PartialEq>(place: &mut Option<T>, value: T, what: &str) -> Result<(), UrlProblem> {
    match place {
        Some(other) if *other != value => Err(format!("expected one of its two {what}").into()),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}

fn number(text: &str) -> Result<i64, UrlProblem> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| is_number)
        .ok_or_else(|| "expected the number of a database, such as /2 or ?db=2".into())
}

fn protocol(text: &str) -> Result<Protocol, UrlProblem> {
    match text {
        "2" => Ok(Protocol::Resp2),
        "3" => Ok(Protocol::Newest),
        _ => Err("expected protocol=2 or protocol=3".into()),
    }
}

fn empty(name: &str) -> UrlProblem {
    format!("expected a value behind {name}=").into()
}

/// Error of an unknown parameter. Contains the name only if the text looks like a name.
fn unknown(name: &str) -> UrlProblem {
    let known = "expected db, username, password or protocol";
    let is_name = !name.is_empty()
        && name.len() <= 32
        && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    if is_name {
        format!("its parameter '{name}' is not known; {known}").into()
    } else {
        known.into()
    }
}
