//! From arguments to a plan: every rule across flags, variables and files is here.

use super::args::{LockArgs, RunArgs};
use super::config::Config;
use super::duration::shown;
use super::endpoints::covered;
use super::env::Environment;
use super::error::CliError;
use super::missing_dashes::{self, with_dashes};
use super::name;
use super::report::Subject;
use super::server_inputs::{IsHeld, ServerInputs};
use super::servers::Servers;
use super::shell_words;
use super::values::{IfBusy, MinHoldOnArg, OnLostArg};
use super::variables::FENCE;
use crate::lock::{Key, Name, Target, Ttl};
use crate::policy::{MinHoldOn, OnLost, Signal, code};
use anyhow::{Context as _, anyhow};
use std::ffi::OsString;
use std::time::Duration;

/// Meaning of a command line.
#[derive(Debug)]
pub(super) enum Invocation {
    /// Hold the lock while the command runs.
    Hold(Box<Plan>),
    /// A redlock around this one holds the lock already: only run the command.
    Nested {
        /// The program and its arguments.
        argv: Vec<OsString>,
        /// The fencing token, unless the environment of the command has it.
        token: Option<u64>,
    },
}

/// All settings of one run: the lock, the servers, the command.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) names: Vec<Name>,
    pub(super) argv: Vec<OsString>,
    pub(super) servers: Servers,
    pub(super) target: Target,
    pub(super) stop_signal: Signal,
    pub(super) escalates: bool,
    pub(super) on_lost: OnLost,
    pub(super) on_lost_exec: Option<OsString>,
    pub(super) max_runtime: Option<Duration>,
    pub(super) awaits_descendants: bool,
    pub(super) wait_limit: Waiting,
    pub(super) jitter: Duration,
    pub(super) if_busy: IfBusy,
    pub(super) busy_code: u8,
    pub(super) min_hold: Duration,
    pub(super) min_hold_on: MinHoldOn,
    pub(super) cooldown: Duration,
    pub(super) reason: Option<String>,
    pub(super) is_fenced: bool,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waiting {
    Not,
    For(Duration),
    Forever,
}

/// The error for waiting for a lock that a redlock around this one holds.
pub(super) fn held_around(name: &Name) -> String {
    format!("'{name}' is already held by a redlock around this one, which would wait for itself")
}

impl Plan {
    /// The subject of reports on this plan.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            names: &self.names,
            program: self.argv.first().map(OsString::as_os_str),
            slots: self.target.slot_count(),
            skips: self.if_busy == IfBusy::Skip,
            endpoints: &self.servers.endpoints,
            quorum: self.servers.size.quorum(),
        }
    }
}

impl Invocation {
    /// Meaning of `args`, typed as `line`, with this configuration and environment.
    pub(super) fn new(
        args: RunArgs,
        line: &[OsString],
        config: &Config,
        around: &Environment,
        warnings: &mut Vec<String>,
        is_held: IsHeld,
    ) -> Result<Self, CliError> {
        let wrapped = command(&args, line)?;
        let locks = locks(args.name, &args.lock, &wrapped, config)?;
        let slots = args.lock.slots.unwrap_or(1);
        let is_fenced = is_fenced(&args.lock, config)?;
        let lengths = (args.lock.ttl, args.stop.kill_after);
        let mut inputs = ServerInputs { args: &args.instances, lengths, config, around, warnings };
        let (held, servers) = inputs.held(&locks, slots, is_held)?;
        beside_outer(&held, args.lock.reentrant)?;
        let token =
            if is_fenced && !held.is_empty() { outer_token(&locks, &held, around)? } else { None };
        let (names, keys): (Vec<Name>, Vec<Key>) =
            locks.into_iter().filter(|lock| !held.contains(lock)).unzip();
        let Some(first) = keys.first() else { return Ok(Self::Nested { argv: wrapped, token }) };
        let servers = match servers {
            Some(servers) => servers,
            None => inputs.servers()?,
        };
        let target = match args.lock.slots {
            Some(slots) if slots > 1 => Target::slots(first, slots),
            _ => Target::all(keys.iter().cloned()),
        };
        let (min_hold, cooldown) = (
            bounded("--min-hold", args.lock.min_hold)?,
            bounded("--cooldown", args.lock.cooldown)?,
        );
        let ttl = servers.schedule.ttl().length();
        for (flag, length) in [("--ttl", ttl), ("--min-hold", min_hold), ("--cooldown", cooldown)] {
            covered(servers.guard, flag, length)?;
        }
        Ok(Self::Hold(Box::new(Plan {
            servers,
            target,
            stop_signal: args.stop.signal.unwrap_or(Signal::TERM),
            escalates: args.stop.kill_after.is_some(),
            on_lost: match args.stop.on_lost {
                Some(OnLostArg::Warn) => OnLost::Warn,
                Some(OnLostArg::Stop) | None => OnLost::Stop,
            },
            on_lost_exec: args.stop.on_lost_exec,
            // As in timeout(1).
            max_runtime: args.stop.max_runtime.filter(|length| !length.is_zero()),
            awaits_descendants: args.stop.wait_descendants,
            wait_limit: match args.wait.wait {
                _ if args.wait.nonblock => Waiting::Not,
                Some(length) => Waiting::For(length),
                None if args.wait.if_busy.is_some() => Waiting::Not,
                None => Waiting::Forever,
            },
            jitter: args.wait.jitter.unwrap_or_default(),
            if_busy: args.wait.if_busy.unwrap_or(IfBusy::Fail),
            busy_code: match args.wait.if_busy {
                Some(IfBusy::Skip) => 0,
                _ => args.wait.conflict_exit_code.unwrap_or(code::BUSY),
            },
            min_hold,
            min_hold_on: match args.lock.min_hold_on {
                Some(MinHoldOnArg::Success) => MinHoldOn::Success,
                Some(MinHoldOnArg::Always) | None => MinHoldOn::Always,
            },
            cooldown,
            reason: args.lock.reason,
            is_fenced,
            names,
            argv: wrapped,
        })))
    }
}

