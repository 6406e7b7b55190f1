//! URLs as they may be shown.

use super::url::{Url, known_scheme};

/// `url` without its credentials. Of one that cannot be understood, the scheme is shown and no
/// more: any part of the rest may be a piece of a password, also what looks like a host.
#[must_use]
pub fn redacted(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => url.to_string().escape_debug().to_string(),
        Err(_) => format!("{}://…", known_scheme(url).unwrap_or("redis")),
    }
}

/// Whether a password stands in `url`, as far as it is understood.
#[must_use]
pub fn has_password(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.password.is_some())
}
