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
    ConnectionTrait, EntityTrait, QueryFilter, Set,
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
    if key.contains('@') {
        let by_email = user::COLUMN.email_key.eq(key.as_str()).and(user::COLUMN.email_verified_at.is_not_null());
        if let Some(found) = user::Entity::find().filter(by_email).one(conn).await? {
            return Ok(Some(found));
        }
    }
    Ok(user::Entity::find().filter(user::COLUMN.username_key.eq(key)).one(conn).await?)
}

/// Locks the superusers against each other's removal until the transaction ends, and counts those
/// who may sign in, apart from `except`. (On SQLite there is only one writer anyway.)
async fn other_superusers(conn: &impl ConnectionTrait, except: UserId) -> Result<usize> {
    use sea_orm::{QueryOrder, QuerySelect};

    let superusers = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .column(user::Column::IsActive)
        .filter(Expr::col(user::Column::IsSuperuser)) // as the index has it; a bound value would not do
        .order_by_asc(user::Column::Id)
        .lock_exclusive()
        .into_tuple::<(UserId, bool)>()
        .all(conn)
        .await?;
    Ok(superusers.iter().filter(|(id, active)| *id != except && *active).count())
}
