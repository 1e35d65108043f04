//! The groups or authors whose posts make up a feed.

use guildhall_kernel::{Db, UserId, Window};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, JoinType, Order, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Alias, Expr, ExprTrait, IntoCondition, Query, SelectStatement},
};

use crate::{
    core::scope::{Viewer, all_posts, in_group, joined_by, visible},
    entity::{follow, post},
};

/// A part of a feed: the window of the cursor, the number of rows, and how the newest posts are found.
#[derive(Clone, Copy, Debug)]
pub(super) struct FeedRange {
    pub(super) window: Window,
    pub(super) rows: u64,
    pub(super) by_lateral_join: bool,
}

impl FeedRange {
    /// A range, in the form that suits the database.
    pub(super) fn new(window: Window, rows: u64, db: &Db) -> Self {
        // SQLite scans the index once per source. PostgreSQL would scan the posts from the newest on, until enough
        // match.
        Self { window, rows, by_lateral_join: db.backend() != DbBackend::Sqlite }
    }

    /// The ids of this part of the posts, as a subquery.
    pub(super) fn ids_of(self, posts: Select<post::Entity>) -> SelectStatement {
        let posts = posts.select_only().column(post::Column::Id);
        self.window.apply(posts, post::Column::Id, self.rows).into_query()
    }
}

/// Applies the filters of a feed to a query.
pub(super) type PostFilter<'a> = &'a dyn Fn(Select<post::Entity>) -> Select<post::Entity>;

/// The groups or authors whose posts make up a feed.
pub(super) struct FeedSources {
    /// A subquery for their ids.
    ids: SelectStatement,
    /// The name of its column.
    name: &'static str,
    /// The column of a post that refers to them.
    column: post::Column,
    /// The condition on their posts.
    condition: Condition,
}

impl FeedSources {
    pub(super) fn groups_of(user: UserId) -> Self {
        let condition = in_group().into_condition();
        Self { ids: joined_by(user), name: "group_id", column: post::Column::GroupId, condition }
    }

    pub(super) fn followed_by(viewer: Viewer) -> Self {
        let followed = follow::Entity::find()
            .select_only()
            .column(follow::Column::FollowedId)
            .filter(follow::COLUMN.follower_id.eq(viewer.id()))
            .into_query();
        Self { ids: followed, name: "followed_id", column: post::Column::AuthorId, condition: visible(viewer) }
    }

    /// All posts of the sources, unordered.
    pub(super) fn posts(self) -> Select<post::Entity> {
        let Self { ids, column, condition, .. } = self;
        all_posts().filter(condition).filter(column.in_subquery(ids))
    }

    /// The newest posts of the sources.
    pub(super) fn newest(self, range: FeedRange, filtered: PostFilter<'_>) -> SelectStatement {
        if range.by_lateral_join {
            self.newest_by_lateral_join(range, filtered)
        } else {
            range.ids_of(filtered(self.posts()))
        }
    }

    /// Finds the sources with the newest posts, and then their posts.
    fn newest_by_lateral_join(self, range: FeedRange, filtered: PostFilter<'_>) -> SelectStatement {
        let Self { ids: source_ids, name, column, condition } = self;
        let order = if matches!(range.window, Window::After(_)) { Order::Asc } else { Order::Desc };
        let (source, newest, near, each) =
            (Alias::new("anchor"), Alias::new("newest"), Alias::new("near"), Alias::new("each"));
        let id = Alias::new("id");
        let ids_of = |table: &Alias, rows: u64| {
            let of_source = Expr::col((post::Entity, column)).eq(Expr::col((table.clone(), Alias::new(name))));
            FeedRange { rows, ..range }.ids_of(filtered(all_posts().filter(condition.clone()).filter(of_source)))
        };
        let nearest = Query::select()
            .column((source.clone(), Alias::new(name)))
            .from_subquery(source_ids, source.clone())
            .join_lateral(JoinType::InnerJoin, ids_of(&source, 1), newest.clone(), Expr::val(true))
            .order_by((newest, id.clone()), order.clone())
            .limit(range.rows)
            .take();
        Query::select()
            .column((each.clone(), id.clone()))
            .from_subquery(nearest, near.clone())
            .join_lateral(JoinType::InnerJoin, ids_of(&near, range.rows), each.clone(), Expr::val(true))
            .order_by((each, id), order)
            .limit(range.rows)
            .take()
    }
}
