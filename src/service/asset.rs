//! Uploads: asked for, sent past the API to a signed URL, then checked; and reading what is stored.

use std::{collections::HashSet, ops::Range};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

pub use crate::service::signed_url::{FileId, Permit};
use crate::{
    backend::storage::{ByteStream, StorageError},
    domain::{
        ids::{AssetId, JobId, ProjectId},
        limits,
        permission::Action,
        text,
        words::{AssetState, MediaType},
    },
    repo::{
        Conn, asset as repo,
        asset::{Asset, Completion, Declared, NewAsset},
        job, member, project,
    },
    service::{
        App, ServiceError, Viewer, asset_facts,
        project::no_project,
        validate::{self, must},
    },
};

/// A file somebody wants to upload, as it was sent.
#[derive(Clone, Debug)]
pub struct UploadFile {
    /// As the uploader calls it.
    pub file_name: String,
    /// MIME type.
    pub content_type: String,
    /// Bytes.
    pub size_bytes: i64,
    /// SHA-256, hexadecimal.
    pub sha256: Option<String>,
}

/// Where to send the bytes of one file.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The asset they will be.
    pub asset: AssetId,
    /// Where to PUT them.
    pub url: String,
    /// The `Content-Type` to send along.
    pub content_type: String,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// Makes a PENDING asset and a signed URL for each file; takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Invalid`], [`ServiceError::LimitExceeded`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %project))]
pub async fn request_uploads(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    files: Vec<UploadFile>,
) -> Result<Vec<Upload>, ServiceError> {
    // Before the transaction: making the key at the first use writes on a connection of its own.
    let urls = app.urls().await?;
    let txn = app.db.begin().await?;
    let found = project::share(&txn, viewer.scope(), project).await?;
    let (project, standing) = found.ok_or_else(|| no_project("projectId"))?;
    must(standing, Action::ManageAssets)?;
    validate::must_be_open(&project, "projectId")?;
    validate::count("files", files.len(), limits::UPLOADS, "files")?;
    let assets = files
        .into_iter()
        .enumerate()
        .map(|(index, file)| new_asset(project.id, &format!("files[{index}]"), file))
        .collect::<Result<Vec<_>, _>>()?;
    let uploads = assets.iter().map(|asset| {
        let (url, expires_at) = urls.sign(Permit::Write, FileId::Asset(asset.id), app.db.clock().process_now());
        Upload { asset: asset.id, url, content_type: asset.declared.content_type.clone(), expires_at }
    });
    let uploads = uploads.collect();
    repo::insert(&txn, project.id, viewer.user.id, assets).await?;
    txn.commit().await?;
    Ok(uploads)
}

fn new_asset(project: ProjectId, field: &str, file: UploadFile) -> Result<NewAsset, ServiceError> {
    let at = |name: &str| format!("{field}.{name}");
    let file_name = text::name(&file.file_name, limits::FILE_NAME_CHARS)
        .map_err(|error| ServiceError::invalid(at("fileName"), error))?;
    let content_type = asset_facts::normalized(&file.content_type);
    let looks_right = content_type.len() <= 100
        && content_type.split_once('/').is_some_and(|(top, sub)| !top.is_empty() && !sub.is_empty())
        && content_type.bytes().all(|byte| byte.is_ascii_graphic());
    if !looks_right {
        return Err(ServiceError::invalid(at("contentType"), "must be a MIME type such as image/jpeg"));
    }
    if !(1..=limits::UPLOAD_BYTES).contains(&file.size_bytes) {
        return Err(ServiceError::invalid(at("sizeBytes"), format!("must be from 1 to {}", limits::UPLOAD_BYTES)));
    }
    if let Some(sha256) = &file.sha256
        && (sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(ServiceError::invalid(at("sha256"), "must be 64 hexadecimal digits"));
    }
    let id = AssetId::generate();
    let declared = Declared { content_type, size_bytes: file.size_bytes, sha256: file.sha256 };
    Ok(NewAsset { id, file_name, storage_key: storage_key(project, id), declared })
}

