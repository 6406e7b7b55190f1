//! The only place that prints. Messages go to stderr and begin with `redlock: `; answers go to
//! stdout.

use super::super::args::OutputArgs;
use super::super::values::Color;
use super::writer::{Writer, print};
use crate::lock::is_unprintable;
use crate::policy::ProgressStyle;
use crate::supervisor::{since_1970, speaks_in_front};
use nix::sys::stat::fstat;
use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, IsTerminal as _, Stderr, Write as _};
use std::time::{Duration, UNIX_EPOCH};
use terminal_size::{Width, terminal_size_of};

/// How much is printed, and the volume that a message needs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Volume {
    Quiet,
    Plain,
    Verbose,
}

/// Time limit for the removal of the live line before the command writes. A terminal that is not
/// stopped is much faster.
const TAKING_AWAY: Duration = Duration::from_millis(100);

/// Writes messages to stderr.
#[derive(Debug)]
pub(super) struct Printer {
    /// `None` as long as no lock can be held, so that a blocking stderr harms nothing.
    writer: Option<Writer<Stderr>>,
    volume: Volume,
    is_colored: bool,
    /// Whether stderr is the journal, which reads the priority at the beginning of a line.
    is_journal: bool,
    progress: ProgressStyle,
    /// Whether the cursor is in a live line, which the next message replaces.
    has_line: Cell<bool>,
}

impl Printer {
    /// A printer with default settings, for errors before the options are known.
    pub(super) fn plain(color: Option<Color>) -> Self {
        Self {
            writer: None,
            volume: Volume::Plain,
            is_colored: wants_color(color),
            is_journal: is_journal(),
            progress: ProgressStyle::News,
            has_line: Cell::new(false),
        }
    }

    /// The printer for these options.
    pub(super) fn new(output: OutputArgs) -> Self {
        let volume = match (output.quiet, output.verbose) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Plain,
        };
        Self {
            writer: Some(Writer::new(io::stderr())),
            volume,
            is_colored: wants_color(output.color),
            is_journal: is_journal(),
            progress: if volume > Volume::Quiet && can_be_live() {
                ProgressStyle::Live
            } else {
                ProgressStyle::News
            },
            has_line: Cell::new(false),
        }
    }

    /// The form of the messages about a long wait.
    pub(super) const fn progress(&self) -> ProgressStyle {
        self.progress
    }

    /// Prints an answer (help, version, completions): the only output on stdout.
    pub(super) fn answer(text: &str) -> io::Result<()> {
        let mut stdout = io::stdout();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Whether messages of this volume are printed.
    pub(super) fn says(&self, at: Volume) -> bool {
        self.volume >= at
    }

    /// Prints a message, unless the user wants less.
    pub(super) fn say(&self, at: Volume, text: &str) {
        if self.says(at) {
            let (priority, prefix, time) = (self.priority(at), self.prefix(), self.time());
            self.write(&format!("{priority}{prefix} {time}{}\n", printable(text)));
        }
    }

    /// Prints a question; the answer is typed in the same line.
    pub(super) fn ask(&self, at: Volume, text: &str) {
        if self.volume >= at {
            self.write(&format!("{} {}", self.prefix(), printable(text)));
            self.writer.iter().for_each(|writer| writer.settle(TAKING_AWAY));
        }
    }

    /// Whether stderr is a terminal.
    pub(super) fn is_on_terminal() -> bool {
        io::stderr().is_terminal()
    }

    /// Prints a live line, which the next message replaces: `fitted` to the width of the terminal.
    /// Without a terminal, prints `full`.
    pub(super) fn say_live(&self, full: &str, fitted: impl FnOnce(usize) -> String) {
        if self.progress == ProgressStyle::News {
            return self.say(Volume::Plain, full);
        }
        // In the background, the line would disturb the user's typing. While the terminal takes
        // nothing, each line would be out of date before it is seen.
        if !speaks_in_front() || self.writer.as_ref().is_some_and(|writer| !writer.is_idle()) {
            return;
        }
        // Without wrapping, since a wrapped line could not be removed. Characters beyond the width
        // would still overwrite the last column.
        let room = terminal_size_of(io::stderr())
            .map_or(usize::MAX, |(Width(columns), _)| usize::from(columns));
        let room = room.saturating_sub("redlock: ".len());
        let shown: String = printable(&fitted(room)).chars().take(room).collect();
        self.write(&format!("\u{1b}[?7l{} {shown}\u{1b}[?7h", self.prefix()));
        self.has_line.set(true);
    }

    /// Removes the live line, and waits until it is gone, so that the command's output does not
    /// follow it.
    pub(super) fn clear_line(&self) {
        if self.has_line.get() {
            self.write("");
            self.writer.iter().for_each(|writer| writer.settle(TAKING_AWAY));
        }
    }

    fn write(&self, text: &str) {
        let clear =
            if self.has_line.replace(false) && speaks_in_front() { "\r\u{1b}[K" } else { "" };
        let line = format!("{clear}{text}");
        match &self.writer {
            Some(writer) => writer.write(line),
            None => {
                // A line that cannot be printed is lost.
                let _ = print(&io::stderr(), &line);
            }
        }
    }

    /// The priority of a message (`sd-daemon(3)`): error, warning, or information.
    const fn priority(&self, at: Volume) -> &str {
        match at {
            _ if !self.is_journal => "",
            Volume::Quiet => "<3>",
            Volume::Plain => "<4>",
            Volume::Verbose => "<6>",
        }
    }

    /// The time in front of each message of a log, in UTC and with milliseconds.
    fn time(&self) -> String {
        if self.volume < Volume::Verbose {
            return String::new();
        }
        format!("{} ", humantime::format_rfc3339_millis(UNIX_EPOCH + since_1970()))
    }

    const fn prefix(&self) -> &str {
        if self.is_colored { "\u{1b}[1mredlock:\u{1b}[0m" } else { "redlock:" }
    }
}

/// A message whose names of files, options and servers cannot act on a terminal. A message of several
/// lines stays one.
fn printable(text: &str) -> Cow<'_, str> {
    let acts = |c| c != '\n' && is_unprintable(c);
    if text.contains(acts) { text.replace(acts, "?").into() } else { text.into() }
}

/// Columns of the terminal on stdout; the largest number if stdout is no terminal.
pub(super) fn answer_width() -> usize {
    terminal_size_of(io::stdout()).map_or(usize::MAX, |(Width(columns), _)| usize::from(columns))
}

/// Whether stderr is the stream that `JOURNAL_STREAM` names by its device and inode: a program that
/// redirects stderr leaves the variable as it is (`systemd.exec(5)`).
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stream| format!("{}:{}", stream.st_dev, stream.st_ino) == named)
}

/// Whether a line can be kept up to date: stderr is a terminal, and redlock is in its foreground.
fn can_be_live() -> bool {
    is_able_terminal() && speaks_in_front()
}

/// Whether stderr is a terminal that obeys escapes.
fn is_able_terminal() -> bool {
    io::stderr().is_terminal()
        && std::env::var_os("TERM").is_some_and(|kind| !kind.is_empty() && kind != "dumb")
}

fn wants_color(color: Option<Color>) -> bool {
    match color.unwrap_or(Color::Auto) {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && is_able_terminal()
        }
    }
}
