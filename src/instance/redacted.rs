//! Redacted URLs.

use super::url::{Url, known_scheme};

/// `url` without its credentials. Of a URL that cannot be parsed, only the scheme is shown: any
/// other part may be a piece of a password, even a part that looks like a host.
#[must_use]
pub fn redacted(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => url.to_string().escape_debug().to_string(),
        Err(_) => format!("{}://…", known_scheme(url).unwrap_or("redis")),
    }
}

/// Whether `url` contains a password, as far as the URL can be parsed.
#[must_use]
pub fn has_password(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.password.is_some())
}
