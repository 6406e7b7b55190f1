//! Shared libraries in C that change the system for one program. The C compiler is there, since the
//! linker needs it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the library with this name in `dir`, unless it is there already: a program may have it
/// open.
pub(crate) fn built(name: &str, dir: &Path) -> PathBuf {
    let library = dir.join(format!("{name}.so"));
    if library.exists() {
        return library;
    }
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/integration/support/{name}.c"));
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(compiler.expect("the C compiler is there").success(), "{name}.c cannot be built");
    library
}
