//! Signals by name and number, and the reaction of a run to each.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A signal, by its number on this architecture (`signal(7)`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signal(i32);

/// Names without `SIG`, with the numbers of this architecture.
const NAMES: [(&str, i32); 30] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// Stage of a run, as the reaction to signals needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The lock is not held yet.
    Waiting,
    /// The lock is held, and the command is not started yet.
    Starting,
    /// The command runs or is being stopped.
    Running,
    /// The command has ended.
    Releasing,
}

/// Sender of a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A process, which sent the signal to redlock alone.
    Process,
    /// The terminal, which sent the signal to its foreground process group: the command received it
    /// as well.
    Terminal,
}

/// Reaction to a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Reaction {
    /// Release the lock, and die of the signal.
    Leave,
    /// Stop, as a job of a shell does.
    Stop,
    /// Keep the signal until the command runs. If the start is refused, react as while waiting.
    Keep,
    /// Forward the signal to the command.
    Pass,
    /// No reaction.
    Nothing,
}

impl Signal {
    /// Hang-up of the terminal.
    pub const HUP: Self = Self(libc::SIGHUP);
    /// Ctrl-C.
    pub const INT: Self = Self(libc::SIGINT);
    /// Ctrl-\.
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// Kill, which cannot be handled.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// The first signal for the use of programs.
    pub const USR1: Self = Self(libc::SIGUSR1);
    /// The second signal for the use of programs.
    pub const USR2: Self = Self(libc::SIGUSR2);
    /// Terminate.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// Continue after a stop.
    pub const CONT: Self = Self(libc::SIGCONT);
    /// Ctrl-Z.
    pub const TSTP: Self = Self(libc::SIGTSTP);
    /// Change of the window size.
    pub const WINCH: Self = Self(libc::SIGWINCH);

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

    /// The reaction of a run. This is the one table of signals; docs/faults.md describes it.
    pub const fn reaction(self, stage: Stage, origin: Origin) -> Reaction {
        match (stage, origin) {
            (Stage::Waiting, _) if self.ends_a_wait() => Reaction::Leave,
            (Stage::Waiting, _) if self.stops_a_job() => Reaction::Stop,
            (Stage::Starting, _) => Reaction::Keep,
            (Stage::Running, Origin::Process) => Reaction::Pass,
            (Stage::Running, Origin::Terminal) | (Stage::Waiting | Stage::Releasing, _) => {
                Reaction::Nothing
            }
        }
    }

    /// Whether the signal ends a run that has no command yet: its default action is to terminate
    /// the process, and it is neither USR1 nor USR2.
    #[must_use]
    pub const fn ends_a_wait(self) -> bool {
        let is_harmless = matches!(
            self.0,
            libc::SIGUSR1
                | libc::SIGUSR2
                | libc::SIGCHLD
                | libc::SIGCONT
                | libc::SIGSTOP
                | libc::SIGURG
                | libc::SIGWINCH
        );
        !is_harmless && !self.stops_a_job()
    }

    /// Whether the signal asks a command to end.
    #[must_use]
    pub const fn asks_to_end(self) -> bool {
        matches!(self, Self::HUP | Self::INT | Self::QUIT | Self::TERM)
    }

    /// Whether the signal stops a job of a shell.
    #[must_use]
    pub const fn stops_a_job(self) -> bool {
        matches!(self.0, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
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

    /// Parses `TERM`, `SIGTERM`, `term` or `15`, as `kill(1)` does. Numbers are 1 to 64.
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

/// Error of a text that names no signal.
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

    /// Each signal at each stage, sent by a process and by the terminal.
    #[test]
    fn every_signal_has_its_reaction_at_every_stage() {
        use Reaction::{Keep, Leave, Nothing, Pass, Stop};
        let harmless = [
            libc::SIGUSR1,
            libc::SIGUSR2,
            libc::SIGCHLD,
            libc::SIGCONT,
            libc::SIGSTOP,
            libc::SIGURG,
            libc::SIGWINCH,
        ];
        let stops = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        for number in 1..=64 {
            let signal = Signal::new(number);
            let of_a_wait = match number {
                number if harmless.contains(&number) => Nothing,
                number if stops.contains(&number) => Stop,
                _ => Leave,
            };
            for (stage, origin, expected) in [
                (Stage::Waiting, Origin::Process, of_a_wait),
                (Stage::Waiting, Origin::Terminal, of_a_wait),
                (Stage::Starting, Origin::Process, Keep),
                (Stage::Starting, Origin::Terminal, Keep),
                (Stage::Running, Origin::Process, Pass),
                (Stage::Running, Origin::Terminal, Nothing),
                (Stage::Releasing, Origin::Process, Nothing),
                (Stage::Releasing, Origin::Terminal, Nothing),
            ] {
                assert_eq!(
                    signal.reaction(stage, origin),
                    expected,
                    "{signal}: {stage:?}, {origin:?}"
                );
            }
        }
        let ends: Vec<i32> = (1..=64).filter(|number| Signal::new(*number).asks_to_end()).collect();
        assert_eq!(ends, [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM]);
    }

    #[test]
    fn a_signal_keeps_its_number_and_an_unknown_name_is_refused() {
        for (signal, number) in [(Signal::HUP, 1), (Signal::TERM, 15), (Signal::new(40), 40)] {
            assert_eq!(signal.number(), number);
        }
        assert!(UnknownSignal.to_string().starts_with("expected a signal"));
    }
}
