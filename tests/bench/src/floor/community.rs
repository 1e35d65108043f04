//! Groups, posts and search.

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
    MAX_COUNT, PageParams, Result, Shared, agent, etag, now, random,
    responses::{self, CursorPage, Group, GroupDetails, Person, Post, SearchResults, User},
    statements::{
        COUNT_GROUPS, COURSES, FEED, FEED_LATERAL, GLOBAL, GROUP, GROUPS, HOME, HOME_LATERAL, MEMBERS_BY_NAME,
        MODERATORS, SEARCH_GROUPS, SEARCH_GROUPS_POSTGRES, SEARCH_POSTS, SEARCH_POSTS_POSTGRES,
    },
    store::{Arg, Conn, Row},
    writes::{GroupDeletion, NewGroup, NewPost, Reaction, Write},
};

/// The role of an ordinary member.
const MEMBER: Arg<'static> = Arg::Text("member");
const NO: Arg<'static> = Arg::Flag(false);
const YES: Arg<'static> = Arg::Flag(true);

/// Placeholders: `$3, $4, …`
pub(super) fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

pub(super) async fn groups(
    State(floor): Shared,
    headers: HeaderMap,
    Query(params): Query<PageParams>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    let user = Arg::Int(caller);
    let rows = conn.all(GROUPS, &[user, NO, YES, Arg::Int(params.size()), Arg::Int(params.offset())]).await?;
    let count = params.count(rows.len(), &mut conn, COUNT_GROUPS, &[user, NO, YES, Arg::Int(MAX_COUNT + 1)]).await?;
    let groups = load_groups(&mut conn, &rows, caller, &floor.url).await?;
    Ok(Json(params.page(&floor.url.join("/api/community/groups/"), count, groups)).into_response())
}

pub(super) async fn group(State(floor): Shared, headers: HeaderMap, Path(id): Path<i64>) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    let row = conn.one(GROUP, &[Arg::Int(caller), NO, YES, Arg::Int(id)]).await?;
    let version = row.get(responses::GROUP_VERSION)?;
    let group =
        load_groups(&mut conn, &[row], caller, &floor.url).await?.pop().context("one row must yield one group")?;
    Ok(([etag(version)], Json(group)).into_response())
}

