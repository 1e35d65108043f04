//! Full-text search for groups and posts, and search for people by name, limited to what the viewer may see.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Person, UserId, text};
use sea_orm::{
    ConnectionTrait, DbBackend, PartialModelTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Order, Query, SelectStatement},
};

use super::{
    SqlCommunity,
    feed::rows_of,
    own_role,
    scope::{Viewer, visible_groups, visible_posts},
};
use crate::{
    Error, Result, Search, SearchResults,
    entity::{group, membership, post},
    model::{GroupWithRole, PostRow},
    search::SearchQuery,
};

/// The maximum number of results of each kind.
const MAX_RESULTS: u64 = 100;

/// A full-text index. It can only narrow a query that is already limited to what the viewer may see.
pub(super) trait TextIndex: Sync {
    /// The posts that match, newest first.
    fn posts(&self, posts: Select<post::Entity>, query: &SearchQuery, matching: Match) -> Select<post::Entity>;
    /// The groups that match.
    fn groups(&self, groups: Select<group::Entity>, query: &SearchQuery) -> Select<group::Entity>;
}

/// How the last term of a query is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// As a whole word.
    Whole,
    /// As a prefix.
    Prefix,
}

/// SQLite's FTS5, in separate tables that triggers keep up to date.
struct Fts5;

/// PostgreSQL's `tsvector`, in generated columns.
struct Tsvector;

/// The full-text index of a database.
pub(super) fn text_index(backend: DbBackend) -> &'static dyn TextIndex {
    if backend == DbBackend::Sqlite { &Fts5 } else { &Tsvector }
}

impl TextIndex for Fts5 {
    fn posts(&self, mut posts: Select<post::Entity>, query: &SearchQuery, matching: Match) -> Select<post::Entity> {
        let index = Alias::new("community_post_words");
        // Ordered by the rowid of the index, so that the newest matches are found without sorting all of them.
        QueryTrait::query(&mut posts)
            .join(JoinType::InnerJoin, index.clone(), Expr::cust("community_post_words.rowid = community_post.id"))
            .and_where(Expr::cust_with_values("community_post_words MATCH ?", [query.fts5(matching == Match::Prefix)]))
            .order_by((index, Alias::new("rowid")), Order::Desc);
        posts
    }

    fn groups(&self, groups: Select<group::Entity>, query: &SearchQuery) -> Select<group::Entity> {
        let condition =
            "community_group.id IN (SELECT rowid FROM community_group_words WHERE community_group_words MATCH ?)";
        groups.filter(Expr::cust_with_values(condition, [query.fts5(true)]))
    }
}

impl TextIndex for Tsvector {
    // The query is part of the statement, not a bound value, so that the planner knows how rare the terms are. This is
    // safe: the terms contain letters and digits only.
    fn posts(&self, posts: Select<post::Entity>, query: &SearchQuery, matching: Match) -> Select<post::Entity> {
        let condition = format!("community_post.words @@ {}", tsquery(query, matching));
        posts.filter(Expr::cust(condition)).order_by_desc(post::Column::Id)
    }

    fn groups(&self, groups: Select<group::Entity>, query: &SearchQuery) -> Select<group::Entity> {
        // `OFFSET 0` keeps the planner from scanning all groups in order until enough match.
        let condition = format!(
            "community_group.id IN (SELECT g.id FROM community_group g WHERE g.words @@ {} OFFSET 0)",
            tsquery(query, Match::Prefix)
        );
        groups.filter(Expr::cust(condition))
    }
}

fn tsquery(query: &SearchQuery, matching: Match) -> String {
    let terms = query.tsquery(matching == Match::Prefix).replace('\'', "''");
    format!("to_tsquery('simple', '{terms}')")
}

/// The groups that match; none if the query has no terms.
pub(super) fn matching_groups(
    groups: Select<group::Entity>,
    search: &str,
    backend: DbBackend,
) -> Select<group::Entity> {
    match SearchQuery::parse(search) {
        Some(query) => text_index(backend).groups(groups, &query),
        None => groups.filter(Expr::val(1).eq(0)),
    }
}

