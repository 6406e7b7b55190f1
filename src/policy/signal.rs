//! Signals by their names and numbers, and what each means to a run.

use std::fmt;
use std::str::FromStr;

/// A signal's number on Linux (signal(7)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signal(i32);

/// Names and numbers on Linux; those that differ between architectures are left out.
const NAMES: [(&str, i32); 19] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("FPE", 8),
    ("KILL", 9),
    ("SEGV", 11),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("USR1", 10),
    ("USR2", 12),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("WINCH", 28),
];

impl Signal {
    /// Hang-up.
    pub const HUP: Self = Self(1);
    /// Ctrl-C.
    pub const INT: Self = Self(2);
    /// Ctrl-\.
    pub const QUIT: Self = Self(3);
    /// Kill.
    pub const KILL: Self = Self(9);
    /// The first of two without a meaning of their own.
    pub const USR1: Self = Self(10);
    /// The second of two without a meaning of their own.
    pub const USR2: Self = Self(12);
    /// Terminate.
    pub const TERM: Self = Self(15);
    /// Go on.
    pub const CONT: Self = Self(18);
    /// The window changed its size.
    pub const WINCH: Self = Self(28);

    /// The signal with this number.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether it asks redlock to leave while there is no command yet; the others have nothing to tell it then.
    #[must_use]
    pub const fn ends_a_wait(self) -> bool {
        matches!(self, Self::HUP | Self::INT | Self::QUIT | Self::TERM)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// `TERM`, `SIGTERM`, `term` or `15`, as kill(1) takes them.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        match text.parse() {
            Ok(number @ 1..=64) => Ok(Self(number)),
            _ => Err(UnknownSignal),
        }
    }
}

/// A text that names no signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownSignal;

impl fmt::Display for UnknownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a signal such as TERM or INT, or a number from 1 to 64")
    }
}

impl std::error::Error for UnknownSignal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named_as_kill_names_it() {
        for (text, expected) in [
            ("TERM", Ok(Signal::TERM)),
            ("SIGTERM", Ok(Signal::TERM)),
            ("sigusr1", Ok(Signal::USR1)),
            ("15", Ok(Signal::TERM)),
            ("64", Ok(Signal::new(64))),
            ("0", Err(UnknownSignal)),
            ("65", Err(UnknownSignal)),
            ("SIG", Err(UnknownSignal)),
            ("", Err(UnknownSignal)),
        ] {
            assert_eq!(text.parse(), expected, "{text:?}");
        }
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
        assert_eq!(Signal::new(40).to_string(), "signal 40");
    }

    #[test]
    fn only_the_four_that_ask_to_leave_end_a_wait() {
        let ending: Vec<i32> = (1..=64).filter(|n| Signal::new(*n).ends_a_wait()).collect();
        assert_eq!(ending, [1, 2, 3, 15]);
    }

    #[test]
    fn a_signal_keeps_its_number_and_what_is_none_is_refused_in_words() {
        for (signal, number) in [(Signal::HUP, 1), (Signal::TERM, 15), (Signal::new(40), 40)] {
            assert_eq!(signal.number(), number);
        }
        assert!(UnknownSignal.to_string().starts_with("expected a signal"));
    }
}
