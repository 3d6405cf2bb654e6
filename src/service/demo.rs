//! A project to try things on, made once by `concord serve --demo`: real pictures, three people, and work that they did
//! through the same use cases as everybody. Pictures and boxes are from BCCD, see `assets/demo`.
//!
//! It is known again by Ana: the first project that she is in. What is there is kept as it is, whoever changed it.

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        ids::{AnnotationId, AssetId, ProjectId, TaskId},
        page::Page,
        template::Tool,
        words::{MediaType, ReviewVerdict, Role},
    },
    kind::BoundingBox,
    repo::{
        Scope, event,
        project::{self as project_repo, Project},
        user::{self as user_repo, User},
    },
    service::{
        App, ServiceError, Viewer,
        annotation::{self, AnnotationEdit, EditAction, NewAnnotation, SaveAnnotations},
        asset::{self, FileId, Permit, SignedRequest, UploadFile},
        claim::{self, Claim},
        project::{self, CreateProject},
        review::{self, Judgement},
        task::{self, TaskInput},
        template::{self, PublishTemplate},
        turn,
        user::{self, CreateUser},
    },
};

/// What the project is called at first.
const NAME: &str = "Demo: blood cells";
/// The first admin, who manages the project.
const MANAGER: &str = "admin@localhost";
const ANA: &str = "ana@demo.localhost";
const BEN: &str = "ben@demo.localhost";
const RITA: &str = "rita@demo.localhost";
/// The people of the project beside its manager: address, name, role.
const PEOPLE: [(&str, &str, Role); 3] =
    [(ANA, "Ana", Role::Annotator), (BEN, "Ben", Role::Annotator), (RITA, "Rita", Role::Reviewer)];

const TEMPLATE: &str = include_str!("../../assets/demo/template.json");
const BOXES: &str = include_str!("../../assets/demo/boxes.json");

macro_rules! pictures {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_bytes!(concat!("../../assets/demo/", $name, ".jpg")))),+]
    };
}

/// Name and bytes, in the order in which they are handed out.
const PICTURES: [(&str, &[u8]); 12] = pictures![
    "BloodImage_00055",
    "BloodImage_00040",
    "BloodImage_00058",
    "BloodImage_00021",
    "BloodImage_00057",
    "BloodImage_00024",
    "BloodImage_00047",
    "BloodImage_00033",
    "BloodImage_00062",
    "BloodImage_00039",
    "BloodImage_00034",
    "BloodImage_00059",
];

/// What became of work that was handed in.
enum End {
    /// Nobody has reviewed it.
    Waits,
    /// Rita judged it.
    Judged(ReviewVerdict, &'static str),
}

/// Who labeled the first pictures, and what became of it; nobody has begun the others.
const WORK: [(&str, End); 5] = [
    (ANA, End::Judged(ReviewVerdict::Accept, "well done")),
    (BEN, End::Judged(ReviewVerdict::Accept, "good work")),
    (BEN, End::Judged(ReviewVerdict::Reject, "the red cells at the lower and the right edge are missing")),
    (ANA, End::Waits),
    (BEN, End::Waits),
];

/// The demo as it stands.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The project.
    pub project: Project,
    /// Whoever manages it: the first admin.
    pub manager: User,
    /// The others in it, with the role they were given at first.
    pub people: Vec<(User, Role)>,
}

/// The demo's project, when there is one that the viewer sees.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn find(app: &App, viewer: &Viewer) -> Result<Option<Project>, ServiceError> {
    let Some(ana) = user_repo::find_by_email(&app.db, ANA).await? else { return Ok(None) };
    let Some(first) = first_project_of(app, &ana).await? else { return Ok(None) };
    Ok(project::find(app, viewer, first.id).await?.map(|(project, _)| project))
}

async fn first_project_of(app: &App, user: &User) -> Result<Option<Project>, ServiceError> {
    let member = Scope { user: user.id, admin: false, only: None };
    Ok(project_repo::page(&app.db, member, &Page::first(1)).await?.rows.pop())
}

/// Makes what is missing of the demo, on behalf of the operator, who has the machine. One that has tasks is complete.
///
/// # Errors
/// [`ServiceError`] of the use cases; [`ServiceError::Forbidden`] when somebody took the first admin's rights away.
#[tracing::instrument(skip_all)]
pub async fn make(app: &App) -> Result<Demo, ServiceError> {
    let manager = person(app, MANAGER, "Admin", true).await?;
    let mut people = Vec::with_capacity(PEOPLE.len());
    for (email, name, role) in PEOPLE {
        people.push((person(app, email, name, false).await?, role));
    }
    let (ana, _) = &people[0];
    let project = match first_project_of(app, ana).await? {
        Some(project) => project,
        None => make_project(app, &Viewer::on_behalf_of(manager.clone())).await?,
    };
    // Under another name it may be one that somebody made, and put Ana into.
    if project.name == NAME && !has_tasks(app, project.id).await? {
        fill(app, &Viewer::on_behalf_of(manager.clone()), &people, &project).await?;
    }
    Ok(Demo { project, manager, people })
}

async fn person(app: &App, email: &str, name: &str, admin: bool) -> Result<User, ServiceError> {
    match user_repo::find_by_email(&app.db, email).await? {
        Some(user) => Ok(user),
        None => {
            let new = CreateUser { email: email.to_owned(), name: name.to_owned(), admin, password: None };
            user::create_unchecked(app, new).await
        }
    }
}

