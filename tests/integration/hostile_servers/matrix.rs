//! Each misbehaviour, of one server of three, two of five, and all, from each step of a run on.
//!
//! If a minority lies, the step must succeed in time. If all servers lie, redlock must end with a
//! code of its table, in time. Neither may cost much memory or processor time.

use super::meter::{Figures, Meter};
use super::peer::Peer;
use super::table::{DENIES_ALONE, Row};
use crate::support::clock::{let_pass, now, since};
use crate::support::{Cluster, HOLD, Output, Run, until};
use std::time::Duration;

/// The servers that lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extent {
    OneOfThree,
    TwoOfFive,
    All,
}

/// The step from whose beginning on the servers lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Acquire,
    Wait,
    Hold,
    Release,
}

pub(super) const EXTENTS: [Extent; 3] = [Extent::OneOfThree, Extent::TwoOfFive, Extent::All];
pub(super) const STEPS: [Step; 4] = [Step::Acquire, Step::Wait, Step::Hold, Step::Release];

pub(super) const TTL: Duration = Duration::from_secs(2);
/// Time limit of a step if a minority lies, on a busy machine.
const PROMPT: Duration = Duration::from_secs(8);
const BOUND: Duration = Duration::from_secs(30);
const MOST_KIB: u64 = 32 << 10;
/// Exit codes that redlock may have if all servers lie.
const CODES: [i32; 6] = [0, 69, 74, 75, 77, 78];

/// The servers of one cell.
pub(super) struct Cell<'a> {
    cluster: &'a Cluster,
    peers: Vec<Peer>,
    row: Row,
    extent: Extent,
    name: String,
    urls: String,
}

impl<'a> Cell<'a> {
    pub(super) fn new(cluster: &'a Cluster, row: Row, extent: Extent, name: String) -> Self {
        let (liars, size) = match extent {
            Extent::OneOfThree => (1, 3),
            Extent::TwoOfFive => (2, 5),
            Extent::All => (3, 3),
        };
        let peers: Vec<Peer> =
            (0..liars).map(|i| Peer::before(cluster.port(i), row.2, row.1)).collect();
        let honest = (liars..size).map(|i| format!("redis://default:any@{}/1", cluster.address(i)));
        let urls = peers.iter().map(Peer::url).chain(honest).collect::<Vec<_>>().join(",");
        Self { cluster, peers, row, extent, name, urls }
    }

    fn lie(&self) {
        self.peers.iter().for_each(Peer::lie);
    }

    fn redlock(&self, options: &[&str], command: &[&str]) -> Meter {
        let run = Run::redlock(self.cluster).env("REDLOCK_URLS", &self.urls);
        let run = run.env("REDLOCK_RESTART_GUARD", "2s").env("REDLOCK_TTL", "2s");
        Meter::of(run.args(options).args([&self.name]).args(command).spawn())
    }

    fn holder(&self) -> Meter {
        self.redlock(&["run", "-w", "20s"], &[&["--"], &HOLD[..]].concat())
    }

    fn is_minority(&self) -> bool {
        self.extent != Extent::All
    }

    /// Tries one step. Returns the figures, or the fault.
    pub(super) fn try_step(&self, step: Step, hold: Duration) -> Result<Figures, String> {
        match step {
            Step::Acquire => self.acquire(),
            Step::Wait => self.wait(),
            Step::Hold => self.hold(hold),
            Step::Release => self.release(),
        }
    }

    fn acquire(&self) -> Result<Figures, String> {
        self.lie();
        let limit = if self.is_minority() { "20s" } else { "3s" };
        let run = self.redlock(&["run", "-w", limit], &["--", "echo", "ran"]);
        let (output, figures) = run.finish(BOUND);
        self.judge(&output, figures, 0)?;
        if self.is_minority() { self.is_prompt(figures) } else { Ok(figures) }
    }

