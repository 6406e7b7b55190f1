//! From what was typed to what is meant: every rule across flags, variables and files is here.

use super::args::{InstanceArgs, OnLostArg, RestartGuard, RunArgs};
use super::config::Config;
use super::correction::with_dashes;
use super::duration::shown;
use super::name;
use super::refusal::{Refusal, missing_dashes};
use crate::instance::{Conduct, Credentials, Endpoint, Guard, redacted};
use crate::lock::{ClusterSize, Key, Name, Schedule, Ttl};
use crate::policy::{OnLost, Signal, code};
use anyhow::{Context as _, anyhow};
use std::ffi::OsString;
use std::time::Duration;

/// What a line means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Hold the lock while the command runs.
    Hold(Box<Plan>),
    /// A redlock around this one holds the lock already: just run the command.
    Nested(Vec<OsString>),
}

/// How to hold a lock, and around what.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: Name,
    pub(super) argv: Vec<OsString>,
    pub(super) size: ClusterSize,
    pub(super) schedule: Schedule,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) conduct: Conduct,
    pub(super) stop_signal: Signal,
    pub(super) escalates: bool,
    pub(super) on_lost: OnLost,
    pub(super) on_lost_exec: Option<OsString>,
    pub(super) max_runtime: Option<Duration>,
    pub(super) awaits_descendants: bool,
    pub(super) patience: Waiting,
    pub(super) busy_code: u8,
    pub(super) reason: Option<String>,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waiting {
    Not,
    For(Duration),
    Forever,
}

/// What the environment says, read once.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) urls: Option<String>,
    pub(super) password: Option<String>,
    pub(super) held: Vec<String>,
}

/// The variable that has the instances.
pub(super) const URLS: &str = "REDLOCK_URLS";
/// The variable that may have the password.
pub(super) const PASSWORD: &str = "REDLOCK_PASSWORD";
/// The variable that may name the file with the password.
pub(super) const PASSWORD_FILE: &str = "REDLOCK_PASSWORD_FILE";
/// The variable in which a command finds the keys that are held up the stack, one a line.
pub(super) const HELD: &str = "REDLOCK_HELD";

impl Surroundings {
    pub(super) fn read() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            urls: set(URLS),
            password: set(PASSWORD),
            held: set(HELD).map(|held| held.lines().map(str::to_owned).collect()).unwrap_or_default(),
        }
    }
}

impl Meaning {
    /// What `args`, typed as `line`, mean in these surroundings.
    pub(super) fn new(
        args: RunArgs,
        line: &[OsString],
        config: &Config,
        around: &Surroundings,
    ) -> Result<Self, Refusal> {
        let wrapped = command(&args, line)?;
        let name = Name::new(args.name.unwrap_or_else(|| name::derived(&wrapped)))
            .context("the NAME cannot be used")
            .map_err(Refusal::usage)?;
        let key = if let Some(key) = args.lock.key {
            Key::literal(key).context("the --key cannot be used").map_err(Refusal::usage)?
        } else {
            let prefix = args.lock.prefix.or_else(|| config.prefix.clone());
            Key::of(prefix.as_deref().unwrap_or("redlock:"), &name)
        };
        let is_nested = around.held.iter().any(|held| held == key.as_str());
        if is_nested && args.lock.reentrant {
            return Ok(Self::Nested(wrapped));
        }
        if is_nested {
            return Err(Refusal::usage(anyhow!(
                "'{name}' is already held by a redlock around this one, which would wait for itself; use another NAME, or --reentrant"
            )));
        }
        let ttl = Ttl::new(args.lock.ttl.or(config.ttl).unwrap_or(Duration::from_secs(30)))
            .context("the --ttl cannot be used")
            .map_err(Refusal::usage)?;
        let op_timeout = args.instances.op_timeout.or(config.op_timeout);
        let schedule = schedule(ttl, args.stop.kill_after, op_timeout)?;
        let (size, endpoints) = endpoints(&args.instances, config, around)?;
        let guard = guard(args.instances.restart_guard, config, ttl)?;
        Ok(Self::Hold(Box::new(Plan {
            conduct: Conduct { key, ttl, op_timeout: schedule.op_timeout(), guard },
            stop_signal: args.stop.signal.unwrap_or(Signal::TERM),
            escalates: args.stop.kill_after.is_some(),
            on_lost: match args.stop.on_lost {
                Some(OnLostArg::Warn) => OnLost::Warn,
                Some(OnLostArg::Stop) | None => OnLost::Stop,
            },
            on_lost_exec: args.stop.on_lost_exec,
            max_runtime: args.stop.max_runtime,
            awaits_descendants: args.stop.wait_descendants,
            patience: match args.wait.wait {
                _ if args.wait.nonblock => Waiting::Not,
                Some(length) => Waiting::For(length),
                None => Waiting::Forever,
            },
            busy_code: args.wait.conflict_exit_code.unwrap_or(code::BUSY),
            reason: args.lock.reason,
            name,
            argv: wrapped,
            size,
            schedule,
            endpoints,
        })))
    }
}

