//! Reading replies: one value after the other from the bytes of a connection (the Redis serialization protocol, version 2 and
//! what of version 3 can be an answer to what redlock asks).

use redis::{PushKind, Value, VerbatimFormat};

/// Bytes that are no reply of Redis's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed;

/// No reply to redlock is nearly as long or has nearly as many parts; whoever sends more is no Redis.
const MOST: usize = 1 << 20;
/// How deep values may stand in values.
const DEPTH: u32 = 8;

/// Takes the first value off `bytes`; `None` until it is there as a whole.
///
/// # Errors
/// When no reply begins like this. What follows on the same connection means nothing then.
pub(super) fn take(bytes: &mut Vec<u8>) -> Result<Option<Value>, Malformed> {
    let mut rest = Rest { bytes, at: 0 };
    match rest.value(DEPTH) {
        Ok(value) => {
            let used = rest.at;
            bytes.drain(..used);
            Ok(Some(value))
        }
        Err(Unread::Incomplete) if bytes.len() <= MOST => Ok(None),
        Err(_) => Err(Malformed),
    }
}

enum Unread {
    /// More has to come.
    Incomplete,
    Malformed,
}

/// What was not read yet.
struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Rest<'a> {
    fn value(&mut self, depth: u32) -> Result<Value, Unread> {
        let depth = depth.checked_sub(1).ok_or(Unread::Malformed)?;
        let line = self.line()?;
        let (kind, text) = line.split_at_checked(1).ok_or(Unread::Malformed)?;
        match kind {
            b"+" if text == b"OK" => Ok(Value::Okay),
            b"+" | b"," | b"(" => Ok(Value::SimpleString(string(text)?)),
            // What kinds of errors there are, the crate knows.
            b"-" => redis::parse_redis_value(&[line, b"\r\n"].concat()).map_err(|_| Unread::Malformed),
            b":" => Ok(Value::Int(number(text)?)),
            b"#" => Ok(Value::Boolean(text == b"t")),
            b"_" => Ok(Value::Nil),
            b"$" | b"*" if text == b"-1" => Ok(Value::Nil),
            b"$" => Ok(Value::BulkString(self.bulk(text)?.to_vec())),
            b"=" => {
                let (format, text) = self.bulk(text)?.split_at_checked(4).ok_or(Unread::Malformed)?;
                let format = VerbatimFormat::Unknown(string(format.get(..3).unwrap_or_default())?);
                Ok(Value::VerbatimString { format, text: string(text)? })
            }
            b"*" => Ok(Value::Array(self.values(count(text)?, depth)?)),
            b"~" => Ok(Value::Set(self.values(count(text)?, depth)?)),
            b"%" => {
                let pair = |_| Ok((self.value(depth)?, self.value(depth)?));
                Ok(Value::Map((0..count(text)?).map(pair).collect::<Result<_, _>>()?))
            }
            b">" => {
                let mut data = self.values(count(text)?, depth)?.into_iter();
                let Some(Value::BulkString(kind)) = data.next() else { return Err(Unread::Malformed) };
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

    fn values(&mut self, count: usize, depth: u32) -> Result<Vec<Value>, Unread> {
        (0..count).map(|_| self.value(depth)).collect()
    }

    /// What is before the next end of a line.
    fn line(&mut self) -> Result<&'a [u8], Unread> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Unread::Incomplete)?;
        self.at += end + 1;
        rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Unread::Malformed)
    }

    /// As many bytes as `length` says, and the end of a line.
    fn bulk(&mut self, length: &[u8]) -> Result<&'a [u8], Unread> {
        let length = count(length)?;
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

fn count(digits: &[u8]) -> Result<usize, Unread> {
    number(digits)
        .ok()
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count <= MOST)
        .ok_or(Unread::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redis::parse_redis_value;

    fn taken(bytes: &[u8]) -> Result<Option<Value>, Malformed> {
        take(&mut bytes.to_vec())
    }

    /// What Redis can say: lines, blocks of bytes, and both in one another.
    fn reply() -> impl Strategy<Value = Vec<u8>> {
        let word = "[a-zA-Z0-9 _]{0,12}";
        let leaf = prop_oneof![
            word.prop_map(|text| format!("+{text}\r\n").into_bytes()),
            word.prop_map(|text| format!("-ERR {text}\r\n").into_bytes()),
            any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
            any::<bool>().prop_map(|is_so| format!("#{}\r\n", if is_so { 't' } else { 'f' }).into_bytes()),
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
                    [format!("{sign}{}\r\n", parts.len() / each).into_bytes(), parts.concat()].concat()
                })
            };
            prop_oneof![many('*', 1), many('~', 1), many('%', 2)]
        })
    }

    proptest! {
        #[test]
        fn a_reply_means_what_the_crate_makes_of_it_however_it_is_cut(reply in reply(), next in reply()) {
            let mut bytes = Vec::new();
            for byte in &reply {
                prop_assert_eq!(take(&mut bytes), Ok(None));
                bytes.push(*byte);
            }
            bytes.extend_from_slice(&next);
            prop_assert_eq!(take(&mut bytes).unwrap(), Some(parse_redis_value(&reply).unwrap()));
            prop_assert_eq!(bytes, next, "nothing of the next one is taken");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), sign in "[-+:$*%~>=#_,(]") {
            let _ = taken(&[sign.as_bytes(), bytes.as_slice()].concat());
        }
    }

    #[test]
    fn what_the_server_says_of_its_own_accord_is_told_apart() {
        let push = taken(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nk\r\n").unwrap().unwrap();
        let data = vec![Value::BulkString(b"c".to_vec()), Value::BulkString(b"k".to_vec())];
        assert_eq!(push, Value::Push { kind: PushKind::Message, data });
        let text = taken(b"=8\r\ntxt:run1\r\n").unwrap();
        assert!(matches!(text, Some(Value::VerbatimString { text, .. }) if text == "run1"));
    }

    #[test]
    fn what_is_no_reply_is_malformed_at_once_and_what_is_too_long_before_it_is_read() {
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
        assert_eq!(taken(&vec![b'+'; MOST + 1]), Err(Malformed));
    }
}
