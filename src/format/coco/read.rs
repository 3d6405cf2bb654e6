//! From pictures and annotations to records, one picture at a time.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    fs::File,
    io::{self, BufReader, Read as _},
    path::Path,
};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::index::{Index, OnImage, Place};
use crate::{
    domain::{
        limits,
        words::{AnnotationSource, SlotState},
    },
    format::{Fault, Losses, Read, Reader, json},
    kind::{BoundingBox, Geometry, Point, Polygon, PolygonPart},
    repo::record::{Record, RecordAnnotation, RecordAsset, RecordPerson, RecordSlot},
};

/// A picture; what else it holds is skipped. The last two are of our own exports.
#[derive(Debug, Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    width: Option<f64>,
    height: Option<f64>,
    external_id: Option<String>,
    sha256: Option<String>,
}

/// An annotation; what else it holds is skipped. From `tool` on they are of our own exports.
#[derive(Debug, Deserialize)]
struct Annotation {
    category_id: i64,
    bbox: Option<Vec<f64>>,
    segmentation: Option<Segmentation>,
    iscrowd: Option<Value>,
    keypoints: Option<Vec<IgnoredAny>>,
    score: Option<f64>,
    tool: Option<String>,
    attributes: Option<Map<String, Value>>,
    slot: Option<i32>,
    annotator: Option<Value>,
    annotator_id: Option<Value>,
}

/// What outlines an object.
#[derive(Debug)]
enum Segmentation {
    /// Rings of `x, y, x, y, …`.
    Rings(Vec<Vec<f64>>),
    /// Run lengths, compressed or not.
    Mask,
}

impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = Segmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rings or a mask")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Segmentation, A::Error> {
        let mut rings = Vec::new();
        while let Some(ring) = list.next_element()? {
            rings.push(ring);
        }
        Ok(Segmentation::Rings(rings))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mask: A) -> Result<Segmentation, A::Error> {
        while mask.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Segmentation::Mask)
    }
}

/// The file, read where the index says.
struct Shelf {
    file: BufReader<File>,
    at: u64,
    text: Vec<u8>,
}

impl Shelf {
    fn open(file: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::new(File::open(file)?), at: 0, text: Vec::new() })
    }

    fn text(&mut self, place: Place) -> io::Result<&[u8]> {
        // Most neighbours in a section are asked for one after the other: within the buffer nothing is read anew.
        self.file.seek_relative(place.offset.cast_signed() - self.at.cast_signed())?;
        self.text.resize(place.length as usize, 0);
        self.file.read_exact(&mut self.text)?;
        self.at = place.offset + u64::from(place.length);
        Ok(&self.text)
    }
}

/// Gives a record for each picture, then what belongs to none.
pub(super) struct ImageReader {
    index: Index,
    record_bytes: usize,
    images: Shelf,
    annotations: Shelf,
    /// Pictures, annotations and annotations astray that were looked at.
    done: [usize; 3],
    waiting: VecDeque<Read>,
    failed: bool,
    losses: Losses,
}

impl ImageReader {
    /// No picture may have more than `record_bytes`, its annotations together neither.
    pub(super) fn open(file: &Path, record_bytes: usize) -> io::Result<Self> {
        let mut index = Index::of(file, record_bytes)?;
        let faults = std::mem::take(&mut index.faults);
        Ok(Self {
            index,
            record_bytes,
            images: Shelf::open(file)?,
            annotations: Shelf::open(file)?,
            done: [0; 3],
            waiting: faults.into_iter().map(|fault| Read { line: 0, record: Err(fault) }).collect(),
            failed: false,
            losses: Losses::default(),
        })
    }

