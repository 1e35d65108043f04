//! Logging activities.

use axum::{extract::State, response::Response};
use guildhall_deals::{ClientId, DealId, NewActivity, OrganizationId};
use guildhall_kernel::{Error, Path, Result};

use super::{clients, deal, entered::Entered};
use crate::{form::Submission, reader::Reader, web::App};

/// The fields of the form.
const FIELDS: [&str; 2] = ["kind", "content"];

fn activity(form: &Submission) -> Result<NewActivity> {
    let kind = form.choice("kind")?.unwrap_or_default();
    Ok(NewActivity { kind, content: form.text("content").trim().to_owned(), happened_at: None })
}

pub(crate) async fn log_activity(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let logged = async {
        let service = &app.deals.activities;
        Ok::<_, Error>(service.log_activity(&reader.caller, org, id.into(), activity(&form)?).await?)
    };
    deal::answer(&app, &reader, (org, id), logged.await, Entered::typed(&form, &FIELDS)).await
}

pub(crate) async fn log_with_client(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, ClientId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let logged = async {
        let service = &app.deals.activities;
        Ok::<_, Error>(service.log_with_client(&reader.caller, org, id, activity(&form)?).await?)
    };
    clients::answer(&app, &reader, (org, id), logged.await, Entered::typed(&form, &FIELDS)).await
}
