//! Creating and changing deals.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{
    Amount, Client, ClientId, Contact, ContactId, Day, Deal, DealId, DealPatch, Filter, NewDeal, OrganizationId,
    Pipeline, StageId, StageRef,
};
use guildhall_kernel::{Error, PageQuery, Path, Person, Query, Result, UserId, idempotency::Idempotent};
use serde::Deserialize;

use super::{
    board::pipelines,
    deal::known_version,
    entered::{Conflict, Entered, Refused},
    form_key::{self, FORM_KEY},
    frame::OrgFrame,
    members::{active_people, name_in},
    organizations::currency,
};
use crate::{
    form::{FormErrors, Submission},
    page::{ok, redirect_with, show},
    reader::Reader,
    web::App,
};

/// How many clients one can choose from before searching.
const CLIENTS: u64 = 20;
/// How many contacts of a client one can choose from.
const CONTACTS: u64 = 50;
/// The fields of the form.
const FIELDS: [&str; 13] = [
    FORM_KEY,
    "client_id",
    "title",
    "value",
    "currency",
    "stage",
    "contact_id",
    "probability",
    "source",
    "expected_close_date",
    "owner_id",
    "description",
    "version",
];

/// For which client a new deal is, and in which stage.
#[derive(Default, Deserialize)]
pub(crate) struct For {
    client: Option<ClientId>,
    stage: Option<StageId>,
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "deals/choose_client.html", blocks = ["results"])]
struct ChooseClientPage {
    f: OrgFrame,
    q: String,
    stage: Option<StageId>,
    clients: Vec<Client>,
}

#[derive(Template)]
#[template(path = "deals/deal_form.html")]
struct DealFormPage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    /// The deal to change; `None` for a new one.
    deal: Option<Deal>,
    /// The id and the name of the client.
    client: (ClientId, String),
    pipelines: Vec<Pipeline>,
    contacts: Vec<Contact>,
    people: Vec<Person>,
    /// What differs, if somebody has changed the deal meanwhile.
    conflicts: Option<Vec<Conflict>>,
}

impl DealFormPage {
    fn action(&self) -> String {
        match &self.deal {
            Some(deal) => self.f.url(&format!("deals/{}/edit/", deal.id)),
            None => self.f.url("deals/new/"),
        }
    }

    fn back(&self) -> String {
        match &self.deal {
            Some(deal) => self.f.url(&format!("deals/{}/", deal.id)),
            None => self.f.url("board/"),
        }
    }
}

/// An optional day.
///
/// # Errors
/// If it is no date.
fn day(reader: &Reader, form: &Submission, name: &str) -> Result<Option<Day>> {
    let read = |text: &str| Day::parse(text).ok_or_else(|| Error::field(name, reader.view.t("deals-no-such-day")));
    form.filled(name).map(read).transpose()
}

async fn choices(
    app: &App,
    reader: &Reader,
    f: &OrgFrame,
    client: ClientId,
) -> Result<(Vec<Pipeline>, Vec<Contact>, Vec<Person>)> {
    let pipelines = pipelines(app, reader, f.org.id).await?;
    let contacts = if f.may("client.read") {
        let page = PageQuery::new(1, CONTACTS);
        app.deals.contacts.contacts(&reader.caller, f.org.id, client, page).await?.results
    } else {
        Vec::new()
    };
    Ok((pipelines, contacts, active_people(app, reader, f).await?))
}

async fn new_deal_page(
    app: &App,
    reader: &Reader,
    org: OrganizationId,
    client: ClientId,
    e: FormErrors,
    v: Entered,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "board").await?;
    let found = app.deals.clients.client(&reader.caller, org, client).await?;
    let (pipelines, contacts, people) = choices(app, reader, &f, client).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let client = (found.id, found.name);
    Ok(show(status, &DealFormPage { f, e, v, deal: None, client, pipelines, contacts, people, conflicts: None }))
}

