//! The services on a database.

mod authenticate;
mod operator;
mod people;
mod sessions;
mod user_tokens;

use std::sync::Arc;

use guildhall_kernel::{self as kernel, Clock, Db, UserId};
use sea_orm::{
    ActiveValue::NotSet,
    ConnectionTrait, EntityTrait, QueryFilter, Select, Set,
    sea_query::{Expr, ExprTrait},
};

pub use operator::WeakPassword;

use crate::{
    Error, Result, Settings, SignIn,
    entity::{signing_key, user},
    jwt::{Key, Tokenizer},
    names,
    password::Hasher,
};

/// Accounts and tokens on a database: implements [`Accounts`](crate::Accounts),
/// [`Tokens`](crate::Tokens), [`Authenticate`](kernel::Authenticate) and
/// [`Directory`](kernel::Directory).
#[derive(Clone)]
pub struct SqlAccounts(Arc<Inner>);

struct Inner {
    db: Db,
    settings: Settings,
    clock: Clock,
    hasher: Hasher,
    tokenizer: Tokenizer,
}

impl SqlAccounts {
    /// Opens the service on a database with its tables; makes the first signing key where there is
    /// none.
    pub async fn open(db: Db, settings: Settings, clock: Clock) -> Result<Self> {
        let hasher = Hasher::new(settings.hash)?;
        let key = signing_key(&db, &clock).await?;
        let longest = settings.refresh_life().max(settings.access_life());
        let tokenizer = Tokenizer::new(&key, &settings.issuer, longest);
        Ok(Self(Arc::new(Inner { db, settings, clock, hasher, tokenizer })))
    }

    /// The person with this name and password, if they may sign in.
    async fn check_password(&self, sign_in: &SignIn) -> Result<user::Model> {
        let found = find_by_name(self.0.db.conn(), &sign_in.username).await?;
        let hash = found.as_ref().and_then(|user| user.password_hash.as_deref());
        let right = self.0.hasher.matches(&sign_in.password, hash).await?;
        found.filter(|user| right && user.is_active).ok_or(Error::InvalidCredentials)
    }
}

/// The active key, made if need be. Of several nodes that start at once one makes it.
async fn signing_key(db: &Db, clock: &Clock) -> Result<Key> {
    let active = signing_key::Entity::find().filter(signing_key::COLUMN.is_active.eq(true));
    if active.clone().one(db.conn()).await?.is_none() {
        let key = Key::generate()?;
        db.write(|tx| {
            let row = signing_key::ActiveModel {
                id: NotSet,
                kid: Set(key.kid.clone()),
                seed: Set(signing_key::Seed(key.seed.to_vec())),
                is_active: Set(true),
                created_at: Set(clock.now()),
            };
            async move {
                signing_key::Entity::insert(row)
                    .on_conflict_do_nothing()
                    .exec_without_returning(tx.conn())
                    .await
            }
        })
        .await?;
    }
    let row = active.one(db.conn()).await?;
    let row = row.ok_or_else(|| kernel::Error::internal("there is no signing key"))?;
    let seed = row.seed.0.try_into().map_err(|_| kernel::Error::internal("the signing key is damaged"))?;
    Ok(Key { kid: row.kid, seed })
}

/// Whoever has verified this address, else whoever has this name.
///
/// In this order, since an address that is verified belongs to its owner, while anybody can take it
/// for a name.
async fn find_by_name(conn: &impl ConnectionTrait, name: &str) -> Result<Option<user::Model>> {
    let key = names::key(name);
    if key.contains('@')
        && let Some(found) = verified(&key).one(conn).await?
    {
        return Ok(Some(found));
    }
    Ok(user::Entity::find().filter(user::COLUMN.username_key.eq(key)).one(conn).await?)
}

/// Whoever has verified the address with this key.
fn verified(email_key: &str) -> Select<user::Entity> {
    let verified = user::COLUMN.email_verified_at.is_not_null();
    user::Entity::find().filter(user::COLUMN.email_key.eq(email_key).and(verified))
}

/// The superusers, as their index has it: a bound value would prove nothing to a planner.
fn superusers() -> Select<user::Entity> {
    user::Entity::find().filter(Expr::col(user::Column::IsSuperuser))
}

/// Locks the superusers against each other's removal until the transaction ends, and counts those
/// who may sign in, apart from `except`. (On SQLite there is only one writer anyway.)
async fn other_superusers(conn: &impl ConnectionTrait, except: UserId) -> Result<usize> {
    use sea_orm::{QueryOrder, QuerySelect};

    let superusers = superusers()
        .select_only()
        .column(user::Column::Id)
        .column(user::Column::IsActive)
        .order_by_asc(user::Column::Id)
        .lock_exclusive()
        .into_tuple::<(UserId, bool)>()
        .all(conn)
        .await?;
    Ok(superusers.iter().filter(|(id, active)| *id != except && *active).count())
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::{
        Caller, Roles, UserId,
        testing::{TestDb, plan},
    };
    use sea_orm::{ColumnTrait, QueryOrder, QuerySelect, QueryTrait};

    use super::*;
    use crate::entity::user_token;

    #[tokio::test]
    async fn no_query_reads_or_sorts_a_whole_table() {
        let db = TestDb::new(crate::migrations).await;
        let caller = Caller { user: UserId(1), roles: Roles::default() };
        let people = || people::visible_to(&caller).limit(20);
        let queries = [
            ("by name", people().order_by_asc(user::Column::UsernameKey).order_by_asc(user::Column::Id).into_query()),
            ("newest", people().order_by_desc(user::Column::CreatedAt).order_by_desc(user::Column::Id).into_query()),
            ("name that begins", people().filter(user::COLUMN.username_key.between("a", "b")).into_query()),
            ("verified address", verified("anna@example.org").into_query()),
            ("superusers", superusers().into_query()),
            (
                "user tokens",
                user_token::Entity::find()
                    .filter(user_token::COLUMN.user_id.eq(UserId(1)))
                    .order_by_desc(user_token::Column::Id)
                    .limit(20)
                    .into_query(),
            ),
        ];
        for (what, query) in queries {
            let plan = plan(&db, &query).await;
            let whole = plan.lines().any(|step| step.contains("Seq Scan") || step.trim() == "SCAN users");
            // An incremental sort only settles ties among rows that an index has sorted.
            let sorts = plan.replace("Incremental Sort", "").contains("Sort  (") || plan.contains("TEMP B-TREE");
            assert!(!whole && !sorts, "{what}: {plan}");
        }
    }
}
