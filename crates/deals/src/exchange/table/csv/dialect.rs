//! The variants of text: encodings, delimiters and line ends.

use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::{Result, exchange::table::sheet::invalid_file};

/// How many bytes of a file are searched for its delimiter.
const DELIMITER_SAMPLE: usize = 64 * 1024;

/// The number of line ends in a text.
pub(super) fn count_line_ends(text: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for byte in text {
        count += u64::from(*byte == b'\r' || (*byte == b'\n' && previous != b'\r'));
        previous = *byte;
    }
    count
}

/// Decodes a file. A byte order mark takes precedence over the option. Without either, the encoding is UTF-8, or
/// Windows-1252 if the file has no valid UTF-8 outside of ASCII.
pub(super) fn decode(bytes: &[u8], is_windows_1252: Option<bool>) -> Result<Cow<'_, str>> {
    let utf_16 = |encoding: &'static encoding_rs::Encoding, text| {
        let (text, has_errors) = encoding.decode_without_bom_handling(text);
        if has_errors {
            return Err(invalid_file("The file has the byte order mark of UTF-16, but is not valid UTF-16."));
        }
        Ok(text)
    };
    if let Some(text) = bytes.strip_prefix(b"\xff\xfe") {
        return utf_16(UTF_16LE, text);
    }
    if let Some(text) = bytes.strip_prefix(b"\xfe\xff") {
        return utf_16(UTF_16BE, text);
    }
    let with_mark = bytes.strip_prefix(b"\xef\xbb\xbf");
    let text = with_mark.unwrap_or(bytes);
    if with_mark.is_none() && is_windows_1252 == Some(true) {
        return Ok(WINDOWS_1252.decode_without_bom_handling(text).0);
    }
    let Err(error) = std::str::from_utf8(text) else { return Ok(String::from_utf8_lossy(text)) };
    let has_utf_8 = || text.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
    if with_mark.is_none() && is_windows_1252.is_none() && !has_utf_8() {
        return Ok(WINDOWS_1252.decode_without_bom_handling(text).0);
    }
    let line = count_line_ends(&text[..error.valid_up_to()]) + 1;
    let hint = "Save the file as UTF-8, or select its encoding.";
    Err(invalid_file(format!("Line {line} is not valid UTF-8. {hint}")))
}

/// The delimiter that a first line like `sep=;` declares for Excel, and the text after that line.
pub(super) fn declared_delimiter(text: &str) -> Option<(u8, &str)> {
    let rest = text.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).and_then(|_| text.get(4..))?;
    let delimiter = *rest.as_bytes().first().filter(|byte| matches!(byte, b',' | b';' | b'\t' | b'|'))?;
    let rest = &rest[1..];
    ["\r\n", "\n", "\r"].into_iter().find_map(|end| rest.strip_prefix(end)).map(|rest| (delimiter, rest))
}

/// The delimiter: whichever of comma, semicolon and tab is the most frequent in the first line, outside quotes.
pub(super) fn detect_delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in text.bytes().take(DELIMITER_SAMPLE) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            byte if !quoted => {
                if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(byte, _)| *byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_detected() {
        for (text, expected) in
            [("a,b;c,d\n;;;;", b','), ("a;b;\"c,,,,,\"\n", b';'), ("a\tb\n", b'\t'), ("a\n", b','), ("", b',')]
        {
            assert_eq!(detect_delimiter(text), expected, "{text:?}");
        }
    }
}
