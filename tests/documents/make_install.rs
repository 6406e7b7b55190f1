//! `make install` and `make uninstall`.

use crate::pages;
use std::fs;
use std::path::Path;
use std::process::Command;

fn make(target: &str, place: &Path, binary: &Path) {
    let mut command = Command::new("make");
    command.arg(target).current_dir(pages::root());
    command.arg(format!("DESTDIR={}", place.display())).arg("PREFIX=/usr");
    // One that is newer than the sources, so that nothing is built.
    command.arg(format!("BINARY={}", binary.display()));
    // make tells a make inside it about its own.
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
    let output = command.output().expect("make is there");
    assert!(output.status.success(), "make {target}: {output:?}");
}

/// The files below a directory.
fn files(top: &Path) -> Vec<String> {
    let output =
        Command::new("find").args([top.as_os_str()]).args(["-type", "f"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| line[top.to_str().unwrap().len()..].to_owned();
    text.lines().map(name).collect()
}

#[test]
fn make_install_puts_everything_in_place_and_make_uninstall_removes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (place, binary) = (dir.path().join("root"), dir.path().join("redlock"));
    fs::write(&binary, "").unwrap();
    make("install", &place, &binary);
    let installed = files(&place);
    let mut expected: Vec<String> = [
        "/usr/bin/redlock",
        "/usr/share/bash-completion/completions/redlock",
        "/usr/share/zsh/site-functions/_redlock",
        "/usr/share/fish/vendor_completions.d/redlock.fish",
    ]
    .map(str::to_owned)
    .into();
    for page in pages::files(&["man"], "") {
        let Some(name) = page.strip_prefix("man/").filter(|name| !name.contains('/')) else {
            continue;
        };
        let section = name.rsplit('.').next().unwrap();
        expected.push(format!("/usr/share/man/man{section}/{name}"));
    }
    for file in &expected {
        assert!(installed.contains(file), "{file} is not installed: {installed:#?}");
    }
    assert_eq!(installed.len(), expected.len(), "{installed:#?}");
    make("uninstall", &place, &binary);
    assert_eq!(files(&place), Vec::<String>::new(), "left after make uninstall");
}
