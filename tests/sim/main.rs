//! The pure core in virtual time: seeded worlds of clients, instances, network, pauses and crashes, and a checker that
//! looks for two commands at once, for keys that are left, and for clients that are stuck.
//!
//! `SEED=n` runs one world, `SEEDS=n` that many; a failure prints its seed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and the worlds index what they made"
)]

mod checker;
mod client;
mod dice;
mod faults;
mod instance;
mod limits;
mod network;
mod regressions;
mod safety;
mod scenarios;
mod world;
