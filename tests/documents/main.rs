//! The documents: they agree with the program, their links resolve, their shell blocks are run, and
//! the manual is up to date.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by panicking"
)]
#![allow(dead_code, reason = "blocks.rs is shared with the test that runs the blocks")]

mod blocks;
mod lines;
mod links;
mod make_install;
mod man;
mod manual;
mod marks;
mod pages;
mod reference;
