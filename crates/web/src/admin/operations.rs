//! The jobs, the outgoing messages and the audit log.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_kernel::{
    Error, Kind, Query, Result, UserId,
    audit::{Entry, Filter},
    job::JobState,
    outbox::{Stage, Summary},
};
use serde::Deserialize;

use super::frame::AdminFrame;
use crate::{
    local_path::encode,
    page::ok,
    paging::{Before, older},
    reader::Reader,
    web::App,
};

/// How many messages and entries are on a page.
const PART: u64 = 50;

#[derive(Template)]
#[template(path = "admin/jobs.html")]
struct JobsPage {
    f: AdminFrame,
    jobs: Vec<JobState>,
}

impl JobsPage {
    /// Where the forms lead back to.
    #[expect(clippy::unused_self, reason = "templates call it on the page")]
    const fn here(&self) -> &'static str {
        "/admin/jobs/"
    }
}

pub(crate) async fn jobs(State(app): State<App>, reader: Reader) -> Result<Response> {
    let f = AdminFrame::open(&app, &reader, "jobs").await?;
    let jobs = app.admin.operations.jobs(&reader.caller).await.map_err(Error::from)?;
    Ok(ok(&JobsPage { f, jobs }))
}

/// Which messages to show.
#[derive(Deserialize)]
pub(crate) struct OutboxQuery {
    #[serde(default)]
    state: String,
}

#[derive(Template)]
#[template(path = "admin/outbox.html")]
struct OutboxPage {
    f: AdminFrame,
    state: String,
    unsent: Vec<Summary>,
    before: Option<i64>,
}

impl OutboxPage {
    /// Where the forms lead back to.
    fn here(&self) -> String {
        format!("/admin/outbox/?state={}", encode(&self.state))
    }

    /// The attribute that marks the chosen state.
    fn at_state(&self, state: &str) -> &'static str {
        if self.state == state { " aria-current=\"page\"" } else { "" }
    }

    fn older_url(&self) -> Option<String> {
        self.before.map(|before| format!("{}&before={before}", self.here()))
    }
}

pub(crate) async fn outbox(
    State(app): State<App>,
    reader: Reader,
    Query(OutboxQuery { state }): Query<OutboxQuery>,
    Query(before): Query<Before>,
) -> Result<Response> {
    let stage = match state.as_str() {
        "waiting" => Some(Stage::Waiting),
        "failed" => Some(Stage::Failed),
        "sent" => Some(Stage::Sent),
        _ => None,
    };
    let f = AdminFrame::open(&app, &reader, "outbox").await?;
    let messages = app.admin.operations.messages(&reader.caller, stage, before.query(PART));
    let messages = messages.await.map_err(Error::from)?;
    let before = older(messages.next.as_deref());
    Ok(ok(&OutboxPage { f, state, unsent: messages.results, before }))
}

/// Which entries of the audit log to show.
#[derive(Deserialize)]
pub(crate) struct AuditQuery {
    #[serde(default)]
    actor: String,
    #[serde(default)]
    object: String,
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    f: AdminFrame,
    /// The user name or the id that was typed.
    actor: String,
    object: String,
    entries: Vec<Entry>,
    before: Option<i64>,
}

impl AuditPage {
    fn is_filtered(&self) -> bool {
        !(self.actor.is_empty() && self.object.is_empty())
    }

    #[expect(clippy::unused_self, reason = "templates call it on the page")]
    fn object_url(&self, object: &str) -> String {
        format!("/admin/audit/?object={}", encode(object))
    }

    fn older_url(&self) -> Option<String> {
        let (actor, object) = (encode(&self.actor), encode(&self.object));
        self.before.map(|before| format!("/admin/audit/?actor={actor}&object={object}&before={before}"))
    }
}

/// The user with this id or user name; `None` if there is none.
async fn actor_of(app: &App, reader: &Reader, text: &str) -> Result<Option<UserId>> {
    if let Ok(id) = text.parse() {
        return Ok(Some(UserId(id)));
    }
    match reader.named(app, "actor", text).await {
        Ok(person) => Ok(Some(person.id)),
        Err(error) if error.kind() == Kind::Invalid => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn audit(
    State(app): State<App>,
    reader: Reader,
    Query(query): Query<AuditQuery>,
    Query(shown): Query<Before>,
) -> Result<Response> {
    let (actor, object) = (query.actor.trim().to_owned(), query.object.trim().to_owned());
    let f = AdminFrame::open(&app, &reader, "audit").await?;
    let user = if actor.is_empty() { None } else { actor_of(&app, &reader, &actor).await? };
    let (mut entries, mut before) = (Vec::new(), None);
    // Nobody has done anything whom nobody knows.
    if user.is_some() || actor.is_empty() {
        let filter = Filter { actor: user, object: Some(object.clone()).filter(|object| !object.is_empty()) };
        let found = app.admin.operations.audit_log(&reader.caller, &filter, shown.query(PART));
        let found = found.await.map_err(Error::from)?;
        (entries, before) = (found.results, older(found.next.as_deref()));
    }
    Ok(ok(&AuditPage { f, actor, object, entries, before }))
}
