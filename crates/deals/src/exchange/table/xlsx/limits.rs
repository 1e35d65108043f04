//! Checking a workbook before it is parsed, for what would take much memory.

use std::io::{self, Cursor, Read, Seek, copy, sink};

use quick_xml::{Reader, events::Event};
use zip::ZipArchive;

use crate::{Error, Result, exchange::table::sheet::invalid_file};

/// The maximum uncompressed size of a workbook: a few compressed kilobytes can fill a disk.
pub(super) const MAX_BYTES: u64 = 256 << 20;
/// The maximum number of files in a workbook.
const MAX_FILES: usize = 1000;
/// The paths of the parts that are parsed whole. The format allows other paths, but no program uses them.
const WORKBOOK: &str = "xl/workbook.xml";
const SHARED_STRINGS: &str = "xl/sharedstrings.xml";
/// The limits of the shared strings.
const STRINGS: PartLimit = PartLimit { bytes: 32 << 20, elements: 2_000_000 };
/// The limits of sheets, which are parsed as a stream.
const SHEET: PartLimit = PartLimit { bytes: MAX_BYTES, elements: u64::MAX };
/// The limits of all other parts.
const OTHER: PartLimit = PartLimit { bytes: 4 << 20, elements: 100_000 };
/// The longest tag, in bytes; the parser buffers it.
const MAX_TAG: usize = 64 << 10;
/// The longest text between two tags, in bytes: a cell has at most 32,767 characters.
const MAX_TEXT: usize = 1 << 20;

/// The limits of one part, uncompressed.
#[derive(Clone, Copy)]
struct PartLimit {
    bytes: u64,
    elements: u64,
}

/// Checks XML, as a stream, for what would take much memory when it is parsed. It only recognises where tags begin and
/// end; comments and CDATA, which could hide tags, are rejected.
#[derive(Default)]
struct XmlMeter {
    state: XmlState,
    /// The length of the current tag or text.
    length: usize,
    elements: u64,
    /// The current number in an attribute, and the largest one so far: the parser reads some as sizes.
    number: u64,
    largest: u64,
    /// The name of the tag, without its prefix.
    name: String,
    /// The last byte of the name of the attribute.
    last: u8,
    /// How many letters and digits the cell reference has so far.
    letters: usize,
    digits: usize,
}

#[derive(Default, PartialEq, Eq)]
enum XmlState {
    #[default]
    Text,
    /// After a `<`.
    TagStart,
    Name,
    Tag,
    /// In the value of an attribute, up to this quote.
    Quoted(u8),
    Declaration,
}

impl XmlMeter {
    /// Reads a byte; returns `false` if the XML is rejected.
    fn step(&mut self, byte: u8) -> bool {
        self.length += 1;
        self.state = match (&self.state, byte) {
            (XmlState::Text, b'<') => {
                self.length = 0;
                XmlState::TagStart
            }
            (XmlState::Text, _) => return self.length <= MAX_TEXT,
            (XmlState::TagStart, b'!') => return false,
            (XmlState::TagStart, b'?') => XmlState::Declaration,
            (XmlState::TagStart, b'/') | (XmlState::Name, b' ' | b'\t' | b'\r' | b'\n' | b'/') => XmlState::Tag,
            (XmlState::TagStart, _) => {
                self.elements += 1;
                self.name.clear();
                self.name.push(char::from(byte));
                XmlState::Name
            }
            (XmlState::Name | XmlState::Tag | XmlState::Declaration, b'>') => {
                self.length = 0;
                XmlState::Text
            }
            (XmlState::Name, b':') => {
                self.name.clear();
                XmlState::Name
            }
            (XmlState::Name, _) => {
                self.name.push(char::from(byte));
                return self.length <= MAX_TAG;
            }
            (XmlState::Tag, quote @ (b'"' | b'\'')) => {
                (self.number, self.letters, self.digits) = (0, 0, 0);
                XmlState::Quoted(quote)
            }
            (XmlState::Tag, b'=' | b' ' | b'\t' | b'\r' | b'\n') => return self.length <= MAX_TAG,
            (XmlState::Tag, _) => {
                self.last = byte;
                return self.length <= MAX_TAG;
            }
            (XmlState::Quoted(quote), _) if byte == *quote => {
                self.largest = self.largest.max(self.number);
                XmlState::Tag
            }
            (XmlState::Quoted(_), _) => {
                if byte.is_ascii_digit() {
                    self.number = self.number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                }
                return self.length <= MAX_TAG && self.is_valid_reference(byte);
            }
            _ => return self.length <= MAX_TAG,
        };
        true
    }

