//! From records to pictures and annotations. Pictures are written at once, annotations beside, then behind them.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    domain::words::Kind,
    format::{About, Losses, Writer},
    kind::{Geometry, Point, Polygon, PolygonPart},
    repo::record::{Record, RecordAnnotation, RecordAsset, RecordSlot},
};

/// A picture.
#[derive(Serialize)]
struct Image<'a> {
    id: u64,
    file_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

/// An annotation; from `tool` on there is what other readers skip.
#[derive(Serialize)]
struct Annotation<'a> {
    id: u64,
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
    segmentation: Vec<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    attributes: &'a Map<String, Value>,
    slot: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotator: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotator_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

/// A category.
#[derive(Serialize)]
struct Category {
    id: u64,
    name: String,
    supercategory: String,
}

/// The labels that there are so far; their places, from 1, are the ids.
#[derive(Default)]
struct Categories {
    ids: HashMap<String, u64>,
    list: Vec<Category>,
}

impl Categories {
    fn of(about: &About) -> Self {
        let mut categories = Self::default();
        let drawn = |kind: &Kind| matches!(kind, Kind::BoundingBox | Kind::Polygon);
        for (tool, _, labels) in about.tools.iter().filter(|(_, kind, _)| drawn(kind)) {
            for label in labels {
                categories.id(label, tool);
            }
        }
        categories
    }

    fn id(&mut self, name: &str, supercategory: &str) -> u64 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.list.len() as u64 + 1;
        self.ids.insert(name.to_owned(), id);
        self.list.push(Category { id, name: name.to_owned(), supercategory: supercategory.to_owned() });
        id
    }
}

/// What an annotation looks like in COCO.
struct Shape {
    /// Left, top, width, height.
    bbox: [f64; 4],
    area: f64,
    segmentation: Vec<Vec<f64>>,
}

/// Writes a picture for each of a record, and its annotations.
pub(super) struct ImageWriter {
    out: BufWriter<Box<dyn Write + Send>>,
    /// The annotations, with commas between, until all pictures are written.
    aside: BufWriter<File>,
    categories: Categories,
    images: u64,
    annotations: u64,
    losses: Losses,
}

impl ImageWriter {
    pub(super) fn create(out: Box<dyn Write + Send>, scratch: &Path, about: &About) -> io::Result<Self> {
        let aside =
            File::options().create(true).truncate(true).read(true).write(true).open(scratch.join("annotations"))?;
        let mut out = BufWriter::new(out);
        write!(out, "{{\"info\":{},\"licenses\":[],\"images\":[", json!({ "description": about.project }))?;
        let categories = Categories::of(about);
        let aside = BufWriter::new(aside);
        Ok(Self { out, aside, categories, images: 0, annotations: 0, losses: Losses::default() })
    }

    /// Writes the pictures of a record; gives for each of its assets the picture's id, 0 for what is none.
    fn write_images(&mut self, record: &Record) -> io::Result<Vec<u64>> {
        // A task of several pictures has one id elsewhere, its pictures have none.
        let external_id = record.external_id.as_deref().filter(|_| record.assets.len() == 1);
        let mut ids = Vec::with_capacity(record.assets.len());
        for asset in &record.assets {
            if !is_picture(asset) {
                ids.push(0);
                continue;
            }
            self.images += 1;
            ids.push(self.images);
            let image = Image {
                id: self.images,
                file_name: &asset.file_name,
                width: asset.width,
                height: asset.height,
                external_id,
                sha256: asset.sha256.as_deref(),
            };
            separate(&mut self.out, self.images)?;
            serde_json::to_writer(&mut self.out, &image)?;
        }
        Ok(ids)
    }

    fn write_annotation(&mut self, image: u64, slot: &RecordSlot, annotation: &RecordAnnotation) -> io::Result<()> {
        if image == 0 && annotation.geometry.extent().is_some() {
            self.losses.add("annotations on no picture: left out");
            return Ok(());
        }
        let Some(Shape { bbox, area, segmentation }) = shape(&annotation.geometry, &mut self.losses) else {
            return Ok(());
        };
        self.annotations += 1;
        let written = Annotation {
            id: self.annotations,
            image_id: image,
            category_id: self.categories.id(&annotation.label, annotation.tool.as_deref().unwrap_or_default()),
            bbox,
            area,
            iscrowd: 0,
            segmentation,
            tool: annotation.tool.as_deref(),
            attributes: &annotation.attributes,
            slot: slot.number,
            annotator: slot.annotator.as_ref().map(|person| person.name.as_str()),
            annotator_id: slot.annotator.as_ref().map(|person| person.id.as_str()),
            score: annotation.score,
        };
        separate(&mut self.aside, self.annotations)?;
        serde_json::to_writer(&mut self.aside, &written)?;
        Ok(())
    }

