//! Writing and editing posts.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{
    Draft, DraftId, Group, GroupFilter, GroupId, NewPoll, NewPost, Post, PostCategory, PostId, PostPatch, Visibility,
};
use guildhall_kernel::{Error, IfMatch, Kind, PageQuery, Path, Query, Result};
use serde::Deserialize;

use crate::{
    form::{FormErrors, Submission},
    html::Html,
    page::{form_errors, ok, redirect_with, show},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// How many groups one can choose from. More are reached from the page of the group.
const GROUPS: u64 = 50;

/// How many drafts are listed.
const DRAFTS: u64 = 20;

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
    /// How long the poll is open.
    hours: String,
    /// The draft that it was begun from.
    draft: Option<DraftId>,
}

fn visibility_name(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::GroupOnly => "group_only",
        Visibility::Public => "public",
        Visibility::Private => "private",
    }
}

fn category_name(category: PostCategory) -> &'static str {
    match category {
        PostCategory::General => "general",
        PostCategory::Announcement => "announcement",
        PostCategory::Event => "event",
        PostCategory::JobPosting => "job_posting",
        PostCategory::Resource => "resource",
        PostCategory::Question => "question",
    }
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
            hours: text("hours"),
            draft: form.number::<i64>("draft").ok().flatten().map(DraftId),
        }
    }

    fn of_draft(draft: Draft) -> Self {
        let NewPost { content, title, group, visibility, category, tags, poll } = draft.post;
        Self {
            title,
            content,
            group,
            visibility: visibility.map(visibility_name).unwrap_or_default().to_owned(),
            category: category_name(category).to_owned(),
            tags: tags.join(" "),
            is_multiple: poll.as_ref().is_some_and(|poll| poll.is_multiple),
            hours: poll.as_ref().and_then(|poll| poll.hours).map(|hours| hours.to_string()).unwrap_or_default(),
            poll: poll.map(|poll| poll.options.join("\n")).unwrap_or_default(),
            draft: Some(draft.id),
        }
    }

    fn of_post(post: &Post) -> Self {
        Self {
            title: post.title.clone(),
            content: post.content.clone(),
            group: post.group,
            visibility: visibility_name(post.visibility).to_owned(),
            category: category_name(post.category).to_owned(),
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
    /// The reader's drafts, newest first.
    drafts: Vec<Draft>,
    /// The post that is edited.
    edited: Option<PostId>,
    /// How the text would look.
    preview: Option<Html>,
}

impl PostForm {
    fn is_chosen(&self, group: &Group) -> bool {
        self.fields.group == Some(group.id)
    }

    fn is_open(&self, draft: &Draft) -> bool {
        self.fields.draft == Some(draft.id)
    }

    /// What a draft is called: its title, else the first words of its text.
    fn draft_title(draft: &Draft) -> String {
        let NewPost { title, content, .. } = &draft.post;
        let text = if title.is_empty() { content } else { title };
        text.lines().next().unwrap_or_default().chars().take(80).collect()
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

/// How a text would look.
#[derive(Template)]
#[template(path = "community/preview.html")]
struct Preview {
    f: View,
    preview: Option<Html>,
}

/// What to begin with.
#[derive(Deserialize)]
pub(crate) struct Beginning {
    group: Option<GroupId>,
    draft: Option<DraftId>,
}

async fn form_page(
    app: &App,
    reader: &Reader,
    e: FormErrors,
    (fields, edited): (Fields, Option<PostId>),
) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &post_form(app, reader, e, fields, edited).await?))
}

async fn post_form(
    app: &App,
    reader: &Reader,
    e: FormErrors,
    fields: Fields,
    edited: Option<PostId>,
) -> Result<PostForm> {
    let f = reader.frame(app, Place::Home).await?;
    let filter = GroupFilter { joined: Some(true), ..GroupFilter::default() };
    let page = PageQuery::new(1, GROUPS).ordered("name");
    let groups = app.community.groups.groups(Some(reader.caller), filter, page).await;
    let mut groups = groups.map_err(Error::from)?.results;
    if let Some(id) = fields.group.filter(|id| groups.iter().all(|group| group.id != *id)) {
        groups.extend(app.community.groups.group(Some(reader.caller), id).await.ok());
    }
    let drafts = if edited.is_none() {
        let page = PageQuery::new(1, DRAFTS);
        app.community.drafts.drafts(&reader.caller, page).await.map_err(Error::from)?.results
    } else {
        Vec::new()
    };
    Ok(PostForm { f, e, fields, groups, drafts, edited, preview: None })
}

