//! The organizations of the reader, and their invitations.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{Currency, Invitation, MemberId, NewOrganization, Organization, OrganizationId};
use guildhall_kernel::{Error, Kind, PageQuery, Path, Result};
use serde::Deserialize;

use super::{board::LAST_ORGANIZATION, entered::Entered, frame::OrgFrame};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many organizations and invitations are listed.
const SHOWN: u64 = 50;
/// The currency of a new organization, unless another one is entered.
const CURRENCY: &str = "EUR";

#[derive(Template)]
#[template(path = "deals/organizations.html")]
struct OrganizationsPage {
    f: Frame,
    e: FormErrors,
    v: Entered,
    organizations: Vec<Organization>,
    invitations: Vec<Invitation>,
}

impl OrganizationsPage {
    /// The mark of an organization.
    fn mark(&self, org: &Organization) -> crate::html::Html {
        self.f.initials_mark(org.id.0, &org.name, "")
    }
}

async fn organizations_page(app: &App, reader: &Reader, e: FormErrors, v: Entered) -> Result<Response> {
    let f = reader.frame(app, Place::Deals).await?;
    let query = || PageQuery::new(1, SHOWN);
    let organizations = app.deals.organizations.organizations(&reader.caller, query()).await?.results;
    let invitations = app.deals.invitations.invitations(&reader.caller, query()).await?.results;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &OrganizationsPage { f, e, v, organizations, invitations }))
}

pub(crate) async fn organizations(State(app): State<App>, reader: Reader) -> Result<Response> {
    let fields = Entered::of([("default_currency", CURRENCY)]);
    organizations_page(&app, &reader, FormErrors::default(), fields).await
}

/// Leads to the organization that was opened last, else to the only one, else to all.
pub(crate) async fn last_organization(
    State(app): State<App>,
    reader: Reader,
    headers: axum::http::HeaderMap,
) -> Result<Response> {
    let last = app.cookies().get(&headers, LAST_ORGANIZATION).and_then(|id| id.parse::<i64>().ok());
    let all = app.deals.organizations.organizations(&reader.caller, PageQuery::new(1, SHOWN)).await?.results;
    let found = all.iter().find(|org| Some(org.id.0) == last).or(if all.len() == 1 { all.first() } else { None });
    Ok(redirect(&found.map_or_else(|| "/deals/organizations/".to_owned(), |org| format!("/deals/{}/", org.id))))
}

/// Leads to the first page of an organization that the reader may see.
pub(crate) async fn organization(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "").await?;
    let first = if f.may("deal.read") { "board/" } else { "people/" };
    Ok(redirect(&f.url(first)))
}

/// What a notification is about: an organization, a deal or a task.
#[derive(Deserialize)]
pub(crate) struct Target {
    org: OrganizationId,
    kind: String,
    id: Option<i64>,
}

/// Leads from the address in a notification to the page.
pub(crate) async fn target(Path(Target { org, kind, id }): Path<Target>, _: Reader) -> Result<Response> {
    match (kind.as_str(), id) {
        ("deals", None) => Ok(redirect(&format!("/deals/{org}/list/"))),
        ("deals" | "tasks", Some(id)) => Ok(redirect(&format!("/deals/{org}/{kind}/{id}/"))),
        _ => Err(Error::new(Kind::NotFound, "not_found", "Not found.")),
    }
}

/// The currency in a field.
///
/// # Errors
/// If there is no such currency.
pub(super) fn currency(reader: &Reader, form: &Submission, name: &str) -> Result<Option<Currency>> {
    let read = |code: &str| {
        Currency::from_code(code).ok_or_else(|| Error::field(name, reader.view.t("deals-no-such-currency")))
    };
    form.filled(name).map(read).transpose()
}

pub(crate) async fn create_organization(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let create = async {
        let default_currency = currency(&reader, &form, "default_currency")?;
        let name = form.text("name").trim().to_owned();
        let new = NewOrganization { name, is_test: false, default_currency };
        Ok::<_, Error>(app.deals.organizations.create_organization(&reader.caller, new).await?)
    };
    match create.await {
        Ok(org) => Ok(redirect_with(&app, &format!("/deals/{}/board/", org.id), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            organizations_page(&app, &reader, e, Entered::typed(&form, &["name", "default_currency"])).await
        }
    }
}

pub(crate) async fn accept_invitation(
    State(app): State<App>,
    Path(id): Path<MemberId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.deals.invitations.accept_invitation(&reader.caller, id).await?;
    Ok(redirect_with(&app, "/deals/organizations/", "flash-joined"))
}

pub(crate) async fn decline_invitation(
    State(app): State<App>,
    Path(id): Path<MemberId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.deals.invitations.decline_invitation(&reader.caller, id).await?;
    Ok(redirect_with(&app, "/deals/organizations/", "flash-declined"))
}

pub(crate) async fn leave_organization(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.deals.invitations.leave_organization(&reader.caller, org).await?;
    Ok(redirect_with(&app, "/deals/organizations/", "flash-left"))
}
