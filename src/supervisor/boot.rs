//! The clock of this process: moments of two processes can be compared if both have the same.

use std::fs;

/// The boot of this host, and the time namespace of this process: `CLOCK_BOOTTIME` counts from the
/// one, and is shifted by the other (`time_namespaces(7)`). `None` if /proc shows no boot.
#[must_use]
pub fn clock_id() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // A kernel without time namespaces has one clock.
    let namespace = fs::read_link("/proc/self/ns/time").unwrap_or_default();
    let digits: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}/{digits}", boot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stays_the_same() {
        let clock = clock_id().unwrap();
        assert!(clock.len() > 30 && clock_id() == Some(clock));
    }
}
