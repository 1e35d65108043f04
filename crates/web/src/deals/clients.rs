//! Clients: the list, the page, and the form.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{Client, ClientId, ClientPatch, Contact, Deal, Duplicate, Filter, NewClient, OrganizationId};
use guildhall_kernel::{CursorQuery, Error, PageQuery, Path, Person, Query, Result, UserId};
use serde::Deserialize;

use super::{
    deal::known_version,
    entered::{Conflict, Entered, Refused},
    frame::OrgFrame,
    members::{active_people, name_in},
    timeline::{Entry, Part, entries},
};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, ok, redirect_with, show},
    paging::{PAGE_SIZE, PageNumber, Pager},
    reader::Reader,
    web::App,
};

/// How many deals, contacts and entries of the timeline the page of a client shows.
const SHOWN: u64 = 50;
/// The fields of the form.
const FIELDS: [&str; 9] = ["name", "email", "phone", "website", "address", "tax_id", "notes", "owner_id", "version"];

/// Which clients to show.
#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    archived: String,
}

#[derive(Template)]
#[template(path = "deals/clients.html", blocks = ["results"])]
struct ClientsPage {
    f: OrgFrame,
    search: Search,
    clients: Vec<Client>,
    pager: Pager,
}

pub(crate) async fn clients(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(search): Query<Search>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "clients").await?;
    let pairs = [("q", search.q.trim()), ("owner", &search.owner), ("archived", &search.archived)];
    let filter = Filter::new(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
    let query = PageQuery::new(number.number(), PAGE_SIZE).ordered("name");
    let page = app.deals.clients.clients(&reader.caller, org, filter, query).await?;
    let pager = Pager::new(&page, number, &f.url("clients/"), &pairs);
    let page = ClientsPage { f, clients: page.results, pager, search };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}

#[derive(Template)]
#[template(path = "deals/client.html")]
struct ClientPage {
    f: OrgFrame,
    e: FormErrors,
    /// What was typed into a form of the page that was refused.
    v: Entered,
    client: Client,
    contacts: Vec<Contact>,
    deals: Vec<Deal>,
    duplicates: Vec<Duplicate>,
    entries: Vec<Entry>,
}

impl ClientPage {
    /// The version of the client that the page shows.
    fn version(&self) -> i64 {
        self.client.updated_at.unix_micros()
    }

    /// The address of the client.
    fn base(&self) -> String {
        self.f.url(&format!("clients/{}/", self.client.id))
    }

    /// Where activities are logged.
    fn log_url(&self) -> String {
        self.f.url(&format!("clients/{}/activities/", self.client.id))
    }

    fn is_open(deal: &Deal) -> bool {
        deal.status == guildhall_deals::DealStatus::Open
    }
}

type ClientPath = (OrganizationId, ClientId);

async fn client_page(
    app: &App,
    reader: &Reader,
    (org, id): ClientPath,
    (e, v): (FormErrors, Entered),
) -> Result<Response> {
    let (caller, services) = (&reader.caller, &app.deals);
    let f = OrgFrame::open(app, reader, org, "clients").await?;
    let client = services.clients.client(caller, org, id).await?;
    let page = || PageQuery::new(1, SHOWN);
    let contacts = services.contacts.contacts(caller, org, id, page()).await?.results;
    let deals = if f.may("deal.read") {
        services.deals.deals(caller, org, Some(id), Filter::default(), page()).await?.results
    } else {
        Vec::new()
    };
    let duplicates = services.merges.duplicates(caller, org, id).await?;
    let newest = || CursorQuery::newest(SHOWN);
    let activities = services.activities.timeline(caller, org, id, newest()).await?.results;
    let changes = if f.may("audit.read") {
        services.clients.client_changes(caller, org, id, newest()).await?.results
    } else {
        Vec::new()
    };
    let entries = entries(&reader.view, Part::Everything, activities, Vec::new(), changes);
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &ClientPage { f, e, v, client, contacts, deals, duplicates, entries }))
}

pub(crate) async fn client(State(app): State<App>, Path(path): Path<ClientPath>, reader: Reader) -> Result<Response> {
    client_page(&app, &reader, path, Default::default()).await
}

/// The response to a form on the page of a client: the page again, with what was wrong and what was typed if it was
/// refused.
pub(super) async fn answer<T>(
    app: &App,
    reader: &Reader,
    path: ClientPath,
    outcome: Result<T>,
    typed: Entered,
) -> Result<Response> {
    match outcome {
        Ok(_) => Ok(redirect_with(app, &format!("/deals/{}/clients/{}/", path.0, path.1), "flash-saved")),
        Err(error) => client_page(app, reader, path, (form_errors(&reader.view, error)?, typed)).await,
    }
}

#[derive(Template)]
#[template(path = "deals/client_form.html")]
struct ClientFormPage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    /// The client to change; `None` for a new one.
    client: Option<Client>,
    people: Vec<Person>,
    /// What differs, if somebody has changed the client meanwhile.
    conflicts: Option<Vec<Conflict>>,
}

impl ClientFormPage {
    fn action(&self) -> String {
        match &self.client {
            Some(client) => self.f.url(&format!("clients/{}/edit/", client.id)),
            None => self.f.url("clients/new/"),
        }
    }

    fn back(&self) -> String {
        match &self.client {
            Some(client) => self.f.url(&format!("clients/{}/", client.id)),
            None => self.f.url("clients/"),
        }
    }
}

