//! URLs as they may be shown.

/// `url` with everything that could be a secret replaced: what is between the scheme and the last `@`, without one what follows
/// a colon and is no port, and every query, since a socket's password stands there. Control characters are shown as such.
#[must_use]
pub fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?…"));
    let place = rest.rsplit_once('@').map_or_else(|| up_to_port(rest), |(_, place)| format!("…@{place}"));
    let joint = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{joint}{place}{query}").escape_debug().to_string()
}

/// A host and a port; what is none, and stands where one would, may be the password of a URL that lacks its host.
fn up_to_port(place: &str) -> String {
    // The colons in brackets are an address's, and those of a path may be anything.
    let end = place.strip_prefix('[').and_then(|_| place.find(']'));
    let (address, rest) = place.split_at(end.map_or(0, |end| end.saturating_add(1)));
    let is_port = |text: &str| text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    match rest.split_once(':') {
        Some((host, port)) if !place.starts_with('/') && !port.split('/').next().is_some_and(is_port) => {
            format!("{address}{host}:…")
        }
        _ => place.to_owned(),
    }
}