pub(crate) async fn new_post_form(
    State(app): State<App>,
    reader: Reader,
    Query(Beginning { group, draft }): Query<Beginning>,
) -> Result<Response> {
    if let Some(id) = draft {
        let draft = app.community.drafts.draft(&reader.caller, id).await.map_err(Error::from)?;
        return form_page(&app, &reader, FormErrors::default(), (Fields::of_draft(draft), None)).await;
    }
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
    let poll = NewPoll { options, is_multiple: form.is_checked("is_multiple"), hours: form.number("hours")? };
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
        publish(&app, &reader, form.number::<i64>("draft")?.map(DraftId), new).await
    };
    match created.await {
        Ok(post) => {
            let flash = attach_all(&app, &reader, post.id, form).await;
            Ok(redirect_with(&app, &format!("/posts/{}/", post.id), flash))
        }
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            form_page(&app, &reader, e, (Fields::of_form(&form), None)).await
        }
    }
}

/// Publishes a post, or the draft that it was begun from. One that was deleted or published meanwhile is none.
async fn publish(app: &App, reader: &Reader, draft: Option<DraftId>, new: NewPost) -> Result<Post> {
    let drafts = &app.community.drafts;
    if let Some(id) = draft {
        match drafts.change_draft(&reader.caller, id, new.clone()).await.map_err(Error::from) {
            Ok(_) => return drafts.publish_draft(&reader.caller, id).await.map_err(Error::from),
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    app.community.posts.create_post(&reader.caller, new).await.map_err(Error::from)
}

/// Attaches the files of a form to a new post, and returns the key of the message for its author. The post stays if one
/// is refused.
async fn attach_all(app: &App, reader: &Reader, post: PostId, form: Submission) -> &'static str {
    for upload in form.into_uploads() {
        if let Err(error) = app.community.attachments.attach(&reader.caller, post, upload).await {
            tracing::warn!(post.id = post.0, error = %Error::from(error), "a file was not attached to a new post");
            return "flash-posted-without-files";
        }
    }
    "flash-posted"
}

/// Shows how the text would look: alone to a script, else below the form.
pub(crate) async fn preview(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let edited = form.number::<i64>("edited")?.map(PostId);
    match app.community.posts.preview(form.text("content").to_owned()).map_err(Error::from) {
        Ok(html) => {
            let preview = Some(Html::new(html));
            if reader.view.wants("preview") {
                return Ok(ok(&Preview { f: reader.view, preview }));
            }
            let page = post_form(&app, &reader, FormErrors::default(), Fields::of_form(&form), edited).await?;
            Ok(ok(&PostForm { preview, ..page }))
        }
        Err(error) if reader.view.wants("preview") => Err(error),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            form_page(&app, &reader, e, (Fields::of_form(&form), edited)).await
        }
    }
}

/// Saves what was written as a draft.
pub(crate) async fn save_draft(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let drafts = &app.community.drafts;
    let saved = async {
        let new = new_post(&form)?;
        let known = form.number::<i64>("draft")?.map(DraftId);
        let saved = match known {
            Some(id) => drafts.change_draft(&reader.caller, id, new).await,
            None => drafts.save_draft(&reader.caller, new).await,
        };
        saved.map_err(Error::from)
    };
    match saved.await {
        Ok(draft) => Ok(redirect_with(&app, &format!("/posts/new/?draft={}", draft.id), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            form_page(&app, &reader, e, (Fields::of_form(&form), None)).await
        }
    }
}

pub(crate) async fn delete_draft(
    State(app): State<App>,
    Path(id): Path<DraftId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.community.drafts.delete_draft(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/posts/new/", "flash-deleted"))
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
