//! The guardian's name in the list of processes.

use nix::sys::prctl;
use nix::unistd::getppid;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Sets a name and a command line that `pkill redlock` and `pkill -f 'redlock run'` do not match:
/// these commands should end redlock, and the guardian then ends the command.
pub(super) fn take() {
    let _ = prctl::set_name(c"lock-guardian");
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 48 and 49 of proc_pid_stat(5), counted from the third.
    let mut fields = line.rsplit_once(')').unwrap_or_default().1.split_ascii_whitespace().skip(45);
    let mut address = || fields.next()?.parse::<u64>().ok();
    if let (Some(start), Some(end)) = (address(), address())
        && let Some(room) = end
            .checked_sub(start)
            .and_then(|room| usize::try_from(room).ok())
            .filter(|room| *room > 0)
        && let Ok(memory) = File::options().write(true).open("/proc/self/mem")
    {
        let mut title = format!("lock-guardian of {}", getppid()).into_bytes();
        title.resize(room - 1, 0);
        title.push(0);
        // If the kernel refuses the write, the name stays unchanged.
        let _ = memory.write_all_at(&title, start);
    }
}
