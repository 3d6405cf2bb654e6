//! The few pages a person sees: the front page, signing in, GraphiQL. They work without any other machine.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Form, Router,
    extract::{
        ConnectInfo, Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use crate::{
    config::Mode,
    domain::words::ErrorCode,
    graphql,
    http::{Server, auth, error, error::HttpError, security, what_to_try::WhatToTry},
    service::{ServiceError, sign_in},
};

mod graphiql {
    include!(concat!(env!("OUT_DIR"), "/graphiql_assets.rs"));
}

const FRONT: &str = include_str!("../../assets/pages/front.html");
const SIGN_IN: &str = include_str!("../../assets/pages/sign-in.html");
const STYLE: &str = include_str!("../../assets/pages/style.css");
const GRAPHIQL: &str = include_str!("../../assets/graphiql/index.html");
const GRAPHIQL_MISSING: &str = include_str!("../../assets/graphiql/missing.html");

/// Our own pages: a style sheet of ours and forms to ourselves.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What GraphiQL 4.1.2 needs; the hash is of the one style its dialogs add to stop the page from scrolling.
const GRAPHIQL_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' \
    'sha256-nzTgYzXYDNe6BAHiiI7NNlfK8n/auuOAhh2t92YvuXo='; font-src data:; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router(server: &Server) -> Router<Arc<Server>> {
    let pages = Router::new()
        .route("/", get(front))
        .route("/sign-in", get(sign_in_page).post(sign_in_form))
        .route("/style.css", get(style));
    match server.mode {
        Mode::Release => pages,
        Mode::Development => pages
            .route("/graphiql", get(graphiql_page))
            .route("/graphiql/{file}", get(graphiql_file))
            .route("/schema.graphql", get(schema)),
    }
}

fn page(server: &Server, text: &str, policy: &'static str) -> Response {
    let text = text.replace("{{base}}", &server.base());
    let headers = [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")];
    (headers, Html(text)).into_response()
}

/// The front page.
pub(super) async fn front(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let viewer = auth::viewer(&server, &headers).await.ok().flatten();
    let who = match &viewer {
        Some(viewer) => format!("You are signed in as <strong>{}</strong>.", escaped(&viewer.user.name)),
        None => "You are not signed in. <a href=\"{{base}}sign-in\">Sign in</a>".to_owned(),
    };
    let tools = match server.mode {
        Mode::Development => {
            "<li><a href=\"{{base}}graphiql\">GraphiQL</a>: try the API in the browser</li>\
             <li><a href=\"{{base}}schema.graphql\">schema.graphql</a>: for code generators</li>"
        }
        Mode::Release => "",
    };
    let what_to_try = match server.mode {
        Mode::Development => {
            format!("<h2>What to try</h2>\n{}", WhatToTry::of(&server, viewer.as_ref()).await.html())
        }
        Mode::Release => String::new(),
    };
    let text = FRONT.replace("{{who}}", &who).replace("{{tools}}", tools).replace("{{try}}", &what_to_try);
    page(&server, &text, PAGE_POLICY)
}

/// What the sign-in page is opened with.
#[derive(Debug, Deserialize)]
pub(super) struct SignInQuery {
    link: Option<String>,
}

async fn sign_in_page(
    State(server): State<Arc<Server>>,
    query: Result<Query<SignInQuery>, QueryRejection>,
) -> Result<Response, HttpError> {
    let Query(query) = query.map_err(|error| HttpError::bad_request(error.body_text()))?;
    Ok(sign_in_with(&server, query.link.as_deref(), None))
}

const PASSWORD_FIELDS: &str = "<label>E-mail <input name=\"email\" type=\"email\" autocomplete=\"username\" required autofocus></label>\
     <label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>";

/// Opening a link does not use it up: mail scanners and previews open links too. The button does.
fn sign_in_with(server: &Server, link: Option<&str>, problem: Option<&str>) -> Response {
    let (fields, hint) = match link {
        Some(link) => (format!("<input type=\"hidden\" name=\"link\" value=\"{}\">", escaped(link)), ""),
        None => {
            (PASSWORD_FIELDS.to_owned(), "<p class=\"hint\">No password? An admin can make you a sign-in link.</p>")
        }
    };
    let problem = problem.map(|problem| format!("<p role=\"alert\">{}</p>", escaped(problem))).unwrap_or_default();
    page(
        server,
        &SIGN_IN.replace("{{fields}}", &fields).replace("{{problem}}", &problem).replace("{{hint}}", hint),
        PAGE_POLICY,
    )
}

/// What the sign-in form sends.
#[derive(Debug, Deserialize)]
pub(super) struct SignInForm {
    link: Option<String>,
    email: Option<String>,
    password: Option<String>,
}

async fn sign_in_form(
    State(server): State<Arc<Server>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Result<Response, HttpError> {
    must_come_from_here(&server, &headers)?;
    let Form(form) =
        form.map_err(|error| HttpError::new(error.status(), ErrorCode::BadUserInput, error.body_text()))?;
    let signed_in = match (&form.link, form.email, form.password) {
        (Some(link), _, _) => sign_in::by_link(&server.app, link).await,
        (None, Some(email), Some(password)) => {
            sign_in::by_password(&server.app, &email, password, &address.ip().to_string()).await
        }
        _ => Err(ServiceError::invalid("email", "give an e-mail address and a password")),
    };
    let signed_in = match signed_in {
        Ok(signed_in) => signed_in,
        Err(
            error
            @ (ServiceError::Unauthenticated(_) | ServiceError::RateLimited { .. } | ServiceError::Invalid { .. }),
        ) => {
            let message = error.to_string();
            let mut response = sign_in_with(&server, None, Some(&message));
            *response.status_mut() = HttpError::from(error).into_response().status();
            return Ok(response);
        }
        Err(error) => return Err(error.into()),
    };
    let cookie = auth::session_cookie(&server, &signed_in.token, "")?;
    let next = if server.mode == Mode::Development { format!("{}graphiql", server.base()) } else { server.base() };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
}

/// A form on a stranger's page must not sign a browser in as somebody else.
fn must_come_from_here(server: &Server, headers: &HeaderMap) -> Result<(), HttpError> {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    match site {
        Some("same-origin" | "none") => Ok(()),
        None if security::origin(headers).is_none_or(|origin| security::is_own(server, headers, origin)) => Ok(()),
        _ => Err(HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, "the form was sent from another site")),
    }
}

async fn style() -> Response {
    static_file("text/css; charset=utf-8", STYLE.as_bytes())
}

async fn schema() -> Response {
    static_file("text/plain; charset=utf-8", graphql::sdl().into_bytes())
}

async fn graphiql_page(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    if graphiql::FILES.is_empty() {
        return page(&server, GRAPHIQL_MISSING, GRAPHIQL_POLICY);
    }
    let viewer = auth::viewer(&server, &headers).await.ok().flatten();
    let what_to_try = WhatToTry::of(&server, viewer.as_ref()).await;
    let text = GRAPHIQL.replace("{{project}}", &what_to_try.project_id()).replace("{{try}}", &what_to_try.html());
    page(&server, &text, GRAPHIQL_POLICY)
}

async fn graphiql_file(Path(file): Path<String>) -> Result<Response, HttpError> {
    let Some((_, content_type, bytes)) = graphiql::FILES.iter().find(|(name, ..)| *name == file) else {
        return Err(error::no_such_route().await);
    };
    Ok(static_file(content_type, *bytes))
}

fn static_file(content_type: &'static str, bytes: impl Into<axum::body::Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, bytes.into()).into_response()
}

/// Text inside HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
