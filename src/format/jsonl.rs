//! JSONL: one record a line, nothing lost. What a line may hold stands in docs/formats.md and in [`schema`].
//!
//! A line that cannot be read is a fault and the next one is read; a line longer than a record may be is skipped without
//! being held. Lines end with LF or CRLF; a byte order mark before the first one, and empty lines, are nothing.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use serde_json::Value;

use crate::{
    domain::{limits, words::DatasetFormat},
    format::{About, Format, Losses, Read, Reader, Writer, json},
    repo::record::Record,
};

/// The format.
#[derive(Debug)]
pub struct Jsonl;

impl Format for Jsonl {
    fn word(&self) -> DatasetFormat {
        DatasetFormat::Jsonl
    }

    fn extension(&self) -> &'static str {
        "jsonl"
    }

    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn read(&self, file: &Path, _scratch: &Path) -> io::Result<Box<dyn Reader>> {
        let lines = Lines::new(BufReader::new(File::open(file)?), limits::RECORD_BYTES)?;
        Ok(Box::new(LineReader { lines: Some(lines), losses: Losses::default() }))
    }

    fn write(&self, out: Box<dyn Write + Send>, _scratch: &Path, _about: About) -> io::Result<Box<dyn Writer>> {
        Ok(Box::new(LineWriter { out: BufWriter::new(out) }))
    }
}

/// JSON Schema (draft 2020-12) of a line.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Record).to_value()
}

struct LineWriter {
    out: BufWriter<Box<dyn Write + Send>>,
}

impl Writer for LineWriter {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, record)?;
        self.out.write_all(b"\n")
    }

    fn finish(mut self: Box<Self>) -> io::Result<Losses> {
        self.out.flush()?;
        Ok(Losses::default())
    }
}

struct LineReader {
    /// None after an error.
    lines: Option<Lines<BufReader<File>>>,
    losses: Losses,
}

impl Iterator for LineReader {
    type Item = io::Result<Read>;

    fn next(&mut self) -> Option<Self::Item> {
        let lines = self.lines.as_mut()?;
        match lines.next() {
            Ok(line) => Some(Ok(read(&line?))),
            Err(error) => {
                self.lines = None;
                Some(Err(error))
            }
        }
    }
}

impl Reader for LineReader {
    fn losses(&self) -> &Losses {
        &self.losses
    }
}

fn read(line: &Line<'_>) -> Read {
    let record = match line.text {
        // An array with the values in order is a record to serde, but not to the schema.
        Some(text) if !text.trim_ascii_start().starts_with(b"{") => Err(json::fault("", "a record is an object")),
        Some(text) => json::parse(text, ""),
        None => Err(json::fault("", format!("the line has more than {} bytes", limits::RECORD_BYTES))),
    };
    Read { line: line.number, record }
}

/// A line that is not empty.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    /// From 1.
    number: u64,
    /// Without its end; `None` when it is too long.
    text: Option<&'a [u8]>,
}

/// The lines of a file, the longest that may be in memory at a time.
struct Lines<R> {
    file: R,
    limit_bytes: usize,
    number: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn new(mut file: R, limit_bytes: usize) -> io::Result<Self> {
        skip_byte_order_mark(&mut file)?;
        Ok(Self { file, limit_bytes, number: 0, text: Vec::new() })
    }

    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        while let Some(fits) = self.take()? {
            if !fits {
                return Ok(Some(Line { number: self.number, text: None }));
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(Some(Line { number: self.number, text: Some(&self.text) }));
            }
        }
        Ok(None)
    }

    /// Reads up to the end of a line into `text`; tells whether the line fits, nothing at the end of the file.
    fn take(&mut self) -> io::Result<Option<bool>> {
        self.text.clear();
        let mut length = 0_usize;
        loop {
            let found = match self.file.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                found => found?,
            };
            if found.is_empty() && length == 0 {
                return Ok(None);
            }
            let end = found.iter().position(|byte| *byte == b'\n');
            let part = &found[..end.unwrap_or(found.len())];
            length = length.saturating_add(part.len());
            if length <= self.limit_bytes {
                self.text.extend_from_slice(part);
            }
            let (ended, used) = (found.is_empty() || end.is_some(), part.len() + usize::from(end.is_some()));
            self.file.consume(used);
            if ended {
                self.number += 1;
                return Ok(Some(length <= self.limit_bytes));
            }
        }
    }
}

