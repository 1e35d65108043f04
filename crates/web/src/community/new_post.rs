//! Writing and editing posts.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{
    Group, GroupFilter, GroupId, NewPoll, NewPost, Post, PostCategory, PostId, PostPatch, Visibility,
};
use guildhall_kernel::{Error, IfMatch, PageQuery, Path, Query, Result};
use serde::Deserialize;

use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many groups one can choose from. More are reached from the page of the group.
const GROUPS: u64 = 50;

/// What the fields of the form contain.
#[derive(Default)]
struct Fields {
    title: String,
    content: String,
    group: Option<GroupId>,
    visibility: String,
    category: String,
    tags: String,
    poll: String,
    is_multiple: bool,
}

impl Fields {
    fn of_form(form: &Submission) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            title: text("title"),
            content: text("content"),
            group: form.number::<i64>("group").ok().flatten().map(GroupId),
            visibility: text("visibility"),
            category: text("category"),
            tags: text("tags"),
            poll: text("poll"),
            is_multiple: form.is_checked("is_multiple"),
        }
    }

    fn of_post(post: &Post) -> Self {
        let visibility = match post.visibility {
            Visibility::GroupOnly => "group_only",
            Visibility::Public => "public",
            Visibility::Private => "private",
        };
        let category = match post.category {
            PostCategory::General => "general",
            PostCategory::Announcement => "announcement",
            PostCategory::Event => "event",
            PostCategory::JobPosting => "job_posting",
            PostCategory::Resource => "resource",
            PostCategory::Question => "question",
        };
        Self {
            title: post.title.clone(),
            content: post.content.clone(),
            group: post.group,
            visibility: visibility.to_owned(),
            category: category.to_owned(),
            tags: post.tags.join(" "),
            ..Self::default()
        }
    }
}

#[derive(Template)]
#[template(path = "community/new_post.html")]
struct PostForm {
    f: Frame,
    e: FormErrors,
    fields: Fields,
    groups: Vec<Group>,
    /// The post that is edited.
    edited: Option<PostId>,
}

impl PostForm {
    fn is_chosen(&self, group: &Group) -> bool {
        self.fields.group == Some(group.id)
    }

    fn visibilities(&self) -> [(&'static str, String); 3] {
        [
            ("group_only", self.f.t("visibility-group")),
            ("public", self.f.t("visibility-public")),
            ("private", self.f.t("visibility-private")),
        ]
    }

    fn categories(&self) -> [(&'static str, String); 6] {
        [
            ("general", self.f.t("category-general")),
            ("announcement", self.f.t("category-announcement")),
            ("question", self.f.t("category-question")),
            ("resource", self.f.t("category-resource")),
            ("event", self.f.t("category-event")),
            ("job_posting", self.f.t("category-job-posting")),
        ]
    }
}

#[derive(Deserialize)]
pub(crate) struct InGroup {
    group: Option<GroupId>,
}

async fn form_page(
    app: &App,
    reader: &Reader,
    e: FormErrors,
    (fields, edited): (Fields, Option<PostId>),
) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::Home).await?;
    let filter = GroupFilter { joined: Some(true), ..GroupFilter::default() };
    let page = PageQuery::new(1, GROUPS).ordered("name");
    let groups = app.community.groups.groups(Some(reader.caller), filter, page).await;
    let mut groups = groups.map_err(Error::from)?.results;
    if let Some(id) = fields.group.filter(|id| groups.iter().all(|group| group.id != *id)) {
        groups.extend(app.community.groups.group(Some(reader.caller), id).await.ok());
    }
    Ok(show(status, &PostForm { f, e, fields, groups, edited }))
}

pub(crate) async fn new_post_form(
    State(app): State<App>,
    reader: Reader,
    Query(InGroup { group }): Query<InGroup>,
) -> Result<Response> {
    let visibility = if group.is_some() { "group_only" } else { "public" };
    let fields = Fields { group, visibility: visibility.to_owned(), ..Fields::default() };
    form_page(&app, &reader, FormErrors::default(), (fields, None)).await
}

/// The tags of a text, separated by spaces or commas.
fn tags(text: &str) -> Vec<String> {
    text.split([' ', ',', '\n']).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn new_post(form: &Submission) -> Result<NewPost> {
    let options: Vec<String> =
        form.text("poll").lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let poll = NewPoll { options, is_multiple: form.is_checked("is_multiple"), hours: None };
    Ok(NewPost {
        content: form.text("content").to_owned(),
        title: form.text("title").trim().to_owned(),
        group: form.number::<i64>("group")?.map(GroupId),
        visibility: form.choice::<Visibility>("visibility")?,
        category: form.choice::<PostCategory>("category")?.unwrap_or_default(),
        tags: tags(form.text("tags")),
        poll: (!poll.options.is_empty()).then_some(poll),
    })
}

pub(crate) async fn create_post(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let created = async {
        let new = new_post(&form)?;
        app.community.posts.create_post(&reader.caller, new).await.map_err(Error::from)
    };
    match created.await {
        Ok(post) => Ok(redirect_with(&app, &format!("/posts/{}/", post.id), "flash-posted")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            form_page(&app, &reader, e, (Fields::of_form(&form), None)).await
        }
    }
}

pub(crate) async fn edit_form(State(app): State<App>, Path(id): Path<PostId>, reader: Reader) -> Result<Response> {
    let post = app.community.posts.post(Some(reader.caller), id).await.map_err(Error::from)?;
    form_page(&app, &reader, FormErrors::default(), (Fields::of_post(&post), Some(id))).await
}

pub(crate) async fn edit(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let changed = async {
        let patch = PostPatch {
            content: form.find("content").map(str::to_owned),
            title: form.find("title").map(|title| title.trim().to_owned()),
            visibility: form.choice("visibility")?,
            category: form.choice("category")?,
            tags: form.find("tags").map(tags),
            ..PostPatch::default()
        };
        let post = app.community.posts.change_post(&reader.caller, id, patch, IfMatch::default()).await;
        post.map_err(Error::from)
    };
    match changed.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/posts/{id}/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            form_page(&app, &reader, e, (Fields::of_form(&form), Some(id))).await
        }
    }
}
