//! Saves the loader and the kernel work that they would do again in each run:
//!
//! - What every run executes lies side by side, as `bench/order.ld` says, and not in hundreds of places among all the rest:
//!   half as many pages of the program are mapped. `REDLOCK_BUILD_ORDER=off` leaves that out, for a linker that knows no scripts.
//! - The program has a fixed address, as those of Go have, and needs no relocation: a position-independent one has every page
//!   with a pointer in it changed before main. Stack, heap and libraries are at random addresses all the same. For a static
//!   binary, `make static` asks for that.
//! - The unwinder is linked into the binary. The standard library asks the loader for `libgcc_s.so.1`, which redlock needs for
//!   nothing but a backtrace. A linker script of that name sends the linker to the static half of the same library instead,
//!   where the C compiler has it; elsewhere nothing changes.

#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A linker script that adds to the linker's own; `make order` writes it.
const ORDER: &str = "bench/order.ld";
const SWITCH: &str = "REDLOCK_BUILD_ORDER";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    println!("cargo::rerun-if-env-changed={SWITCH}");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    // A build for debugging is linked often and measured never.
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") && !is(SWITCH, "off") {
        lay_side_by_side();
    }
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|has| has.split(',').any(|one| one == "crt-static"));
    if !is("CARGO_CFG_TARGET_ENV", "gnu") || is_static {
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

/// Tells the linker of the order, if it is one that understands: GNU's and LLVM's do, and somebody's choice is not known here.
fn lay_side_by_side() {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_chosen = env::var_os("RUSTC_LINKER").is_some() || flags.contains("link");
    let Some(directory) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    // A copy, since cargo knows of paths in there when the whole folder is moved.
    let argument = format!("-Wl,-T,{}", directory.join("order.ld").display());
    let source = directory.join("trial.c");
    let is_understood = || {
        fs::copy(ORDER, directory.join("order.ld"))?;
        fs::write(&source, "int main(void) { return 0; }\n")?;
        let trial = Command::new("cc").arg(&argument).arg(&source).arg("-o").arg(directory.join("trial")).output()?;
        Ok::<_, io::Error>(trial.status.success())
    };
    if !is_chosen && is_understood().unwrap_or(false) {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

/// Whether the C compiler has the library: it then answers with a path, and else with the bare name.
fn has_static_unwinder() -> bool {
    let output = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
