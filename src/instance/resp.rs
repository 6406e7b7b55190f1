//! Parser of replies: one value after the other from the bytes of a connection. Protocol: the Redis
//! serialization protocol, version 2, and the types of version 3 that can be a reply to redlock's
//! requests.

use redis::{PushKind, Value, VerbatimFormat};

/// Error of bytes that are no reply of Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed;

/// Longest reply, in bytes. INFO has some 6,000, a lock value at most 4,096.
pub(super) const MOST_BYTES: usize = 1 << 16;
/// Largest number of values in one reply. A status reply for 1,000 slots has 1,002.
const MOST_VALUES: usize = 1 << 12;
/// Largest depth of nested values.
const DEPTH: usize = 8;

/// Bytes of a connection that are not parsed yet. Each byte is searched once for the end of a value
/// and parsed once, in whatever parts the bytes come.
#[derive(Debug)]
pub(super) struct ReplyBuffer {
    /// Longest reply, in bytes.
    most_bytes: usize,
    bytes: Vec<u8>,
    /// Begin of the next value, or of the next part of a value that has begun.
    at: usize,
    /// Number of bytes from `at` that were searched for the end of a line.
    searched: usize,
    /// Number of missing parts of each value that has begun, the outermost first.
    missing: Vec<usize>,
    /// Number of values that have begun.
    begun: usize,
}

impl ReplyBuffer {
    /// An empty buffer for replies of at most `most_bytes`.
    pub(super) const fn with_room(most_bytes: usize) -> Self {
        Self { most_bytes, bytes: vec![], at: 0, searched: 0, missing: vec![], begun: 0 }
    }

    /// Appends `bytes`.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next value. `None` until the value is complete.
    ///
    /// # Errors
    /// When the bytes are no reply, or the reply is too long. The following bytes of the connection
    /// mean nothing then.
    pub(super) fn take(&mut self) -> Result<Option<Value>, Malformed> {
        match self.find_end() {
            Ok(()) => {}
            Err(Unread::Incomplete) if self.bytes.len() <= self.most_bytes => return Ok(None),
            Err(_) => return Err(Malformed),
        }
        let value = Rest { bytes: self.bytes.get(..self.at).unwrap_or_default(), at: 0 }.value();
        self.bytes.drain(..self.at);
        (self.at, self.searched, self.begun) = (0, 0, 0);
        value.map(Some).map_err(|_| Malformed)
    }

    /// Advances to the end of the first value.
    fn find_end(&mut self) -> Result<(), Unread> {
        loop {
            let line = self.bytes.get(self.at..).unwrap_or_default();
            let Some(length) = line.iter().skip(self.searched).position(|byte| *byte == b'\n')
            else {
                self.searched = line.len();
                return Err(Unread::Incomplete);
            };
            let end = self.searched + length;
            let header = line
                .get(..end)
                .and_then(|line| line.strip_suffix(b"\r"))
                .ok_or(Unread::Malformed)?;
            let (kind, text) = header.split_at_checked(1).ok_or(Unread::Malformed)?;
            let (body, parts) = match kind {
                b"$" | b"*" if text == b"-1" => (0, 0),
                b"$" | b"=" => (count(text, MOST_BYTES)? + 2, 0),
                b"*" | b"~" | b">" => (0, count(text, MOST_VALUES)?),
                b"%" => (0, count(text, MOST_VALUES)? * 2),
                _ => (0, 0),
            };
            if line.len() < end + 1 + body {
                return Err(Unread::Incomplete);
            }
            self.at += end + 1 + body;
            self.searched = 0;
            self.begun += 1;
            if self.begun > MOST_VALUES {
                return Err(Unread::Malformed);
            }
            if parts > 0 {
                self.missing.push(parts);
                if self.missing.len() >= DEPTH {
                    return Err(Unread::Malformed);
                }
            } else if self.has_ended() {
                return Ok(());
            }
        }
    }

    /// Counts a value that has ended. Returns whether the values that contain it have ended, too.
    fn has_ended(&mut self) -> bool {
        while let Some(missing) = self.missing.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                return false;
            }
            self.missing.pop();
        }
        true
    }
}

