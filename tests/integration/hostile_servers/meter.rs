//! The memory and the processor time of one redlock, while it lives.

use crate::support::Running;
use crate::support::clock::{now, since};
use crate::support::{Output, clock};
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Duration of the step under test.
    pub(super) took: Duration,
    pub(super) lived: Duration,
    pub(super) cpu: Duration,
    /// The largest memory, in KiB.
    pub(super) peak: u64,
}

impl Figures {
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            took: self.took.max(other.took),
            lived: self.lived.max(other.lived),
            cpu: self.cpu.max(other.cpu),
            peak: self.peak.max(other.peak),
        }
    }
}

/// A redlock whose memory and processor time are read now and then.
pub(super) struct Meter {
    pub(super) running: Running,
    begun: Duration,
    figures: Figures,
}

impl Meter {
    pub(super) fn of(running: Running) -> Self {
        Self { running, begun: now(), figures: Figures::default() }
    }

    pub(super) fn look(&mut self) {
        let proc = format!("/proc/{}", self.running.pid());
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.figures.peak = self.figures.peak.max(peak.unwrap_or_default());
        let mut cpu = 0;
        for task in std::fs::read_dir(format!("{proc}/task")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            cpu += text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        }
        self.figures.cpu = self.figures.cpu.max(Duration::from_nanos(cpu));
        self.figures.lived = since(self.begun);
    }

    /// Waits until redlock has ended, or for `patience` at most.
    pub(super) fn until_over(&mut self, patience: Duration) {
        let begun = now();
        while self.running.goes_on() && since(begun) < patience {
            self.look();
            clock::let_pass(Duration::from_millis(10));
        }
    }

    /// Closes the input of redlock's command, and waits for the end.
    pub(super) fn finish(mut self, patience: Duration) -> (Output, Figures) {
        self.running.let_go();
        self.look();
        let begun = now();
        self.until_over(patience);
        self.figures.took = since(begun);
        (self.running.wait_within(Duration::from_millis(100)), self.figures)
    }
}
