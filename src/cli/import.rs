//! `concord import …`

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};
use tokio::{fs::File, sync::watch};
use tokio_util::io::ReaderStream;

use super::{job, print};
use crate::{
    app,
    backend::storage::ByteStream,
    config::Config,
    domain::{
        ids::ProjectId,
        words::{AssetState, DatasetFormat, PreAnnotationUse},
    },
    repo::asset::Asset,
    service::{
        App, Viewer,
        asset::{self, UploadFile},
        job::StartImport,
    },
};

#[derive(Debug, Args)]
pub(super) struct ImportCommand {
    /// Into which project (proj_…)
    #[arg(long)]
    project: ProjectId,
    /// What the file is
    #[arg(long)]
    format: FormatName,
    /// What becomes of the annotations in it
    #[arg(long)]
    annotations: AnnotationUse,
    /// A folder with the files that the data set names: they are uploaded first, those that are there already left out
    #[arg(long)]
    files: Option<PathBuf>,
    /// Who imports; the first admin when not given
    #[arg(long = "as", value_name = "EMAIL")]
    by: Option<String>,
    /// The file
    file: PathBuf,
}

/// A format of data sets.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FormatName {
    /// One task a line, nothing lost
    Jsonl,
    /// COCO instances
    Coco,
}

impl From<FormatName> for DatasetFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Jsonl => Self::Jsonl,
            FormatName::Coco => Self::Coco,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AnnotationUse {
    /// Left out
    Ignore,
    /// Whoever first claims a slot finds them there
    Preannotate,
    /// Taken for accepted work
    Accept,
}

impl From<AnnotationUse> for PreAnnotationUse {
    fn from(name: AnnotationUse) -> Self {
        match name {
            AnnotationUse::Ignore => Self::Ignore,
            AnnotationUse::Preannotate => Self::Preannotate,
            AnnotationUse::Accept => Self::Accept,
        }
    }
}

pub(super) async fn run(config: &Config, command: ImportCommand, stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
    let app = app::use_cases(config).await?;
    let viewer = job::operator(&app, command.by.as_deref()).await?;
    if let Some(folder) = &command.files {
        upload_all(&app, &viewer, command.project, folder).await?;
    }
    let name = command.file.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
    let source = upload(&app, &viewer, command.project, &command.file, name).await?;
    anyhow::ensure!(
        source.state == AssetState::Ready,
        "{}: {}",
        command.file.display(),
        source.reason.unwrap_or_default()
    );
    let start = StartImport {
        project: command.project,
        format: command.format.into(),
        source: source.id,
        annotations: command.annotations.into(),
    };
    let job = crate::service::job::start_import(&app, &viewer, start).await?;
    let ended = job::run(app.clone(), &viewer, job, stopped).await?;
    if let Some(key) = &ended.errors_key {
        job::print_lines(&app, key).await?;
    }
    job::report(&ended)
}

/// Uploads every file below a folder, under its path in it.
async fn upload_all(app: &App, viewer: &Viewer, project: ProjectId, folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files).with_context(|| format!("cannot read {}", folder.display()))?;
    files.sort();
    let mut progress = job::Bar::new("files");
    let (mut ready, mut refused) = (0_usize, Vec::new());
    for (number, path) in files.iter().enumerate() {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let asset = upload(app, viewer, project, path, name.clone()).await?;
        if asset.state == AssetState::Ready {
            ready += 1;
        } else {
            refused.push(format!("{name}: {}", asset.reason.unwrap_or_default()));
        }
        progress.show(number + 1, Some(files.len()))?;
    }
    progress.end()?;
    print(&format!("{ready} files are there"))?;
    refused.iter().try_for_each(|line| print(line))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            collect(&path, files)?;
        } else if path.is_file() && !hidden {
            files.push(path);
        }
    }
    Ok(())
}

async fn upload(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    path: &Path,
    file_name: String,
) -> anyhow::Result<Asset> {
    let unreadable = || format!("cannot read {}", path.display());
    let (sha256, size_bytes) = digest(path).with_context(unreadable)?;
    let file = UploadFile { file_name, content_type: content_type(path), size_bytes, sha256: Some(sha256) };
    let body: ByteStream = Box::pin(ReaderStream::new(File::open(path).await.with_context(unreadable)?));
    Ok(asset::store(app, viewer, project, file, body).await?)
}

/// SHA-256 in hexadecimal, and bytes.
fn digest(path: &Path) -> std::io::Result<(String, i64)> {
    let mut file = BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
    let (mut hash, mut bytes) = (Sha256::new(), 0_usize);
    loop {
        let chunk = file.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        hash.update(chunk);
        let read = chunk.len();
        bytes += read;
        file.consume(read);
    }
    let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex, i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// What the end of the name says; the bytes decide later.
fn content_type(path: &Path) -> String {
    let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
    let found = match end.as_deref() {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("bmp") => "image/bmp",
        Some("tif" | "tiff") => "image/tiff",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain",
        Some("json") => "application/json",
        Some("jsonl") => "application/x-ndjson",
        Some("xml") => "application/xml",
        Some("wav") => "audio/wav",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    };
    found.to_owned()
}
