//! The `redlock` command: everything is in the library, so that tests can reach it.
#![cfg_attr(target_env = "gnu", no_main)]

use redlock_cli::{cli, supervisor};

/// The entry that the C library calls. What Rust's own would do first is a tenth of a run: it reads the memory map, to be
/// able to name a stack overflow, which ends the process in any case. What is needed of the rest, `prepare` does.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "the linker looks for this name")]
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    supervisor::prepare();
    supervisor::leave_by(cli::main())
}

/// Other C libraries tell the arguments to Rust's entry alone.
#[cfg(not(target_env = "gnu"))]
fn main() {
    supervisor::leave_by(cli::main());
}
