//! The fence, searched exhaustively: every order in which requests are executed, keys expire and
//! servers lose or roll back their counters, over the types that redlock itself decides with.
//!
//! `make model` searches three clients to the end; here their search is bounded. `TRACE=1` prints
//! how each broken rule fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and the model indexes what it made"
)]

mod checks;
mod fence;
mod lock;
mod mutants;
mod search;
mod state;
mod steps;