/// Refuses a lock that a redlock around this one holds, unless the run is reentrant.
fn beside_outer(held: &[(Name, Key)], is_reentrant: bool) -> Result<(), CliError> {
    match held.first() {
        Some((name, _)) if !is_reentrant => {
            Err(CliError::usage(anyhow!("{}; use another NAME, or --reentrant", held_around(name))))
        }
        _ => Ok(()),
    }
}

/// The names and keys of the locks of a run.
fn locks(
    name: Option<String>,
    args: &LockArgs,
    wrapped: &[OsString],
    config: &Config,
) -> Result<Vec<(Name, Key)>, CliError> {
    let mut names: Vec<String> = name.into_iter().chain(args.locks.iter().cloned()).collect();
    if names.is_empty() {
        // A lock that is given by its key alone has the key as its name.
        names.push(args.key.clone().unwrap_or_else(|| name::derived(wrapped)));
    }
    if names.len() > 1 && args.slots.is_some_and(|slots| slots > 1) {
        return Err(CliError::usage(anyhow!(
            "--slots cannot be used with several names; give one NAME"
        )));
    }
    if names.len() > 1 && args.key.is_some() {
        return Err(CliError::usage(anyhow!(
            "--key cannot be used with several names; give one NAME"
        )));
    }
    let locks = names
        .into_iter()
        .map(|name| lock(name, args.key.as_deref(), args.prefix.as_deref(), config));
    let mut locks: Vec<_> = locks.collect::<Result<_, _>>()?;
    // Names and keys are in one order: that of the keys.
    locks.sort_unstable_by(|(_, one), (_, other)| one.as_str().cmp(other.as_str()));
    locks.dedup_by(|(_, one), (_, other)| one == other);
    Ok(locks)
}

/// The name and the key of one lock.
pub(super) fn lock(
    name: String,
    key: Option<&str>,
    prefix: Option<&str>,
    config: &Config,
) -> Result<(Name, Key), CliError> {
    let literal = key
        .map(Key::literal)
        .transpose()
        .context("the --key cannot be used")
        .map_err(CliError::usage)?;
    let name = Name::new(name).context("the NAME cannot be used").map_err(CliError::usage)?;
    let key = match literal {
        Some(key) => key,
        None => Key::of(config.prefix(prefix), &name)
            .context("the --prefix cannot be used")
            .map_err(CliError::usage)?,
    };
    Ok((name, key))
}

/// Whether the command gets a fencing token.
fn is_fenced(args: &LockArgs, config: &Config) -> Result<bool, CliError> {
    let slots = args.slots.unwrap_or(1);
    match (args.fence, config.fence) {
        (true, _) if slots > 1 => Err(CliError::usage(anyhow!(
            "--fence cannot be used with --slots: the holders of several slots have no order; give one of the two"
        ))),
        (false, true) if slots > 1 => Err(CliError::usage(anyhow!(
            "--slots cannot be used with 'fence' of the configuration: the holders of several slots have no order; give \
             another --config"
        ))),
        (typed, configured) => Ok(typed || configured),
    }
}

/// The fencing token of a nested command: that of the redlock around it, if that holds these locks
/// and no others. `None` if the environment has the token already.
fn outer_token(
    locks: &[(Name, Key)],
    held: &[(Name, Key)],
    around: &Environment,
) -> Result<Option<u64>, CliError> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let keys: Vec<&str> = locks.iter().map(|(_, key)| key.as_str()).collect();
    if locks.len() == held.len() {
        if set("REDLOCK_KEY") == Some(keys.join("\n")) && set(FENCE).is_some() {
            return Ok(None);
        }
        if let Some(token) = around.token_of(&keys) {
            return Ok(Some(token));
        }
    }
    Err(CliError::usage(anyhow!(
        "the redlock around this one has no fencing token for these names and no others; give it --fence, or leave out \
         --reentrant"
    )))
}

/// A length that Redis can keep a key for.
fn bounded(flag: &str, length: Option<Duration>) -> Result<Duration, CliError> {
    match length {
        Some(length) if length > Ttl::MAX => Err(CliError::usage(anyhow!(
            "a {flag} of {} is too long; give at most {}",
            shown(length),
            shown(Ttl::MAX)
        ))),
        length => Ok(length.unwrap_or_default()),
    }
}

fn command(args: &RunArgs, line: &[OsString]) -> Result<Vec<OsString>, CliError> {
    if let Some(string) = &args.command {
        return Ok(["sh".into(), "-c".into(), string.clone()].into());
    }
    if args.argv.is_empty() {
        return Err(CliError::usage(match with_dashes(line) {
            Some(corrected) => missing_dashes::error(&corrected),
            None => anyhow!(missing_dashes::without_command(line)),
        }));
    }
    match shell_words::hint(&args.argv, line) {
        None => Ok(args.argv.clone()),
        Some(hint) => Err(CliError { code: code::NOT_FOUND, ..CliError::usage(anyhow!(hint)) }),
    }
}

#[cfg(test)]
mod tests;
