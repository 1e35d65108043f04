//! Groups, posts and the search among them.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
};

use anyhow::Context;
use axum::{
    Json,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{PublicUrl, text};
use serde::Deserialize;
use sqlx::AssertSqlSafe;

use super::{
    Asked, DEEPEST_ROW, Result, Shared,
    acts::{Act, NewGroup, NewPost, Reaction, Removal},
    agent,
    answers::{self, Belongings, Found, Group, Person, Post, Slice, User},
    etag, now, random,
    statements::{
        BESIDE, COUNT_GROUPS, COURSES, FEED, FEED_LATERALLY, FOUND_GROUPS, FOUND_GROUPS_BY, FOUND_POSTS,
        FOUND_POSTS_BY, GLOBAL, GROUP, GROUPS, HOME, HOME_LATERALLY, MODERATORS,
    },
    store::{Arg, Link, Row},
};

/// What somebody is in a group who does not look after it.
const MEMBER: Arg<'static> = Arg::Text("member");
const NO: Arg<'static> = Arg::Flag(false);
const YES: Arg<'static> = Arg::Flag(true);

/// `$3, $4, …`
pub(super) fn marks(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

pub(super) async fn groups(State(floor): Shared, headers: HeaderMap, Query(asked): Query<Asked>) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut link = reader.link();
    let user = Arg::Int(caller);
    let rows = link.all(GROUPS, &[user, NO, YES, Arg::Int(asked.size()), Arg::Int(asked.offset())]).await?;
    let count = asked.count(rows.len(), &mut link, COUNT_GROUPS, &[user, NO, YES, Arg::Int(DEEPEST_ROW + 1)]).await?;
    let groups = show_groups(&mut link, &rows, caller, &floor.url).await?;
    Ok(Json(asked.page(&floor.url.join("/api/community/groups/"), count, groups)).into_response())
}

pub(super) async fn group(State(floor): Shared, headers: HeaderMap, Path(id): Path<i64>) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut link = reader.link();
    let row = link.one(GROUP, &[Arg::Int(caller), NO, YES, Arg::Int(id)]).await?;
    let version = row.get(answers::GROUP_VERSION)?;
    let group = show_groups(&mut link, &[row], caller, &floor.url).await?.pop().context("one row is one group")?;
    Ok(([etag(version)], Json(group)).into_response())
}

