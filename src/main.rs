//! The `redlock` command: everything is in the library, so that tests can reach it.
#![no_main]

use redlock_cli::{cli, supervisor};
use std::ffi::{c_char, c_int};

/// glibc's allocator is as good, and what others have costs a run a fifth: musl's asks the kernel for a few pages at a time and
/// gives them back at once.
#[cfg(not(target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The entry that the C library calls. What Rust's own would do first is a tenth of a run: it reads the memory map, to be
/// able to name a stack overflow, which ends the process in any case. What is needed of the rest, `prepare` does.
#[allow(unsafe_code, reason = "the linker looks for this name, and the C library has the arguments")]
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    // SAFETY: they are as the C library made them.
    let line = unsafe { supervisor::prepare(count, words) };
    supervisor::leave_by(cli::main(&line))
}
