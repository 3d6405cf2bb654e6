//! Template versions: what may be drawn, and its input.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use crate::{
    domain::template as domain,
    graphql::{
        error::ApiError,
        types::{
            user::User,
            words::{AnnotationKind, AttributeType, MediaType},
        },
    },
    repo,
};

/// One version of a project's ontology. It never changes; tasks keep the one they were made with.
pub(in crate::graphql) struct Template(pub(in crate::graphql) Arc<repo::template::Template>);

#[Object]
impl Template {
    /// `tmpl_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// From 1, in the order of publishing.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// What its assets show.
    async fn media_type(&self) -> MediaType {
        self.0.media_type.into()
    }

    /// What may be drawn.
    async fn tools(&self) -> Vec<Tool> {
        self.0.tools.iter().cloned().map(Tool::from).collect()
    }

    /// When it was published.
    async fn published_at(&self) -> DateTime<Utc> {
        self.0.published_at
    }

    /// By whom.
    async fn published_by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.published_by).await
    }
}

/// One thing an annotator can draw.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Tool {
    /// Its name, unique in the template.
    name: String,
    /// What it draws.
    kind: AnnotationKind,
    /// What a drawn object can be.
    labels: Vec<Label>,
    /// What is asked about a drawn object.
    attributes: Vec<Attribute>,
    /// Whether a task can be submitted only after it was used.
    required: bool,
}

impl From<domain::Tool> for Tool {
    fn from(tool: domain::Tool) -> Self {
        Self {
            name: tool.name,
            kind: tool.kind.into(),
            labels: tool.labels.into_iter().map(Label::from).collect(),
            attributes: tool.attributes.into_iter().map(Attribute::from).collect(),
            required: tool.required,
        }
    }
}

/// What a drawn object can be.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Label {
    /// Its name, unique in the tool.
    name: String,
    /// `#rrggbb`
    color: Option<String>,
    /// For the annotator.
    description: Option<String>,
    /// The points of a KEYPOINTS label.
    skeleton: Option<Skeleton>,
}

impl From<domain::Label> for Label {
    fn from(label: domain::Label) -> Self {
        let domain::Label { name, color, description, skeleton } = label;
        let skeleton = skeleton.map(|domain::Skeleton { points, edges }| Skeleton { points, edges });
        Self { name, color, description, skeleton }
    }
}

/// Named points and the lines between them.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Skeleton {
    /// Names of the points, in order.
    points: Vec<String>,
    /// Pairs of places in `points`, from 0.
    edges: Vec<Vec<i32>>,
}

/// What is asked about a drawn object.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Attribute {
    /// Its name, unique in the tool.
    name: String,
    /// Type of its value.
    r#type: AttributeType,
    /// What can be chosen, for SELECT and MULTI_SELECT.
    values: Option<Vec<String>>,
    /// Whether it must be answered.
    required: bool,
    /// Labels it is asked for; null: all.
    applies_to: Option<Vec<String>>,
}

impl From<domain::Attribute> for Attribute {
    fn from(attribute: domain::Attribute) -> Self {
        Self {
            name: attribute.name,
            r#type: attribute.value_type.into(),
            values: attribute.values,
            required: attribute.required,
            applies_to: attribute.applies_to,
        }
    }
}

/// A template version to publish.
#[derive(InputObject)]
pub(in crate::graphql) struct TemplateInput {
    /// Whose it is.
    pub(in crate::graphql) project_id: ID,
    /// What people call it.
    pub(in crate::graphql) name: String,
    /// What may be drawn.
    pub(in crate::graphql) tools: Vec<ToolInput>,
}

/// One thing an annotator can draw.
#[derive(InputObject)]
pub(in crate::graphql) struct ToolInput {
    /// Its name, unique in the template.
    name: String,
    /// What it draws.
    kind: AnnotationKind,
    /// What a drawn object can be.
    labels: Vec<LabelInput>,
    /// What is asked about a drawn object.
    attributes: Option<Vec<AttributeInput>>,
    /// Whether a task can be submitted only after it was used; default false.
    required: Option<bool>,
}

impl From<ToolInput> for domain::Tool {
    fn from(tool: ToolInput) -> Self {
        Self {
            name: tool.name,
            kind: tool.kind.into(),
            labels: tool.labels.into_iter().map(domain::Label::from).collect(),
            attributes: tool.attributes.into_iter().flatten().map(domain::Attribute::from).collect(),
            required: tool.required.unwrap_or(false),
        }
    }
}

/// What a drawn object can be.
#[derive(InputObject)]
pub(in crate::graphql) struct LabelInput {
    /// Its name, unique in the tool.
    name: String,
    /// `#rrggbb`
    color: Option<String>,
    /// For the annotator.
    description: Option<String>,
    /// The points of a KEYPOINTS label.
    skeleton: Option<SkeletonInput>,
}

impl From<LabelInput> for domain::Label {
    fn from(label: LabelInput) -> Self {
        let LabelInput { name, color, description, skeleton } = label;
        let skeleton = skeleton.map(|SkeletonInput { points, edges }| domain::Skeleton { points, edges });
        Self { name, color, description, skeleton }
    }
}

/// Named points and the lines between them.
#[derive(InputObject)]
pub(in crate::graphql) struct SkeletonInput {
    /// Names of the points, in order.
    points: Vec<String>,
    /// Pairs of places in `points`, from 0.
    edges: Vec<Vec<i32>>,
}

/// What is asked about a drawn object.
#[derive(InputObject)]
pub(in crate::graphql) struct AttributeInput {
    /// Its name, unique in the tool.
    name: String,
    /// Type of its value.
    r#type: AttributeType,
    /// What can be chosen; for SELECT and MULTI_SELECT only.
    values: Option<Vec<String>>,
    /// Whether it must be answered; default false.
    required: Option<bool>,
    /// Labels it is asked for; null: all.
    applies_to: Option<Vec<String>>,
}

impl From<AttributeInput> for domain::Attribute {
    fn from(attribute: AttributeInput) -> Self {
        Self {
            name: attribute.name,
            value_type: attribute.r#type.into(),
            values: attribute.values,
            required: attribute.required.unwrap_or(false),
            applies_to: attribute.applies_to,
        }
    }
}
