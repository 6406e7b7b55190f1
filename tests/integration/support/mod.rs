//! The means of the tests: servers, runs, faults, a terminal, and waiting with a bound.

pub(crate) mod calls;
pub(crate) mod clock;
mod collector;
pub(crate) mod life;
pub(crate) mod line;
pub(crate) mod machines;
pub(crate) mod means;
pub(crate) mod monitor;
pub(crate) mod pki;
pub(crate) mod preload;
pub(crate) mod prober;
pub(crate) mod processes;
pub(crate) mod proxy;
pub(crate) mod pty;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod server;
pub(crate) mod servers;
pub(crate) mod stamps;
pub(crate) mod tmux;

pub(crate) use clock::{until, until_some};
pub(crate) use monitor::Monitor;
pub(crate) use pki::Pki;
pub(crate) use run::{HOLD, Output, Run, Running, hold};
pub(crate) use servers::Cluster;

/// The key of a lock with this name.
pub(crate) fn key_of(name: &str) -> String {
    format!("redlock:{name}")
}