/// The form of a new deal, or the choice of its client.
pub(crate) async fn new_deal_form(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(new): Query<For>,
) -> Result<Response> {
    if let Some(client) = new.client {
        let f = OrgFrame::open(&app, &reader, org, "board").await?;
        let stage = new.stage.map(|stage| stage.to_string()).unwrap_or_default();
        let owner = reader.id().to_string();
        let key = form_key::new()?;
        let fields = [
            (FORM_KEY, key.as_str()),
            ("stage", &stage),
            ("currency", f.org.default_currency.code()),
            ("owner_id", &owner),
        ];
        return new_deal_page(&app, &reader, org, client, FormErrors::default(), Entered::of(fields)).await;
    }
    let f = OrgFrame::open(&app, &reader, org, "board").await?;
    let q = new.q.trim().to_owned();
    let filter = if q.is_empty() { Filter::default() } else { Filter::default().and("q", &q) };
    let clients = app.deals.clients.clients(&reader.caller, org, filter, PageQuery::new(1, CLIENTS)).await?.results;
    let page = ChooseClientPage { f, q, stage: new.stage, clients };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}

fn new_deal(reader: &Reader, form: &Submission) -> Result<NewDeal> {
    Ok(NewDeal {
        client_id: form.number::<i64>("client_id")?.map(ClientId),
        title: form.text("title").trim().to_owned(),
        description: form.text("description").to_owned(),
        value: form.filled("value").map(Amount::new),
        currency: currency(reader, form, "currency")?,
        pipeline_id: None,
        stage: form.number::<i64>("stage")?.map(|stage| StageRef::Id(StageId(stage))),
        contact_id: form.number::<i64>("contact_id")?.map(ContactId),
        probability: form.number("probability")?,
        source: form.text("source").trim().to_owned(),
        expected_close_date: day(reader, form, "expected_close_date")?,
        owner_id: form.number::<i64>("owner_id")?.map(UserId),
        custom: BTreeMap::new(),
    })
}

/// Creates a deal, once even if the form is sent twice.
pub(crate) async fn create_deal(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let created = async {
        let new = new_deal(&reader, &form)?;
        let key = form_key::sent(&form, &format!("pages deals {org}"), &FIELDS)?;
        Ok::<_, Error>(app.deals.deals.create_deal(&reader.caller, org, None, new, key).await?)
    };
    match created.await {
        Ok(outcome) => {
            let id = match outcome {
                Idempotent::Created(deal) => deal.id.0,
                Idempotent::Replayed(first) => form_key::id_in(&first)?,
            };
            Ok(redirect_with(&app, &format!("/deals/{org}/deals/{id}/"), "flash-saved"))
        }
        Err(error) => {
            let refused = Refused::new(&reader.view, error, &form, &FIELDS)?;
            let client = form.number::<i64>("client_id")?.map(ClientId);
            let client = client.ok_or_else(|| Error::field("client_id", "This field is required."))?;
            new_deal_page(&app, &reader, org, client, refused.errors, refused.typed).await
        }
    }
}

fn fields_of(deal: &Deal) -> Entered {
    let text = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
    Entered::of([
        ("title", deal.title.as_str()),
        ("value", &deal.value),
        ("currency", deal.currency.code()),
        ("contact_id", &text(deal.contact_id.map(|id| id.0))),
        ("probability", &deal.probability.to_string()),
        ("source", &deal.source),
        ("expected_close_date", deal.expected_close_date.as_ref().map_or("", Day::as_str)),
        ("owner_id", &text(deal.owner.as_ref().map(|owner| owner.id.0))),
        ("description", &deal.description),
        ("version", &deal.updated_at.unix_micros().to_string()),
    ])
}

