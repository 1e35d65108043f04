//! Files of deals.

use axum::{extract::State, response::Response};
use guildhall_deals::{DealFileId, DealId, OrganizationId};
use guildhall_kernel::{Error, Path, Result};

use super::{deal::answer, entered::Entered};
use crate::{form::Submission, reader::Reader, web::App};

pub(crate) async fn add_file(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let added = async {
        let upload = form.into_upload("file")?;
        Ok::<_, Error>(app.deals.deal_files.add_file(&reader.caller, org, id.into(), upload).await?)
    };
    answer(&app, &reader, (org, id), added.await, Entered::default()).await
}

pub(crate) async fn remove_file(
    State(app): State<App>,
    Path((org, id, file)): Path<(OrganizationId, DealId, DealFileId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let outcome = app.deals.deal_files.remove_file(&reader.caller, org, id.into(), file).await;
    answer(&app, &reader, (org, id), outcome.map_err(Error::from), Entered::default()).await
}
