//! COCO instances.

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
pub struct Coco;

impl Format for Coco {
    fn word(&self) -> DatasetFormat {
        DatasetFormat::Coco
    }

    fn extension(&self) -> &'static str {
        "json"
    }

    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn read(&self, _file: &Path, _scratch: &Path) -> io::Result<Box<dyn Reader>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write(&self, _out: Box<dyn Write + Send>, _scratch: &Path, _about: About) -> io::Result<Box<dyn Writer>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