/// A request for a file with what its signature says.
#[derive(Clone, Debug)]
pub struct SignedRequest<'a> {
    /// Whose bytes.
    pub file: FileId,
    /// What the URL claims to allow.
    pub permit: Permit,
    /// Until when, in seconds since 1970.
    pub expires: i64,
    /// Hexadecimal.
    pub signature: &'a str,
}

/// Takes the bytes sent to an upload URL. They can be sent again until the upload is completed.
///
/// # Errors
/// [`ServiceError::Forbidden`] for a wrong or expired signature, [`ServiceError::Transition`] once completed,
/// [`ServiceError::TooLarge`] for more bytes than announced, [`ServiceError::Unavailable`] for a full disk.
#[tracing::instrument(skip_all, fields(file.id = %request.file))]
pub async fn receive(app: &App, request: SignedRequest<'_>, body: ByteStream) -> Result<(), ServiceError> {
    let completed = || ServiceError::transition("file", "the upload is completed; its bytes cannot change any more");
    let mut asset = signed(app, &request).await?;
    if asset.state != AssetState::Pending {
        return Err(completed());
    }
    // A key of its own for each sending: what a check has read is never written over.
    let key = storage_key(asset.project, asset.id);
    app.storage.put(&key, body, asset.declared.size_bytes.unsigned_abs()).await?;
    while !repo::move_bytes(&app.db, &asset, &key).await? {
        // Completed meanwhile, or sent a second time beside this one: then the later arrival stands.
        asset = signed(app, &request).await?;
        if asset.state != AssetState::Pending {
            app.storage.delete(&key).await?;
            return Err(completed());
        }
    }
    app.storage.delete(&asset.storage_key).await?;
    Ok(())
}

fn storage_key(project: ProjectId, asset: AssetId) -> String {
    format!("{project}/{asset}/{}", Uuid::now_v7().simple())
}

async fn must_be_signed(app: &App, request: &SignedRequest<'_>) -> Result<(), ServiceError> {
    let now = app.db.clock().process_now();
    if app.urls().await?.allows(request.permit, request.file, request.expires, request.signature, now) {
        return Ok(());
    }
    Err(ServiceError::Forbidden("the URL's signature is wrong or has expired; ask for a new URL"))
}

async fn signed(app: &App, request: &SignedRequest<'_>) -> Result<Asset, ServiceError> {
    must_be_signed(app, request).await?;
    let missing = || ServiceError::not_found("asset", "file");
    let FileId::Asset(id) = request.file else { return Err(missing()) };
    repo::find_signed(&app.db, id).await?.ok_or_else(missing)
}

/// A stored object about to be read.
#[derive(Clone, Debug)]
pub struct Download {
    /// What to call it.
    pub file_name: String,
    /// MIME type, where it is known.
    pub content_type: Option<String>,
    /// Tells its bytes from others.
    pub tag: String,
    /// Its bytes in all.
    pub size_bytes: u64,
    key: String,
}

/// Finds what a read URL names.
///
/// # Errors
/// [`ServiceError::Forbidden`] for a wrong or expired signature, [`ServiceError::NotFound`] when there are no bytes.
#[tracing::instrument(skip_all, fields(file.id = %request.file))]
pub async fn open(app: &App, request: SignedRequest<'_>) -> Result<Download, ServiceError> {
    if let FileId::Job(id) = request.file {
        must_be_signed(app, &request).await?;
        return open_job_file(app, id, request.permit).await;
    }
    let asset = signed(app, &request).await?;
    if asset.state != AssetState::Ready {
        return Err(ServiceError::not_found("asset", "file"));
    }
    Ok(Download {
        file_name: asset.file_name,
        content_type: asset.content_type,
        tag: asset.sha256.unwrap_or_default(),
        size_bytes: asset.size_bytes.unwrap_or_default().unsigned_abs(),
        key: asset.storage_key,
    })
}

