//! The full-text indexes of groups and posts. They only narrow a query that is limited to what the viewer may see.

use guildhall_kernel::search::{Match, SearchQuery, TextIndex};
use sea_orm::{
    QueryFilter, Select,
    sea_query::{Expr, ExprTrait},
};

use super::Core;
use crate::entity::{group, post};

const GROUPS: TextIndex = TextIndex::new("community_group", "community_group_words");
const POSTS: TextIndex = TextIndex::new("community_post", "community_post_words");

impl Core {
    /// The groups that match; none without a query.
    pub(crate) fn matching_groups(
        &self,
        groups: Select<group::Entity>,
        query: Option<&SearchQuery>,
    ) -> Select<group::Entity> {
        match query {
            Some(query) => GROUPS.matching(self.db.backend(), groups, query, Match::Prefix),
            None => groups.filter(Expr::val(1).eq(0)),
        }
    }

    /// The posts that match, newest first.
    pub(crate) fn matching_posts(
        &self,
        posts: Select<post::Entity>,
        query: &SearchQuery,
        matching: Match,
    ) -> Select<post::Entity> {
        POSTS.newest(self.db.backend(), posts, query, matching)
    }
}
