//! Pages of groups, posts and the feed.

mod comments;
mod deletion;
mod group;
mod groups;
mod home;
mod invites;
mod members;
mod new_post;
mod posts;
mod requests;
mod search;
mod settings;

use axum::{
    Router,
    routing::{get, post},
};

use crate::web::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home::home))
        .route("/search/", get(search::search))
        .route("/posts/new/", get(new_post::new_post_form).post(new_post::create_post))
        .route("/posts/{id}/", get(posts::post))
        .route("/posts/{id}/edit/", get(new_post::edit_form).post(new_post::edit))
        .route("/posts/{id}/delete/", post(posts::delete))
        .route("/posts/{id}/flags/", post(posts::change_flags))
        .route("/posts/{id}/react/", post(posts::react))
        .route("/posts/{id}/bookmark/", post(posts::bookmark))
        .route("/posts/{id}/vote/", post(posts::vote))
        .route("/posts/{id}/attach/", post(posts::attach))
        .route("/posts/{id}/report/", post(posts::report))
        .route("/posts/{id}/comments/", post(comments::create_comment))
        .route("/comments/{id}/", get(comments::comment).post(comments::change_comment))
        .route("/comments/{id}/like/", post(comments::like))
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
        .route("/groups/{id}/requests/", get(requests::requests))
        .route("/groups/{id}/requests/{request}/{decision}/", post(requests::decide))
        .route("/groups/{id}/invites/", get(invites::invites).post(invites::invite))
        .route("/groups/{id}/invites/{invite}/revoke/", post(invites::revoke))
        .route("/groups/{id}/settings/", get(settings::settings).post(settings::change))
        .route("/groups/{id}/pictures/{kind}/", post(settings::set_picture))
        .route("/groups/{id}/transfer/", post(settings::transfer))
        .route("/groups/{id}/delete/", get(deletion::deletion).post(deletion::delete))
}
