//! From options, variables and the configuration to the servers of a run, and to the locks of the
//! run that a redlock around it holds on them.

use super::args::InstanceArgs;
use super::config::Config;
use super::duration::shown;
use super::endpoints::{are_named, endpoints, guard};
use super::env::Environment;
use super::error::CliError;
use super::outer::OuterLock;
use super::servers::Servers;
use crate::lock::{InvalidSchedule, Key, Name, Schedule, Ttl};
use anyhow::anyhow;
use std::time::Duration;

/// A lock by its name and its key.
type NamedKey = (Name, Key);

/// Sources of the servers of a run.
pub(super) struct ServerInputs<'a> {
    pub(super) args: &'a InstanceArgs,
    /// `--ttl` and `--kill-after`.
    pub(super) lengths: (Option<Ttl>, Option<Duration>),
    pub(super) config: &'a Config,
    pub(super) around: &'a Environment,
    pub(super) warnings: &'a mut Vec<String>,
}

impl ServerInputs<'_> {
    /// The servers that options, variables and the configuration name.
    pub(super) fn servers(&mut self) -> Result<Servers, CliError> {
        let (ttl, kill_after) = self.lengths;
        let op_timeout = self.args.op_timeout.or(self.config.op_timeout);
        if op_timeout.is_some_and(|length| length.is_zero()) {
            return Err(CliError::usage(anyhow!(
                "an --op-timeout of 0 leaves no time to answer; give it more"
            )));
        }
        let schedule = Schedule::new(self.config.ttl(ttl), kill_after, op_timeout)
            .map_err(|invalid| too_short(&invalid, op_timeout))?;
        let (size, endpoints) = endpoints(self.args, self.config, self.around, self.warnings)?;
        let guard = guard(self.args.restart_guard, self.config)?;
        Ok(Servers { size, endpoints, schedule, guard })
    }

    /// Of `locks`, those that a redlock around this one holds, and the servers if they had to be
    /// asked.
    ///
    /// A run without servers of its own means the lock around it, so no server is asked.
    pub(super) fn held(
        &mut self,
        locks: &[NamedKey],
        slots: u32,
        is_held: IsHeld,
    ) -> Result<(Vec<NamedKey>, Option<Servers>), CliError> {
        let (mut held, mut servers) = (vec![], None);
        for (name, key) in locks {
            let Some(outer) = self.around.outer(key) else { continue };
            let is_around = outer.is_around();
            let must_ask = outer.is_of_handle() || are_named(self.args, self.config, self.around);
            if is_around && servers.is_none() && must_ask {
                servers = Some(self.servers()?);
            }
            let is_there = |servers: &Servers| is_held(outer, key, slots, servers);
            let why = if !is_around {
                "the redlock that it names is not running around this one"
            } else if servers.as_ref().is_none_or(is_there) {
                held.push((name.clone(), key.clone()));
                continue;
            } else if outer.is_of_handle() {
                self.warnings.push(format!(
                    "'{name}': the handle in REDLOCK_HANDLE is ignored: its lock is not held on these servers"
                ));
                continue;
            } else {
                "the redlock around this one does not hold this lock on these servers"
            };
            self.warnings.push(format!("'{name}': REDLOCK_HELD is ignored: {why}"));
        }
        Ok((held, servers))
    }
}

impl Servers {
    /// The servers of a command that takes no lock; `ttl` is that of the holders, if it was typed.
    pub(super) fn named(
        args: &InstanceArgs,
        ttl: Option<Ttl>,
        config: &Config,
        around: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Self, CliError> {
        ServerInputs { args, lengths: (ttl, None), config, around, warnings }.servers()
    }
}

/// Tells whether the redlock of an outer lock holds this key, with so many slots, on these servers.
pub(super) type IsHeld = fn(&OuterLock, &Key, u32, &Servers) -> bool;

/// The error of a schedule in which one failed extension would stop the command.
fn too_short(invalid: &InvalidSchedule, op_timeout: Option<Duration>) -> CliError {
    CliError::usage(anyhow!(
        "a --ttl of {} is too short for a --kill-after of {} and an --op-timeout of {}: one failed extension would \
         stop the command; raise --ttl above {} or lower the others",
        shown(invalid.ttl.length()),
        shown(invalid.kill_after),
        shown(invalid.op_timeout),
        shown(shortest(invalid.kill_after, op_timeout)),
    ))
}

/// A TTL above which `ttl - kill_after > ttl/3 + op_timeout`. The default of `op_timeout` is a
/// twentieth of the TTL, within bounds. From 10 s on, the result is in whole seconds.
fn shortest(kill_after: Duration, op_timeout: Option<Duration>) -> Duration {
    let with = |op_timeout: Duration| kill_after.saturating_add(op_timeout).saturating_mul(3) / 2;
    let default = || {
        with(Duration::from_millis(50))
            .max(with(Duration::from_secs(1)).min(kill_after.saturating_mul(60) / 37))
    };
    let ttl = op_timeout.map_or_else(default, with);
    if ttl < Duration::from_secs(10) {
        ttl
    } else {
        Duration::from_secs(ttl.as_secs().saturating_add(1))
    }
}
