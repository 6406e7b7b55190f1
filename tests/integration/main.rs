//! The real binary against real servers, under real faults.
//!
//! Whatever a test needs it starts itself, and ends again. Nothing is skipped: what is missing on
//! the machine fails with a sentence that says how to get it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg_attr(
    not(feature = "tls"),
    allow(dead_code, unused_imports, reason = "some of the support is for the tests of TLS")
)]
#![allow(
    clippy::print_stdout,
    reason = "a test that passes tells what it measured to those who ask"
)]

mod as_env;
mod command;
mod contention;
mod copied_run_id;
mod edges;
mod errors;
mod exit_codes;
mod faults;
mod files;
mod full_stderr;
mod holding;
mod hostile;
mod instances;
mod jobcontrol;
mod latency;
mod launch;
mod limits;
mod line_faults;
mod loss;
mod mention;
mod messages;
mod names;
mod overlap;
mod programs;
mod queue;
mod refusals;
mod replies;
mod rest;
mod rights;
mod sandbox;
mod seed;
mod signals;
mod slots;
mod starts;
mod streams;
mod supervision;
mod support;
mod surroundings;
mod suspend;
mod terminal;
mod tls;
mod urls;
mod variables;
mod waiting;