    fn wait(&self) -> Result<Figures, String> {
        let holder = self.holder();
        holder.running.until_ready();
        self.lie();
        let limit = if self.is_minority() { "20s" } else { "3s" };
        let mut waiters = [
            self.redlock(&["run", "-w", limit], &["--", "true"]),
            self.redlock(&["wait", "-w", limit], &[]),
        ];
        for waiter in &mut waiters {
            waiter.until_over(Duration::from_millis(1500));
        }
        let (held, _) = holder.finish(BOUND);
        self.judge(&held, Figures::default(), 0)?;
        let begun = now();
        let mut all = Figures::default();
        for waiter in waiters {
            let (output, mut figures) = waiter.finish(BOUND);
            figures.took = since(begun);
            self.judge(&output, figures, 0)?;
            all = all.max(figures);
        }
        if self.is_minority() { self.is_prompt(all) } else { Ok(all) }
    }

    fn hold(&self, length: Duration) -> Result<Figures, String> {
        // One that connects while the servers are honest, and one that connects afterwards.
        let early = self.holder();
        early.running.until_ready();
        self.lie();
        let mut holders = vec![early];
        if self.is_minority() && !DENIES_ALONE.contains(&self.row.0) {
            let other = Self { name: format!("{}-late", self.name), ..self.again() };
            other.lie();
            let late = other.holder();
            late.running.until_ready();
            holders.push(late);
            let result = self.watch(holders, length);
            drop(other);
            return result;
        }
        self.watch(holders, length)
    }

    fn watch(&self, mut holders: Vec<Meter>, length: Duration) -> Result<Figures, String> {
        let begun = now();
        while since(begun) < length && holders.iter_mut().all(|holder| holder.running.goes_on()) {
            holders.iter_mut().for_each(Meter::look);
            let_pass(Duration::from_millis(50));
        }
        let mut all = Figures::default();
        for mut holder in holders {
            if self.is_minority() && !holder.running.goes_on() {
                return Err(format!("the lock is lost: {:?}", holder.finish(BOUND).0));
            }
            let (output, figures) = holder.finish(BOUND);
            self.judge(&output, figures, 0)?;
            all = all.max(figures);
        }
        Ok(all)
    }

    fn release(&self) -> Result<Figures, String> {
        let holder = self.holder();
        holder.running.until_ready();
        self.lie();
        let (output, figures) = holder.finish(BOUND);
        self.judge(&output, figures, 0)?;
        if output.status.code() != Some(0) {
            return Err(format!("a release changes the exit code: {output:?}"));
        }
        if self.is_minority() {
            let size = if self.extent == Extent::OneOfThree { 3 } else { 5 };
            let key = format!("redlock:{}", self.name);
            let script = "redis.call('SELECT', '1') return redis.call('EXISTS', KEYS[1])";
            until("the honest servers are free", || {
                (self.peers.len()..size)
                    .all(|i| self.cluster.ask::<i64>(i, &["EVAL", script, "1", &key]) == 0)
            });
        }
        self.is_prompt(figures)
    }

    /// The same servers behind other liars.
    fn again(&self) -> Self {
        Self::new(self.cluster, self.row, self.extent, self.name.clone())
    }

    fn is_prompt(&self, figures: Figures) -> Result<Figures, String> {
        let is_exempt = DENIES_ALONE.contains(&self.row.0);
        (figures.took < PROMPT || is_exempt).then_some(figures).ok_or(format!("late: {figures:?}"))
    }

    fn judge(&self, output: &Output, figures: Figures, expected: i32) -> Result<(), String> {
        let code = output.status.code();
        let is_exempt = DENIES_ALONE.contains(&self.row.0) && code == Some(78);
        let is_right = match code {
            Some(code) if self.is_minority() => code == expected || is_exempt,
            Some(code) => CODES.contains(&code),
            None => false,
        };
        if !is_right {
            return Err(format!("ended with {:?}: {}", output.status, cut(&output.stderr)));
        }
        if output.stderr.len() > 8192 || !is_clean(&output.stderr) {
            return Err(format!("said {} bytes: {}", output.stderr.len(), cut(&output.stderr)));
        }
        if figures.peak > MOST_KIB {
            return Err(format!("{} KiB", figures.peak));
        }
        Ok(())
    }
}

/// Whether the text has no character that controls a terminal, or hides or reverses text.
fn is_clean(text: &str) -> bool {
    let hides = |c: char| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    text.chars().all(|c| c == '\n' || !(c.is_control() || hides(c)))
}

fn cut(text: &str) -> String {
    text.chars().take(900).flat_map(char::escape_debug).collect()
}