/// Steps over the mark that some editors put before UTF-8; tells how many bytes that were.
pub(super) fn skip_byte_order_mark(file: &mut impl BufRead) -> io::Result<u64> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if !file.fill_buf()?.starts_with(MARK) {
        return Ok(0);
    }
    file.consume(MARK.len());
    Ok(MARK.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 10;

    /// The lines of a text whose buffer holds three bytes, as (number, text).
    fn lines(text: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new(BufReader::with_capacity(3, text), ROOM).unwrap();
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.number, line.text.map(|text| String::from_utf8_lossy(text).into_owned())));
        }
        assert!(lines.text.capacity() <= 2 * ROOM, "what is too long is not held");
        found
    }

    #[test]
    fn lines_are_numbered_as_editors_do_and_empty_ones_are_nothing() {
        let line = |number, text: &str| (number, Some(text.to_owned()));
        for (name, text, want) in [
            ("nothing", "", vec![]),
            ("an end alone", "\n", vec![]),
            ("two", "a\nb\n", vec![line(1, "a"), line(2, "b")]),
            ("the last one without an end", "a\nb", vec![line(1, "a"), line(2, "b")]),
            ("ended as on Windows", "a\r\nb\r\n", vec![line(1, "a\r"), line(2, "b\r")]),
            ("empty ones between", "a\n\n \t\r\n\nb", vec![line(1, "a"), line(5, "b")]),
            ("a mark", "\u{feff}a\nb", vec![line(1, "a"), line(2, "b")]),
            ("a mark alone", "\u{feff}", vec![]),
            ("as long as may be", "0123456789\nb", vec![line(1, "0123456789"), line(2, "b")]),
            ("too long", "01234567890\nb", vec![(1, None), line(2, "b")]),
            ("far too long, and the last", &"0123456789".repeat(9_999), vec![(1, None)]),
        ] {
            assert_eq!(lines(text.as_bytes()), want, "{name}");
        }
    }

    /// (line, record or field and message of the fault).
    type Found = (u64, Result<Record, (String, String)>);

    fn read_all(text: &[u8]) -> Vec<Found> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lines.jsonl");
        std::fs::write(&file, text).unwrap();
        let reads = Jsonl.read(&file, folder.path()).unwrap().map(Result::unwrap);
        reads.map(|read| (read.line, read.record.map_err(|fault| (fault.field, fault.message)))).collect()
    }

    #[test]
    fn a_line_that_cannot_be_read_is_a_fault_and_the_next_is_read() {
        let long = format!("{{\"externalId\": \"{}\"}}", "x".repeat(limits::RECORD_BYTES));
        let lines: [(&[u8], &str, &str); 12] = [
            (b"{\"externalId\": ", "externalId", "EOF while parsing a value at column 16"),
            (b"[null, 0, {}, [], []]", "", "a record is an object"),
            (b"null", "", "a record is an object"),
            (b"{} {}", "", "trailing characters at column 4"),
            (b"{\"priority\": \"high\"}", "priority", "invalid type: string \"high\", expected i32"),
            (b"{\"color\": 1}", "color", "unknown field `color`, expected one of `externalId`, `priority`, "),
            (b"{\"assets\": [{}]}", "assets[0]", "missing field `fileName`"),
            (b"{\"slots\": [{\"number\": 1, \"round\": 1, \"state\": \"DONE\"}]}", "slots[0].state", "unknown variant `DONE`"),
            (
                b"{\"slots\": [{\"number\": 1, \"round\": 1, \"state\": \"ACCEPTED\", \"annotations\": \
                  [{\"label\": \"a\", \"geometry\": {\"boundingBox\": {\"x\": 1, \"y\": 1, \"width\": null, \"height\": 1}}}]}]}",
                "slots[0].annotations[0].geometry.boundingBox.width",
                "invalid type: null, expected f64",
            ),
            (b"{\"externalId\": \"\xff\"}", "", "is no UTF-8 from byte 17 on"),
            (b"{\"data\": {\"a\": 1e999}}", "data.a", "number out of range at column 20"),
            (long.as_bytes(), "", "the line has more than 33554432 bytes"),
        ];
        let mut text = Vec::new();
        for (line, ..) in lines {
            text.extend_from_slice(line);
            text.extend_from_slice(b"\r\n{}\n");
        }
        let found = read_all(&text);
        assert_eq!(found.len(), 2 * lines.len());
        for ((pair, (_, field, message)), number) in found.chunks(2).zip(lines).zip(0..) {
            let (line, fault) = (pair[0].0, pair[0].1.as_ref().unwrap_err());
            assert_eq!((line, fault.0.as_str()), (2 * number + 1, field), "{}", fault.1);
            assert!(fault.1.starts_with(message), "{}", fault.1);
            assert_eq!(pair[1], (2 * number + 2, Ok(Record::default())));
        }
    }
}
