//! COCO instances: one JSON document with pictures, categories, boxes and outlines.
//!
//! Read in two steps, because its sections come in any order: one pass over the whole file notes where each picture and
//! each annotation stands (`index`), then they are read again picture by picture (`read`). Memory grows with their
//! number, by 32 bytes a picture and 24 an annotation, not with their size. Written in one: annotations are put aside
//! while pictures are written (`write`). What is carried, and what is lost, stands in docs/formats.md.
//!
//! Source: T.-Y. Lin and others, *Microsoft COCO: Common Objects in Context*, 2014, and the data format that
//! <https://cocodataset.org/#format-data> describes; what readers take it for: pycocotools.

mod index;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    domain::{limits, words::DatasetFormat},
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

    fn read(&self, file: &Path, _scratch: &Path) -> io::Result<Box<dyn Reader>> {
        Ok(Box::new(read::ImageReader::open(file, limits::RECORD_BYTES)?))
    }

    fn write(&self, out: Box<dyn Write + Send>, scratch: &Path, about: About) -> io::Result<Box<dyn Writer>> {
        Ok(Box::new(write::ImageWriter::create(out, scratch, &about)?))
    }
}
