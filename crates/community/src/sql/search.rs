//! Finding groups, posts and people by words, under the same scope as everything else.

use guildhall_kernel::{Caller, Person, UserId, text};
use sea_orm::{
    ConnectionTrait, DbBackend, PartialModelTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Order, Query, SelectStatement},
};

use super::{
    SqlCommunity,
    feed::rows_of,
    own_role,
    scope::{Viewer, known_groups, visible_posts},
};
use crate::{
    Error, Result, SearchResults,
    entity::{group, membership, post},
    model::{PostRow, SeenRow},
    words,
};

/// How many of each are found.
const MOST: u64 = 100;

/// An index of words. What it finds narrows a query that is scoped already; there is no other way to ask it.
pub(super) trait TextIndex: Sync {
    /// Of these posts those with the words, newest first.
    fn posts(&self, posts: Select<post::Entity>, words: &words::Query, how: Match) -> Select<post::Entity>;
    /// Of these groups those with the words.
    fn groups(&self, groups: Select<group::Entity>, words: &words::Query) -> Select<group::Entity>;
}

/// Whether the last word has to be there as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It has.
    Whole,
    /// It may be a beginning.
    Beginning,
}

/// SQLite's FTS5, in tables of their own that triggers keep.
struct Fts5;

/// PostgreSQL's `tsvector`, in columns of their own that the database keeps.
struct Tsvector;

/// The index of a database.
pub(super) fn text_index(backend: DbBackend) -> &'static dyn TextIndex {
    if backend == DbBackend::Sqlite { &Fts5 } else { &Tsvector }
}

impl TextIndex for Fts5 {
    fn posts(&self, mut posts: Select<post::Entity>, words: &words::Query, how: Match) -> Select<post::Entity> {
        let index = Alias::new("community_post_words");
        // From the newest entry of the index on, so that what comes first is found first.
        QueryTrait::query(&mut posts)
            .join(JoinType::InnerJoin, index.clone(), Expr::cust("community_post_words.rowid = community_post.id"))
            .and_where(Expr::cust_with_values("community_post_words MATCH ?", [words.fts5(how == Match::Beginning)]))
            .order_by((index, Alias::new("rowid")), Order::Desc);
        posts
    }

    fn groups(&self, groups: Select<group::Entity>, words: &words::Query) -> Select<group::Entity> {
        let found =
            "community_group.id IN (SELECT rowid FROM community_group_words WHERE community_group_words MATCH ?)";
        groups.filter(Expr::cust_with_values(found, [words.fts5(true)]))
    }
}

impl TextIndex for Tsvector {
    // The words stand in the statement, for the planner to know how rare they are: they are letters and digits
    // only, by construction.
    fn posts(&self, posts: Select<post::Entity>, words: &words::Query, how: Match) -> Select<post::Entity> {
        let found = format!("community_post.words @@ {}", tsquery(words, how));
        posts.filter(Expr::cust(found)).order_by_desc(post::Column::Id)
    }

    fn groups(&self, groups: Select<group::Entity>, words: &words::Query) -> Select<group::Entity> {
        // The offset keeps the planner from walking all groups in their order until some have the words.
        let found = format!(
            "community_group.id IN (SELECT g.id FROM community_group g WHERE g.words @@ {} OFFSET 0)",
            tsquery(words, Match::Beginning)
        );
        groups.filter(Expr::cust(found))
    }
}

fn tsquery(words: &words::Query, how: Match) -> String {
    let words = words.tsquery(how == Match::Beginning).replace('\'', "''");
    format!("to_tsquery('simple', '{words}')")
}

/// Only the groups with these words; none where there is nothing to look for.
pub(super) fn matching_groups(
    groups: Select<group::Entity>,
    search: &str,
    backend: DbBackend,
) -> Select<group::Entity> {
    match words::Query::parse(search) {
        Some(words) => text_index(backend).groups(groups, &words),
        None => groups.filter(Expr::val(1).eq(0)),
    }
}

impl SqlCommunity {
    pub(super) async fn find_words(&self, caller: Option<Caller>, search: &str, limit: u64) -> Result<SearchResults> {
        let viewer = self.viewer(caller)?;
        if limit == 0 {
            return Err(Error::field("limit", "Must be a whole number from 1."));
        }
        let limit = limit.clamp(1, MOST);
        let Some(words) = words::Query::parse(search) else {
            return Ok(SearchResults { groups: Vec::new(), posts: Vec::new(), members: Vec::new() });
        };
        let (index, conn) = (text_index(self.db.backend()), self.db.conn());
        let groups = index.groups(known_groups(viewer), &words).order_by_desc(group::Column::Id).limit(limit);
        let groups = SeenRow::select_cols(groups.select_only()).expr_as(own_role(viewer.id()), "own_role");
        let groups = groups.into_model::<SeenRow>().all(conn).await?;
        let matching = |how| rows_of(index.posts(visible_posts(viewer), &words, how).limit(limit), viewer);
        let mut posts = matching(Match::Whole).into_model::<PostRow>().all(conn).await?;
        // A beginning is looked for where the word itself is not there often enough: it costs what all words cost
        // that begin so.
        if (posts.len() as u64) < limit {
            posts = matching(Match::Beginning).into_model::<PostRow>().all(conn).await?;
        }
        Ok(SearchResults {
            groups: self.show_groups(groups, viewer).await?,
            posts: self.show_posts(posts, viewer).await?,
            members: self.people_beside(viewer, search, limit).await?,
        })
    }

    /// People who are in a group with the viewer (for staff in any), by the beginning of their names.
    async fn people_beside(&self, viewer: Viewer, search: &str, limit: u64) -> Result<Vec<Person>> {
        if viewer == Viewer::Nobody {
            return Ok(Vec::new());
        }
        let query = self.beside(viewer, search, limit);
        let rows = self.db.conn().query_all(&query).await?;
        let mut ids: Vec<UserId> = Vec::new();
        for row in rows {
            ids.push(UserId(row.try_get_by_index(0)?));
        }
        let mut people = self.people(ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| people.remove(id)).collect())
    }

    pub(super) fn beside(&self, viewer: Viewer, search: &str, limit: u64) -> SelectStatement {
        let table = self.host.users;
        let column = |name: &'static str| Expr::col((Alias::new(table.name), Alias::new(name)));
        let prefix = text::fold(search.trim());
        let end = text::after_prefix(&prefix);
        let (theirs, own) = (Alias::new("theirs"), Alias::new("own"));
        let mut shared = Query::select()
            .expr(Expr::val(1))
            .from_as(membership::Entity, theirs.clone())
            .and_where(Expr::col((theirs.clone(), membership::Column::UserId)).eq(column("id")))
            .take();
        if let Viewer::Person(user) = viewer {
            shared
                .join_as(
                    JoinType::InnerJoin,
                    membership::Entity,
                    own.clone(),
                    Expr::col((own.clone(), membership::Column::GroupId))
                        .eq(Expr::col((theirs, membership::Column::GroupId))),
                )
                .and_where(Expr::col((own, membership::Column::UserId)).eq(user));
        }
        Query::select()
            .column((Alias::new(table.name), Alias::new("id")))
            .from(Alias::new(table.name))
            .and_where(column(table.search_key).between(prefix, end))
            .and_where(Expr::exists(shared))
            .order_by((Alias::new(table.name), Alias::new(table.search_key)), Order::Asc)
            .limit(limit)
            .take()
    }
}
