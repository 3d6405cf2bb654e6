//! What the annotations of a task are held against: its template, its assets, their texts. None of them ever changes, so
//! what was read is kept in bounded memory, and a save usually reads nothing of it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::TryStreamExt;
use moka::future::Cache as Kept;
use serde_json::{Map, Value};

use crate::{
    domain::{
        edit::{Content, Rejection},
        ids::{AssetId, TaskId, TemplateId},
        template::Tool,
        words::{ErrorCode, Kind, MediaType},
    },
    kind::{self, AssetFacts, Geometry},
    repo::{
        Conn, RepoError, asset,
        asset::TaskAsset,
        task::Task,
        template::{self, Template},
    },
    service::{App, ServiceError},
};

/// Bytes of templates, as JSON, that are kept.
const TEMPLATE_BYTES: u64 = 64 * 1024 * 1024;
/// Assets of tasks that are kept.
const ASSETS: u64 = 200_000;
/// Bytes of texts that are kept.
const TEXT_BYTES: u64 = 128 * 1024 * 1024;

/// What was read before.
#[derive(Debug)]
pub(crate) struct Cache {
    templates: Kept<TemplateId, (u32, Arc<Template>)>,
    assets: Kept<TaskId, Arc<[TaskAsset]>>,
    texts: Kept<AssetId, Arc<str>>,
}

impl Default for Cache {
    fn default() -> Self {
        let weight = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            templates: Kept::builder().weigher(|_, (bytes, _)| *bytes).max_capacity(TEMPLATE_BYTES).build(),
            assets: Kept::builder()
                .weigher(move |_, assets: &Arc<[TaskAsset]>| weight(assets.len() + 1))
                .max_capacity(ASSETS)
                .build(),
            texts: Kept::builder()
                .weigher(move |_, text: &Arc<str>| weight(text.len()))
                .max_capacity(TEXT_BYTES)
                .build(),
        }
    }
}

/// The template a task keeps.
///
/// # Errors
/// [`ServiceError`] of the database.
pub(crate) async fn template(app: &App, conn: &impl Conn, id: TemplateId) -> Result<Arc<Template>, ServiceError> {
    if let Some((_, kept)) = app.canvas.templates.get(&id).await {
        return Ok(kept);
    }
    let mut found = template::find_all(conn, &[id]).await?;
    let found = Arc::new(found.remove(&id).ok_or(RepoError::NotFound)?);
    let bytes = serde_json::to_string(&found.tools).map_or(0, |json| json.len());
    app.canvas.templates.insert(id, (u32::try_from(bytes).unwrap_or(u32::MAX), found.clone())).await;
    Ok(found)
}

/// The text of a TEXT asset.
///
/// # Errors
/// [`ServiceError::Unavailable`] when the storage is away.
pub(crate) async fn text(app: &App, asset: &TaskAsset) -> Result<Arc<str>, ServiceError> {
    if let Some(kept) = app.canvas.texts.get(&asset.id).await {
        return Ok(kept);
    }
    let stream = app.storage.read(&asset.storage_key, None).await?;
    let read = stream.try_fold(Vec::new(), async |mut bytes, chunk| {
        bytes.extend_from_slice(&chunk);
        Ok(bytes)
    });
    let bytes = read.await.map_err(|error| {
        tracing::warn!(%error, "storage unavailable");
        ServiceError::Unavailable("the file storage is not available")
    })?;
    // It was checked when the upload was completed.
    let text: Arc<str> = String::from_utf8(bytes).map_err(|error| ServiceError::Internal(Box::new(error)))?.into();
    app.canvas.texts.insert(asset.id, text.clone()).await;
    Ok(text)
}

/// Texts that were read before a transaction began: none is read from the storage while it holds its locks.
pub(crate) type Texts = HashMap<AssetId, Arc<str>>;

/// What the annotations of one task are held against.
pub(crate) struct Canvas<'t> {
    template: Arc<Template>,
    assets: Arc<[TaskAsset]>,
    own_text: Option<&'t str>,
    texts: Texts,
}

