//! Percent-encoding, as in browsers and other Redis clients.

use super::UrlProblem;

/// `text` with each `%` and two hexadecimal digits replaced by their byte. Any other `%` stays.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let encoded = behind.first_chunk().filter(|_| byte == b'%').and_then(|digits| hex(*digits));
        bytes.push(encoded.unwrap_or(byte));
        rest = encoded.and_then(|_| behind.get(2..)).unwrap_or(behind);
    }
    bytes
}

fn hex(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// The decoded bytes as text.
///
/// # Errors
/// When the bytes are no UTF-8, or contain a NUL.
pub(super) fn decode_text(text: &str) -> Result<String, UrlProblem> {
    let decoded = String::from_utf8(decode(text)).ok().filter(|text| !text.contains('\0'));
    decoded.ok_or_else(|| "expected UTF-8 behind each '%'".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_bytes_are_decoded_and_the_rest_stays() {
        for (text, decoded) in [
            ("p%40ss", "p@ss"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%2f", "%zz/"),
            ("ü%C3%BC", "üü"),
        ] {
            assert_eq!(decode_text(text).as_deref(), Ok(decoded), "{text}");
        }
        assert!(decode_text("%FF").is_err() && decode_text("a%00").is_err());
    }
}
