//! Pages of groups, posts and the feed.

mod comments;
mod course_form;
pub(crate) mod courses;
mod deletion;
mod event_form;
pub(crate) mod events;
mod group;
mod groups;
mod home;
mod invites;
mod lessons;
mod members;
mod moderation;
mod new_post;
mod posts;
mod reports;
mod requests;
mod reviews;
mod search;
mod settings;
mod typed;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use guildhall_community::{GroupId, PostId};
use guildhall_kernel::Path;

use crate::{page::redirect, web::App};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home::home))
        .route("/search/", get(search::search))
        .route("/posts/new/", get(new_post::new_post_form).post(new_post::create_post))
        .route("/posts/preview/", post(new_post::preview))
        .route("/posts/drafts/", post(new_post::save_draft))
        .route("/posts/drafts/{id}/delete/", post(new_post::delete_draft))
        .route("/posts/{id}/", get(posts::post))
        .route("/posts/{id}/edit/", get(new_post::edit_form).post(new_post::edit))
        .route("/posts/{id}/delete/", post(posts::delete))
        .route("/posts/{id}/flags/", post(posts::change_flags))
        .route("/posts/{id}/review/{decision}/", post(reviews::decide))
        .route("/posts/{id}/react/", post(posts::react))
        .route("/posts/{id}/bookmark/", post(posts::bookmark))
        .route("/posts/{id}/vote/", post(posts::vote))
        .route("/posts/{id}/attach/", post(posts::attach))
        .route("/posts/{id}/attachments/{attachment}/remove/", post(posts::detach))
        .route("/posts/{id}/report/", post(posts::report))
        .route("/posts/{id}/comments/", post(comments::create_comment))
        .route("/comments/{id}/", get(comments::comment).post(comments::change_comment))
        .route("/comments/{id}/like/", post(comments::like))
        .route("/comments/{id}/report/", post(reports::report_comment))
        .route("/comments/{id}/delete/", post(comments::delete_comment))
        .route("/groups/", get(groups::groups))
        .route("/groups/new/", get(groups::new_group_form).post(groups::create_group))
        .route("/groups/{id}/", get(group::group))
        .route("/groups/{id}/join/", post(group::join))
        .route("/groups/{id}/leave/", post(group::leave))
        .route("/groups/{id}/members/", get(members::members))
        .route("/groups/{id}/members/{user}/promote/", post(members::promote))
        .route("/groups/{id}/members/{user}/demote/", post(members::demote))
        .route("/groups/{id}/members/{user}/remove/", post(members::remove))
        .route("/groups/{id}/members/{user}/ban/", post(members::ban))
        .route("/groups/{id}/bans/", get(moderation::bans).post(moderation::ban))
        .route("/groups/{id}/bans/{user}/lift/", post(moderation::unban))
        .route("/groups/{id}/log/", get(moderation::log))
        .route("/groups/{id}/requests/", get(requests::requests))
        .route("/groups/{id}/requests/{request}/{decision}/", post(requests::decide))
        .route("/groups/{id}/invites/", get(invites::invites).post(invites::invite))
        .route("/groups/{id}/invites/{invite}/revoke/", post(invites::revoke))
        .route("/groups/{id}/reports/", get(reports::reports))
        .route("/groups/{id}/reports/{report}/", post(reports::decide))
        .route("/groups/{id}/settings/", get(settings::settings).post(settings::change))
        .route("/groups/{id}/pictures/{kind}/", post(settings::set_picture))
        .route("/groups/{id}/transfer/", post(settings::transfer))
        .route("/groups/{id}/delete/", get(deletion::deletion).post(deletion::delete))
        .route("/community/posts/{id}/", get(notified_post))
        .route("/community/groups/{id}/", get(notified_group))
        .route("/community/groups/{id}/requests/", get(notified_requests))
        .merge(event_routes())
        .merge(course_routes())
}

/// The address of a post in notifications.
async fn notified_post(Path(id): Path<PostId>) -> Response {
    redirect(&format!("/posts/{id}/"))
}

/// The address of a group in notifications.
async fn notified_group(Path(id): Path<GroupId>) -> Response {
    redirect(&format!("/groups/{id}/"))
}

/// The address of the requests to join a group in notifications.
async fn notified_requests(Path(id): Path<GroupId>) -> Response {
    redirect(&format!("/groups/{id}/requests/"))
}

fn event_routes() -> Router<App> {
    Router::new()
        .route("/groups/{id}/events/", get(events::events))
        .route("/groups/{id}/events/new/", get(event_form::new_event_form).post(event_form::create_event))
        .route("/events/{id}/", get(events::event))
        .route("/events/{id}/people/", get(events::people))
        .route("/events/{id}/calendar/", get(events::calendar))
        .route("/events/{id}/answer/", post(events::answer))
        .route("/events/{id}/edit/", get(event_form::edit_form).post(event_form::change_event))
        .route("/events/{id}/cancel/", post(events::cancel))
        .route("/events/{id}/delete/", post(events::delete))
}

fn course_routes() -> Router<App> {
    Router::new()
        .route("/groups/{id}/courses/", get(courses::courses))
        .route("/groups/{id}/courses/new/", get(course_form::new_course_form).post(course_form::create_course))
        .route("/groups/{id}/courses/{course}/remove/", post(courses::unlink))
        .route("/courses/{id}/", get(courses::course))
        .route("/courses/{id}/enrol/", post(courses::enrol))
        .route("/courses/{id}/leave/", post(courses::leave))
        .route("/courses/{id}/edit/", get(course_form::edit_form).post(course_form::change_course))
        .route("/courses/{id}/delete/", post(courses::delete))
        .route("/courses/{id}/sections/", post(course_form::create_section))
        .route("/courses/{id}/sections/{section}/", post(course_form::change_section))
        .route(
            "/courses/{id}/sections/{section}/lessons/new/",
            get(lessons::new_lesson_form).post(lessons::create_lesson),
        )
        .route("/lessons/{id}/", get(lessons::lesson))
        .route("/lessons/{id}/done/", post(lessons::complete))
        .route("/lessons/{id}/edit/", get(lessons::edit_form).post(lessons::change_lesson))
        .route("/lessons/{id}/delete/", post(lessons::delete_lesson))
}
