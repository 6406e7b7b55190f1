//! The `redlock` command: everything is in the library, so that tests can reach it.

use redlock_cli::{cli, supervisor};

/// glibc's allocator is as good. Those of other C libraries cost a run a fifth: musl's asks the
/// kernel for a few pages at a time and gives them back at once.
#[cfg(not(target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ! {
    supervisor::leave_by(cli::main())
}
