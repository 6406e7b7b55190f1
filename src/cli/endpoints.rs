//! The instances: from flags, variables and files to endpoints, and how long a restarted one does
//! not vote.

use super::args::InstanceArgs;
use super::config::Config;
use super::duration::shown;
use super::env::Environment;
use super::error::CliError;
use super::report::describe::public_secret;
use super::tls;
use super::values::RestartGuardArg;
use super::variables::URLS;
use crate::instance::{Endpoint, Login, SizeLimit, TrustedFile, Writers, redacted};
use crate::lock::{ClusterSize, RestartGuard};
use anyhow::{Context as _, anyhow};
use std::time::Duration;

/// The longest lease of a host, unless `--restart-guard` is set on all hosts.
const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// How long an instance must have kept its memory to vote. The length is the same for all hosts and
/// not a part of a run's TTL: an instance may have forgotten the lock of a host with a longer TTL.
pub(super) fn guard(
    typed: Option<RestartGuardArg>,
    config: &Config,
) -> Result<RestartGuard, CliError> {
    let configured = config.restart_guard.as_deref().map(RestartGuardArg::parse).transpose();
    let configured = configured.map_err(|error| {
        CliError::config(anyhow!("restart-guard in the configuration: {error}"))
    })?;
    Ok(match typed.or(configured).unwrap_or(RestartGuardArg::Auto) {
        RestartGuardArg::Auto => RestartGuard::For(LONGEST_LEASE),
        RestartGuardArg::Off => RestartGuard::Off,
        RestartGuardArg::For(length) => RestartGuard::For(length),
    })
}

/// Refuses a lease of `length`, set by `flag`, that can outlast the restart guard: an instance that
/// forgot the lease would vote again before its end.
pub(super) fn covered(guard: RestartGuard, flag: &str, length: Duration) -> Result<(), CliError> {
    match guard {
        RestartGuard::For(guard) if length > guard => Err(CliError::usage(anyhow!(
            "a {flag} of {} is longer than the restart guard of {}, so that a server which restarts could let another run \
             in; set REDLOCK_RESTART_GUARD={} on every host that uses these servers, or shorten it",
            shown(length),
            shown(guard),
            shown(length).replace(' ', ""),
        ))),
        RestartGuard::For(_) | RestartGuard::Off => Ok(()),
    }
}

pub(super) fn endpoints(
    args: &InstanceArgs,
    config: &Config,
    around: &Environment,
    warnings: &mut Vec<String>,
) -> Result<(ClusterSize, Vec<Endpoint>), CliError> {
    let login = login(args, config, around, warnings)?;
    let (source, urls) = urls(args, config, around);
    let parse = |(at, url): (usize, &String)| {
        let number = at.saturating_add(1);
        Endpoint::parse(url, &login).map_err(|error| {
            CliError::config(anyhow!("{error}{} (it is number {number} of {source})", habit(url)))
        })
    };
    // All URLs are parsed before a message shows one: an invalid URL may be a piece of the password
    // in the URL before it.
    let mut endpoints: Vec<Endpoint> =
        urls.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    for (at, endpoint) in endpoints.iter().enumerate() {
        let twin = endpoints.iter().take(at).position(|other| other.is_same_server(endpoint));
        if let Some((twin, url)) = twin.and_then(|twin| urls.get(twin)).zip(urls.get(at)) {
            return Err(CliError::config(anyhow!(
                "'{}' and '{}' are the same server, which would vote twice; name each server once",
                redacted(twin),
                redacted(url),
            )));
        }
    }
    if endpoints.is_empty() && !around.held.is_empty() {
        return Err(CliError::config(anyhow!(
            "no Redis servers are configured: the redlock around this command keeps {URLS} and passwords from it; name \
             three or more with --url or in the configuration file"
        )));
    }
    let size = size(endpoints.len(), args.single)?;
    tls::cover(&mut endpoints, &args.tls, config, warnings)?;
    Ok((size, endpoints))
}

/// Whether any server is named.
pub(super) fn are_named(args: &InstanceArgs, config: &Config, around: &Environment) -> bool {
    !urls(args, config, around).1.is_empty()
}

/// The URLs, and their source.
fn urls(args: &InstanceArgs, config: &Config, around: &Environment) -> (&'static str, Vec<String>) {
    // An empty `--url` is refused as an invalid URL. Dropped, it would let the variable count.
    let or_empty = |urls: Vec<String>| if urls.is_empty() { vec![String::new()] } else { urls };
    let typed: Vec<String> = args.url.iter().flat_map(|urls| or_empty(split(urls))).collect();
    let set = around.urls.as_deref().map(split).unwrap_or_default();
    match (typed.is_empty(), set.is_empty()) {
        (false, _) => ("--url", typed),
        (true, false) => (URLS, set),
        (true, true) => ("urls in the configuration", config.urls.clone()),
    }
}

fn size(count: usize, single: bool) -> Result<ClusterSize, CliError> {
    match (count, single) {
        (1, true) => Ok(ClusterSize::single()),
        (_, true) => {
            Err(CliError::config(anyhow!("--single takes exactly one Redis server, not {count}")))
        }
        (0, false) => Err(CliError::config(anyhow!(
            "no Redis servers are configured; name three or more with --url, in {URLS} or in the configuration file, or \
             try 'redlock sandbox'"
        ))),
        (1, false) => Err(CliError::config(anyhow!(
            "one Redis server is no majority; name three or more, or give --single to do without one"
        ))),
        (2, false) => Err(CliError::config(anyhow!(
            "two Redis servers are worse than one, since losing either loses the majority; name three or more"
        ))),
        (count, false) => ClusterSize::redlock(count).map_err(CliError::config),
    }
}

/// Advice about a URL in the form of other tools.
fn habit(url: &str) -> &'static str {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if url.contains(';') {
        "; write commas between servers"
    } else if url.starts_with('/') || url.starts_with("unix:/") {
        "; write a Unix socket as unix:///PATH"
    } else if scheme.contains("sentinel") || scheme.contains("cluster") {
        "; Redlock needs servers that stand alone, neither Sentinel nor a cluster"
    } else {
        ""
    }
}

fn split(urls: &str) -> Vec<String> {
    urls.split([',', ' ', '\t', '\n']).filter(|url| !url.is_empty()).map(str::to_owned).collect()
}

fn login(
    args: &InstanceArgs,
    config: &Config,
    around: &Environment,
    warnings: &mut Vec<String>,
) -> Result<Login, CliError> {
    let user = args.user.clone().or_else(|| config.user.clone());
    let file = args
        .password_file
        .as_ref()
        .or(config.password_file.as_ref().filter(|_| around.password.is_none()));
    let Some(path) = file else { return Ok(Login { user, password: around.password.clone() }) };
    let file = TrustedFile::read(path, SizeLimit::Small, Writers::RootOrUs);
    let file = file.context("cannot use the password file").map_err(CliError::config)?;
    if file.is_public {
        warnings.push(public_secret("the password file", path));
    }
    let Ok(text) = std::str::from_utf8(&file.bytes) else {
        return Err(CliError::config(anyhow!("the password file {} is not UTF-8", path.display())));
    };
    // Editors end a file with a line end; a password may hold any other space.
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(CliError::config(anyhow!("the password file {} is empty", path.display()))),
        password => Ok(Login { user, password: Some(password.to_owned()) }),
    }
}