async fn make_project(app: &App, manager: &Viewer) -> Result<Project, ServiceError> {
    let new = CreateProject {
        name: NAME.to_owned(),
        media_type: MediaType::Image,
        overlap: None,
        review: None,
        collaboration: None,
        lease_seconds: None,
    };
    project::create(app, manager, new).await
}

async fn has_tasks(app: &App, project: ProjectId) -> Result<bool, ServiceError> {
    let counts = event::counts(&app.db, &[project]).await?;
    Ok(counts.get(&project).is_some_and(|counts| project::task_counts(counts).iter().any(|(_, count)| *count > 0)))
}

/// Members, template, pictures, tasks, and the work that was done.
async fn fill(app: &App, manager: &Viewer, people: &[(User, Role)], project: &Project) -> Result<(), ServiceError> {
    for (user, role) in people {
        project::set_member(app, manager, project.id, user.id, Some(*role)).await?;
    }
    if project.template_version == 0 {
        let tools: Vec<Tool> = read(TEMPLATE)?;
        template::publish(app, manager, PublishTemplate { project: project.id, name: "Blood smear".to_owned(), tools })
            .await?;
    }
    let assets = upload(app, manager, project.id).await?;
    let inputs = PICTURES.iter().zip(assets).map(|((name, _), asset)| TaskInput {
        external_id: Some((*name).to_owned()),
        assets: vec![asset],
        data: Some(json!({ "source": "BCCD" })),
        priority: None,
    });
    let tasks = task::create(app, manager, project.id, inputs.collect()).await?.tasks;
    for ((task, (name, _)), (email, end)) in tasks.iter().zip(PICTURES).zip(WORK) {
        let as_person = |email: &str| people.iter().find(|(user, _)| user.email == email);
        let (Some((annotator, _)), Some((reviewer, _))) = (as_person(email), as_person(RITA)) else { continue };
        label(app, &Viewer::on_behalf_of(annotator.clone()), project.id, task.id, name).await?;
        if let End::Judged(verdict, comment) = end {
            judge(app, &Viewer::on_behalf_of(reviewer.clone()), project.id, task.id, verdict, comment).await?;
        }
    }
    Ok(())
}

async fn upload(app: &App, manager: &Viewer, project: ProjectId) -> Result<Vec<AssetId>, ServiceError> {
    let files = PICTURES.iter().map(|(name, bytes)| UploadFile {
        file_name: format!("{name}.jpg"),
        content_type: "image/jpeg".to_owned(),
        size_bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        sha256: None,
    });
    let uploads = asset::request_uploads(app, manager, project, files.collect()).await?;
    for (upload, (_, bytes)) in uploads.iter().zip(PICTURES) {
        let (_, signature) = upload.url.rsplit_once("signature=").unwrap_or_default();
        let expires = upload.expires_at.timestamp();
        let request = SignedRequest { file: FileId::Asset(upload.asset), permit: Permit::Write, expires, signature };
        let body = stream::iter([Ok(Bytes::from_static(bytes))]);
        asset::receive(app, request, Box::pin(body)).await?;
    }
    let ids: Vec<AssetId> = uploads.iter().map(|upload| upload.asset).collect();
    asset::complete_uploads(app, manager, ids.clone()).await?;
    Ok(ids)
}

/// One person's turn on a picture: its boxes, handed in.
async fn label(
    app: &App,
    annotator: &Viewer,
    project: ProjectId,
    task: TaskId,
    picture: &str,
) -> Result<(), ServiceError> {
    let claimed = claim::claim(app, annotator, Claim { project, task: Some(task), request_id: None }).await?;
    // Somebody was faster: the doors are open already.
    let Ok(session) = claimed else { return Ok(()) };
    let save = SaveAnnotations { session: session.id, fence: session.fence, edits: boxes_of(picture)? };
    annotation::save(app, annotator, save).await?;
    turn::submit(app, annotator, session.id, session.fence).await?;
    Ok(())
}

/// Label, x, y, width and height in pixels.
#[derive(Deserialize)]
struct DrawnBox(String, f64, f64, f64, f64);

fn boxes_of(picture: &str) -> Result<Vec<AnnotationEdit>, ServiceError> {
    let mut boxes: HashMap<String, Vec<DrawnBox>> = read(BOXES)?;
    let drawn = boxes.remove(picture).unwrap_or_default().into_iter();
    let edits = drawn.map(|DrawnBox(label, x, y, width, height)| AnnotationEdit {
        id: AnnotationId::generate(),
        action: EditAction::Create(NewAnnotation {
            slot: None,
            asset: None,
            tool: "Cells".to_owned(),
            label,
            geometry: BoundingBox { x, y, width, height, rotation: 0.0 }.into(),
            attributes: None,
        }),
    });
    Ok(edits.collect())
}

async fn judge(
    app: &App,
    reviewer: &Viewer,
    project: ProjectId,
    task: TaskId,
    verdict: ReviewVerdict,
    comment: &str,
) -> Result<(), ServiceError> {
    let claimed = review::claim(app, reviewer, Claim { project, task: Some(task), request_id: None }).await?;
    let Ok(session) = claimed else { return Ok(()) };
    let comment = Some(comment.to_owned());
    let judgement = Judgement { session: session.id, fence: session.fence, slot: None, verdict, comment };
    review::judge(app, reviewer, judgement).await?;
    Ok(())
}

/// What is baked into the binary.
fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ServiceError> {
    serde_json::from_str(text).map_err(|error| ServiceError::Internal(Box::new(error)))
}