/// The groups in these rows.
async fn show_groups(link: &mut Link<'_>, rows: &[Row], caller: i64, url: &PublicUrl) -> Result<Vec<Group>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = rows.iter().map(|row| row.get(0).map(Arg::Int)).collect::<sqlx::Result<Vec<_>>>()?;
    let mut belongings = Belongings::default();
    let sql = format!("{MODERATORS}({})", marks(1, ids.len()));
    for row in link.all(AssertSqlSafe(sql), &ids).await? {
        belongings.moderators.entry(row.get(1)?).or_default().push(row.get(2)?);
        if row.get::<String>(3)? == "owner" {
            belongings.owners.insert(row.get(1)?, row.get(2)?);
        }
    }
    let sql = format!("{COURSES}({}) ORDER BY position", marks(3, ids.len()));
    let args: Vec<_> = [Arg::Int(caller), YES].into_iter().chain(ids).collect();
    for row in link.all(AssertSqlSafe(sql), &args).await? {
        belongings.courses.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    let mut named = named_in(rows, answers::GROUP_CREATOR)?;
    named.extend(belongings.owners.values());
    belongings.people = people(link, named).await?;
    let groups = rows.iter().map(|row| Group::read(row, &mut belongings, url));
    Ok(groups.collect::<sqlx::Result<_>>()?)
}

/// The posts in these rows.
async fn show_posts(link: &mut Link<'_>, rows: &[Row]) -> Result<Vec<Post>> {
    let people = people(link, named_in(rows, answers::POST_AUTHOR)?).await?;
    Ok(rows.iter().map(|row| Post::read(row, &people)).collect::<sqlx::Result<_>>()?)
}

/// Who is named in a column, where somebody is.
fn named_in(rows: &[Row], column: usize) -> sqlx::Result<HashSet<i64>> {
    let ids = rows.iter().filter_map(|row| row.get::<Option<i64>>(column).transpose());
    ids.collect()
}

/// These people, as others see them.
pub(super) async fn people(link: &mut Link<'_>, ids: HashSet<i64>) -> Result<HashMap<i64, Person>> {
    let ids: Vec<_> = ids.into_iter().map(Arg::Int).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!("{} AND id IN ({})", answers::PEOPLE, marks(1, ids.len()));
    let rows = link.all(AssertSqlSafe(sql), &ids).await?;
    let person = |row: &Row| User::read(row).map(|user| (user.id, Person::from(user)));
    Ok(rows.iter().map(person).collect::<sqlx::Result<_>>()?)
}

#[derive(Deserialize)]
pub(super) struct WantedGroup {
    name: String,
    description: String,
}

pub(super) async fn create_group(
    State(floor): Shared,
    headers: HeaderMap,
    Json(wanted): Json<WantedGroup>,
) -> Result<Response> {
    let creator = floor.caller(&headers).await?;
    let name_key = wanted.name.to_lowercase();
    let slug = name_key.replace(' ', "-");
    let WantedGroup { name, description } = wanted;
    let new = NewGroup { name, name_key, slug, description, creator, now: now() };
    let rows = floor.store.write(Act::CreateGroup(new)).await?;
    let row = rows.first().context("a group is one row")?;
    let people = people(&mut floor.store.read().await?.link(), HashSet::from([creator])).await?;
    let moderators = HashMap::from([(row.get(0)?, vec![creator])]);
    let owners = HashMap::from([(row.get(0)?, creator)]);
    let mut belongings = Belongings { people, moderators, owners, ..Belongings::default() };
    let group = Group::read(row, &mut belongings, &floor.url)?;
    Ok((StatusCode::CREATED, [etag(row.get(answers::GROUP_VERSION)?)], Json(group)).into_response())
}

pub(super) async fn delete_group(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(group): Path<i64>,
) -> Result<StatusCode> {
    let user = floor.caller(&headers).await?;
    let (ip, agent) = (peer.ip().to_string(), agent(&headers));
    let removal = Removal { group, user, ip, agent, request: random(), now: now() };
    floor.store.write(Act::DeleteGroup(removal)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which stretch of which feed is asked for.
#[derive(Deserialize)]
pub(super) struct Stretch {
    feed_type: Option<String>,
    limit: i64,
}

pub(super) async fn feed(State(floor): Shared, headers: HeaderMap, Query(asked): Query<Stretch>) -> Result<Response> {
    let user = Arg::Int(floor.caller(&headers).await?);
    let mut reader = floor.store.read().await?;
    let mut link = reader.link();
    // One more than is shown tells whether there is anything behind.
    let (limit, one) = (Arg::Int(asked.limit + 1), Arg::Int(1));
    let mut rows = match (asked.feed_type.as_deref(), link.is_postgres()) {
        (Some("global"), _) => link.all(GLOBAL, &[user, NO, limit]).await?,
        (Some(_), true) => link.all(FEED_LATERALLY, &[user, NO, MEMBER, limit, one]).await?,
        (Some(_), false) => link.all(FEED, &[user, NO, MEMBER, limit]).await?,
        (None, true) => link.all(HOME_LATERALLY, &[user, NO, MEMBER, limit, one]).await?,
        (None, false) => link.all(HOME, &[user, NO, MEMBER, limit]).await?,
    };
    let shown = usize::try_from(asked.limit)?;
    let more = rows.len() > shown;
    rows.truncate(shown);
    let posts = show_posts(&mut link, &rows).await?;
    let last = posts.last().filter(|_| more).map(|post| post.id);
    let next = last.map(|last| {
        let kind = asked.feed_type.map(|kind| format!("feed_type={kind}&")).unwrap_or_default();
        format!("{}?{kind}limit={}&before={last}", floor.url.join("/api/community/posts/"), asked.limit)
    });
    Ok(Json(Slice { next, previous: None, results: posts }).into_response())
}

/// What is to be posted where.
#[derive(Deserialize)]
pub(super) struct WantedPost {
    content: String,
    group: i64,
}

pub(super) async fn create_post(
    State(floor): Shared,
    headers: HeaderMap,
    Json(wanted): Json<WantedPost>,
) -> Result<Response> {
    let author = floor.caller(&headers).await?;
    let WantedPost { content, group } = wanted;
    let rows = floor.store.write(Act::CreatePost(NewPost { group, author, content, now: now() })).await?;
    let version = rows.first().context("a post is one row")?.get(answers::POST_VERSION)?;
    let posts = show_posts(&mut floor.store.read().await?.link(), &rows).await?;
    let post = posts.into_iter().next().context("one row is one post")?;
    Ok((StatusCode::CREATED, [etag(version)], Json(post)).into_response())
}

pub(super) async fn react(
    State(floor): Shared,
    headers: HeaderMap,
    Path((post, kind)): Path<(i64, String)>,
) -> Result<StatusCode> {
    let user = floor.caller(&headers).await?;
    floor.store.write(Act::React(Reaction { post, user, kind, now: now() })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is looked for: one word.
#[derive(Deserialize)]
pub(super) struct Search {
    q: String,
    limit: i64,
}

pub(super) async fn search(State(floor): Shared, headers: HeaderMap, Query(asked): Query<Search>) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut link = reader.link();
    let (user, limit) = (Arg::Int(caller), Arg::Int(asked.limit));
    let word: String = asked.q.chars().filter(|letter| letter.is_alphanumeric()).collect();
    let (groups, posts) = if link.is_postgres() {
        let with = |[before, after]: [&str; 2]| AssertSqlSafe(format!("{before}''{word}'':*{after}"));
        let groups = link.all(with(FOUND_GROUPS_BY), &[user, NO, YES, limit]).await?;
        (groups, link.all(with(FOUND_POSTS_BY), &[user, NO, MEMBER, limit]).await?)
    } else {
        let matching = format!("\"{word}\" *");
        let matching = Arg::Text(&matching);
        let groups = link.all(FOUND_GROUPS, &[user, NO, YES, limit, matching]).await?;
        (groups, link.all(FOUND_POSTS, &[user, NO, MEMBER, limit, matching]).await?)
    };
    let groups = show_groups(&mut link, &groups, caller, &floor.url).await?;
    let posts = show_posts(&mut link, &posts).await?;
    let end = text::after_prefix(&word);
    let rows = link.all(BESIDE, &[user, Arg::Text(&word), Arg::Text(&end), limit]).await?;
    let ids = rows.iter().map(|row| row.get(0)).collect::<sqlx::Result<Vec<i64>>>()?;
    let mut people = people(&mut link, ids.iter().copied().collect()).await?;
    let members = ids.iter().filter_map(|id| people.remove(id)).collect();
    Ok(Json(Found { groups, posts, members }).into_response())
}