async fn open_job_file(app: &App, id: JobId, permit: Permit) -> Result<Download, ServiceError> {
    let missing = || ServiceError::not_found("file of a job", "file");
    let job = job::find(&app.db, id).await?.ok_or_else(missing)?;
    let (key, what) = match permit {
        Permit::Errors => (job.errors_key, "errors"),
        Permit::Read | Permit::Write | Permit::Result => (job.result_key, "result"),
    };
    let key = key.ok_or_else(missing)?;
    let size_bytes = app.storage.size(&key).await?;
    // A key of ours ends like its file should be called.
    let extension = key.rsplit_once('.').map_or("jsonl", |(_, extension)| extension);
    let content_type = if extension == "json" { "application/json" } else { "application/x-ndjson" };
    let file_name = format!("{id}-{what}.{extension}");
    Ok(Download {
        file_name,
        content_type: Some(content_type.to_owned()),
        tag: format!("{id}-{what}"),
        size_bytes,
        key,
    })
}

/// The bytes of an opened object, all or those of `range`.
///
/// # Errors
/// [`ServiceError::Unavailable`] when the storage is away.
pub async fn read(app: &App, download: &Download, range: Option<Range<u64>>) -> Result<ByteStream, ServiceError> {
    Ok(app.storage.read(&download.key, range).await?)
}

/// The bytes of a READY asset, for what the server does by itself.
///
/// # Errors
/// [`ServiceError::NotFound`] when it is not there any more, [`ServiceError::Unavailable`] when the storage is away.
pub async fn bytes(app: &App, id: AssetId) -> Result<ByteStream, ServiceError> {
    let missing = || ServiceError::not_found("READY asset", "source.assetId");
    let asset = repo::find_signed(&app.db, id).await?.filter(|asset| asset.state == AssetState::Ready);
    Ok(app.storage.read(&asset.ok_or_else(missing)?.storage_key, None).await?)
}

/// Stores one file of the operator's as an asset, without the detour over a URL; gives the asset as it was checked. A
/// READY one of the same name and bytes is given instead.
///
/// # Errors
/// As [`request_uploads`] and [`complete_uploads`].
pub async fn store(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    file: UploadFile,
    body: ByteStream,
) -> Result<Asset, ServiceError> {
    if let Some(sha256) = &file.sha256 {
        let (hashes, names) = (HashSet::from([sha256.to_lowercase()]), HashSet::new());
        let known = repo::find_named(&app.db, project, &hashes, &names).await?;
        if let Some(known) = known.into_iter().find(|known| known.file_name == file.file_name) {
            let known = repo::find_all(&app.db, viewer.scope(), &[known.asset.id]).await?.remove(&known.asset.id);
            return known.ok_or_else(|| ServiceError::not_found("asset", "asset"));
        }
    }
    let limit = file.size_bytes.unsigned_abs();
    let upload = request_uploads(app, viewer, project, vec![file]).await?.pop();
    let id = upload.ok_or_else(|| ServiceError::not_found("asset", "asset"))?.asset;
    let asset = repo::find_signed(&app.db, id).await?.ok_or_else(|| ServiceError::not_found("asset", "asset"))?;
    app.storage.put(&asset.storage_key, body, limit).await?;
    let completed = complete_uploads(app, viewer, vec![id]).await?.pop();
    completed.ok_or_else(|| ServiceError::not_found("asset", "asset"))
}

/// A URL under which the bytes of a READY asset can be read for a while; the caller has seen the asset.
///
/// # Errors
/// [`ServiceError`] of the database, from which the signing key comes once.
pub async fn read_url(app: &App, asset: &Asset) -> Result<Option<String>, ServiceError> {
    if asset.state != AssetState::Ready {
        return Ok(None);
    }
    Ok(Some(app.urls().await?.sign(Permit::Read, FileId::Asset(asset.id), app.db.clock().process_now()).0))
}

