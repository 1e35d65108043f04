//! The directory of groups, and new groups.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{CategoryCount, Group, GroupFilter, NewGroup};
use guildhall_kernel::{Error, PageQuery, Query, Result};
use serde::Deserialize;

use crate::{
    form::{FormErrors, Submission},
    local_path::encode,
    page::{form_errors, ok, redirect_with, show},
    paging::{PAGE_SIZE, PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many of the reader's groups are listed.
const OWN: u64 = 50;

/// Which groups to show.
#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    sort: String,
}

impl Search {
    /// The ordering of the service for the chosen sort, newest first unless another one was chosen.
    fn ordering(&self) -> &'static str {
        if self.sort == "name" { "name" } else { "-created_at" }
    }
}

#[derive(Template)]
#[template(path = "community/groups.html", blocks = ["results"])]
struct GroupsPage {
    f: Frame,
    search: Search,
    own: Vec<Group>,
    categories: Vec<CategoryCount>,
    groups: Vec<Group>,
    pager: Pager,
}

impl GroupsPage {
    /// Whether the reader looks for something.
    fn is_search(&self) -> bool {
        !self.search.q.is_empty() || !self.search.category.is_empty()
    }

    /// The address of a category.
    fn category_url(&self, category: &str) -> String {
        let q = encode(&self.search.q);
        format!("/groups/?q={q}&category={}", encode(category))
    }
}

pub(crate) async fn groups(
    State(app): State<App>,
    reader: Reader,
    Query(mut search): Query<Search>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    search.q = search.q.trim().to_owned();
    let f = reader.frame(&app, Place::Groups).await?;
    let (service, caller) = (&app.community.groups, Some(reader.caller));
    let filter = |joined| GroupFilter {
        category: (!search.category.is_empty()).then(|| search.category.clone()),
        search: (!search.q.is_empty()).then(|| search.q.clone()),
        joined: Some(joined),
    };
    let own = service.groups(caller, filter(true), PageQuery::new(1, OWN).ordered("name")).await;
    let own = own.map_err(Error::from)?.results;
    let query = PageQuery::new(number.number(), PAGE_SIZE).ordered(search.ordering());
    let page = service.groups(caller, filter(false), query).await.map_err(Error::from)?;
    let kept = [("q", search.q.as_str()), ("category", &search.category), ("sort", &search.sort)];
    let pager = Pager::new(&page, number, "/groups/", &kept);
    let categories = service.categories(caller).await.map_err(Error::from)?;
    let page = GroupsPage { f, search, own, categories, groups: page.results, pager };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}

#[derive(Template)]
#[template(path = "community/new_group.html")]
struct NewGroupPage<'a> {
    f: Frame,
    e: FormErrors,
    name: &'a str,
    description: &'a str,
    category: &'a str,
    visibility: &'a str,
}

async fn new_group_page(app: &App, reader: &Reader, e: FormErrors, form: &Submission) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::Groups).await?;
    let page = NewGroupPage {
        f,
        e,
        name: form.text("name"),
        description: form.text("description"),
        category: form.find("category").unwrap_or("general"),
        visibility: form.find("visibility").unwrap_or("public"),
    };
    Ok(show(status, &page))
}

pub(crate) async fn new_group_form(State(app): State<App>, reader: Reader) -> Result<Response> {
    new_group_page(&app, &reader, FormErrors::default(), &Submission::default()).await
}

pub(crate) async fn create_group(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let visibility = form.text("visibility");
    let new = NewGroup {
        name: form.text("name").trim().to_owned(),
        description: form.text("description").to_owned(),
        category: form.filled("category").unwrap_or("general").to_owned(),
        is_private: matches!(visibility, "listed" | "hidden"),
        is_listed: visibility == "listed",
        ..NewGroup::default()
    };
    match app.community.groups.create_group(&reader.caller, new).await {
        Ok(group) => Ok(redirect_with(&app, &format!("/groups/{}/", group.id), "flash-group-created")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            new_group_page(&app, &reader, e, &form).await
        }
    }
}
