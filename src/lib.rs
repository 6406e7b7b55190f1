//! `redlock` holds a distributed lock around a command. This library is the tool's inside, open for
//! its tests; only the command line is a stable interface. ARCHITECTURE.md is the map.

pub mod cli;
#[cfg(test)]
mod fuzz;
pub mod instance;
pub mod lock;
pub mod policy;
pub mod supervisor;