impl SqlCommunity {
    /// People who share a group with the viewer (for staff, members of any group), by a prefix of their names.
    async fn find_people(&self, viewer: Viewer, search: &str, limit: u64) -> Result<Vec<Person>> {
        if viewer == Viewer::Anonymous {
            return Ok(Vec::new());
        }
        let query = self.people_query(viewer, search, limit);
        let rows = self.db.conn().query_all(&query).await?;
        let mut ids: Vec<UserId> = Vec::new();
        for row in rows {
            ids.push(UserId(row.try_get_by_index(0)?));
        }
        let mut people = self.people(ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| people.remove(id)).collect())
    }

    pub(super) fn people_query(&self, viewer: Viewer, search: &str, limit: u64) -> SelectStatement {
        let table = self.host.users;
        let column = |name: &'static str| Expr::col((Alias::new(table.name), Alias::new(name)));
        let prefix = text::fold(search.trim());
        let end = text::after_prefix(&prefix);
        let (their_membership, own_membership) = (Alias::new("theirs"), Alias::new("own"));
        let mut shares_group = Query::select()
            .expr(Expr::val(1))
            .from_as(membership::Entity, their_membership.clone())
            .and_where(Expr::col((their_membership.clone(), membership::Column::UserId)).eq(column("id")))
            .take();
        if let Viewer::User(user) = viewer {
            shares_group
                .join_as(
                    JoinType::InnerJoin,
                    membership::Entity,
                    own_membership.clone(),
                    Expr::col((own_membership.clone(), membership::Column::GroupId))
                        .eq(Expr::col((their_membership, membership::Column::GroupId))),
                )
                .and_where(Expr::col((own_membership, membership::Column::UserId)).eq(user));
        }
        Query::select()
            .column((Alias::new(table.name), Alias::new("id")))
            .from(Alias::new(table.name))
            .and_where(column(table.search_key).between(prefix, end))
            .and_where(Expr::exists(shares_group))
            .order_by((Alias::new(table.name), Alias::new(table.search_key)), Order::Asc)
            .limit(limit)
            .take()
    }
}

#[async_trait]
impl Search for SqlCommunity {
    async fn search(&self, viewer: Option<Caller>, text: String, limit: u64) -> Result<SearchResults> {
        let caller = viewer;
        let viewer = self.viewer(caller)?;
        if limit == 0 {
            return Err(Error::field("limit", "Must be a whole number of at least 1."));
        }
        let limit = limit.clamp(1, MAX_RESULTS);
        let Some(query) = SearchQuery::parse(&text) else {
            return Ok(SearchResults { groups: Vec::new(), posts: Vec::new(), members: Vec::new() });
        };
        let (index, conn) = (text_index(self.db.backend()), self.db.conn());
        let groups = index.groups(visible_groups(viewer), &query).order_by_desc(group::Column::Id).limit(limit);
        let groups = GroupWithRole::select_cols(groups.select_only()).expr_as(own_role(viewer.id()), "own_role");
        let groups = groups.into_model::<GroupWithRole>().all(conn).await?;
        let matching_posts =
            |matching| rows_of(index.posts(visible_posts(viewer), &query, matching).limit(limit), viewer);
        let mut posts = matching_posts(Match::Whole).into_model::<PostRow>().all(conn).await?;
        // Search for a prefix only if the whole term has too few matches: a prefix search reads the matches of all
        // words that begin with it.
        if (posts.len() as u64) < limit {
            posts = matching_posts(Match::Prefix).into_model::<PostRow>().all(conn).await?;
        }
        Ok(SearchResults {
            groups: self.show_groups(groups, viewer).await?,
            posts: self.show_posts(posts, viewer).await?,
            members: self.find_people(viewer, &text, limit).await?,
        })
    }
}
