//! redlock's decisions in virtual time: seeded worlds of redlocks, servers, networks, pauses and
//! crashes. Checkers look for two commands at once, for deadlines that the servers do not keep, for
//! keys that are left, and for clients that are stuck.
//!
//! `SEED=n` runs one world, `SEEDS=n` that many; a failure prints its seed. `TRACE=1` prints the
//! events.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::struct_excessive_bools,
    reason = "a test fails by panicking, and the worlds index what they made"
)]

mod chance;
mod checker;
mod client;
mod dice;
mod disagreement;
mod edges;
mod faults;
mod limits;
mod marks;
mod network;
mod planted;
mod regressions;
mod revocations;
mod safety;
mod scenarios;
mod scripts;
mod server;
mod shell;
mod worker;
mod world;
