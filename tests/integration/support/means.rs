//! Needs of a test other than programs: root, or namespaces. A test without them is left out, with
//! a message.

use super::run::REDLOCK;
use super::{Cluster, Run};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Whether the tests run as root. If not, prints that the test is left out for `reason`.
pub(crate) fn is_root(reason: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        leave_out(&format!("{reason}: run it as root"));
    }
    is_root
}

/// `unshare(1)` with these namespaces, by the letters of its flags. The caller adds a program.
/// `None` if the system allows no namespaces: the test is then left out.
pub(crate) fn apart(cluster: &Cluster, namespaces: &str) -> Option<Run> {
    let flags = flags(namespaces)?;
    Some(Run::program(cluster, "unshare").args([flags]))
}

/// The flags of `unshare(1)` for these namespaces, with a user namespace if that is needed.
pub(crate) fn flags(namespaces: &str) -> Option<String> {
    let user = if nix::unistd::geteuid().is_root() { "" } else { "r" };
    let flags = format!("-{user}{namespaces}");
    if !can_unshare(&flags) {
        leave_out(&format!("the system refuses `unshare {flags}`: run it as root"));
        return None;
    }
    Some(flags)
}

/// Tried once for each set of flags.
fn can_unshare(flags: &str) -> bool {
    static TRIED: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    *tried.entry(flags.to_owned()).or_insert_with(|| {
        let mut command = Command::new("unshare");
        command
            .args([flags, "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().expect("unshare(1) is there").success()
    })
}

/// Prints to the terminal, since the output of passing tests is captured, and to the file that
/// `make test` prints at its end.
pub(crate) fn leave_out(reason: &str) {
    let thread = std::thread::current();
    let line = format!("left out: {}: {reason}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("REDLOCK_TEST_LEFT_OUT") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// redlock in a mount namespace, and in the others of `namespaces`, in which /etc is the directory
/// `etc` of the test. The test writes the files of names there. `prepare` is a command of sh(1)
/// that runs first.
pub(crate) fn redlock_with_etc(cluster: &Cluster, namespaces: &str, prepare: &str) -> Option<Run> {
    let etc = etc(cluster);
    for file in ["passwd", "group", "nsswitch.conf", "host.conf"] {
        // A file that does not exist is not needed either.
        let _ = std::fs::copy(format!("/etc/{file}"), etc.join(file));
    }
    let script = format!("mount --bind '{}' /etc && {prepare} && exec \"$@\"", etc.display());
    Some(apart(cluster, &format!("m{namespaces}"))?.args(["sh", "-c", &script, "sh", REDLOCK]))
}

/// The directory that is /etc in the namespace.
pub(crate) fn etc(cluster: &Cluster) -> PathBuf {
    let etc = cluster.dir().join("etc");
    std::fs::create_dir_all(&etc).expect("a directory");
    etc
}
