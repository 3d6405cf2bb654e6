//! The kinds of annotation this server knows.

use async_graphql::SimpleObject;

use crate::{
    graphql::types::words::{AnnotationKind, MediaType},
    kind::KindInfo,
};

/// A kind of annotation: what it is, what it can be drawn on, what its geometry looks like.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AnnotationKindInfo {
    /// The kind.
    kind: AnnotationKind,
    /// What it is for.
    description: String,
    /// JSON Schema of its geometry.
    payload_schema: serde_json::Value,
    /// What it can be drawn on.
    media_types: Vec<MediaType>,
}

impl From<&KindInfo> for AnnotationKindInfo {
    fn from(info: &KindInfo) -> Self {
        Self {
            kind: info.kind.into(),
            description: info.description.to_owned(),
            payload_schema: info.payload_schema(),
            media_types: info.media_types.iter().copied().map(MediaType::from).collect(),
        }
    }
}