/// The fields of a deal as people read them.
fn labels(f: &OrgFrame) -> [(&'static str, String); 9] {
    [
        ("title", f.t("deals-title")),
        ("value", f.t("deals-value")),
        ("currency", f.t("deals-currency")),
        ("expected_close_date", f.t("deals-expected")),
        ("probability", f.t("deals-probability-percent")),
        ("owner_id", f.t("deals-owner")),
        ("contact_id", f.t("deals-contact")),
        ("source", f.t("deals-source")),
        ("description", f.t("description")),
    ]
}

/// The name of a contact that a field holds the id of.
fn contact_name(contacts: &[Contact], id: &str) -> String {
    let contact = contacts.iter().find(|contact| contact.id.to_string() == id);
    contact.map_or_else(|| id.to_owned(), |contact| format!("{} {}", contact.first_name, contact.last_name))
}

async fn edit_page(
    app: &App,
    reader: &Reader,
    (org, id): (OrganizationId, DealId),
    refused: Option<Refused>,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "list").await?;
    let deal = app.deals.deals.deal(&reader.caller, org, id.into(), None).await?;
    let (pipelines, contacts, people) = choices(app, reader, &f, deal.client_id).await?;
    let (status, (e, v, mut conflicts)) = match refused {
        Some(refused) => (StatusCode::UNPROCESSABLE_ENTITY, refused.against(&fields_of(&deal), &labels(&f))),
        None => (StatusCode::OK, (FormErrors::default(), fields_of(&deal), None)),
    };
    for conflict in conflicts.iter_mut().flatten() {
        let name_of = |id: &str| match conflict.field {
            "owner_id" => name_in(&people, deal.owner.as_ref(), id),
            "contact_id" => contact_name(&contacts, id),
            _ => id.to_owned(),
        };
        (conflict.current, conflict.typed) = (name_of(&conflict.current), name_of(&conflict.typed));
    }
    let client = (deal.client_id, deal.client.name.clone());
    let page = DealFormPage { f, e, v, deal: Some(deal), client, pipelines, contacts, people, conflicts };
    Ok(show(status, &page))
}

pub(crate) async fn edit_form(
    State(app): State<App>,
    Path(path): Path<(OrganizationId, DealId)>,
    reader: Reader,
) -> Result<Response> {
    edit_page(&app, &reader, path, None).await
}

/// The change that a form asks for. Value, currency and owner are left out unless they differ: the service refuses some
/// of them even as they are, such as the value of a deal with line items.
fn patch(reader: &Reader, form: &Submission, deal: &Deal) -> Result<DealPatch> {
    let contact = form.number::<i64>("contact_id")?.map(ContactId);
    let owner = form.number::<i64>("owner_id")?.map(UserId);
    Ok(DealPatch {
        title: form.find("title").map(|title| title.trim().to_owned()),
        description: form.find("description").map(str::to_owned),
        value: form.filled("value").filter(|value| *value != deal.value).map(Amount::new),
        currency: currency(reader, form, "currency")?.filter(|currency| *currency != deal.currency),
        stage: None,
        contact_id: form.find("contact_id").map(|_| contact),
        probability: form.number("probability")?,
        source: form.find("source").map(|source| source.trim().to_owned()),
        expected_close_date: Some(day(reader, form, "expected_close_date")?),
        owner_id: owner.filter(|owner| deal.owner.as_ref().is_none_or(|current| current.id != *owner)),
        custom: None,
    })
}

/// Changes a deal, unless somebody has changed it since the form was opened. Then the form comes back with what was
/// typed beside what the deal has now; sending it again overwrites the other change.
pub(crate) async fn change_deal(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let changed = async {
        let deal = app.deals.deals.deal(&reader.caller, org, id.into(), None).await?;
        let (patch, known) = (patch(&reader, &form, &deal)?, known_version(&form)?);
        Ok::<_, Error>(app.deals.deals.change_deal(&reader.caller, org, id.into(), patch, known).await?)
    };
    match changed.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/deals/{org}/deals/{id}/"), "flash-saved")),
        Err(error) => {
            let refused = Refused::new(&reader.view, error, &form, &FIELDS)?;
            edit_page(&app, &reader, (org, id), Some(refused)).await
        }
    }
}
