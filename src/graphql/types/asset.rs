//! Stored objects.

use async_graphql::{Context, ID, Object};

use crate::{
    graphql::{
        context::Ctx,
        error::ApiError,
        types::{
            scalars::SafeInt,
            words::{AssetState, MediaType},
        },
    },
    repo,
    service::asset,
};

/// One stored object: a picture, a text, a frame of a point cloud, an archive.
pub(in crate::graphql) struct Asset(pub(in crate::graphql) repo::asset::Asset);

#[Object]
impl Asset {
    /// `asset_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Where its upload stands.
    async fn state(&self) -> AssetState {
        self.0.state.into()
    }

    /// As the uploader called it.
    async fn file_name(&self) -> &str {
        &self.0.file_name
    }

    /// What it shows, by its bytes; null while PENDING and for what is not labeled (an archive).
    async fn media_type(&self) -> Option<MediaType> {
        self.0.media_type.map(MediaType::from)
    }

    /// MIME type, by its bytes; null while PENDING.
    async fn content_type(&self) -> Option<&str> {
        self.0.content_type.as_deref()
    }

    /// Where its bytes can be read for the next hour, without signing in; null unless READY.
    async fn url(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(asset::read_url(ctx.app(), &self.0).await?)
    }

    /// Bytes; null while PENDING.
    async fn size_bytes(&self) -> Option<SafeInt> {
        self.0.size_bytes.map(SafeInt)
    }

    /// SHA-256 of the bytes, hexadecimal; null while PENDING.
    async fn sha256(&self) -> Option<&str> {
        self.0.sha256.as_deref()
    }

    /// Pixels across, after EXIF orientation; pictures only.
    async fn width(&self) -> Option<i32> {
        self.0.width_px
    }

    /// Pixels down, after EXIF orientation; pictures only.
    async fn height(&self) -> Option<i32> {
        self.0.height_px
    }

    /// Why it was REJECTED.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }
}
