//! The documents: they say what the program does, their links resolve, and their shell blocks
//! are run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by panicking"
)]
#![allow(dead_code, reason = "blocks.rs is shared with the test that runs the blocks")]

mod blocks;
mod links;
mod marks;
mod pages;
mod reference;