    fn read(&mut self) -> io::Result<Option<Read>> {
        loop {
            if let Some(read) = self.waiting.pop_front() {
                return Ok(Some(read));
            }
            let [images, annotations, astray] = &mut self.done;
            if let Some(place) = self.index.images.get(*images).copied() {
                *images += 1;
                self.read_image(place)?;
            } else if let Some(entry) = self.index.annotations.get(*annotations) {
                *annotations += 1;
                if self.index.image(entry.image).is_none() {
                    let at = format!("annotations[{}].image_id", entry.place.number);
                    let fault = json::fault(&at, format!("no picture has the id {}", entry.image));
                    return Ok(Some(Read { line: 0, record: Err(fault) }));
                }
            } else if let Some(place) = self.index.astray.get(*astray).copied() {
                *astray += 1;
                let at = format!("annotations[{}]", place.number);
                let fault = json::parse::<OnImage>(self.annotations.text(place)?, &at).err();
                self.waiting.extend(fault.map(|fault| Read { line: 0, record: Err(fault) }));
            } else {
                return Ok(None);
            }
        }
    }

    fn read_image(&mut self, place: Place) -> io::Result<()> {
        let line = u64::from(place.number) + 1;
        let at = format!("images[{}]", place.number);
        let image = json::parse(self.images.text(place)?, &at);
        let (record, faults) = match image.and_then(|image| self.check_image(image, &at, place.number)) {
            Ok((id, record)) => self.read_annotations(id, record)?,
            Err(fault) => (None, vec![fault]),
        };
        let reads = record.map(Ok).into_iter().chain(faults.into_iter().map(Err));
        self.waiting.extend(reads.map(|record| Read { line, record }));
        Ok(())
    }

    /// The record of a picture on which there is nothing yet, and the picture's id.
    fn check_image(&self, image: Image, at: &str, number: u32) -> Result<(i64, Record), Fault> {
        if let Some(first) = self.index.image(image.id).filter(|first| *first != number) {
            return Err(json::fault(&format!("{at}.id"), format!("is that of images[{first}]")));
        }
        if image.file_name.is_empty() {
            return Err(json::fault(&format!("{at}.file_name"), "must not be empty"));
        }
        let annotations = self.index.annotations_on(image.id);
        if annotations.len() as i64 > limits::TASK_ANNOTATIONS {
            return Err(json::fault(at, format!("has more than {} annotations", limits::TASK_ANNOTATIONS)));
        }
        let bytes: u64 = annotations.iter().map(|entry| u64::from(entry.place.length)).sum();
        if bytes > self.record_bytes as u64 {
            return Err(json::fault(at, format!("its annotations have more than {} bytes", self.record_bytes)));
        }
        let asset = RecordAsset {
            width: pixels(image.width, at, "width")?,
            height: pixels(image.height, at, "height")?,
            sha256: image.sha256,
            file_name: image.file_name.clone(),
            ..RecordAsset::default()
        };
        let external_id = Some(image.external_id.unwrap_or(image.file_name));
        Ok((image.id, Record { external_id, assets: vec![asset], ..Record::default() }))
    }

    /// Puts the annotations of a picture into its record; none when something is wrong with any.
    fn read_annotations(&mut self, id: i64, mut record: Record) -> io::Result<(Option<Record>, Vec<Fault>)> {
        let mut slots = BTreeMap::new();
        let mut faults = Vec::new();
        for entry in self.index.annotations_on(id) {
            let at = format!("annotations[{}]", entry.place.number);
            let annotation = json::parse(self.annotations.text(entry.place)?, &at);
            let added = annotation
                .and_then(|annotation| add(annotation, &at, &self.index.categories, &mut slots, &mut self.losses));
            faults.extend(added.err());
        }
        record.slots = slots.into_values().collect();
        Ok((faults.is_empty().then_some(record), faults))
    }
}

impl Iterator for ImageReader {
    type Item = io::Result<Read>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}

impl Reader for ImageReader {
    fn losses(&self) -> &Losses {
        &self.losses
    }
}

fn pixels(size: Option<f64>, at: &str, name: &str) -> Result<Option<u32>, Fault> {
    let Some(size) = size else { return Ok(None) };
    if size.fract() != 0.0 || !(1.0..=f64::from(u32::MAX)).contains(&size) {
        return Err(json::fault(&format!("{at}.{name}"), "must be a whole number of pixels, at least 1"));
    }
    Ok(Some(size as u32))
}

