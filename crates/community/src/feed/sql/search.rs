//! Full-text search for groups and posts, and search for people by name, limited to what the viewer may see.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Person, UserId,
    db::Pipeline,
    search::{Match, SearchQuery},
    text,
};
use sea_orm::{
    ConnectionTrait, QueryOrder, QuerySelect,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Order, Query, SelectStatement},
};

use super::SqlFeed;
use crate::{
    core::scope::{Viewer, visible_groups, visible_posts},
    entity::{group, membership},
    error::{Error, Result},
    feed::{Search, SearchResults},
    groups::sql::show::{self as groups, GroupWithRole},
    posts::sql::show::{PostRow, rows_of},
};

/// The maximum number of results of each kind.
const MAX_RESULTS: u64 = 100;

impl SqlFeed {
    /// People who share a group with the viewer (for staff, members of any group), by a prefix of their names.
    async fn find_people(&self, conn: &Pipeline<'_>, viewer: Viewer, search: &str, limit: u64) -> Result<Vec<Person>> {
        if viewer == Viewer::Anonymous {
            return Ok(Vec::new());
        }
        let query = self.people_query(viewer, search, limit);
        let rows = conn.query_all(&query).await?;
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<UserId>, _>>()?;
        let mut people = self.core.people(ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| people.remove(id)).collect())
    }

    fn people_query(&self, viewer: Viewer, search: &str, limit: u64) -> SelectStatement {
        let table = self.core.host.users;
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
impl Search for SqlFeed {
    async fn search(&self, viewer: Option<Caller>, text: String, limit: u64) -> Result<SearchResults> {
        let viewer = self.core.viewer(viewer)?;
        if limit == 0 {
            return Err(Error::field("limit", "Must be a whole number of at least 1."));
        }
        let limit = limit.clamp(1, MAX_RESULTS);
        let Some(query) = SearchQuery::parse(&text) else {
            return Ok(SearchResults { groups: Vec::new(), posts: Vec::new(), members: Vec::new() });
        };
        let conn = self.core.pipeline();
        let groups = self
            .core
            .matching_groups(visible_groups(viewer), Some(&query))
            .order_by_desc(group::Column::Id)
            .limit(limit);
        let groups = groups::rows_of(groups, viewer).into_model::<GroupWithRole>();
        let matching_posts = |matching| {
            let posts = self.core.matching_posts(visible_posts(viewer), &query, matching);
            rows_of(posts.limit(limit), viewer).into_model::<PostRow>()
        };
        let (groups, posts, members) = tokio::try_join!(
            async { Ok(groups.all(&conn).await?) },
            async { Ok(matching_posts(Match::Whole).all(&conn).await?) },
            self.find_people(&conn, viewer, &text, limit),
        )?;
        let posts = async {
            // Search for a prefix only if the whole term has too few matches: a prefix search reads the matches of all
            // words that begin with it.
            let is_complete = posts.len() as u64 >= limit;
            let posts = if is_complete { posts } else { matching_posts(Match::Prefix).all(&conn).await? };
            self.posts.show_posts(&conn, posts, viewer).await
        };
        let (groups, posts) = tokio::try_join!(self.groups.show_groups(&conn, groups, viewer), posts)?;
        Ok(SearchResults { groups, posts, members })
    }
}
