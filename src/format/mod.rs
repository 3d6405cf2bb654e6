//! The formats of data sets, one file each. A format turns a file into [`Record`]s and back, one after the other, in
//! memory that does not grow with the file; what it cannot carry it counts as losses instead of dropping it in silence.
//! What records mean for a project (assets, templates, states) is not known here. Blocking: run it on a thread for that.
//!
//! A new format is one file here and one line in [`of`].

pub mod coco;
mod json;
pub mod jsonl;

use std::{
    fmt,
    io::{self, Write},
    path::Path,
};

use crate::{
    domain::words::{DatasetFormat, Kind},
    repo::record::Record,
};

pub use crate::repo::record::Losses;

/// A format of data sets.
pub trait Format: fmt::Debug + Send + Sync {
    /// Its word.
    fn word(&self) -> DatasetFormat;

    /// The end of the names of its files, without a dot: `jsonl`.
    fn extension(&self) -> &'static str;

    /// MIME type of its files.
    fn content_type(&self) -> &'static str;

    /// Begins to read a file. `scratch` is an empty folder for what has to be put aside.
    ///
    /// # Errors
    /// When the file cannot be read, or cannot be of this format at all ([`io::ErrorKind::InvalidData`], with a sentence
    /// that names the place).
    fn read(&self, file: &Path, scratch: &Path) -> io::Result<Box<dyn Reader>>;

    /// Begins to write a file to `out`. `scratch` is an empty folder for what has to be put aside.
    ///
    /// # Errors
    /// When something cannot be written.
    fn write(&self, out: Box<dyn Write + Send>, scratch: &Path, about: About) -> io::Result<Box<dyn Writer>>;
}

/// The records of a file, in the order in which they become tasks. After an error there is nothing more.
pub trait Reader: Iterator<Item = io::Result<Read>> + Send {
    /// What was met so far that a record cannot carry.
    fn losses(&self) -> &Losses;
}

/// One record as it was found; one with several faults comes once for each of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Where it begins: the line in a file of lines; else the record's number. From 1; 0 for a fault of what belongs to
    /// no record.
    pub line: u64,
    /// What it says, or what is wrong with it.
    pub record: Result<Record, Fault>,
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the record, or in a file that is one document: `slots[0].annotations[2].geometry`,
    /// `annotations[7].bbox`; empty: the record as a whole.
    pub field: String,
    /// What is wrong; lowercase, no full stop.
    pub message: String,
}

/// Writes records, one after the other.
pub trait Writer: Send {
    /// Writes the next record.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&mut self, record: &Record) -> io::Result<()>;

    /// Writes what comes last, and everything that is still held back. Gives what could not be carried.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(self: Box<Self>) -> io::Result<Losses>;
}

/// What a writer has to know of the project before the first record.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What the project is called.
    pub project: String,
    /// The tools of its templates, the current one's first, each name once, with their labels in order.
    pub tools: Vec<(String, Kind, Vec<String>)>,
}

/// The format of a word.
#[must_use]
pub fn of(word: DatasetFormat) -> &'static dyn Format {
    match word {
        DatasetFormat::Jsonl => &jsonl::Jsonl,
        DatasetFormat::Coco => &coco::Coco,
    }
}
