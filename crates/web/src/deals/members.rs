//! Members of an organization and their roles.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{
    Member, MemberId, MemberPatch, MemberStatus, NewMember, OrganizationId, Role, RoleId, catalogue,
};
use guildhall_kernel::{Error, PageQuery, Path, Person, Query, Result};

use super::{deal::known_version, entered::Entered, frame::OrgFrame};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    paging::{PageNumber, Pager},
    reader::Reader,
    web::App,
};

/// How many members and roles one can choose from.
const CHOICES: u64 = 100;

#[derive(Template)]
#[template(path = "deals/members.html")]
struct MembersPage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    members: Vec<Member>,
    roles: Vec<Role>,
    pager: Pager,
}

impl MembersPage {
    fn is_deactivated(member: &Member) -> bool {
        member.status == MemberStatus::Deactivated
    }

    fn status(&self, member: &Member) -> Option<String> {
        Some(self.f.t(match member.status {
            MemberStatus::Active => return None,
            MemberStatus::Invited => "deals-member-invited",
            MemberStatus::Deactivated => "deals-member-deactivated",
            MemberStatus::Gone => "deals-member-gone",
        }))
    }

    /// Whether the reader could change a member, as far as the page knows.
    fn is_changeable(&self, member: &Member) -> bool {
        member.id != self.f.member.id && member.status != MemberStatus::Gone
    }

    fn is_of_role(member: &Member, role: &Role) -> bool {
        member.role.id == role.id
    }

    fn version(member: &Member) -> i64 {
        member.updated_at.unix_micros()
    }

    /// What a role may do, in words.
    fn grants(&self, role: &Role) -> Vec<String> {
        let all = catalogue();
        let granted = all.iter().filter(|entry| role.permissions.contains(&entry.permission));
        let text = |scope: Option<&str>, text: &str| match scope {
            Some("own") => format!("{text} ({})", self.f.t("deals-scope-own")),
            Some("team") => format!("{text} ({})", self.f.t("deals-scope-team")),
            _ => text.to_owned(),
        };
        granted.map(|entry| text(entry.scope, entry.description)).collect()
    }
}

async fn members_page(
    app: &App,
    reader: &Reader,
    (org, number): (OrganizationId, PageNumber),
    refused: Option<(FormErrors, Entered)>,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "people").await?;
    let page = app.deals.members.members(&reader.caller, org, number.query()).await?;
    let pager = Pager::new(&page, number, &f.url("people/"), &[]);
    let roles = app.deals.roles.roles(&reader.caller, org, PageQuery::new(1, CHOICES)).await?.results;
    let (status, e, v) = match refused {
        Some((e, v)) => (StatusCode::UNPROCESSABLE_ENTITY, e, v),
        None => (StatusCode::OK, FormErrors::default(), Entered::default()),
    };
    Ok(show(status, &MembersPage { f, e, v, members: page.results, roles, pager }))
}

/// The name of the user whose id a field holds: one of those to choose from, or the one who was chosen before.
pub(super) fn name_in(people: &[Person], chosen: Option<&Person>, id: &str) -> String {
    let person = people.iter().chain(chosen).find(|person| person.id.to_string() == id);
    person.map_or_else(|| id.to_owned(), |person| person.display_name.clone())
}

/// The people who can own deals and tasks, if the reader may see the members; else only the reader.
pub(super) async fn active_people(app: &App, reader: &Reader, f: &OrgFrame) -> Result<Vec<Person>> {
    if !f.may("member.read") {
        return Ok(vec![f.my_person()]);
    }
    let page = app.deals.members.members(&reader.caller, f.org.id, PageQuery::new(1, CHOICES)).await?;
    let active = page.results.into_iter().filter(|member| member.status == MemberStatus::Active);
    Ok(active.filter_map(|member| member.user).collect())
}

pub(crate) async fn members(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    members_page(&app, &reader, (org, number), None).await
}

fn role(form: &Submission) -> Result<RoleId> {
    let role = form.number::<i64>("role_id")?.map(RoleId);
    role.ok_or_else(|| Error::field("role_id", "This field is required."))
}

/// The response to a form on the page.
async fn answer<T>(
    app: &App,
    reader: &Reader,
    org: OrganizationId,
    form: &Submission,
    (outcome, flash): (Result<T>, &str),
) -> Result<Response> {
    match outcome {
        Ok(_) => Ok(redirect_with(app, &format!("/deals/{org}/people/"), flash)),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            let v = Entered::typed(form, &["whom", "role_id"]);
            members_page(app, reader, (org, PageNumber::default()), Some((e, v))).await
        }
    }
}

/// Invites a person by user name.
pub(crate) async fn add_member(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let added = async {
        let whom = form.filled("whom").ok_or_else(|| Error::field("whom", "This field is required."))?;
        let user_id = reader.named(&app, "whom", whom).await?.id;
        let new = NewMember { user_id, role_id: role(&form)?, team_id: None, leads_team: false };
        Ok::<_, Error>(app.deals.members.add_member(&reader.caller, org, new).await?)
    };
    let outcome = (added.await, "flash-member-invited");
    answer(&app, &reader, org, &form, outcome).await
}

/// Changes the role of a member, or deactivates or activates them.
pub(crate) async fn change_member(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, MemberId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let changed = async {
        let status: Option<MemberStatus> = form.choice("status")?;
        let role_id = if status.is_some() { None } else { Some(role(&form)?) };
        let patch = MemberPatch { role_id, status, ..MemberPatch::default() };
        Ok::<_, Error>(app.deals.members.change_member(&reader.caller, org, id, patch, known_version(&form)?).await?)
    };
    let outcome = (changed.await, "flash-saved");
    answer(&app, &reader, org, &form, outcome).await
}

pub(crate) async fn remove_member(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, MemberId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let known = known_version(&form)?;
    let outcome = app.deals.members.remove_member(&reader.caller, org, id, known).await;
    answer(&app, &reader, org, &form, (outcome.map_err(Error::from), "flash-removed")).await
}
