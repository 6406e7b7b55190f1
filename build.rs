//! Links the unwinder into the binary, which saves the loader's search for another library in each
//! run: 190 µs.
//!
//! The standard library asks for `libgcc_s.so.1`, of which redlock needs nothing but a backtrace's
//! unwinding. The C compiler has a static half of the same library. A linker script named
//! `libgcc_s.so` sends the linker there; without that static half, nothing changes.

#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The C compiler is that of this machine, so its library is of no use for another.
    let is_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu");
    if !is_gnu || env::var("HOST") != env::var("TARGET") || !has_static_unwinder() {
        return;
    }
    let Some(directory) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    if fs::write(directory.join("libgcc_s.so"), "INPUT(-lgcc_eh)\n").is_ok() {
        println!("cargo::rustc-link-search=native={}", directory.display());
    }
}

/// Whether the C compiler has the library: it then answers with a path, and else with the bare
/// name.
fn has_static_unwinder() -> bool {
    let output = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    output
        .is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
