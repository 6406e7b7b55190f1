//! Exhaustive searches of small models of the lock and of the fence. Their decisions are those of
//! redlock's own types.
//!
//! `make model` searches further, most models to the end. `TRACE=1` prints how each broken rule
//! fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and the model indexes what it made"
)]

mod fence;
mod lock;
mod search;
