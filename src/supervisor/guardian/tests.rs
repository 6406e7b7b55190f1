//! Messages between redlock and the guardian arrive whole, in whatever parts their bytes come.

use super::protocol::{GuardianCommand, Inbox, Outbox};
use super::spawn::{Group, Program};
use super::{GuardianEvent, Missing};
use crate::lock::Time;
use crate::policy::{ChildEvent, End, Signal};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStringExt as _;

/// A pipe with room for some bytes, which moves at most two bytes at a time.
struct Narrow {
    bytes: VecDeque<u8>,
    room: usize,
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(2).min(self.room - self.bytes.len());
        self.bytes.extend(&bytes[..count]);
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Narrow {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = bytes.len().min(2).min(self.bytes.len());
        for (to, from) in bytes.iter_mut().zip(self.bytes.drain(..count)) {
            *to = from;
        }
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }
}

fn commands() -> Vec<GuardianCommand> {
    let program = Program {
        argv: vec!["a b".into(), OsString::from_vec(vec![0xFF, b'"', b'\n'])],
        variables: vec![("A".into(), "b\n\"c".into())],
        hidden: vec!["C".into()],
        group: Group::Own,
    };
    vec![
        GuardianCommand::Start {
            id: 7,
            program,
            stop_at: Time::from_nanos(1),
            kill_at: Time::NEVER,
        },
        GuardianCommand::SetKillDeadline(Time::from_nanos(u64::MAX - 1)),
        GuardianCommand::Signal { number: 64, wake: true },
        GuardianCommand::SetHook(Some(1)),
        GuardianCommand::Dismiss,
    ]
}

#[test]
fn a_message_that_is_taken_in_parts_is_heard_whole() {
    for room in [1, 3, 10, 1000] {
        let mut pipe = Narrow { bytes: VecDeque::new(), room };
        let (mut outbox, mut inbox, mut heard) = (Outbox::default(), Inbox::default(), Vec::new());
        for command in commands() {
            outbox.add(&command);
        }
        while !outbox.is_empty() {
            outbox.flush(&mut pipe).unwrap();
            assert!(inbox.fill(&mut pipe), "it is open");
            heard.extend(std::iter::from_fn(|| inbox.next::<GuardianCommand>()));
        }
        assert_eq!(heard, commands(), "{room} bytes at once");
    }
}

#[test]
fn messages_before_the_end_are_received_and_an_invalid_line_is_dropped() {
    let event = GuardianEvent {
        program: 1,
        pid: 2,
        what: ChildEvent::Ended { end: End::Signaled(Signal::new(40)), at: Time::from_nanos(5) },
    };
    let mut outbox = Outbox::default();
    outbox.add(&"no event");
    outbox.add(&event);
    let mut bytes = Vec::new();
    outbox.flush(&mut bytes).unwrap();
    bytes.extend(b"{\"program\":");
    let mut inbox = Inbox::default();
    assert!(!inbox.fill(bytes.as_slice()), "it is at its end");
    assert_eq!(inbox.next(), Some(event));
    assert_eq!(inbox.next::<GuardianEvent>(), None);
}

#[test]
fn nothing_is_kept_for_a_guardian_that_is_gone() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut outbox = Outbox::default();
    outbox.add(&Err::<(), _>(Missing::Call(1)));
    assert!(outbox.flush(Gone).is_err());
    assert!(outbox.is_empty());
}
