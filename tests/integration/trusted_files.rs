//! Configuration, password and certificate files: redlock uses none that blocks, has no end, or can
//! be changed by another user.
//!
//! Without TLS, three of the five kinds are not read.
#![cfg(feature = "tls")]

use crate::support::means::is_root;
use crate::support::run::copy_for_all_users;
use crate::support::{Cluster, Output, Pki, Run};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

const NOBODY: u32 = 65534;

/// The options that name a file, each with the largest size of the file.
const OPTIONS: [(&str, &str); 5] = [
    ("--config", "64 KiB"),
    ("--password-file", "64 KiB"),
    ("--cacert", "4 MiB"),
    ("--cert", "64 KiB"),
    ("--key-file", "64 KiB"),
];

struct Stage {
    cluster: Cluster,
    pki: Pki,
}

impl Stage {
    fn new() -> Self {
        let pki = Pki::new();
        pki.issue("client", "ca", "DNS:client", "2");
        let mut cluster = Cluster::start_tls(3, &pki, &[]);
        (0..3).for_each(|i| cluster.require_password(i, "s3cret"));
        let stage = Self { cluster, pki };
        let urls = stage.cluster.tls_urls().split(',').map(str::to_owned).collect::<Vec<_>>();
        stage.file("--config", &format!("urls = {urls:?}"));
        stage.file("--password-file", "s3cret");
        for (option, file) in
            [("--cacert", "ca.crt"), ("--cert", "client.crt"), ("--key-file", "client.key")]
        {
            stage.file(option, &fs::read_to_string(stage.pki.path(file)).unwrap());
        }
        stage
    }

    fn path(&self, option: &str) -> PathBuf {
        self.cluster.dir().join(option.trim_start_matches('-'))
    }

    /// Writes the file of an option, which only its owner may read or change.
    fn file(&self, option: &str, text: &str) {
        fs::write(self.path(option), text).unwrap();
        set_mode(&self.path(option), 0o600);
    }

    /// A run that needs all files. `path` replaces the file of `option`.
    fn run(&self, option: &str, path: &Path) -> Output {
        let run = Run::redlock(&self.cluster).without("REDLOCK_URLS").args(["run", "-w", "9s"]);
        let file = |(name, _): &(&str, &str)| {
            if *name == option { path.to_owned() } else { self.path(name) }
        };
        let options = OPTIONS.iter().flat_map(|it| [PathBuf::from(it.0), file(it)]);
        run.args(options).args(["files", "--", "echo", "ran"]).finish()
    }

