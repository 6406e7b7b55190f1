//! Saves the loader work that it would do again in each run:
//!
//! - The program has a fixed address, as those of Go have, and needs no relocation: a position-independent one has every page
//!   with a pointer in it changed before main. Stack, heap and libraries are at random addresses all the same.
//! - The unwinder is linked into the binary. The standard library asks the loader for `libgcc_s.so.1`, which redlock needs for
//!   nothing but a backtrace. A linker script of that name sends the linker to the static half of the same library instead,
//!   where the C compiler has it; elsewhere nothing changes.
//!
//! For static binaries, `make static` says the same to the compiler.

#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu");
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|has| has.split(',').any(|one| one == "crt-static"));
    if !is_gnu || is_static {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    if env::var("HOST") != env::var("TARGET") || !has_static_unwinder() {
        return;
    }
    let Some(directory) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    if fs::write(directory.join("libgcc_s.so"), "INPUT(-lgcc_eh)\n").is_ok() {
        println!("cargo::rustc-link-search=native={}", directory.display());
    }
}

/// Whether the C compiler has the library: it then answers with a path, and else with the bare name.
fn has_static_unwinder() -> bool {
    let output = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
