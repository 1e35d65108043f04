//! Workbooks for tests.

use std::io::{Cursor, Write};

use bytes::Bytes;
use zip::{ZipWriter, write::SimpleFileOptions};

/// A minimal workbook with these parts added or replaced.
pub(super) fn package(parts: &[(&str, &str)]) -> Bytes {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let relationship = |target: &str| {
        format!(
            "<Relationships><Relationship Id=\"r1\" Type=\"http://x/relationships/officeDocument\" \
             Target=\"{target}\"/></Relationships>"
        )
    };
    let sheet = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>name</t></is></c></row>\
         <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>x</t></is></c></row></sheetData></worksheet>";
    let book = "<workbook xmlns:r=\"r\"><sheets><sheet name=\"s\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>";
    let book_relationships = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" \
         Target=\"worksheets/sheet1.xml\"/></Relationships>";
    let root = relationship("xl/workbook.xml");
    let default = [
        ("_rels/.rels", root.as_str()),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", book_relationships),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    let others = default.iter().filter(|(name, _)| parts.iter().all(|(other, _)| other != name));
    for (name, text) in others.chain(parts) {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner().into()
}
