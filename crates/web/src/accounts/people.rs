//! The directory, and the pages of people.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_accounts::UserFilter;
use guildhall_community::{FeedFilter, Group, GroupId, MembershipFilter};
use guildhall_kernel::{CursorQuery, Error, PageQuery, Path, Person, Query, Result, Roles, Timestamp, UserId};
use serde::Deserialize;

use crate::{
    card::{Card, groups_by_id},
    form::Submission,
    page::{back_with, ok},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many posts and groups the page of a person shows.
const SHOWN: u64 = 10;

#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "accounts/people.html", blocks = ["results"])]
struct PeoplePage {
    f: Frame,
    q: String,
    people: Vec<Person>,
    pager: Pager,
}

pub(crate) async fn people(
    State(app): State<App>,
    reader: Reader,
    Query(search): Query<Search>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let f = reader.frame(&app, Place::Elsewhere).await?;
    let q = search.q.trim().to_owned();
    let filter = UserFilter { search: (!q.is_empty()).then(|| q.clone()) };
    let page = app.accounts.accounts.users(&reader.caller, filter, number.query()).await.map_err(Error::from)?;
    let pager = Pager::new(&page, number, "/people/", &[("q", &q)]);
    let people = page.results.into_iter().map(|entry| entry.user.into()).collect();
    let page = PeoplePage { f, q, people, pager };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}

#[derive(Template)]
#[template(path = "accounts/person.html")]
struct PersonPage {
    f: Frame,
    person: Person,
    roles: Vec<String>,
    joined: Timestamp,
    is_me: bool,
    is_followed: bool,
    posts: Vec<Card>,
    groups: Vec<Group>,
}

/// The names of roles.
fn role_names(reader: &Reader, roles: Roles) -> Vec<String> {
    let all = [(roles.superuser, "role-superuser"), (roles.staff, "role-staff"), (roles.teacher, "role-teacher")];
    all.into_iter().filter(|(has, _)| *has).map(|(_, key)| reader.view.t(key)).collect()
}

/// The groups of a person, as far as the reader may see their members.
async fn groups_of(app: &App, reader: &Reader, id: UserId) -> Result<Vec<Group>> {
    let filter = MembershipFilter { group: None, user: Some(id) };
    let memberships = app.community.members.memberships(&reader.caller, filter, PageQuery::new(1, SHOWN)).await;
    let ids: Vec<GroupId> = memberships.map_err(Error::from)?.results.iter().map(|found| found.group).collect();
    let mut groups = groups_by_id(app, reader, ids.iter().copied()).await?;
    Ok(ids.iter().filter_map(|id| groups.remove(id)).collect())
}

pub(crate) async fn person(State(app): State<App>, Path(id): Path<UserId>, reader: Reader) -> Result<Response> {
    let user = app.accounts.accounts.user(&reader.caller, id).await.map_err(Error::from)?.user;
    let f = reader.frame(&app, Place::Elsewhere).await?;
    let (roles, joined) = (role_names(&reader, user.roles), user.date_joined);
    let is_followed = app.community.follows.is_following(&reader.caller, id).await.map_err(Error::from)?;
    let filter = FeedFilter { author: Some(id), ..FeedFilter::default() };
    let posts = app.community.feed.feed(Some(reader.caller), filter, CursorQuery::newest(SHOWN)).await;
    let posts = Card::all(&app, &reader, posts.map_err(Error::from)?.results).await?;
    let groups = groups_of(&app, &reader, id).await?;
    let is_me = reader.id() == id;
    Ok(ok(&PersonPage { f, person: user.into(), roles, joined, is_me, is_followed, posts, groups }))
}

pub(crate) async fn follow(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.community.follows.follow(&reader.caller, id, true).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), &format!("/people/{id}/"), "flash-followed"))
}

pub(crate) async fn unfollow(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.community.follows.follow(&reader.caller, id, false).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), &format!("/people/{id}/"), "flash-unfollowed"))
}
