//! The list of notifications.

use askama::Template;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{CursorQuery, Error, Path, Query, Result};
use guildhall_notifications::{Notification, NotificationFilter, NotificationId, NotificationKind, ReadAll};
use serde::Deserialize;
use serde_json::json;

use crate::{
    form::Submission,
    html::Html,
    local_path::LocalPath,
    page::{back, ok, redirect, redirect_with},
    paging::{Before, older},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// How many notifications are on a page.
const NOTIFICATIONS: u64 = 30;

/// Which notifications to show.
#[derive(Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    show: String,
}

/// A notification in the list.
struct Note {
    notification: Notification,
    icon: Html,
    is_today: bool,
    has_target: bool,
}

/// The icon of a kind.
fn icon(view: &View, kind: NotificationKind) -> Html {
    view.icon(match kind {
        NotificationKind::Mention => "at-sign",
        NotificationKind::Reply => "reply",
        NotificationKind::Comment => "message-square",
        NotificationKind::Reaction => "heart",
        NotificationKind::GroupInvite => "mail-open",
        NotificationKind::JoinRequest => "user-plus",
        NotificationKind::RequestApproved => "check",
        NotificationKind::DirectMessage => "message-circle",
        NotificationKind::RoomRequest | NotificationKind::RoomApproved => "radio",
        NotificationKind::DealAssigned => "handshake",
        NotificationKind::PaymentRecorded | NotificationKind::PaymentVerified => "banknote",
        NotificationKind::TaskDue => "clock",
        NotificationKind::System => "info",
    })
}

#[derive(Template)]
#[template(path = "notifications/list.html", blocks = ["notes"])]
struct NotificationsPage {
    f: Frame,
    only_unread: bool,
    today: Vec<Note>,
    earlier: Vec<Note>,
    older: Option<i64>,
}

pub(crate) async fn notifications(
    State(app): State<App>,
    reader: Reader,
    Query(shown): Query<Shown>,
    Query(before): Query<Before>,
) -> Result<Response> {
    let f = reader.frame(&app, Place::Notifications).await?;
    let only_unread = shown.show == "unread";
    let filter = NotificationFilter { unread: only_unread.then_some(true) };
    let query = before.before.map_or(CursorQuery::newest(NOTIFICATIONS), |key| CursorQuery::before(key, NOTIFICATIONS));
    let page = app.notifications.notifications.notifications(&reader.caller, filter, query).await;
    let page = page.map_err(Error::from)?;
    let older = older(page.next.as_deref());
    let note = |notification: Notification| Note {
        icon: icon(&reader.view, notification.kind),
        is_today: reader.view.is_today(notification.updated_at),
        has_target: target_path(&app, &notification).is_some(),
        notification,
    };
    let (today, earlier) = page.results.into_iter().map(note).partition(|note: &Note| note.is_today);
    let page = NotificationsPage { f, only_unread, today, earlier, older };
    Ok(if reader.view.wants("older") { ok(&page.as_notes()) } else { ok(&page) })
}

/// The page that a notification is about, if that is one of this service.
fn target_path(app: &App, notification: &Notification) -> Option<LocalPath> {
    let url = &notification.target.as_ref()?.url;
    let path = url.strip_prefix(&app.url.join("")).unwrap_or(url);
    LocalPath::parse(path)
}

/// Marks a notification as read and leads to what it is about.
pub(crate) async fn open(
    State(app): State<App>,
    Path(id): Path<NotificationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.notifications.notifications.read_notification(&reader.caller, id).await.map_err(Error::from)?;
    let url = form.text("url");
    let path = url.strip_prefix(&app.url.join("")).unwrap_or(url);
    Ok(redirect(LocalPath::parse(path).as_ref().map_or("/notifications/", LocalPath::as_str)))
}

pub(crate) async fn read(
    State(app): State<App>,
    Path(id): Path<NotificationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.notifications.notifications.read_notification(&reader.caller, id).await.map_err(Error::from)?;
    Ok(back(form.next(), "/notifications/"))
}

pub(crate) async fn read_all(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let which = ReadAll { up_to: form.number::<i64>("up_to")?.map(NotificationId), target: None };
    app.notifications.notifications.read_all_notifications(&reader.caller, which).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/notifications/", "flash-all-read"))
}

/// The numbers in the frame, for scripts that have lost their socket.
pub(crate) async fn counts(State(app): State<App>, reader: Reader) -> Result<Response> {
    let messages = app.messaging.reading.unread_count(&reader.caller).await.map_err(Error::from)?;
    let unread = app.notifications.notifications.unread_notifications(&reader.caller).await.map_err(Error::from)?;
    Ok(Json(json!({ "messages": messages, "notifications": unread.unread_count })).into_response())
}
