//! What somebody who just came in can do next, on the pages of development mode.

use crate::{
    domain::page::Page,
    http::{Server, pages::escaped},
    repo::project::{self, Project},
    service::{ServiceError, Viewer, demo},
};

const DEMO: &str = include_str!("../../assets/pages/try-demo.html");
const OWN: &str = include_str!("../../assets/pages/try-own.html");
const NOBODY: &str = include_str!("../../assets/pages/try-nobody.html");

/// What there is to try things on.
pub(super) enum WhatToTry {
    /// The project that `concord serve --demo` made.
    Demo(Project),
    /// The oldest project the viewer sees, if there is one.
    Own(Option<Project>),
    /// Nothing: nobody is signed in.
    Nobody,
}

impl WhatToTry {
    /// For a viewer. A hint, not a promise: while the database is away there is nothing to try.
    pub(super) async fn of(server: &Server, viewer: Option<&Viewer>) -> Self {
        let Some(viewer) = viewer else { return Self::Nobody };
        Self::look(server, viewer).await.unwrap_or(Self::Own(None))
    }

    async fn look(server: &Server, viewer: &Viewer) -> Result<Self, ServiceError> {
        if let Some(project) = demo::find(&server.app, viewer).await? {
            return Ok(Self::Demo(project));
        }
        let oldest = project::page(&server.app.db, viewer.scope(), &Page::first(1)).await?;
        Ok(Self::Own(oldest.rows.into_iter().next()))
    }

    /// The project's id, empty when there is none.
    pub(super) fn project_id(&self) -> String {
        match self {
            Self::Demo(project) | Self::Own(Some(project)) => project.id.to_string(),
            Self::Own(None) | Self::Nobody => String::new(),
        }
    }

    /// What to try, as a part of a page.
    pub(super) fn html(&self) -> String {
        match self {
            Self::Demo(project) => {
                DEMO.replace("{{project}}", &project.id.to_string()).replace("{{name}}", &escaped(&project.name))
            }
            Self::Own(_) => OWN.to_owned(),
            Self::Nobody => NOBODY.to_owned(),
        }
    }
}
