use std::time::Duration;

use guildhall_kernel::{self as kernel, Caller, Slice, SliceQuery, UserId, audit};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::SqlAccounts;
use crate::{
    Error, IssuedUserToken, NewUserToken, Result, Scope, UserToken, UserTokenId,
    entity::{user, user_token},
    model::UserTokenRow,
    secret,
};

/// How many live tokens a person has at most; one more replaces the oldest.
const MOST: u64 = 20;

impl SqlAccounts {
    /// Makes a token for somebody who may sign in and, where they have shown the password for it, to
    /// whom nothing has happened since.
    pub(super) async fn issue_user_token(
        &self,
        owner: UserId,
        shown: Option<&user::Model>,
        new: NewUserToken,
    ) -> Result<IssuedUserToken> {
        let longest = self.0.settings.user_token_days;
        let life = match new.expires_in_days {
            None => self.0.settings.user_token_life(),
            Some(days) if (1..=longest).contains(&days) => Duration::from_secs(u64::from(days) * 24 * 3600),
            Some(_) => {
                let message = format!("Must be from 1 to {longest}.");
                return Err(kernel::Error::field("expires_in_days", message).into());
            }
        };
        let read_only = match &new.scopes {
            None => false,
            Some(scopes) if scopes.is_empty() => {
                return Err(kernel::Error::field("scopes", "Choose at least one of: read, write.").into());
            }
            Some(scopes) => !scopes.contains(&Scope::Write),
        };
        let token = secret::user_token()?;
        let now = self.0.clock.now();
        let (token_ref, name) = (&token, new.name.trim());
        let row = self
            .0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                // The user's row is what parallel requests of one person wait on.
                let holder = user::Entity::find_by_id(owner).lock_exclusive().one(conn).await?;
                let holder = holder.filter(|user| user.is_active).ok_or(Error::UserInactive)?;
                if let Some(shown) = shown {
                    if shown.auth_epoch != holder.auth_epoch {
                        return Err(Error::InvalidCredentials);
                    }
                    self.0.throttle.succeed(conn, shown, now).await?;
                }
                let of_owner = user_token::COLUMN.user_id.eq(owner);
                user_token::Entity::delete_many()
                    .filter(of_owner.clone())
                    .filter(user_token::COLUMN.expires_at.lte(now))
                    .exec(conn)
                    .await?;
                let too_many = user_token::Entity::find()
                    .select_only()
                    .column(user_token::Column::Id)
                    .filter(of_owner)
                    .order_by_desc(user_token::Column::Id)
                    .offset(MOST - 1)
                    .limit(MOST)
                    .into_tuple::<UserTokenId>()
                    .all(conn)
                    .await?;
                if !too_many.is_empty() {
                    user_token::Entity::delete_many().filter(user_token::COLUMN.id.is_in(too_many)).exec(conn).await?;
                }
                let row = user_token::ActiveModel {
                    id: NotSet,
                    user_id: Set(owner),
                    name: Set(name.to_owned()),
                    prefix: Set(secret::shown(token_ref)),
                    token_sha256: Set(secret::fingerprint(token_ref)),
                    created_at: Set(now),
                    expires_at: Set(now + life),
                    last_used_at: Set(None),
                    last4: Set(secret::last4(token_ref)),
                    read_only: Set(read_only),
                };
                let row = row.insert(conn).await?;
                let event = audit::Event::new("accounts.create_user_token").own(owner, &holder.username);
                event.with("token", row.id.0).with("read_only", read_only).record(conn, now).await?;
                Ok(row)
            })
            .await?;
        Ok(IssuedUserToken { token, shown: row.into() })
    }

    pub(super) async fn list_user_tokens(&self, owner: UserId, slice: SliceQuery) -> Result<Slice<UserToken>> {
        let live = user_token::Entity::find()
            .filter(user_token::COLUMN.user_id.eq(owner))
            .filter(user_token::COLUMN.expires_at.gt(self.0.clock.now()));
        let rows = Slice::fetch(live, user_token::Column::Id, &slice, self.0.db.conn()).await?;
        Ok(rows.map(|row: UserTokenRow| row.into()))
    }

    pub(super) async fn delete_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let gone = user_token::Entity::delete_by_id(id)
                    .filter(user_token::COLUMN.user_id.eq(caller.user))
                    .exec(tx.conn())
                    .await?;
                if gone.rows_affected == 0 {
                    return Err(Error::UserTokenNotFound(id));
                }
                let event = audit::Event::new("accounts.revoke_user_token").by(caller).about(caller.user, "");
                event.with("token", id.0).record(tx.conn(), now).await?;
                Ok(())
            })
            .await
    }

    pub(super) async fn delete_user_tokens_of(&self, caller: &Caller) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let all = user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(caller.user));
                let gone = all.exec(tx.conn()).await?.rows_affected;
                let event = audit::Event::new("accounts.revoke_user_token").by(caller).about(caller.user, "");
                event.with("tokens", gone).record(tx.conn(), now).await?;
                Ok(())
            })
            .await
    }
}