    fn refused(&self, option: &str, path: &Path, words: &[&str]) {
        let label = format!("{option} {}: {words:?}", path.display());
        let output = self.run(option, path).expect(&label, 78).expect_words(&label, words);
        assert_eq!(output.out(), "", "{label}");
        assert_eq!(output.stderr.lines().count(), 1, "{label}: {}", output.stderr);
        assert!(!output.stderr.contains("s3cret"), "{label}: {}", output.stderr);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_blocks_or_has_no_end_is_refused() {
    let stage = Stage::new();
    let dir = stage.cluster.dir();
    let fifo = dir.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let endless = dir.join("endless");
    fs::write(&endless, vec![b'#'; 0x40_0001]).unwrap();
    for (option, limit) in OPTIONS {
        stage.refused(option, &fifo, &["no regular file"]);
        stage.refused(option, Path::new("/dev/zero"), &["no regular file"]);
        stage.refused(option, dir, &["no regular file"]);
        stage.refused(option, &endless, &["too large", limit]);
    }
    stage.cluster.until_no_key_is_left();
}

#[test]
fn a_file_that_another_user_can_change_is_refused() {
    let stage = Stage::new();
    for (option, _) in OPTIONS {
        let path = stage.path(option);
        for mode in [0o620, 0o602] {
            set_mode(&path, mode);
            stage.refused(
                option,
                &path,
                &[&format!("mode {mode:04o}"), &format!("chmod go-w {}", path.display())],
            );
        }
        set_mode(&path, 0o600);
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !is_root("it gives files to other users") {
        return;
    }
    let stage = Stage::new();
    for (option, _) in OPTIONS {
        let path = stage.path(option);
        chown(&path, Some(NOBODY), None).unwrap();
        stage.refused(
            option,
            &path,
            &["belongs to user 65534", &format!("chown root {}", path.display())],
        );
        let link = stage.cluster.dir().join("link");
        symlink(&path, &link).unwrap();
        stage.refused(option, &link, &["belongs to user 65534"]);
        chown(&path, Some(0), None).unwrap();
        stage.run(option, &link).expect("a link to a file of ours", 0).expect_words_of_command();
        fs::remove_file(link).unwrap();
    }
}

impl Output {
    /// The command ran, and redlock said nothing.
    fn expect_words_of_command(self) {
        assert_eq!((self.out().as_str(), self.stderr.as_str()), ("ran\n", ""));
    }
}

#[test]
fn files_of_root_are_good_for_every_user() {
    if !is_root("it becomes another user") {
        return;
    }
    let stage = Stage::new();
    let redlock = copy_for_all_users(&stage.cluster);
    set_mode(stage.cluster.dir(), 0o711);
    for (option, _) in OPTIONS {
        set_mode(&stage.path(option), 0o640);
    }
    let run = Run::program(&stage.cluster, "setpriv").args([
        "--reuid=nobody",
        "--regid=root",
        "--clear-groups",
    ]);
    let run = run.without("REDLOCK_URLS").args([&redlock]).args(["run"]);
    let options =
        OPTIONS.iter().flat_map(|(option, _)| [PathBuf::from(option), stage.path(option)]);
    run.args(options)
        .args(["files", "--", "echo", "ran"])
        .finish()
        .expect("nobody", 0)
        .expect_words_of_command();
}

#[test]
fn a_secret_that_everybody_can_read_is_warned_of_once() {
    let stage = Stage::new();
    let urls = stage.cluster.tls_urls().replace("rediss://", "rediss://:s3cret@");
    stage.file("--config", &format!("urls = {:?}", urls.split(',').collect::<Vec<_>>()));
    for (option, is_secret) in [
        ("--config", true),
        ("--password-file", true),
        ("--key-file", true),
        ("--cacert", false),
        ("--cert", false),
    ] {
        let path = stage.path(option);
        set_mode(&path, 0o644);
        let output = stage.run(option, &path).expect(option, 0);
        let warned = output.stderr.matches(&format!("chmod o-r {}", path.display())).count();
        assert_eq!(
            (warned, output.stderr.lines().count()),
            if is_secret { (1, 1) } else { (0, 0) },
            "{}",
            output.stderr
        );
        assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
        set_mode(&path, 0o600);
    }
    let quiet = Run::redlock(&stage.cluster).without("REDLOCK_URLS").args(["run", "-q"]);
    let options =
        OPTIONS.iter().flat_map(|(option, _)| [PathBuf::from(option), stage.path(option)]);
    set_mode(&stage.path("--config"), 0o644);
    quiet.args(options).args(["files", "--", "true"]).finish().expect("-q", 0).expect_silence("-q");
    // If the URLs have no password, every user may read the file.
    let urls = stage.cluster.urls().split(',').map(str::to_owned).collect::<Vec<_>>();
    stage.file("--config", &format!("urls = {urls:?}"));
    set_mode(&stage.path("--config"), 0o644);
    stage.run("--config", &stage.path("--config")).expect("no secret", 0).expect_words_of_command();
}

#[test]
fn an_own_configuration_that_cannot_be_looked_for_is_not_passed_over() {
    if !is_root("it becomes another user") {
        return;
    }
    let cluster = Cluster::start(3);
    let home = cluster.dir().join("home");
    let closed = home.join(".config");
    fs::create_dir_all(&closed).unwrap();
    let redlock = copy_for_all_users(&cluster);
    set_mode(cluster.dir(), 0o711);
    set_mode(&closed, 0o700);
    let run = || {
        let run = Run::program(&cluster, "setpriv").args([
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
        ]);
        let run = run.without("XDG_CONFIG_HOME").env("HOME", &home).args([&redlock]);
        run.args(["run", "files", "--", "true"]).finish()
    };
    run().expect("the home of another user", 0);
    chown(&home, Some(NOBODY), None).unwrap();
    run().expect("our home", 78).expect_words(
        "our home",
        &["cannot read", ".config/redlock/config.toml", "permission denied"],
    );
}

#[test]
fn a_bundle_of_authorities_may_be_larger() {
    let stage = Stage::new();
    let authority = fs::read_to_string(stage.path("--cacert")).unwrap();
    let bundle = format!("{}{authority}", "# a comment of one line\n".repeat(0x2000));
    assert!(bundle.len() > 0x2_0000);
    stage.file("--cacert", &bundle);
    stage.run("--cacert", &stage.path("--cacert")).expect("a bundle", 0).expect_words_of_command();
}