/// Checks what was uploaded: READY when size, hash and type are what was announced, REJECTED with the reason otherwise.
/// An asset whose bytes have not arrived stays PENDING; a completed one is given as it is.
///
/// # Errors
/// [`ServiceError::NotFound`] for an asset the viewer does not see, [`ServiceError::Forbidden`],
/// [`ServiceError::Transition`] for an upload never made; then nothing is completed.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id))]
pub async fn complete_uploads(app: &App, viewer: &Viewer, ids: Vec<AssetId>) -> Result<Vec<Asset>, ServiceError> {
    validate::count("assetIds", ids.len(), limits::UPLOADS, "assets")?;
    let assets = repo::find_all(&app.db, viewer.scope(), &ids).await?;
    let field = |index: usize| format!("assetIds[{index}]");
    for (index, id) in ids.iter().enumerate() {
        if !assets.contains_key(id) {
            return Err(ServiceError::not_found("asset", field(index)));
        }
    }
    let mut projects: Vec<ProjectId> = assets.values().map(|asset| asset.project).collect();
    projects.sort_unstable();
    projects.dedup();
    must_manage(app, viewer, &projects).await?;
    let projects = project::find_all(&app.db, &projects).await?;
    projects.values().try_for_each(|project| validate::must_be_open(project, "assetIds"))?;
    let mut checks = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let is_first = !ids[..index].contains(id);
        if let Some(asset) = assets.get(id).filter(|asset| is_first && asset.state == AssetState::Pending) {
            let media_type = projects.get(&asset.project).map_or(MediaType::Image, |project| project.media_type);
            checks.push(check(app, asset, media_type, field(index)));
        }
    }
    let checks = stream::iter(checks).buffered(limits::UPLOAD_CHECKS).try_collect().await?;
    write(app, viewer, &ids, checks).await
}

async fn must_manage(app: &App, viewer: &Viewer, projects: &[ProjectId]) -> Result<(), ServiceError> {
    if viewer.user.admin {
        return Ok(());
    }
    let roles = member::roles(&app.db, viewer.user.id, projects).await?;
    for project in projects {
        let role = roles.get(project).ok_or_else(|| no_project("assetIds"))?;
        must(crate::domain::permission::Standing::Member(*role), Action::ManageAssets)?;
    }
    Ok(())
}

/// What the bytes under a key turned out to be.
struct Checked {
    asset: AssetId,
    key: String,
    field: String,
    completion: Completion,
}

async fn check(app: &App, asset: &Asset, project: MediaType, field: String) -> Result<Checked, ServiceError> {
    let stream = match app.storage.read(&asset.storage_key, None).await {
        Err(StorageError::NotFound) => {
            return Err(ServiceError::transition(
                field,
                "its bytes have not arrived; PUT them to the upload URL first",
            ));
        }
        other => other?,
    };
    let hint = asset_facts::Hint { content_type: &asset.declared.content_type, project };
    let facts = asset_facts::read(stream, hint).await?;
    Ok(Checked { asset: asset.id, key: asset.storage_key.clone(), field, completion: facts.check(&asset.declared) })
}

async fn write(app: &App, viewer: &Viewer, ids: &[AssetId], checks: Vec<Checked>) -> Result<Vec<Asset>, ServiceError> {
    let txn = app.db.begin().await?;
    let mut assets = repo::lock_all(&txn, viewer.scope(), ids).await?;
    for Checked { asset: id, key, field, completion } in checks {
        // Completed meanwhile by a request that ran beside this one: its result stands.
        let Some(asset) = assets.get(&id).filter(|asset| asset.state == AssetState::Pending) else { continue };
        if asset.storage_key != key {
            return Err(ServiceError::transition(field, "its bytes were sent again meanwhile; complete it again"));
        }
        assets.insert(id, repo::complete(&txn, id, completion).await?);
    }
    txn.commit().await?;
    Ok(ids.iter().filter_map(|id| assets.get(id).cloned()).collect())
}