enum Unread {
    /// More bytes have to come.
    Incomplete,
    Malformed,
}

/// The bytes that are not parsed yet.
struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Rest<'a> {
    /// The next value. The search for its end has checked the depth already.
    fn value(&mut self) -> Result<Value, Unread> {
        let line = self.line()?;
        let (kind, text) = line.split_at_checked(1).ok_or(Unread::Malformed)?;
        match kind {
            b"+" if text == b"OK" => Ok(Value::Okay),
            b"+" | b"," | b"(" => Ok(Value::SimpleString(string(text)?)),
            // The crate knows the kinds of errors.
            b"-" => {
                redis::parse_redis_value(&[line, b"\r\n"].concat()).map_err(|_| Unread::Malformed)
            }
            b":" => Ok(Value::Int(number(text)?)),
            b"#" => Ok(Value::Boolean(text == b"t")),
            b"_" => Ok(Value::Nil),
            b"$" | b"*" if text == b"-1" => Ok(Value::Nil),
            b"$" => Ok(Value::BulkString(self.bulk(text)?.to_vec())),
            b"=" => {
                let (format, text) =
                    self.bulk(text)?.split_at_checked(4).ok_or(Unread::Malformed)?;
                let format = VerbatimFormat::Unknown(string(format.get(..3).unwrap_or_default())?);
                Ok(Value::VerbatimString { format, text: string(text)? })
            }
            b"*" => Ok(Value::Array(self.values(count(text, MOST_VALUES)?)?)),
            b"~" => Ok(Value::Set(self.values(count(text, MOST_VALUES)?)?)),
            b"%" => {
                let pair = |_| Ok((self.value()?, self.value()?));
                Ok(Value::Map((0..count(text, MOST_VALUES)?).map(pair).collect::<Result<_, _>>()?))
            }
            b">" => {
                let mut data = self.values(count(text, MOST_VALUES)?)?.into_iter();
                let Some(Value::BulkString(kind)) = data.next() else {
                    return Err(Unread::Malformed);
                };
                let kind = match kind.as_slice() {
                    b"message" => PushKind::Message,
                    b"subscribe" => PushKind::Subscribe,
                    other => PushKind::Other(string(other)?),
                };
                Ok(Value::Push { kind, data: data.collect() })
            }
            _ => Err(Unread::Malformed),
        }
    }

    fn values(&mut self, count: usize) -> Result<Vec<Value>, Unread> {
        (0..count).map(|_| self.value()).collect()
    }

    /// The bytes before the next end of a line.
    fn line(&mut self) -> Result<&'a [u8], Unread> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Unread::Incomplete)?;
        self.at += end + 1;
        rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Unread::Malformed)
    }

    /// `length` bytes, and the end of a line.
    fn bulk(&mut self, length: &[u8]) -> Result<&'a [u8], Unread> {
        let length = count(length, MOST_BYTES)?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (bulk, rest) = rest.split_at_checked(length).ok_or(Unread::Incomplete)?;
        match rest {
            [b'\r', b'\n', ..] => {
                self.at += length + 2;
                Ok(bulk)
            }
            [] | [b'\r'] => Err(Unread::Incomplete),
            _ => Err(Unread::Malformed),
        }
    }
}

fn string(bytes: &[u8]) -> Result<String, Unread> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Unread::Malformed)
}

fn number(digits: &[u8]) -> Result<i64, Unread> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Unread::Malformed)
}

