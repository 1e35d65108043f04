//! Compatibility routes for older front ends: deals within their client, and paths that name no organization. They are
//! the handlers of the other routes at a second path.

use guildhall_kernel::{openapi::deprecate, routes_at};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    ledger::routes as ledger,
    sales::routes::{activities, clients, deals, files},
    state::DealsState,
};

/// The id of an operation on a deal within its client.
fn of_client(operation: &str) -> String {
    format!("{operation}_of_client")
}

/// The id of an operation that names no organization.
fn compat(operation: &str) -> String {
    format!("compat_{operation}")
}

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    let mut routes = within_clients().merge(without_organization());
    deprecate(&mut routes.get_openapi_mut().paths);
    routes
}

fn within_clients() -> OpenApiRouter<DealsState> {
    let deals_path = "/organizations/{org}/clients/{client}/deals/";
    let deal = format!("{deals_path}{{deal}}/");
    let payments = format!("{deal}payments/");
    let payment = format!("{payments}{{payment}}/");
    OpenApiRouter::new()
        .routes(routes_at!(deals_path, of_client; deals::deals, deals::create_deal))
        .routes(routes_at!(&deal, of_client; deals::deal, deals::change_deal, deals::delete_deal))
        .routes(routes_at!(
            &format!("{deal}activity/"), of_client; activities::activities, activities::log_activity
        ))
        .routes(routes_at!(&payments, of_client; ledger::payments_of_deal, ledger::record_payment))
        .routes(routes_at!(&payment, of_client; ledger::payment))
        .routes(routes_at!(&format!("{payment}verify/"), of_client; ledger::verify_payment))
        .routes(routes_at!(&format!("{payment}reject/"), of_client; ledger::reject_payment))
        .routes(routes_at!(&format!("{payment}reverse/"), of_client; ledger::reverse_payment))
        .routes(routes_at!(&format!("{payment}refund/"), of_client; ledger::refund_payment))
        .routes(routes_at!(&format!("{payment}receipt/"), of_client; files::receipts, files::add_receipt))
}

fn without_organization() -> OpenApiRouter<DealsState> {
    let client = "/clients/{client}/";
    let deals_path = format!("{client}deals/");
    let deal = format!("{deals_path}{{deal}}/");
    let payments = format!("{deal}payments/");
    let payment = format!("{payments}{{payment}}/");
    OpenApiRouter::new()
        .routes(routes_at!("/clients/", compat; clients::clients, clients::create_client))
        .routes(routes_at!(client, compat; clients::client, clients::change_client, clients::delete_client))
        .routes(routes_at!(&deals_path, compat; deals::deals, deals::create_deal))
        .routes(routes_at!(&deal, compat; deals::deal, deals::change_deal, deals::delete_deal))
        .routes(routes_at!(&format!("{deal}activity/"), compat; activities::activities, activities::log_activity))
        .routes(routes_at!(&payments, compat; ledger::payments_of_deal, ledger::record_payment))
        .routes(routes_at!(&payment, compat; ledger::payment))
        .routes(routes_at!(&format!("{payment}reverse/"), compat; ledger::reverse_payment))
}