/// Converts rows to groups.
async fn load_groups(conn: &mut Conn<'_>, rows: &[Row], caller: i64, url: &PublicUrl) -> Result<Vec<Group>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = rows.iter().map(|row| row.get(0).map(Arg::Int)).collect::<sqlx::Result<Vec<_>>>()?;
    let mut details = GroupDetails::default();
    let sql = format!("{MODERATORS}({})", placeholders(1, ids.len()));
    for row in conn.all(AssertSqlSafe(sql), &ids).await? {
        details.moderators.entry(row.get(1)?).or_default().push(row.get(2)?);
        if row.get::<String>(3)? == "owner" {
            details.owners.insert(row.get(1)?, row.get(2)?);
        }
    }
    let sql = format!("{COURSES}({}) ORDER BY position", placeholders(3, ids.len()));
    let args: Vec<_> = [Arg::Int(caller), YES].into_iter().chain(ids).collect();
    for row in conn.all(AssertSqlSafe(sql), &args).await? {
        details.courses.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    let mut users = user_ids(rows, responses::GROUP_CREATOR)?;
    users.extend(details.owners.values());
    details.people = people(conn, users).await?;
    let groups = rows.iter().map(|row| Group::read(row, &mut details, url));
    Ok(groups.collect::<sqlx::Result<_>>()?)
}

/// Converts rows to posts.
async fn load_posts(conn: &mut Conn<'_>, rows: &[Row]) -> Result<Vec<Post>> {
    let people = people(conn, user_ids(rows, responses::POST_AUTHOR)?).await?;
    Ok(rows.iter().map(|row| Post::read(row, &people)).collect::<sqlx::Result<_>>()?)
}

/// The distinct user ids in a nullable column.
fn user_ids(rows: &[Row], column: usize) -> sqlx::Result<HashSet<i64>> {
    let ids = rows.iter().filter_map(|row| row.get::<Option<i64>>(column).transpose());
    ids.collect()
}

/// The public views of users, by id.
pub(super) async fn people(conn: &mut Conn<'_>, ids: HashSet<i64>) -> Result<HashMap<i64, Person>> {
    let ids: Vec<_> = ids.into_iter().map(Arg::Int).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!("{} AND id IN ({})", responses::PEOPLE, placeholders(1, ids.len()));
    let rows = conn.all(AssertSqlSafe(sql), &ids).await?;
    let person = |row: &Row| User::read(row).map(|user| (user.id, Person::from(user)));
    Ok(rows.iter().map(person).collect::<sqlx::Result<_>>()?)
}

#[derive(Deserialize)]
pub(super) struct GroupInput {
    name: String,
    description: String,
}

pub(super) async fn create_group(
    State(floor): Shared,
    headers: HeaderMap,
    Json(input): Json<GroupInput>,
) -> Result<Response> {
    let creator = floor.caller(&headers).await?;
    let name_key = input.name.to_lowercase();
    let slug = name_key.replace(' ', "-");
    let GroupInput { name, description } = input;
    let new = NewGroup { name, name_key, slug, description, creator, now: now() };
    let rows = floor.store.write(Write::CreateGroup(new)).await?;
    let row = rows.first().context("a new group must return one row")?;
    let people = people(&mut floor.store.read().await?.conn(), HashSet::from([creator])).await?;
    let moderators = HashMap::from([(row.get(0)?, vec![creator])]);
    let owners = HashMap::from([(row.get(0)?, creator)]);
    let mut details = GroupDetails { people, moderators, owners, ..GroupDetails::default() };
    let group = Group::read(row, &mut details, &floor.url)?;
    Ok((StatusCode::CREATED, [etag(row.get(responses::GROUP_VERSION)?)], Json(group)).into_response())
}

pub(super) async fn delete_group(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(group): Path<i64>,
) -> Result<StatusCode> {
    let user = floor.caller(&headers).await?;
    let (ip, agent) = (peer.ip().to_string(), agent(&headers));
    let deletion = GroupDeletion { group, user, ip, agent, request: random(), now: now() };
    floor.store.write(Write::DeleteGroup(deletion)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query parameters of a feed.
#[derive(Deserialize)]
pub(super) struct FeedParams {
    feed_type: Option<String>,
    limit: i64,
}

pub(super) async fn feed(
    State(floor): Shared,
    headers: HeaderMap,
    Query(params): Query<FeedParams>,
) -> Result<Response> {
    let user = Arg::Int(floor.caller(&headers).await?);
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    // One more than the limit, to know whether there is a next page.
    let (limit, one) = (Arg::Int(params.limit + 1), Arg::Int(1));
    let mut rows = match (params.feed_type.as_deref(), conn.is_postgres()) {
        (Some("global"), _) => conn.all(GLOBAL, &[user, NO, limit]).await?,
        (Some(_), true) => conn.all(FEED_LATERAL, &[user, NO, MEMBER, limit, one]).await?,
        (Some(_), false) => conn.all(FEED, &[user, NO, MEMBER, limit]).await?,
        (None, true) => conn.all(HOME_LATERAL, &[user, NO, MEMBER, limit, one]).await?,
        (None, false) => conn.all(HOME, &[user, NO, MEMBER, limit]).await?,
    };
    let limit = usize::try_from(params.limit)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let posts = load_posts(&mut conn, &rows).await?;
    let last = posts.last().filter(|_| more).map(|post| post.id);
    let next = last.map(|last| {
        let kind = params.feed_type.map(|kind| format!("feed_type={kind}&")).unwrap_or_default();
        format!("{}?{kind}limit={}&before={last}", floor.url.join("/api/community/posts/"), params.limit)
    });
    Ok(Json(CursorPage { next, previous: None, results: posts }).into_response())
}

/// The input of a new post.
#[derive(Deserialize)]
pub(super) struct PostInput {
    content: String,
    group: i64,
}

pub(super) async fn create_post(
    State(floor): Shared,
    headers: HeaderMap,
    Json(input): Json<PostInput>,
) -> Result<Response> {
    let author = floor.caller(&headers).await?;
    let PostInput { content, group } = input;
    let rows = floor.store.write(Write::CreatePost(NewPost { group, author, content, now: now() })).await?;
    let version = rows.first().context("a new post must return one row")?.get(responses::POST_VERSION)?;
    let posts = load_posts(&mut floor.store.read().await?.conn(), &rows).await?;
    let post = posts.into_iter().next().context("one row must yield one post")?;
    Ok((StatusCode::CREATED, [etag(version)], Json(post)).into_response())
}

pub(super) async fn react(
    State(floor): Shared,
    headers: HeaderMap,
    Path((post, kind)): Path<(i64, String)>,
) -> Result<StatusCode> {
    let user = floor.caller(&headers).await?;
    floor.store.write(Write::React(Reaction { post, user, kind, now: now() })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query parameters of a search for one word.
#[derive(Deserialize)]
pub(super) struct SearchParams {
    q: String,
    limit: i64,
}

pub(super) async fn search(
    State(floor): Shared,
    headers: HeaderMap,
    Query(params): Query<SearchParams>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    let (user, limit) = (Arg::Int(caller), Arg::Int(params.limit));
    let word: String = params.q.chars().filter(|character| character.is_alphanumeric()).collect();
    let (groups, posts) = if conn.is_postgres() {
        let with = |[before, after]: [&str; 2]| AssertSqlSafe(format!("{before}''{word}'':*{after}"));
        let groups = conn.all(with(SEARCH_GROUPS_POSTGRES), &[user, NO, YES, limit]).await?;
        (groups, conn.all(with(SEARCH_POSTS_POSTGRES), &[user, NO, MEMBER, limit]).await?)
    } else {
        let matching = format!("\"{word}\" *");
        let matching = Arg::Text(&matching);
        let groups = conn.all(SEARCH_GROUPS, &[user, NO, YES, limit, matching]).await?;
        (groups, conn.all(SEARCH_POSTS, &[user, NO, MEMBER, limit, matching]).await?)
    };
    let groups = load_groups(&mut conn, &groups, caller, &floor.url).await?;
    let posts = load_posts(&mut conn, &posts).await?;
    let end = text::after_prefix(&word);
    let rows = conn.all(MEMBERS_BY_NAME, &[user, Arg::Text(&word), Arg::Text(&end), limit]).await?;
    let ids = rows.iter().map(|row| row.get(0)).collect::<sqlx::Result<Vec<i64>>>()?;
    let mut people = people(&mut conn, ids.iter().copied().collect()).await?;
    let members = ids.iter().filter_map(|id| people.remove(id)).collect();
    Ok(Json(SearchResults { groups, posts, members }).into_response())
}