fn count(digits: &[u8], most: usize) -> Result<usize, Unread> {
    number(digits)
        .ok()
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count <= most)
        .ok_or(Unread::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redis::parse_redis_value;

    fn taken(bytes: &[u8]) -> Result<Option<Value>, Malformed> {
        let mut incoming = ReplyBuffer::with_room(MOST_BYTES);
        incoming.extend(bytes);
        incoming.take()
    }

    /// Every kind of reply: lines, blocks of bytes, and arrays of both.
    fn reply() -> impl Strategy<Value = Vec<u8>> {
        let word = "[a-zA-Z0-9 _]{0,12}";
        let leaf = prop_oneof![
            word.prop_map(|text| format!("+{text}\r\n").into_bytes()),
            word.prop_map(|text| format!("-ERR {text}\r\n").into_bytes()),
            any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
            any::<bool>()
                .prop_map(|is_so| format!("#{}\r\n", if is_so { 't' } else { 'f' }).into_bytes()),
            Just(b"_\r\n".to_vec()),
            Just(b"$-1\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| [
                format!("${}\r\n", bytes.len()).as_bytes(),
                &bytes,
                b"\r\n"
            ]
            .concat()),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let many = |sign: char, each: usize| {
                prop::collection::vec(inner.clone(), 0..4).prop_map(move |mut parts| {
                    parts.truncate(parts.len() / each * each);
                    [format!("{sign}{}\r\n", parts.len() / each).into_bytes(), parts.concat()]
                        .concat()
                })
            };
            prop_oneof![many('*', 1), many('~', 1), many('%', 2)]
        })
    }

    proptest! {
        #[test]
        fn a_reply_parses_as_in_the_crate_however_the_bytes_are_cut(reply in reply(), next in reply()) {
            let mut incoming = ReplyBuffer::with_room(MOST_BYTES);
            for byte in &reply {
                prop_assert_eq!(incoming.take(), Ok(None));
                incoming.extend(&[*byte]);
            }
            incoming.extend(&next);
            prop_assert_eq!(incoming.take().unwrap(), Some(parse_redis_value(&reply).unwrap()));
            prop_assert_eq!(incoming.take().unwrap(), Some(parse_redis_value(&next).unwrap()), "the next one is whole");
            prop_assert_eq!(incoming.take(), Ok(None));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), sign in "[-+:$*%~>=#_,(]") {
            let _ = taken(&[sign.as_bytes(), bytes.as_slice()].concat());
        }
    }

    #[test]
    fn a_push_is_told_apart_from_a_reply() {
        let push = taken(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nk\r\n").unwrap().unwrap();
        let data = vec![Value::BulkString(b"c".to_vec()), Value::BulkString(b"k".to_vec())];
        assert_eq!(push, Value::Push { kind: PushKind::Message, data });
        let text = taken(b"=8\r\ntxt:run1\r\n").unwrap();
        assert!(matches!(text, Some(Value::VerbatimString { text, .. }) if text == "run1"));
    }

    #[test]
    fn bytes_that_are_no_reply_are_malformed_at_once_and_a_long_reply_before_it_is_read() {
        for (label, bytes) in [
            ("another protocol", b"HTTP/1.1 400 Bad Request\r\n".as_slice()),
            ("an empty line", b"\r\n"),
            ("no carriage return", b"+OK\n"),
            ("no number", b":one\r\n"),
            ("less than nothing", b"$-2\r\n"),
            ("longer than any reply", b"$99999999999\r\n"),
            ("more parts than any reply", b"*99999999999\r\n"),
            ("a block that goes on", b"$1\r\nab\r\n"),
            ("values in values", &b"*1\r\n".repeat(9)),
        ] {
            assert_eq!(taken(bytes), Err(Malformed), "{label}");
        }
        assert_eq!(taken(&vec![b'+'; MOST_BYTES + 1]), Err(Malformed));
    }

    #[test]
    fn a_reply_of_many_small_parts_is_given_up_and_costs_no_more_than_its_bytes() {
        for reply in [b"*4096\r\n".as_slice(), b"*1000000\r\n", b"%3000\r\n"] {
            let mut incoming = ReplyBuffer::with_room(MOST_BYTES);
            incoming.extend(reply);
            let mut last = incoming.take();
            let mut bytes = 0_u32;
            while last == Ok(None) && bytes < 1_000_000 {
                incoming.extend(b"_\r\n");
                bytes += 3;
                last = incoming.take();
            }
            assert_eq!(last, Err(Malformed), "{bytes} bytes");
            assert!(
                incoming.begun <= MOST_VALUES + 1,
                "each is looked at once: {}",
                incoming.begun
            );
        }
    }
}
