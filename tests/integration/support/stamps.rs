//! A command that notes its last moment alive.

use super::{Cluster, until_some};
use std::fs;
use std::time::Duration;

/// A bash script that appends the wall clock to the file `stamps` every few milliseconds, until a
/// signal kills it. It has no child process, which could outlive it.
pub(crate) const STAMPING: &str = "exec 9<> <(:); echo ready; while :; do echo $EPOCHREALTIME; read -rt 0.002 -u 9; done >>stamps";

/// The last noted moment, by the wall clock as in [`super::Monitor`].
pub(crate) fn last(cluster: &Cluster) -> Duration {
    until_some("the command noted a moment", || {
        let stamps = fs::read_to_string(cluster.dir().join("stamps")).ok()?;
        let whole = stamps.rsplit_once('\n')?.0;
        let (seconds, micros) = whole.rsplit('\n').next()?.split_once('.')?;
        Some(
            Duration::from_secs(seconds.parse().ok()?)
                + Duration::from_micros(micros.parse().ok()?),
        )
    })
}