    /// Rejects references to cells outside of the largest sheet, which overflow in the parser.
    fn is_valid_reference(&mut self, byte: u8) -> bool {
        // The attributes `r` and `ref`: no others of these elements end with the same letters.
        let is_reference = matches!(self.name.as_str(), "row" | "c" | "dimension" | "mergeCell" | "f")
            && matches!(self.last, b'r' | b'f');
        match byte {
            b'0'..=b'9' => self.digits += 1,
            b':' => (self.letters, self.digits) = (0, 0),
            _ => self.letters += 1,
        }
        !is_reference || (self.letters <= 3 && self.digits <= 7)
    }
}

impl io::Write for XmlMeter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|byte| self.step(*byte)) {
            Ok(bytes.len())
        } else {
            Err(io::Error::other("unsupported XML"))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn invalid_workbook(error: impl std::fmt::Display) -> Error {
    invalid_file(format!("The file is not a valid workbook: {error}."))
}

/// Checks the size and the XML of all parts, without storing them.
pub(super) fn check_size(bytes: &[u8], max: u64) -> Result<()> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(invalid_workbook)?;
    if archive.len() > MAX_FILES {
        return Err(invalid_file("The workbook contains too many files."));
    }
    let mut remaining = max;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(invalid_workbook)?;
        let name = file.name().map_err(invalid_workbook)?.replace('\\', "/").to_ascii_lowercase();
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        let is_xml = matches!(extension, Some("xml" | "rels"));
        let limit = match name.trim_start_matches('/') {
            SHARED_STRINGS => STRINGS,
            name if name.starts_with("xl/worksheets/") && extension == Some("xml") => SHEET,
            _ if is_xml || extension == Some("bin") => OTHER,
            // Pictures and the like are not parsed.
            _ => SHEET,
        };
        let max = limit.bytes.min(remaining);
        let mut meter = XmlMeter::default();
        let mut file = file.take(max + 1);
        let size = if is_xml { copy(&mut file, &mut meter) } else { copy(&mut file, &mut sink()) }
            .map_err(invalid_workbook)?;
        if size > max || meter.elements > limit.elements {
            return Err(too_large());
        }
        // The parser allocates memory for as many strings as the part declares.
        if limit.elements != SHEET.elements && name.ends_with(SHARED_STRINGS) && meter.largest > STRINGS.elements {
            return Err(too_large());
        }
        remaining -= size;
    }
    check_paths(&mut archive)
}

pub(super) fn too_large() -> Error {
    invalid_file("The workbook is too large.")
}

