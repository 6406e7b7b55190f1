//! Becoming a program, which is looked for as execvp(3) does, in a child that shares its parent's memory.
//!
//! What went wrong is the kernel's own answer. `errno` is the parent's too, and free(3) there puts back what it found: then a
//! directory of `PATH` that does not have the program would end the search, with a reason of something else.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc::c_char;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicPtr, Ordering};
use syscalls::{Sysno, syscall};

/// What reads a file that is executable and has no interpreter.
const SHELL: &CStr = c"/bin/sh";
/// Where programs are where there is no `PATH`, as in execvp(3).
const PATH: &[u8] = b"/bin:/usr/bin";
/// No path is this long, with the null at its end (limits.h).
const PATH_MAX: usize = 4096;

/// A program that only has to be executed.
pub(super) struct Executable {
    /// Where it may be.
    paths: Vec<CString>,
    argv: List,
    /// The same for [`SHELL`], which is told second what to read.
    argv_of_shell: List,
    environment: List,
    /// What the lists point to.
    _owned: [Vec<CString>; 2],
}

impl Executable {
    /// The program that `argv` begins with, with these arguments and this environment.
    pub(super) fn new(argv: Vec<CString>, environment: Vec<CString>) -> Self {
        let words = || argv.iter().map(CString::as_c_str);
        Self {
            paths: argv.first().map(|program| candidates(program.as_bytes())).unwrap_or_default(),
            argv: List::new(words()),
            argv_of_shell: List::new([SHELL].into_iter().chain(words())),
            environment: List::new(environment.iter().map(CString::as_c_str)),
            _owned: [argv, environment],
        }
    }

    /// Executes it; comes back only if that fails. Allocates nothing.
    pub(super) fn execute(&self) -> Errno {
        let (mut last, mut is_refused) = (Errno::ENOENT, false);
        for path in &self.paths {
            last = match execve(path, &self.argv, &self.environment) {
                Errno::ENOEXEC => self.hand_to_shell(path),
                errno => errno,
            };
            match last {
                Errno::EACCES => is_refused = true,
                Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT => {}
                _ => return last,
            }
        }
        if is_refused { Errno::EACCES } else { last }
    }

    /// What is executable and has no interpreter is for the shell to read.
    fn hand_to_shell(&self, path: &CStr) -> Errno {
        if let Some(program) = self.argv_of_shell.0.get(1) {
            program.store(path.as_ptr().cast_mut(), Ordering::Relaxed);
        }
        execve(SHELL, &self.argv_of_shell, &self.environment)
    }
}

/// Where a program of this name is looked for.
fn candidates(name: &[u8]) -> Vec<CString> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.contains(&b'/') {
        return CString::new(name).into_iter().collect();
    }
    let path = std::env::var_os("PATH");
    let directories = path.as_ref().map_or(PATH, |path| path.as_bytes()).split(|byte| *byte == b':');
    // One without a name is the directory we are in; one that is too long is none.
    let join = |directory: &[u8]| if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() };
    let directories = directories.filter(|directory| directory.len() < PATH_MAX);
    directories.filter_map(|directory| CString::new(join(directory)).ok()).collect()
}

/// Pointers to strings, and a null at the end, as execve(2) takes them.
struct List(Vec<AtomicPtr<c_char>>);

impl List {
    /// The strings must be there as long as this is.
    fn new<'a>(strings: impl Iterator<Item = &'a CStr>) -> Self {
        let pointers = strings.map(|string| string.as_ptr().cast_mut()).chain([std::ptr::null_mut()]);
        Self(pointers.map(AtomicPtr::new).collect())
    }
}

fn execve(path: &CStr, argv: &List, environment: &List) -> Errno {
    // SAFETY: a string, and two lists of strings that end with a null; none of them is written to.
    let result = unsafe { syscall!(Sysno::execve, path.as_ptr(), argv.0.as_ptr(), environment.0.as_ptr()) };
    result.map_or_else(|errno| Errno::from_raw(errno.into_raw()), |_| Errno::UnknownErrno)
}

#[cfg(test)]
mod tests {
    use super::super::sys::Apart;
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::wait::waitpid;
    use std::os::fd::AsFd as _;

    #[test]
    fn a_search_goes_on_while_its_parent_frees_memory() {
        let nowhere = CString::new("no-such-command-anywhere").unwrap();
        for _ in 0..300 {
            let program = Executable::new(vec![nowhere.clone()], Vec::new());
            assert!(!program.paths.is_empty());
            let child = Apart::start(program, 0x1_0000, |program| program.execute() as i32).unwrap();
            // What a parent finds in `errno` when it frees something, it puts back, whatever was put there meanwhile.
            while poll(&mut [PollFd::new(child.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0) {
                Errno::EINVAL.set();
                drop(std::hint::black_box(vec![0_u8; 100]));
            }
            assert_eq!(child.answer(), Some(Errno::ENOENT as i32));
            waitpid(child.pid(), None).unwrap();
        }
    }
}
