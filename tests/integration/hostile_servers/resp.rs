//! RESP: requests and replies cut into values, and values for false replies.

/// Number of bytes of the first value, once it is complete.
pub(super) fn end_of(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number = || -> i64 {
        std::str::from_utf8(&bytes[1..line - 2])
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    let length = |number: i64| usize::try_from(number).unwrap_or(0);
    let end = match bytes[0] {
        b'$' | b'=' if number() >= 0 => line + length(number()) + 2,
        b'*' | b'>' | b'~' => after(bytes, line, length(number()))?,
        b'%' => after(bytes, line, 2 * length(number()))?,
        _ => line,
    };
    (end <= bytes.len()).then_some(end)
}

fn after(bytes: &[u8], begin: usize, count: usize) -> Option<usize> {
    (0..count).try_fold(begin, |at, _| {
        Some(at + end_of(bytes.get(at..).filter(|rest| !rest.is_empty())?)?)
    })
}

/// The parts of an array, each with its type. Empty for any other value.
pub(super) fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let mut found = vec![];
    if !value.starts_with(b"*") {
        return found;
    }
    let mut at =
        value.windows(2).position(|pair| pair == b"\r\n").map_or(value.len(), |line| line + 2);
    while let Some(length) = value.get(at..).filter(|rest| !rest.is_empty()).and_then(end_of) {
        found.push(value[at..at + length].to_vec());
        at += length;
    }
    found
}

/// The text of a bulk string.
pub(super) fn text(value: &[u8]) -> String {
    let begin =
        value.windows(2).position(|pair| pair == b"\r\n").map_or(value.len(), |line| line + 2);
    let text = value.get(begin..).unwrap_or_default();
    String::from_utf8_lossy(text.strip_suffix(b"\r\n").unwrap_or(text)).into_owned()
}

pub(super) fn bulk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

pub(super) fn int(number: i64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

pub(super) fn array(parts: &[Vec<u8>]) -> Vec<u8> {
    [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat()
}

/// A message published on a channel.
pub(super) fn message(channel: &[u8], payload: &[u8]) -> Vec<u8> {
    [b">3\r\n$7\r\nmessage\r\n".to_vec(), bulk(channel), bulk(payload)].concat()
}
