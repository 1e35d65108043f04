//! Follows between users.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, DerivePartialModel, EntityTrait, QueryFilter, Set,
    sea_query::{ExprTrait, SimpleExpr},
};

use super::{SqlFeed, do_nothing};
use crate::{
    entity::follow,
    error::{Error, Result},
    feed::{Follow, Follows},
};

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "follow::Entity")]
struct FollowRow {
    followed_id: UserId,
    created_at: Timestamp,
}

/// That one user follows another one.
fn edge(follower: UserId, followed: UserId) -> SimpleExpr {
    follow::COLUMN.follower_id.eq(follower).and(follow::COLUMN.followed_id.eq(followed))
}

#[async_trait]
impl Follows for SqlFeed {
    async fn follow(&self, caller: &Caller, user: UserId, follow: bool) -> Result<()> {
        if user == caller.user {
            return Err(Error::field("user_id", "You cannot follow yourself."));
        }
        self.core
            .write(|tx| async move {
                let conn = &tx;
                if !follow {
                    follow::Entity::delete_many().filter(edge(caller.user, user)).exec(conn).await?;
                    return Ok(());
                }
                let row = follow::ActiveModel {
                    id: NotSet,
                    follower_id: Set(caller.user),
                    followed_id: Set(user),
                    created_at: Set(self.core.now()),
                };
                match follow::Entity::insert(row).on_conflict(do_nothing()).exec_without_returning(conn).await {
                    Ok(_) => Ok(()),
                    Err(error) => match error.sql_err() {
                        Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)) => Err(Error::NotFound("user")),
                        _ => Err(error.into()),
                    },
                }
            })
            .await
    }

    async fn is_following(&self, caller: &Caller, user: UserId) -> Result<bool> {
        let found = follow::Entity::find().filter(edge(caller.user, user)).one(self.core.db.conn()).await?;
        Ok(found.is_some())
    }

    async fn follows(&self, caller: &Caller, page: PageQuery) -> Result<Page<Follow>> {
        let select = follow::Entity::find().filter(follow::COLUMN.follower_id.eq(caller.user));
        let ordering = Ordering { fields: &[("id", follow::Column::Id)], default: "-id", id: follow::Column::Id };
        let (rows, page) = Page::<FollowRow>::fetch(select, &ordering, &page, self.core.db.conn()).await?.split();
        let people = self.core.people(rows.iter().map(|row| row.followed_id)).await?;
        let show = |row: FollowRow| Follow { user: people.get(&row.followed_id).cloned(), created_at: row.created_at };
        Ok(page.with_results(|_| rows.into_iter().map(show).collect()))
    }
}
