//! Publishing template versions. A version never changes; tasks keep the one they were made with.

use serde_json::json;

use crate::{
    domain::{
        ids::ProjectId,
        limits,
        permission::Action,
        template::{Template as Ontology, Tool},
        words::EventType,
    },
    kind,
    live::Changes,
    repo::{
        Conn, project,
        project::{Project, ProjectChanges},
        template as repo,
        template::{NewTemplate, Template},
    },
    service::{App, ServiceError, Viewer, project::no_project, validate},
};

/// A version to publish, as it was sent.
#[derive(Clone, Debug)]
pub struct PublishTemplate {
    /// Whose it is.
    pub project: ProjectId,
    /// What people call it.
    pub name: String,
    /// What may be drawn.
    pub tools: Vec<Tool>,
}

/// Publishes the next version of a project's template; takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Invalid`] with the path of what is wrong,
/// [`ServiceError::Transition`] for an archived project.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %new.project))]
pub async fn publish(app: &App, viewer: &Viewer, new: PublishTemplate) -> Result<Template, ServiceError> {
    let txn = app.db.begin().await?;
    let found = project::lock(&txn, viewer.scope(), new.project).await?;
    let (project, standing) = found.ok_or_else(|| no_project("template.projectId"))?;
    validate::must(standing, Action::PublishTemplate)?;
    validate::must_be_open(&project, "template.projectId")?;
    let name = validate::name("template.name", &new.name)?;
    let ontology = Ontology { media_type: project.media_type, tools: new.tools };
    ontology
        .check(kind::media_types)
        .map_err(|error| ServiceError::invalid(format!("template.{}", error.field), error.message))?;
    let tools = serde_json::to_value(&ontology.tools).map_err(|error| ServiceError::Internal(Box::new(error)))?;
    if tools.to_string().len() > limits::TEMPLATE_BYTES {
        return Err(ServiceError::limit("template.tools", limits::TEMPLATE_BYTES, "bytes of JSON"));
    }
    let version = project.template_version + 1;
    let new = NewTemplate { project: project.id, version, name, media_type: project.media_type, tools };
    let template = repo::insert(&txn, viewer.user.id, new).await?;
    let changes = ProjectChanges { template_version: Some(version), ..ProjectChanges::default() };
    project::update(&txn, project.id, changes).await?;
    let mut events = Changes::new(project.id, Some(viewer.user.id));
    let payload = json!({ "template": template.id.to_string(), "version": version });
    events.project(EventType::TemplatePublished, payload);
    events.append(&txn).await?;
    txn.commit().await?;
    Ok(template)
}

/// The template that new tasks of a project are made with.
pub(crate) async fn current(conn: &impl Conn, project: &Project) -> Result<Template, ServiceError> {
    let template = repo::find_version(conn, project.id, project.template_version).await?;
    template.ok_or_else(|| ServiceError::transition("projectId", "the project has no template yet; publish one first"))
}