fn command(args: &RunArgs, line: &[OsString]) -> Result<Vec<OsString>, Refusal> {
    if let Some(string) = &args.command {
        return Ok(["sh".into(), "-c".into(), string.clone()].into());
    }
    if args.argv.is_empty() {
        return Err(Refusal::usage(match with_dashes(line) {
            Some(corrected) => missing_dashes(&corrected),
            None => anyhow!("missing the command; write: redlock run [OPTIONS] [NAME] -- COMMAND [ARG...]"),
        }));
    }
    Ok(args.argv.clone())
}

fn schedule(ttl: Ttl, kill_after: Option<Duration>, op_timeout: Option<Duration>) -> Result<Schedule, Refusal> {
    if op_timeout.is_some_and(|length| length.is_zero()) {
        return Err(Refusal::usage(anyhow!("an --op-timeout of 0 leaves no time to answer; give it more")));
    }
    Schedule::new(ttl, kill_after, op_timeout).map_err(|invalid| {
        Refusal::usage(anyhow!(
            "a --ttl of {} is too short for a --kill-after of {} and an --op-timeout of {}: one failed extension would \
             stop the command; raise --ttl above {} or lower the others",
            shown(invalid.ttl.length()),
            shown(invalid.kill_after),
            shown(invalid.op_timeout),
            // ttl - kill_after > ttl/3 + op_timeout
            shown((invalid.kill_after + invalid.op_timeout) * 3 / 2),
        ))
    })
}

fn guard(typed: Option<RestartGuard>, config: &Config, ttl: Ttl) -> Result<Guard, Refusal> {
    let configured = config.restart_guard.as_deref().map(RestartGuard::parse).transpose();
    let configured =
        configured.map_err(|error| Refusal::config(anyhow!("restart-guard in the configuration: {error}")))?;
    Ok(match typed.or(configured).unwrap_or(RestartGuard::Auto) {
        RestartGuard::Auto => Guard::For(ttl.length()),
        RestartGuard::Off => Guard::Off,
        RestartGuard::For(length) => Guard::For(length),
    })
}

fn endpoints(
    args: &InstanceArgs,
    config: &Config,
    around: &Surroundings,
) -> Result<(ClusterSize, Vec<Endpoint>), Refusal> {
    let credentials = credentials(args, config, around)?;
    let from_environment = || around.urls.as_deref().map(split).filter(|urls| !urls.is_empty());
    let urls =
        if args.url.is_empty() { from_environment().unwrap_or_else(|| config.urls.clone()) } else { args.url.clone() };
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(urls.len());
    for url in &urls {
        let endpoint = Endpoint::parse(url, credentials.as_ref()).map_err(Refusal::config)?;
        let twin = endpoints.iter().zip(&urls).find(|(other, _)| other.is_same_server(&endpoint));
        if let Some((_, twin)) = twin {
            return Err(Refusal::config(anyhow!(
                "'{}' and '{}' are the same server, which would vote twice; name each server once",
                redacted(twin),
                redacted(url),
            )));
        }
        endpoints.push(endpoint);
    }
    let size = size(endpoints.len(), args.single)?;
    super::tls::cover(&mut endpoints, &args.tls, config)?;
    Ok((size, endpoints))
}

fn size(count: usize, single: bool) -> Result<ClusterSize, Refusal> {
    match (count, single) {
        (1, true) => Ok(ClusterSize::single()),
        (_, true) => Err(Refusal::config(anyhow!("--single takes exactly one Redis server, not {count}"))),
        (0, false) => Err(Refusal::config(anyhow!(
            "no Redis servers are configured; name three or more with --url, in {URLS} or in the configuration file, or \
             try 'redlock sandbox'"
        ))),
        (1, false) => Err(Refusal::config(anyhow!(
            "one Redis server is no majority; name three or more, or give --single to do without one"
        ))),
        (2, false) => Err(Refusal::config(anyhow!(
            "two Redis servers are worse than one, since losing either loses the majority; name three or more"
        ))),
        (count, false) => ClusterSize::redlock(count).map_err(Refusal::config),
    }
}

fn split(urls: &str) -> Vec<String> {
    urls.split([',', ' ', '\t', '\n']).filter(|url| !url.is_empty()).map(str::to_owned).collect()
}

fn credentials(args: &InstanceArgs, config: &Config, around: &Surroundings) -> Result<Option<Credentials>, Refusal> {
    let user = args.user.clone().or_else(|| config.user.clone());
    let file = args.password_file.as_ref().or(config.password_file.as_ref().filter(|_| around.password.is_none()));
    let password = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the password file {}", path.display()))
                .map_err(Refusal::config)?;
            // Editors end a file with a line end; a password may hold any other space.
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => around.password.clone(),
    };
    match (user, password) {
        (_, Some(password)) if password.is_empty() => Err(Refusal::config(anyhow!("the password file is empty"))),
        (user, Some(password)) => Ok(Some(Credentials { user, password })),
        (Some(_), None) => {
            Err(Refusal::config(anyhow!("a --user needs a password; give it with --password-file or in {PASSWORD}")))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
