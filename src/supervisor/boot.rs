//! Identity of the clock of this process. Moments of two processes can be compared only if their
//! clocks have the same identity.

use std::fs;

/// The boot of this host, at which `CLOCK_BOOTTIME` begins, and the time namespace of this process,
/// which shifts that clock (`time_namespaces(7)`). `None` if /proc does not show the boot.
#[must_use]
pub fn clock_id() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // Without time namespaces, the boot alone tells.
    Some(format!("{}/{}", boot.trim(), namespace("time")))
}

/// The pid namespace of this process. In another one, the same pid means another process.
#[must_use]
pub fn pid_space() -> String {
    namespace("pid")
}

/// The number of a namespace of this process. Empty if the kernel has no such namespaces.
fn namespace(kind: &str) -> String {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stays_the_same() {
        let clock = clock_id().unwrap();
        assert!(clock.len() > 30 && clock_id() == Some(clock));
        assert!(!pid_space().is_empty());
    }
}