/// Adds an annotation to its slot.
fn add(
    annotation: Annotation,
    at: &str,
    categories: &HashMap<i64, String>,
    slots: &mut BTreeMap<i32, RecordSlot>,
    losses: &mut Losses,
) -> Result<(), Fault> {
    let Some(label) = categories.get(&annotation.category_id) else {
        let message = format!("no category has the id {}", annotation.category_id);
        return Err(json::fault(&format!("{at}.category_id"), message));
    };
    let number = annotation.slot.unwrap_or(1);
    if number < 1 {
        return Err(json::fault(&format!("{at}.slot"), "must be at least 1"));
    }
    if annotation.keypoints.as_ref().is_some_and(|points| !points.is_empty()) {
        losses.add("keypoints: left out");
    }
    let geometry = geometry(&annotation, at, losses)?;
    let slot = slots.entry(number).or_insert_with(|| RecordSlot {
        number,
        round: 1,
        state: SlotState::Accepted,
        annotator: None,
        annotations: Vec::new(),
    });
    if let (Some(Value::String(name)), Some(Value::String(id))) = (annotation.annotator, annotation.annotator_id) {
        slot.annotator.get_or_insert(RecordPerson { id, name });
    }
    slot.annotations.push(RecordAnnotation {
        id: None,
        asset: None,
        tool: annotation.tool,
        label: label.clone(),
        geometry,
        attributes: annotation.attributes.unwrap_or_default(),
        // Only what finds objects by itself is more or less sure of them.
        source: annotation.score.map(|_| AnnotationSource::Model),
        score: annotation.score,
        author: None,
    });
    Ok(())
}

/// The outline where there is one, else the box.
fn geometry(annotation: &Annotation, at: &str, losses: &mut Losses) -> Result<Geometry, Fault> {
    let crowd =
        annotation.iscrowd.as_ref().is_some_and(|flag| flag == &Value::Bool(true) || flag.as_f64() == Some(1.0));
    match &annotation.segmentation {
        _ if crowd => losses.add("crowds (iscrowd): the box around is taken"),
        Some(Segmentation::Mask) => losses.add("masks: the box around is taken"),
        Some(Segmentation::Rings(rings)) if rings.iter().any(|ring| !ring.is_empty()) => {
            return polygon(rings, at).map(Geometry::from);
        }
        Some(Segmentation::Rings(_)) | None => {}
    }
    let Some(bbox) = &annotation.bbox else {
        return Err(json::fault(at, "has neither a bbox nor a segmentation of polygons"));
    };
    let [x, y, width, height] = bbox[..] else {
        return Err(json::fault(&format!("{at}.bbox"), "must have 4 numbers: x, y, width, height"));
    };
    if !(width > 0.0 && height > 0.0) {
        return Err(json::fault(&format!("{at}.bbox"), "must have a width and a height greater than 0"));
    }
    Ok(BoundingBox { x, y, width, height, rotation: 0.0 }.into())
}

/// Each ring is a part: COCO has no holes. Some writers repeat the first vertex at the end, or have empty rings.
fn polygon(rings: &[Vec<f64>], at: &str) -> Result<Polygon, Fault> {
    let mut parts = Vec::new();
    for (i, ring) in rings.iter().enumerate().filter(|(_, ring)| !ring.is_empty()) {
        if ring.len() < 6 || ring.len() % 2 != 0 {
            let message = "must have an even number of coordinates, at least 6";
            return Err(json::fault(&format!("{at}.segmentation[{i}]"), message));
        }
        let mut outer: Vec<Point> = ring.chunks_exact(2).map(|vertex| [vertex[0], vertex[1]]).collect();
        if outer.len() > 3 && outer.first() == outer.last() {
            outer.pop();
        }
        parts.push(PolygonPart { outer, holes: Vec::new() });
    }
    Ok(Polygon { parts })
}
