//! The `redlock` command: everything is in the library, so that tests can reach it.

use redlock_cli::{cli, supervisor};

fn main() {
    supervisor::leave_by(cli::main());
}
