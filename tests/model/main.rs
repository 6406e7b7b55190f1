//! Small worlds, searched exhaustively, over the types that redlock itself decides with: the lock,
//! and the fencing token.
//!
//! `make model` searches further, most of it to the end. `TRACE=1` prints how each broken rule fails.
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