    fn count_losses(&mut self, record: &Record, images: &[u64]) {
        let pictures = images.iter().filter(|image| **image != 0).count();
        for (lost, sentence) in [
            (pictures == 0, "tasks without a picture: left out"),
            (pictures > 1, "tasks of several pictures: each picture stands for itself"),
            (pictures > 0 && pictures < images.len(), "files of tasks that are no pictures: left out"),
            (pictures > 0 && !record.data.is_empty(), "data of tasks: left out"),
            (pictures > 0 && record.priority != 0, "priorities of tasks: left out"),
        ] {
            if lost {
                self.losses.add(sentence);
            }
        }
    }
}

impl Writer for ImageWriter {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        let images = self.write_images(record)?;
        self.count_losses(record, &images);
        let only = match images[..] {
            [image] => image,
            _ => 0,
        };
        for slot in &record.slots {
            for annotation in &slot.annotations {
                let image = annotation.asset.map_or(only, |i| images.get(i).copied().unwrap_or(0));
                self.write_annotation(image, slot, annotation)?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Losses> {
        let Self { mut out, aside, categories, losses, .. } = *self;
        let mut aside = aside.into_inner().map_err(io::IntoInnerError::into_error)?;
        aside.rewind()?;
        out.write_all(b"\n],\"annotations\":[")?;
        io::copy(&mut aside, &mut out)?;
        out.write_all(b"\n],\"categories\":")?;
        serde_json::to_writer(&mut out, &categories.list)?;
        out.write_all(b"}\n")?;
        out.flush()?;
        Ok(losses)
    }
}

/// Each object stands on a line of its own.
fn separate(out: &mut impl Write, number: u64) -> io::Result<()> {
    out.write_all(if number == 1 { b"\n" } else { b",\n" })
}

fn is_picture(asset: &RecordAsset) -> bool {
    match &asset.content_type {
        Some(content_type) => content_type.starts_with("image/"),
        None => asset.width.is_some(),
    }
}

/// How a geometry is written; nothing when it cannot be.
fn shape(geometry: &Geometry, losses: &mut Losses) -> Option<Shape> {
    match geometry {
        Geometry::BoundingBox(rectangle) => {
            let bbox = if rectangle.rotation == 0.0 {
                [rectangle.x, rectangle.y, rectangle.width, rectangle.height]
            } else {
                losses.add("rotations of boxes: the box around is given");
                bbox(geometry)?
            };
            Some(Shape { bbox, area: bbox[2] * bbox[3], segmentation: Vec::new() })
        }
        Geometry::Polygon(polygon) => {
            if polygon.parts.iter().any(|part| !part.holes.is_empty()) {
                losses.add("holes of polygons: the outlines without them are given");
            }
            let segmentation = polygon.parts.iter().map(|part| part.outer.concat()).collect();
            Some(Shape { bbox: bbox(geometry)?, area: area(polygon), segmentation })
        }
        Geometry::TextSpan(_) => {
            losses.add("text spans: left out");
            None
        }
        Geometry::Classification(_) => {
            losses.add("classifications: left out");
            None
        }
    }
}

/// The upright box around.
fn bbox(geometry: &Geometry) -> Option<[f64; 4]> {
    let around = geometry.extent()?;
    Some([around.x_min, around.y_min, around.x_max - around.x_min, around.y_max - around.y_min])
}

/// What the parts cover without their holes; where parts overlap, twice, as COCO counts.
fn area(polygon: &Polygon) -> f64 {
    let holes = |part: &PolygonPart| part.holes.iter().map(|ring| enclosed(ring)).sum::<f64>();
    polygon.parts.iter().map(|part| enclosed(&part.outer) - holes(part)).sum()
}

/// The shoelace formula.
fn enclosed(ring: &[Point]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>().abs() / 2.0
}