impl<'t> Canvas<'t> {
    /// The canvas of a task.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub(crate) async fn of(app: &App, conn: &impl Conn, task: &'t Task, texts: Texts) -> Result<Self, ServiceError> {
        let template = template(app, conn, task.template).await?;
        let assets = match app.canvas.assets.get(&task.id).await {
            Some(kept) => kept,
            None => {
                let found: Arc<[TaskAsset]> = asset::of_task(conn, task.id).await?.into();
                app.canvas.assets.insert(task.id, found.clone()).await;
                found
            }
        };
        let own_text = task.data.get("text").and_then(serde_json::Value::as_str);
        Ok(Self { template, assets, own_text, texts })
    }

    /// The canvas of a task that is not there yet.
    pub(crate) fn made_of(
        template: Arc<Template>,
        assets: Arc<[TaskAsset]>,
        own_text: Option<&'t str>,
        texts: Texts,
    ) -> Self {
        Self { template, assets, own_text, texts }
    }

    /// The tool of this name.
    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.template.tools.iter().find(|tool| tool.name == name)
    }

    /// A patch names attributes of the tool only: what it names is remembered as written.
    ///
    /// # Errors
    /// [`Rejection`] names the first one that the tool does not have.
    pub(crate) fn must_have_attributes(tool: &Tool, patch: &Map<String, Value>) -> Result<(), Rejection> {
        let unknown = patch.keys().find(|name| !tool.attributes.iter().any(|attribute| attribute.name == **name));
        unknown.map_or(Ok(()), |name| {
            let message = format!("the tool \"{}\" has no such attribute", tool.name);
            Err(Rejection::new(ErrorCode::BadUserInput, format!("attributes.{name}"), message))
        })
    }

    /// The asset that an annotation of a kind is drawn on, given the one that was asked for: when none was, the only one
    /// that suits the kind; none, when that is the text in the task's data.
    pub(crate) fn place(&self, kind: Kind, asked: Option<AssetId>) -> Result<Option<AssetId>, Rejection> {
        const FIELD: &str = "assetId";
        if let Some(id) = asked {
            let known = self.asset(id).map(|asset| Some(asset.id));
            return known.ok_or_else(|| Rejection::new(ErrorCode::NotFound, FIELD, "no such asset of the task"));
        }
        let media = kind::media_types(kind).unwrap_or_default();
        let suits = |asset: &&TaskAsset| asset.media_type.is_some_and(|shows| media.contains(&shows));
        let mut fitting = self.assets.iter().filter(suits);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(Some(only.id)),
            (None, _) if self.own_text.is_some() && media.contains(&MediaType::Text) => Ok(None),
            (None, _) => {
                let message = format!("the task shows nothing that suits {kind}");
                Err(Rejection::new(ErrorCode::BadUserInput, FIELD, message))
            }
            (Some(_), Some(_)) => {
                Err(Rejection::new(ErrorCode::BadUserInput, FIELD, "the task has several that suit: say which"))
            }
        }
    }

    /// Lays out the texts that annotations of these kinds, on these assets, are held against; gives the assets whose text
    /// is still to be read.
    pub(crate) async fn lay_out(&mut self, app: &App, drawn: &HashSet<(Kind, AssetId)>) -> Vec<TaskAsset> {
        let mut missing = Vec::new();
        for asset in self.assets.iter() {
            let reads = drawn.contains(&(Kind::TextSpan, asset.id)) && asset.media_type == Some(MediaType::Text);
            if !reads || self.texts.contains_key(&asset.id) {
                continue;
            }
            match app.canvas.texts.get(&asset.id).await {
                Some(kept) => {
                    self.texts.insert(asset.id, kept);
                }
                None => missing.push(asset.clone()),
            }
        }
        missing
    }

    /// Holds a content against the tool, and its geometry against the tool and the asset, where `geometry_too`.
    pub(crate) fn check(
        &self,
        tool: &Tool,
        asset: Option<AssetId>,
        content: &Content<Geometry>,
        geometry_too: bool,
    ) -> Result<(), Rejection> {
        let wrong = |field, message| Rejection::new(ErrorCode::BadUserInput, field, message);
        tool.check_content(&content.label, &content.attributes).map_err(|error| wrong(error.field, error.message))?;
        if geometry_too {
            let facts = self.facts(asset);
            let validated = content.geometry.validate(tool, &content.label, &facts);
            validated.map_err(|error| wrong(error.field, error.message))?;
        }
        Ok(())
    }

    fn asset(&self, id: AssetId) -> Option<&TaskAsset> {
        self.assets.iter().find(|asset| asset.id == id)
    }

    fn facts(&self, asset: Option<AssetId>) -> AssetFacts<'_> {
        let Some(asset) = asset.and_then(|id| self.asset(id)) else {
            return AssetFacts { media_type: MediaType::Text, width_px: None, height_px: None, text: self.own_text };
        };
        let px = |px: Option<i32>| px.and_then(|px| u32::try_from(px).ok());
        AssetFacts {
            // Only what shows something is an asset of a task.
            media_type: asset.media_type.unwrap_or(MediaType::Image),
            width_px: px(asset.width_px),
            height_px: px(asset.height_px),
            text: self.texts.get(&asset.id).map(|text| &**text),
        }
    }
}