async fn form_page(
    app: &App,
    reader: &Reader,
    org: OrganizationId,
    client: Option<ClientId>,
    refused: Option<Refused>,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "clients").await?;
    let client = match client {
        Some(id) => Some(app.deals.clients.client(&reader.caller, org, id).await?),
        None => None,
    };
    let people = active_people(app, reader, &f).await?;
    let current = match &client {
        Some(client) => fields_of(client),
        None => Entered::of([("owner_id", reader.id().to_string().as_str())]),
    };
    let (status, (e, v, mut conflicts)) = match refused {
        Some(refused) => (StatusCode::UNPROCESSABLE_ENTITY, refused.against(&current, &labels(&f))),
        None => (StatusCode::OK, (FormErrors::default(), current, None)),
    };
    let owner = client.as_ref().and_then(|client| client.owner.as_ref());
    for conflict in conflicts.iter_mut().flatten().filter(|conflict| conflict.field == "owner_id") {
        conflict.current = name_in(&people, owner, &conflict.current);
        conflict.typed = name_in(&people, owner, &conflict.typed);
    }
    Ok(show(status, &ClientFormPage { f, e, v, client, people, conflicts }))
}

/// The fields of a client as people read them.
fn labels(f: &OrgFrame) -> [(&'static str, String); 8] {
    [
        ("name", f.t("deals-client-name")),
        ("email", f.t("email")),
        ("phone", f.t("deals-phone")),
        ("website", f.t("deals-website")),
        ("tax_id", f.t("deals-tax-id")),
        ("owner_id", f.t("deals-owner")),
        ("address", f.t("deals-address")),
        ("notes", f.t("deals-notes")),
    ]
}

fn fields_of(client: &Client) -> Entered {
    let owner = client.owner.as_ref().map(|owner| owner.id.to_string()).unwrap_or_default();
    Entered::of([
        ("name", client.name.as_str()),
        ("email", &client.email),
        ("phone", &client.phone),
        ("website", &client.website),
        ("address", &client.address),
        ("tax_id", &client.tax_id),
        ("notes", &client.notes),
        ("owner_id", &owner),
        ("version", &client.updated_at.unix_micros().to_string()),
    ])
}

pub(crate) async fn new_client_form(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
) -> Result<Response> {
    form_page(&app, &reader, org, None, None).await
}

pub(crate) async fn create_client(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let text = |name: &str| form.text(name).trim().to_owned();
    let created = async {
        let new = NewClient {
            name: text("name"),
            email: text("email"),
            phone: text("phone"),
            website: text("website"),
            address: text("address"),
            tax_id: text("tax_id"),
            notes: text("notes"),
            owner_id: form.number::<i64>("owner_id")?.map(UserId),
            custom: BTreeMap::new(),
        };
        Ok::<_, Error>(app.deals.clients.create_client(&reader.caller, org, new).await?)
    };
    match created.await {
        Ok(client) => Ok(redirect_with(&app, &format!("/deals/{org}/clients/{}/", client.id), "flash-saved")),
        Err(error) => {
            let refused = Refused::new(&reader.view, error, &form, &FIELDS)?;
            form_page(&app, &reader, org, None, Some(refused)).await
        }
    }
}

pub(crate) async fn edit_form(
    State(app): State<App>,
    Path((org, id)): Path<ClientPath>,
    reader: Reader,
) -> Result<Response> {
    form_page(&app, &reader, org, Some(id), None).await
}

pub(crate) async fn change_client(
    State(app): State<App>,
    Path((org, id)): Path<ClientPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let text = |name: &str| form.find(name).map(|text| text.trim().to_owned());
    let changed = async {
        let client = app.deals.clients.client(&reader.caller, org, id).await?;
        let owner = form.number::<i64>("owner_id")?.map(UserId);
        let patch = ClientPatch {
            name: text("name"),
            email: text("email"),
            phone: text("phone"),
            website: text("website"),
            address: text("address"),
            tax_id: text("tax_id"),
            notes: text("notes"),
            // An owner who has been deactivated may stay, but could not be chosen.
            owner_id: owner.filter(|owner| client.owner.as_ref().is_none_or(|current| current.id != *owner)),
            custom: None,
        };
        let known = known_version(&form)?;
        Ok::<_, Error>(app.deals.clients.change_client(&reader.caller, org, id, patch, known).await?)
    };
    match changed.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/deals/{org}/clients/{id}/"), "flash-saved")),
        Err(error) => {
            let refused = Refused::new(&reader.view, error, &form, &FIELDS)?;
            form_page(&app, &reader, org, Some(id), Some(refused)).await
        }
    }
}

pub(crate) async fn archive_client(
    State(app): State<App>,
    Path((org, id)): Path<ClientPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let archive = form.text("archive") == "1";
    let outcome = app.deals.clients.archive_client(&reader.caller, org, id, archive).await;
    answer(&app, &reader, (org, id), outcome.map_err(Error::from), Entered::default()).await
}

/// Moves a client to the trash with its contacts and deals.
pub(crate) async fn delete_client(
    State(app): State<App>,
    Path((org, id)): Path<ClientPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let known = known_version(&form)?;
    match app.deals.clients.delete_client(&reader.caller, org, id, false, None, known).await.map_err(Error::from) {
        Ok(()) => Ok(redirect_with(&app, &format!("/deals/{org}/clients/"), "flash-in-trash")),
        Err(error) => answer::<()>(&app, &reader, (org, id), Err(error), Entered::default()).await,
    }
}

/// Merges a duplicate into a client.
pub(crate) async fn merge_clients(
    State(app): State<App>,
    Path((org, id)): Path<ClientPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let merged = async {
        let other = form.number::<i64>("other")?.map(ClientId);
        let other = other.ok_or_else(|| Error::field("other", "This field is required."))?;
        Ok::<_, Error>(app.deals.merges.merge_clients(&reader.caller, org, id, other).await?)
    };
    answer(&app, &reader, (org, id), merged.await, Entered::default()).await
}
