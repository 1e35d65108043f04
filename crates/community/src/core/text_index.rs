//! Full-text indexes of groups and posts, one implementation per database.

use sea_orm::{
    DbBackend, QueryFilter, QueryOrder, QueryTrait, Select,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Order},
};

use super::Core;
use crate::{
    entity::{group, post},
    search::SearchQuery,
};

/// A full-text index. It can only narrow a query that is already limited to what the viewer may see.
pub(crate) trait TextIndex: Sync {
    /// The posts that match, newest first.
    fn posts(&self, posts: Select<post::Entity>, query: &SearchQuery, matching: Match) -> Select<post::Entity>;
    /// The groups that match.
    fn groups(&self, groups: Select<group::Entity>, query: &SearchQuery) -> Select<group::Entity>;
}

/// How the last term of a query is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// As a whole word.
    Whole,
    /// As a prefix.
    Prefix,
}

/// SQLite's FTS5, in separate tables that triggers keep up to date.
struct Fts5;

/// PostgreSQL's `tsvector`, in generated columns.
struct Tsvector;

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
    fn posts(&self, posts: Select<post::Entity>, query: &SearchQuery, matching: Match) -> Select<post::Entity> {
        let condition = "community_post.words @@ to_tsquery('simple', $1)";
        posts.filter(Expr::cust_with_expr(condition, terms(query, matching))).order_by_desc(post::Column::Id)
    }

    fn groups(&self, groups: Select<group::Entity>, query: &SearchQuery) -> Select<group::Entity> {
        // `OFFSET 0` keeps the planner from scanning all groups in order until enough match.
        let condition = "community_group.id IN \
            (SELECT g.id FROM community_group g WHERE g.words @@ to_tsquery('simple', $1) OFFSET 0)";
        groups.filter(Expr::cust_with_expr(condition, terms(query, Match::Prefix)))
    }
}

/// The terms as a literal that the query builder quotes. They are not a bound value, so that the planner knows how rare
/// they are.
fn terms(query: &SearchQuery, matching: Match) -> Expr {
    Expr::Constant(query.tsquery(matching == Match::Prefix).into())
}

impl Core {
    /// The full-text index of the database.
    pub(crate) fn text_index(&self) -> &'static dyn TextIndex {
        match self.db.backend() {
            DbBackend::Sqlite => &Fts5,
            _ => &Tsvector,
        }
    }

    /// The groups that match; none if the text has no terms.
    pub(crate) fn matching_groups(&self, groups: Select<group::Entity>, text: &str) -> Select<group::Entity> {
        match SearchQuery::parse(text) {
            Some(query) => self.text_index().groups(groups, &query),
            None => groups.filter(Expr::val(1).eq(0)),
        }
    }
}
