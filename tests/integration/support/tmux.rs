//! A terminal within tmux.

use super::{Cluster, Run, until};

/// A tmux server of its own, which ends with the test.
pub(crate) struct Tmux<'a>(&'a Cluster);

impl<'a> Tmux<'a> {
    /// With a window named `desk`, in which bash waits for a line.
    pub(crate) fn start(cluster: &'a Cluster) -> Self {
        let tmux = Self(cluster);
        tmux.command(&[
            "new-session",
            "-d",
            "-s",
            "desk",
            "exec env PS1='> ' bash --norc --noprofile -i",
        ]);
        tmux.until_screen(">");
        tmux
    }

    pub(crate) fn command(&self, words: &[&str]) -> String {
        let run = Run::program(self.0, "tmux").env("TMUX_TMPDIR", self.0.dir()).without("TMUX");
        let run = run.env("TERM", "xterm").env("REDLOCK_TTL", "10s").with_default_signals();
        let run = run.arg_line("-L", &["redlock-test", "-f", "/dev/null"], words);
        run.finish().expect("tmux", 0).out()
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        self.command(&[&["send-keys", "-t", "desk"], keys].concat());
    }

    /// Types a line.
    pub(crate) fn line(&self, line: &str) {
        self.keys(&[line, "Enter"]);
    }

    pub(crate) fn until_screen(&self, text: &str) {
        let screen = || self.command(&["capture-pane", "-p", "-t", "desk"]);
        until(&format!("tmux shows {text:?}"), || screen().contains(text));
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let run = Run::program(self.0, "tmux").env("TMUX_TMPDIR", self.0.dir());
        run.args(["-L", "redlock-test", "kill-server"]).finish();
    }
}
