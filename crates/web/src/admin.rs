//! The admin panel: lists, rows and deletions over all tables, and a dashboard. For staff only.

mod account;
mod dashboard;
mod delete;
mod fields;
mod find;
mod frame;
mod inputs;
mod list;
mod new_row;
mod operations;
mod row;
mod users;
mod writes;

use axum::{
    Router,
    routing::{get, post},
};

use crate::web::App;

pub use writes::table_writes;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/", get(dashboard::dashboard))
        .route("/admin/tables/", get(find::tables))
        .route("/admin/find/", get(find::find))
        .route("/admin/jobs/", get(operations::jobs))
        .route("/admin/outbox/", get(operations::outbox))
        .route("/admin/audit/", get(operations::audit))
        .route("/admin/jobs/{name}/run/", post(dashboard::run_job))
        .route("/admin/outbox/{id}/send/", post(dashboard::send_now))
        .route("/admin/people/{id}/state/", post(users::change_state))
        .route("/admin/people/{id}/roles/", post(users::change_roles))
        .route("/admin/people/{id}/reset/", post(users::send_reset))
        .route("/admin/people/{id}/sign-out/", post(users::end_sessions))
        .route("/admin/people/{id}/sessions/{session}/end/", post(users::end_session))
        .route("/admin/people/{id}/tokens/{token}/revoke/", post(users::revoke_token))
        .route("/admin/people/{id}/picture/remove/", post(users::remove_picture))
        .route("/admin/people/{id}/second-factor/", post(users::remove_second_factor))
        .route("/admin/{table}/", get(list::list).post(list::choose))
        .route("/admin/{table}/new/", get(new_row::form).post(new_row::create))
        .route("/admin/{table}/options/", get(new_row::options))
        .route("/admin/{table}/export/", get(list::export))
        .route("/admin/{table}/delete/", get(delete::preview).post(delete::delete))
        .route("/admin/{table}/{key}/", get(row::row).post(row::change))
}
