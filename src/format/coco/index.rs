//! Where everything stands in a COCO file: one pass over it, in memory that does not grow with the size of anything in
//! it. Only what holds the document together is checked here; pictures and annotations when they are read again.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    domain::limits,
    format::{Fault, json, jsonl},
};

/// Where an object stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) length: u32,
    /// Its place in its section, from 0.
    pub(super) number: u32,
}

/// An annotation, and the picture it is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The picture's id.
    pub(super) image: i64,
    /// Where the annotation stands.
    pub(super) place: Place,
}

/// Where everything stands.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The pictures, in the order of the file.
    pub(super) images: Vec<Place>,
    /// Their ids and numbers, sorted; of those that have an id.
    pub(super) ids: Vec<(i64, u32)>,
    /// The annotations, sorted by picture, then in the order of the file.
    pub(super) annotations: Vec<Entry>,
    /// Those that name no picture.
    pub(super) astray: Vec<Place>,
    /// The names of the categories, by id.
    pub(super) categories: HashMap<i64, String>,
    /// What is wrong with categories.
    pub(super) faults: Vec<Fault>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
}

/// What an annotation must have to be found again.
#[derive(Deserialize)]
pub(super) struct OnImage {
    image_id: i64,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

impl Index {
    /// Passes over the file. No object of it may have more than `record_bytes`.
    ///
    /// # Errors
    /// When it cannot be read; [`io::ErrorKind::InvalidData`] when it is no COCO file.
    pub(super) fn of(file: &Path, record_bytes: usize) -> io::Result<Self> {
        let meter = Meter::new(record_bytes as u64);
        let mut source = BufReader::with_capacity(64 * 1024, File::open(file)?);
        meter.count.set(jsonl::skip_byte_order_mark(&mut source)?);
        let mut index = Self::default();
        let mut json = serde_json::Deserializer::from_reader(Metered::new(source, &meter));
        let read = Document { index: &mut index, meter: &meter }.deserialize(&mut json).and_then(|()| json.end());
        if let Err(error) = read {
            let failure = meter.failure.take();
            return Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidData, error.to_string())));
        }
        index.ids.sort_unstable();
        index.annotations.sort_unstable_by_key(|entry| (entry.image, entry.place.number));
        Ok(index)
    }

    /// The number of the first picture with this id.
    pub(super) fn image(&self, id: i64) -> Option<u32> {
        let first = self.ids.partition_point(|(other, _)| *other < id);
        self.ids.get(first).filter(|(other, _)| *other == id).map(|(_, number)| *number)
    }

    /// The annotations on a picture, in the order of the file.
    pub(super) fn annotations_on(&self, id: i64) -> &[Entry] {
        let first = self.annotations.partition_point(|entry| entry.image < id);
        let end = self.annotations.partition_point(|entry| entry.image <= id);
        &self.annotations[first..end]
    }

    fn add_image(&mut self, place: Place, text: &str) {
        self.images.push(place);
        if let Ok(image) = serde_json::from_str::<Image>(text) {
            self.ids.push((image.id, place.number));
        }
    }

    fn add_annotation(&mut self, place: Place, text: &str) {
        match serde_json::from_str::<OnImage>(text) {
            Ok(OnImage { image_id }) => self.annotations.push(Entry { image: image_id, place }),
            Err(_) => self.astray.push(place),
        }
    }

    fn add_category(&mut self, place: Place, text: &str) {
        let at = format!("categories[{}]", place.number);
        let category: Category = match json::parse(text.as_bytes(), &at) {
            Ok(category) => category,
            Err(fault) => return self.faults.push(fault),
        };
        let long = category.name.len() > 4 * limits::NAME_CHARS || category.name.chars().count() > limits::NAME_CHARS;
        if category.name.is_empty() || long {
            let message = format!("must have 1 to {} characters", limits::NAME_CHARS);
            return self.faults.push(json::fault(&format!("{at}.name"), message));
        }
        if self.categories.insert(category.id, category.name).is_some() {
            let message = format!("another category has the id {}", category.id);
            self.faults.push(json::fault(&format!("{at}.id"), message));
        }
    }
}