/// Rejects a package whose workbook or sheets are not at the usual paths, since the limits are chosen by path.
fn check_paths<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<()> {
    let unsupported = || invalid_file("The structure of the workbook is not supported.");
    for name in ["_rels/.rels", "xl/_rels/workbook.xml.rels"] {
        let mut text = String::new();
        let mut file = archive.by_name(name).map_err(|_| unsupported())?;
        file.read_to_string(&mut text).map_err(invalid_workbook)?;
        let mut reader = Reader::from_str(&text);
        loop {
            match reader.read_event().map_err(invalid_workbook)? {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "Relationship" => {
                    let value =
                        |name: &str| tag.try_get_attribute(name).ok().flatten().map(|value| value.value.into_owned());
                    let target = value("Target").unwrap_or_default();
                    let is_usual = if name == "_rels/.rels" {
                        let is_document =
                            value("Type").is_some_and(|kind| kind.ends_with("/relationships/officeDocument"));
                        !is_document || target.strip_prefix('/').unwrap_or(&target) == WORKBOOK
                    } else {
                        let is_internal = value("TargetMode").is_none_or(|mode| mode != "External");
                        let extension = target.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
                        !is_internal || matches!(extension.as_deref(), Some("xml" | "bin"))
                    };
                    if !is_usual {
                        return Err(unsupported());
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bytes::Bytes;
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;
    use crate::exchange::table::xlsx::{package::package, read};

    #[test]
    fn fault_2_workbooks_that_would_take_much_memory_are_rejected_before_they_are_parsed() {
        assert_eq!(read(&package(&[])).unwrap().rows.len(), 1, "the minimal workbook is valid");
        let strings = |text: String| format!("<sst>{text}</sst>");
        let unusual = "<Relationships><Relationship Id=\"r1\" \
             Type=\"http://x/relationships/officeDocument\" Target=\"xl/worksheets/book.xml\"/></Relationships>";
        for (case, name, text) in [
            ("many strings", "xl/sharedStrings.xml", strings("<si/>".repeat(2_000_001))),
            ("many strings at another spelling", "XL\\SharedStrings.xml", strings("<si/>".repeat(2_000_001))),
            ("long text", "xl/sharedStrings.xml", strings("<si><t>aaaaaaaaaaaaaaaaaaaaaa</t></si>".repeat(1_000_000))),
            ("declared strings", "xl/sharedStrings.xml", "<sst uniqueCount=\"4000000000\"/>".into()),
            ("a count that overflows", "xl/sharedStrings.xml", "<sst uniqueCount='99999999999999999999999'/>".into()),
            ("many sheets", "xl/workbook.xml", "<sheet name=\"a\" id=\"r1\"/>".repeat(100_001)),
            ("many styles", "xl/styles.xml", "<xf/>".repeat(100_001)),
            ("a long tag", "xl/worksheets/sheet1.xml", format!("<c r=\"{}\"/>", "<".repeat(100_000))),
            ("a long text", "xl/worksheets/sheet1.xml", format!("<v>{}</v>", "x".repeat(2 << 20))),
            ("a comment", "xl/worksheets/sheet1.xml", "<worksheet><!-- x --></worksheet>".into()),
            ("a row outside of any sheet", "xl/worksheets/sheet1.xml", "<row r=\"4294967297\">".into()),
            ("a column outside of any sheet", "xl/worksheets/sheet1.xml", "<x:c s = '1' r = 'A1:ZZZZ1'>".into()),
            ("a workbook at an unusual path", "_rels/.rels", unusual.into()),
            (
                "a sheet with an extension that is not checked",
                "xl/_rels/workbook.xml.rels",
                "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" Target=\"media/a.png\"/>\
                 </Relationships>"
                    .into(),
            ),
        ] {
            let packed = package(&[(name, &text)]);
            assert!(read(&packed).is_err(), "{case}");
        }
    }

    #[test]
    fn a_workbook_with_a_large_uncompressed_size_is_rejected() {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("xl/media/picture.png", SimpleFileOptions::default()).unwrap();
        archive.write_all(&vec![0; 1 << 20]).unwrap();
        for name in ["_rels/.rels", "xl/_rels/workbook.xml.rels"] {
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
        }
        let packed: Bytes = archive.finish().unwrap().into_inner().into();
        assert!(packed.len() < 1 << 16);
        assert!(check_size(&packed, (1 << 20) - 1).is_err() && check_size(&packed, 1 << 20).is_ok());
        assert!(read(&Bytes::from_static(b"PK\x03\x04 and nothing")).is_err());
    }
}
