//! Contacts of clients.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{Client, ClientId, Contact, ContactId, ContactPatch, NewContact, OrganizationId};
use guildhall_kernel::{Error, Path, Result};

use super::{
    clients::answer,
    deal::known_version,
    entered::{Conflict, Entered, Refused},
    frame::OrgFrame,
};
use crate::{
    form::{FormErrors, Submission},
    page::{redirect_with, show},
    reader::Reader,
    web::App,
};

/// The fields of the form.
const FIELDS: [&str; 7] = ["first_name", "last_name", "title", "email", "phone", "is_primary", "version"];

#[derive(Template)]
#[template(path = "deals/contact_form.html")]
struct ContactFormPage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    client: Client,
    /// The contact to change; `None` for a new one.
    contact: Option<Contact>,
    /// What differs, if somebody has changed the contact meanwhile.
    conflicts: Option<Vec<Conflict>>,
}

impl ContactFormPage {
    fn action(&self) -> String {
        let client = self.client.id;
        match &self.contact {
            Some(contact) => self.f.url(&format!("clients/{client}/contacts/{}/", contact.id)),
            None => self.f.url(&format!("clients/{client}/contacts/new/")),
        }
    }
}

async fn form_page(
    app: &App,
    reader: &Reader,
    (org, client): (OrganizationId, ClientId),
    contact: Option<ContactId>,
    refused: Option<Refused>,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "clients").await?;
    let found = app.deals.clients.client(&reader.caller, org, client).await?;
    let contact = match contact {
        Some(id) => Some(app.deals.contacts.contact(&reader.caller, org, client, id).await?),
        None => None,
    };
    let current = contact.as_ref().map(fields_of).unwrap_or_default();
    let (status, (e, v, mut conflicts)) = match refused {
        Some(refused) => (StatusCode::UNPROCESSABLE_ENTITY, refused.against(&current, &labels(&f))),
        None => (StatusCode::OK, (FormErrors::default(), current, None)),
    };
    for conflict in conflicts.iter_mut().flatten().filter(|conflict| conflict.field == "is_primary") {
        let answer = |value: &str| f.t(if value.is_empty() { "no" } else { "yes" });
        (conflict.current, conflict.typed) = (answer(&conflict.current), answer(&conflict.typed));
    }
    Ok(show(status, &ContactFormPage { f, e, v, client: found, contact, conflicts }))
}

/// The fields of a contact as people read them.
fn labels(f: &OrgFrame) -> [(&'static str, String); 6] {
    [
        ("first_name", f.t("first-name")),
        ("last_name", f.t("last-name")),
        ("title", f.t("deals-job-title")),
        ("email", f.t("email")),
        ("phone", f.t("deals-phone")),
        ("is_primary", f.t("deals-is-primary")),
    ]
}

fn fields_of(contact: &Contact) -> Entered {
    Entered::of([
        ("first_name", contact.first_name.as_str()),
        ("last_name", &contact.last_name),
        ("title", &contact.title),
        ("email", &contact.email),
        ("phone", &contact.phone),
        ("is_primary", if contact.is_primary { "1" } else { "" }),
        ("version", &contact.updated_at.unix_micros().to_string()),
    ])
}

pub(crate) async fn new_contact_form(
    State(app): State<App>,
    Path(path): Path<(OrganizationId, ClientId)>,
    reader: Reader,
) -> Result<Response> {
    form_page(&app, &reader, path, None, None).await
}

pub(crate) async fn create_contact(
    State(app): State<App>,
    Path((org, client)): Path<(OrganizationId, ClientId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let text = |name: &str| form.text(name).trim().to_owned();
    let new = NewContact {
        first_name: text("first_name"),
        last_name: text("last_name"),
        email: text("email"),
        phone: text("phone"),
        title: text("title"),
        is_primary: form.is_checked("is_primary"),
    };
    match app.deals.contacts.create_contact(&reader.caller, org, client, new).await {
        Ok(_) => Ok(redirect_with(&app, &format!("/deals/{org}/clients/{client}/"), "flash-saved")),
        Err(error) => {
            let refused = Refused::new(&reader.view, error, &form, &FIELDS)?;
            form_page(&app, &reader, (org, client), None, Some(refused)).await
        }
    }
}

pub(crate) async fn edit_form(
    State(app): State<App>,
    Path((org, client, id)): Path<(OrganizationId, ClientId, ContactId)>,
    reader: Reader,
) -> Result<Response> {
    form_page(&app, &reader, (org, client), Some(id), None).await
}

pub(crate) async fn change_contact(
    State(app): State<App>,
    Path((org, client, id)): Path<(OrganizationId, ClientId, ContactId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let text = |name: &str| form.find(name).map(|text| text.trim().to_owned());
    let changed = async {
        let patch = ContactPatch {
            first_name: text("first_name"),
            last_name: text("last_name"),
            email: text("email"),
            phone: text("phone"),
            title: text("title"),
            is_primary: Some(form.is_checked("is_primary")),
        };
        let known = known_version(&form)?;
        Ok::<_, Error>(app.deals.contacts.change_contact(&reader.caller, org, client, id, patch, known).await?)
    };
    match changed.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/deals/{org}/clients/{client}/"), "flash-saved")),
        Err(error) => {
            let mut refused = Refused::new(&reader.view, error, &form, &FIELDS)?;
            // Browsers leave out a box that is not checked.
            refused.typed = refused.typed.with("is_primary", form.text("is_primary"));
            form_page(&app, &reader, (org, client), Some(id), Some(refused)).await
        }
    }
}

/// Moves a contact to the trash.
pub(crate) async fn delete_contact(
    State(app): State<App>,
    Path((org, client, id)): Path<(OrganizationId, ClientId, ContactId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let known = known_version(&form)?;
    let outcome = app.deals.contacts.delete_contact(&reader.caller, org, client, id, known).await;
    match outcome.map_err(Error::from) {
        Ok(()) => Ok(redirect_with(&app, &format!("/deals/{org}/clients/{client}/"), "flash-in-trash")),
        Err(error) => answer::<()>(&app, &reader, (org, client), Err(error), Entered::default()).await,
    }
}
