//! JSONL: one record a line, nothing lost.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    domain::words::DatasetFormat,
    format::{About, Format, Reader, Writer},
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

    fn read(&self, _file: &Path, _scratch: &Path) -> io::Result<Box<dyn Reader>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write(&self, _out: Box<dyn Write + Send>, _scratch: &Path, _about: About) -> io::Result<Box<dyn Writer>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