/// The whole file.
struct Document<'a> {
    index: &'a mut Index,
    meter: &'a Meter,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("COCO instances: an object with images, annotations and categories")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { index, meter } = self;
        let mut seen = Vec::new();
        loop {
            meter.begin("the name of a section");
            let Some(key) = map.next_key::<String>()? else { break };
            let Some((name, limit, take)) = SECTIONS.iter().find(|(name, ..)| *name == key).copied() else {
                meter.pass();
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.contains(&name) {
                return Err(A::Error::custom(format!("there are two sections `{name}`")));
            }
            seen.push(name);
            map.next_value_seed(Section { name, limit, take, index: &mut *index, meter })?;
        }
        if !seen.contains(&"images") {
            return Err(A::Error::custom("there is no section `images`, as COCO instances have"));
        }
        Ok(())
    }
}

/// What is done with an object of a section.
type Take = fn(&mut Index, Place, &str);

/// The sections that are read: name, most objects, what is done with each.
const SECTIONS: [(&str, u32, Take); 3] = [
    ("images", u32::MAX, Index::add_image),
    ("annotations", u32::MAX, Index::add_annotation),
    ("categories", limits::CATEGORIES as u32, Index::add_category),
];

/// A list of objects.
struct Section<'a> {
    name: &'static str,
    limit: u32,
    take: Take,
    index: &'a mut Index,
    meter: &'a Meter,
}

impl<'de> DeserializeSeed<'de> for Section<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the list of {}", self.name)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for number in 0..self.limit {
            let at = || format!("{}[{number}]", self.name);
            self.meter.begin(self.name);
            let found = list.next_element::<Box<RawValue>>();
            let Some(raw) = found.map_err(|error| A::Error::custom(format!("{}: {error}", at())))? else {
                return Ok(());
            };
            let text = raw.get();
            if !text.starts_with('{') {
                return Err(A::Error::custom(format!("{}: must be an object", at())));
            }
            // Behind an object nothing has been read yet: there is no need to look on for its end.
            let offset = self.meter.count.get() - text.len() as u64;
            let length = u32::try_from(text.len()).map_err(|_| A::Error::custom(format!("{}: is too long", at())))?;
            (self.take)(self.index, Place { offset, length, number }, text);
        }
        Err(A::Error::custom(format!("there are more than {} {}", self.limit, self.name)))
    }
}

/// What is known of the way through the file while serde_json walks it.
struct Meter {
    /// What may be held.
    room_bytes: u64,
    /// Bytes read.
    count: Cell<u64>,
    /// What is being read, and the count that it must not reach.
    budget: Cell<Option<(&'static str, u64)>>,
    /// Why reading failed: serde_json would keep only the text.
    failure: Cell<Option<io::Error>>,
}

impl Meter {
    fn new(room_bytes: u64) -> Self {
        Self { room_bytes, count: Cell::new(0), budget: Cell::new(None), failure: Cell::new(None) }
    }

    /// From here on something is read that is held in memory.
    fn begin(&self, what: &'static str) {
        self.budget.set(Some((what, self.count.get() + self.room_bytes)));
    }

    /// From here on something is passed over.
    fn pass(&self) {
        self.budget.set(None);
    }
}

/// The file, held to the limits of what serde_json keeps of it.
struct Metered<'a> {
    file: BufReader<File>,
    meter: &'a Meter,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl<'a> Metered<'a> {
    fn new(file: BufReader<File>, meter: &'a Meter) -> Self {
        Self { file, meter, depth: 0, in_string: false, escaped: false }
    }

    fn step(&mut self, byte: u8) -> io::Result<()> {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return Ok(());
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.depth > limits::JSON_NESTING {
            let message = format!("brackets nest deeper than {} levels", limits::JSON_NESTING);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }

    fn read_metered(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = io::Read::read(&mut self.file, buffer)?;
        buffer[..length].iter().try_for_each(|byte| self.step(*byte))?;
        let count = self.meter.count.get() + length as u64;
        self.meter.count.set(count);
        match self.meter.budget.get() {
            Some((what, end)) if count > end => {
                let message = format!("{what}: more than {} bytes up to byte {count}", self.meter.room_bytes);
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
            _ => Ok(length),
        }
    }
}

impl io::Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_metered(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let kind = error.kind();
            self.meter.failure.set(Some(error));
            kind.into()
        })
    }
}
