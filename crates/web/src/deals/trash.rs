//! The trash of an organization.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_deals::{DeletedKind, Deletion, DeletionId, OrganizationId};
use guildhall_kernel::{Path, Query, Result};

use super::frame::OrgFrame;
use crate::{
    form::Submission,
    page::{ok, redirect_with},
    paging::{PageNumber, Pager},
    reader::Reader,
    web::App,
};

#[derive(Template)]
#[template(path = "deals/trash.html")]
struct TrashPage {
    f: OrgFrame,
    deletions: Vec<Deletion>,
    pager: Pager,
}

impl TrashPage {
    fn kind(&self, deletion: &Deletion) -> String {
        self.f.t(match deletion.kind {
            DeletedKind::Client => "deals-client-with-deals",
            DeletedKind::Contact => "deals-contact",
            DeletedKind::Deal => "deals-deal",
        })
    }
}

pub(crate) async fn trash(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "trash").await?;
    let page = app.deals.trash.trash(&reader.caller, org, number.query()).await?;
    let pager = Pager::new(&page, number, &f.url("trash/"), &[]);
    Ok(ok(&TrashPage { f, deletions: page.results, pager }))
}

pub(crate) async fn restore(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DeletionId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.deals.trash.restore(&reader.caller, org, id).await?;
    Ok(redirect_with(&app, &format!("/deals/{org}/trash/"), "flash-restored"))
}

pub(crate) async fn purge(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DeletionId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.deals.trash.purge(&reader.caller, org, id).await?;
    Ok(redirect_with(&app, &format!("/deals/{org}/trash/"), "flash-deleted"))
}
