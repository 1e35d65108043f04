//! Pages of organizations with their clients and deals.

mod activities;
mod amount;
mod board;
mod clients;
mod contacts;
mod deal;
mod entered;
mod files;
mod form_key;
mod forms;
mod frame;
mod imports;
mod list;
mod members;
mod moves;
mod organizations;
mod payments;
mod reports;
mod tasks;
mod timeline;
mod trash;
mod verification;

use axum::{
    Router,
    routing::{get, post},
};

use crate::web::App;

pub(crate) fn routes() -> Router<App> {
    Router::new().merge(organization_routes()).merge(deal_routes()).merge(client_routes())
}

fn organization_routes() -> Router<App> {
    Router::new()
        .route("/deals/", get(organizations::last_organization))
        .route("/deals/organizations/", get(organizations::organizations).post(organizations::create_organization))
        .route("/deals/invitations/{id}/accept/", post(organizations::accept_invitation))
        .route("/deals/invitations/{id}/decline/", post(organizations::decline_invitation))
        .route("/crm/{org}/{kind}/", get(organizations::target))
        .route("/crm/{org}/{kind}/{id}/", get(organizations::target))
        .route("/deals/{org}/", get(organizations::organization))
        .route("/deals/{org}/leave/", post(organizations::leave_organization))
        .route("/deals/{org}/board/", get(board::board))
        .route("/deals/{org}/list/", get(list::list))
        .route("/deals/{org}/list/export/", get(list::export))
        .route("/deals/{org}/verification/", get(verification::verification))
        .route("/deals/{org}/tasks/", get(tasks::tasks).post(tasks::create_task))
        .route("/deals/{org}/tasks/{task}/", get(tasks::task))
        .route("/deals/{org}/tasks/{task}/done/", post(tasks::complete))
        .route("/deals/{org}/tasks/{task}/delete/", post(tasks::delete_task))
        .route("/deals/{org}/reports/", get(reports::reports))
        .route("/deals/{org}/import/", get(imports::imports).post(imports::import))
        .route("/deals/{org}/import/{import}/", get(imports::import_result))
        .route("/deals/{org}/import/{import}/errors/", get(imports::errors))
        .route("/deals/{org}/import/{import}/revert/", post(imports::revert))
        .route("/deals/{org}/people/", get(members::members).post(members::add_member))
        .route("/deals/{org}/people/{member}/", post(members::change_member))
        .route("/deals/{org}/people/{member}/remove/", post(members::remove_member))
        .route("/deals/{org}/trash/", get(trash::trash))
        .route("/deals/{org}/trash/{deletion}/restore/", post(trash::restore))
        .route("/deals/{org}/trash/{deletion}/purge/", post(trash::purge))
}

fn deal_routes() -> Router<App> {
    Router::new()
        .route("/deals/{org}/deals/new/", get(forms::new_deal_form).post(forms::create_deal))
        .route("/deals/{org}/deals/{deal}/", get(deal::deal))
        .route("/deals/{org}/deals/{deal}/edit/", get(forms::edit_form).post(forms::change_deal))
        .route("/deals/{org}/deals/{deal}/move/", get(moves::move_form).post(moves::move_deal))
        .route("/deals/{org}/deals/{deal}/close/", get(moves::close_form).post(moves::close_deal))
        .route("/deals/{org}/deals/{deal}/verify/", post(verification::verify_deal))
        .route("/deals/{org}/deals/{deal}/archive/", post(deal::archive_deal))
        .route("/deals/{org}/deals/{deal}/delete/", post(deal::delete_deal))
        .route("/deals/{org}/deals/{deal}/activities/", post(activities::log_activity))
        .route("/deals/{org}/deals/{deal}/files/", post(files::add_file))
        .route("/deals/{org}/deals/{deal}/files/{file}/remove/", post(files::remove_file))
        .route("/deals/{org}/deals/{deal}/payments/new/", get(payments::new_payment).post(payments::record_payment))
        .route("/deals/{org}/deals/{deal}/payments/{payment}/", get(payments::payment))
        .route("/deals/{org}/deals/{deal}/payments/{payment}/receipts/", post(payments::add_receipt))
        .route("/deals/{org}/deals/{deal}/payments/{payment}/decide/", post(verification::decide_payment))
        .route("/deals/{org}/deals/{deal}/payments/{payment}/reverse/", post(payments::reverse_payment))
        .route("/deals/{org}/deals/{deal}/payments/{payment}/refund/", post(payments::refund_payment))
}

fn client_routes() -> Router<App> {
    Router::new()
        .route("/deals/{org}/clients/", get(clients::clients))
        .route("/deals/{org}/clients/new/", get(clients::new_client_form).post(clients::create_client))
        .route("/deals/{org}/clients/{client}/", get(clients::client))
        .route("/deals/{org}/clients/{client}/edit/", get(clients::edit_form).post(clients::change_client))
        .route("/deals/{org}/clients/{client}/archive/", post(clients::archive_client))
        .route("/deals/{org}/clients/{client}/delete/", post(clients::delete_client))
        .route("/deals/{org}/clients/{client}/merge/", post(clients::merge_clients))
        .route("/deals/{org}/clients/{client}/activities/", post(activities::log_with_client))
        .route(
            "/deals/{org}/clients/{client}/contacts/new/",
            get(contacts::new_contact_form).post(contacts::create_contact),
        )
        .route(
            "/deals/{org}/clients/{client}/contacts/{contact}/",
            get(contacts::edit_form).post(contacts::change_contact),
        )
        .route("/deals/{org}/clients/{client}/contacts/{contact}/delete/", post(contacts::delete_contact))
}
