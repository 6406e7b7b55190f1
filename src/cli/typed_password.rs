//! A password in a `--url`, which every user of the host can read in the list of processes.

use super::args::Command;
use crate::supervisor;

/// Masks the passwords of typed URLs in the command line of this process. Returns a warning if
/// there was one.
pub(super) fn hide(command: &Command) -> Option<String> {
    let texts: Vec<(String, String)> = urls(command)
        .iter()
        .flat_map(|urls| urls.split([',', ' ', '\t', '\n']))
        .map(|url| (url.to_owned(), masked(url)))
        .filter(|(url, masked)| url != masked)
        .collect();
    if texts.is_empty() {
        return None;
    }
    let until = if supervisor::rewrite_command_line(&texts) {
        "until redlock has begun"
    } else {
        "while redlock runs"
    };
    Some(format!(
        "every user of this host can read the password in --url {until}; set REDLOCK_PASSWORD or REDLOCK_URLS, or give \
         --password-file"
    ))
}

/// The values of `--url`.
fn urls(command: &Command) -> &[String] {
    match command {
        Command::Run(args) => &args.instances.url,
        Command::Wait(args) => &args.instances.url,
        Command::Status(args) => &args.instances.url,
        Command::List(args) => &args.instances.url,
        Command::Doctor(args) => &args.instances.url,
        Command::Check(args) => &args.instances.url,
        Command::ForceRelease(args) => &args.instances.url,
        Command::Acquire(args) => &args.instances.url,
        Command::Extend(args) => &args.instances.url,
        Command::Release(args) => &args.instances.url,
        Command::Hold(args) => &args.instances.url,
        Command::Sandbox(_) | Command::Completions(_) => &[],
    }
}

/// `url` with an `x` for each byte of the password. In a URL that cannot be parsed, the part is
/// masked where a password would be.
fn masked(url: &str) -> String {
    let (before_query, query) =
        url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
    let mut text = match before_query.rsplit_once('@') {
        Some((login, place)) => {
            let user_at = login.find("://").map_or(0, |at| at.saturating_add(3));
            let (scheme, login) = login.split_at(user_at);
            match login.split_once(':') {
                Some((user, password)) => format!("{scheme}{user}:{}@{place}", crossed(password)),
                None => before_query.to_owned(),
            }
        }
        None => before_query.to_owned(),
    };
    for (at, parameter) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some(("password", password)) => {
                text += "password=";
                text += &crossed(password);
            }
            _ => text += parameter,
        }
    }
    text
}

fn crossed(password: &str) -> String {
    "x".repeat(password.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_wherever_a_url_has_one() {
        for (url, shown) in [
            ("redis://:hush@a:1/2", "redis://:xxxx@a:1/2"),
            ("redis://me:hu:sh@a", "redis://me:xxxxx@a"),
            ("redis://me:hü@a", "redis://me:xxx@a"),
            ("me:hush@a", "me:xxxx@a"),
            ("redis://:hu@sh@a", "redis://:xxxxx@a"),
            ("redis://a?db=1&password=hush", "redis://a?db=1&password=xxxx"),
            ("unix://:hush@/run/a.sock", "unix://:xxxx@/run/a.sock"),
            ("redis://me@a", "redis://me@a"),
            ("a:6379", "a:6379"),
        ] {
            assert_eq!(masked(url), shown);
            assert_eq!(url.len(), shown.len());
        }
    }
}
