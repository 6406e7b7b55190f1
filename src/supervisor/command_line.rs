//! The command line of this process, as ps(1) shows it.

use super::guardian::descendants::read_whole;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Replaces the whole command line by `title`, cut to its length. If the kernel refuses the write,
/// the line stays unchanged.
pub(super) fn replace(title: &str) {
    let Some((start, room)) = place() else { return };
    let mut title = title.as_bytes().to_vec();
    title.resize(room.saturating_sub(1), 0);
    title.push(0);
    let _ = write(start, &title);
}

/// Replaces each text by another of the same length, at every place in the command line. Returns
/// whether the command line was written.
#[must_use]
pub fn rewrite(texts: &[(String, String)]) -> bool {
    let (Ok(mut line), Some((start, room))) = (std::fs::read("/proc/self/cmdline"), place()) else {
        return false;
    };
    for (old, new) in texts {
        replace_all(&mut line, old.as_bytes(), new.as_bytes());
    }
    // If the lengths differ, the process has set another title already.
    line.len() == room && write(start, &line).is_some()
}

/// Replaces `old` by `new` in `line`. Both must have the same length.
fn replace_all(line: &mut [u8], old: &[u8], new: &[u8]) {
    let mut at: usize = 0;
    while let Some(found) = line.get_mut(at..at.saturating_add(old.len())) {
        if found == old && old.len() == new.len() {
            found.copy_from_slice(new);
        }
        at = at.saturating_add(1);
    }
}

/// The address of the command line in the memory of this process, and its length.
fn place() -> Option<(u64, usize)> {
    let line = read_whole("/proc/self/stat").ok()?;
    // Fields 48 and 49 of proc_pid_stat(5). The first field behind the name is the third.
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace().skip(45);
    let mut address = || fields.next()?.parse::<u64>().ok();
    let (start, end) = (address()?, address()?);
    let room = usize::try_from(end.checked_sub(start)?).ok()?;
    (room > 0).then_some((start, room))
}

fn write(start: u64, bytes: &[u8]) -> Option<()> {
    File::options().write(true).open("/proc/self/mem").ok()?.write_all_at(bytes, start).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_occurrence_is_replaced_by_as_many_bytes() {
        let mut line = b"run\0-u\0:hush@a,:hush@b\0--\0x".to_vec();
        replace_all(&mut line, b":hush@", b":xxxx@");
        assert_eq!(line, b"run\0-u\0:xxxx@a,:xxxx@b\0--\0x");
        replace_all(&mut line, b":xxxx@", b"shorter");
        replace_all(&mut line, &[b'x'; 100], &[b'y'; 100]);
        assert_eq!(line, b"run\0-u\0:xxxx@a,:xxxx@b\0--\0x");
    }
}
