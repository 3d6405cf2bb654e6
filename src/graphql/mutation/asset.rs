//! Uploads.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    graphql::{
        context::{Ctx, id, ids},
        error::ApiError,
        types::{asset::Asset, scalars::SafeInt},
    },
    service::asset,
};

#[derive(Default)]
pub(super) struct AssetMutation;

/// Files to upload into a project.
#[derive(InputObject)]
struct RequestUploadsInput {
    /// The project.
    project_id: ID,
    /// The files; at most 100.
    files: Vec<UploadFileInput>,
}

/// One file to upload.
#[derive(InputObject)]
struct UploadFileInput {
    /// As you call it.
    file_name: String,
    /// MIME type; the bytes must be of it.
    content_type: String,
    /// Bytes, from 1 to 5 GiB.
    size_bytes: SafeInt,
    /// SHA-256, hexadecimal; checked when given.
    sha256: Option<String>,
}

/// Where to send the bytes.
#[derive(SimpleObject)]
struct RequestUploadsPayload {
    /// One for each file, in order.
    uploads: Vec<UploadTarget>,
}

/// Where to send the bytes of one file.
#[derive(SimpleObject)]
struct UploadTarget {
    /// The asset they will be.
    asset_id: ID,
    /// HTTP method.
    method: String,
    /// Where.
    url: String,
    /// Headers to send along, as an object.
    headers: Value,
    /// Until when.
    expires_at: DateTime<Utc>,
}

/// Uploads whose bytes have been sent.
#[derive(InputObject)]
struct CompleteUploadsInput {
    /// The assets; at most 100.
    asset_ids: Vec<ID>,
}

/// What the bytes turned out to be.
#[derive(SimpleObject)]
struct CompleteUploadsPayload {
    /// READY, or REJECTED with the reason; one for each id, in order.
    assets: Vec<Asset>,
}

#[Object]
impl AssetMutation {
    /// Asks for places to send files to; managers. Then PUT the bytes, then `completeUploads`. Codes: `NOT_FOUND`,
    /// `FORBIDDEN`, `BAD_USER_INPUT`, `LIMIT_EXCEEDED`, `INVALID_TRANSITION`.
    async fn request_uploads(
        &self,
        ctx: &Context<'_>,
        input: RequestUploadsInput,
    ) -> Result<RequestUploadsPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let files = input.files.into_iter().map(|file| asset::UploadFile {
            file_name: file.file_name,
            content_type: file.content_type,
            size_bytes: file.size_bytes.0,
            sha256: file.sha256,
        });
        let project = id("projectId", &input.project_id)?;
        let uploads = asset::request_uploads(ctx.app(), viewer, project, files.collect()).await?;
        let uploads = uploads.into_iter().map(|upload| UploadTarget {
            asset_id: upload.asset.to_string().into(),
            method: "PUT".to_owned(),
            url: upload.url,
            headers: json!({ "Content-Type": upload.content_type }),
            expires_at: upload.expires_at,
        });
        Ok(RequestUploadsPayload { uploads: uploads.collect() })
    }

    /// Says that the bytes have been sent: size, hash and type are checked; managers. Codes: `NOT_FOUND`, `FORBIDDEN`,
    /// `LIMIT_EXCEEDED`, `INVALID_TRANSITION` (bytes never arrived).
    async fn complete_uploads(
        &self,
        ctx: &Context<'_>,
        input: CompleteUploadsInput,
    ) -> Result<CompleteUploadsPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let assets = asset::complete_uploads(ctx.app(), viewer, ids("assetIds", &input.asset_ids)?).await?;
        Ok(CompleteUploadsPayload { assets: assets.into_iter().map(Asset).collect() })
    }
}
