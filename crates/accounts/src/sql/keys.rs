//! The signing keys. They are stored in the database, so that every node has them. Whether a key is
//! still valid is checked there on every request, so that a rotation takes effect immediately, even if
//! another process, such as the command line, performed it.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use guildhall_kernel::{self as kernel, Db, Timestamp, audit};
use sea_orm::{
    ActiveValue::NotSet,
    ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
    sea_query::{Expr, ExprTrait},
};

use super::SqlAccounts;
use crate::{
    Result, Settings,
    entity::signing_key::{self, Seed},
    jwt::{Key, TokenCodec, TokenError, TokenType, VerifiedToken, public_key},
};

/// The minimum interval between reloads of the keys for tokens with an unknown key.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);
/// How long a retired key can still sign, so that an issued refresh token can be reproduced byte for byte.
pub(super) const SIGNS_AFTER: Duration = Duration::from_secs(3600);

pub(super) struct Keyring {
    codec: RwLock<Arc<TokenCodec>>,
    reloaded: Mutex<Option<Instant>>,
}

/// The state of the keys in the database: id, whether active, and end of validity.
pub(super) struct KeyStates(Vec<(String, bool, Option<Timestamp>)>);

impl KeyStates {
    pub(super) async fn find(conn: &impl ConnectionTrait) -> Result<Self> {
        let rows = signing_key::Entity::find()
            .select_only()
            .columns([signing_key::Column::Kid, signing_key::Column::IsActive, signing_key::Column::VerifiesUntil])
            .into_tuple()
            .all(conn)
            .await?;
        Ok(Self(rows))
    }

    /// The active key.
    pub(super) fn active(&self) -> Result<&str> {
        let active = self.0.iter().find(|(_, active, _)| *active);
        Ok(active.map(|(kid, ..)| kid.as_str()).ok_or_else(|| kernel::Error::internal("there is no signing key"))?)
    }

    /// Whether tokens signed with this key are still valid.
    pub(super) fn is_valid(&self, kid: &str, now: Timestamp) -> bool {
        let is_valid = |(key, active, until): &(String, bool, Option<Timestamp>)| {
            key == kid && (*active || until.is_some_and(|until| until > now))
        };
        self.0.iter().any(is_valid)
    }
}

impl Keyring {
    /// Loads the keys of a database; creates the first one if there is none.
    pub(super) async fn open(db: &Db, settings: &Settings, now: Timestamp) -> Result<Self> {
        if !has_active(db).await? {
            let row = new_row(&Key::generate()?, now);
            db.write(|tx| {
                let row = row.clone();
                async move {
                    // If several nodes start at the same time, only one creates the key.
                    let row = signing_key::Entity::insert(row).on_conflict_do_nothing();
                    row.exec_without_returning(&tx).await
                }
            })
            .await?;
        }
        let codec = load(db, settings).await?;
        Ok(Self { codec: RwLock::new(Arc::new(codec)), reloaded: Mutex::new(None) })
    }

    fn codec(&self) -> Arc<TokenCodec> {
        self.codec.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn should_reload(&self) -> bool {
        let mut last = self.reloaded.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= RELOAD_INTERVAL);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

/// Whether there is an active key.
pub(super) async fn has_active(db: &Db) -> Result<bool> {
    let active = signing_key::Entity::find().filter(Expr::col(signing_key::Column::IsActive));
    Ok(active.one(db.conn()).await?.is_some())
}

async fn load(db: &Db, settings: &Settings) -> Result<TokenCodec> {
    let rows = signing_key::Entity::find().order_by_desc(signing_key::Column::Id).all(db.conn()).await?;
    let keys = rows.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
    Ok(TokenCodec::new(&keys, &settings.issuer, settings.max_token_lifetime()))
}

fn parse(row: signing_key::Model) -> Result<Key> {
    let damaged = |_| kernel::Error::internal(format!("the signing key {} is damaged", row.kid));
    let seed: Option<[u8; 32]> =
        if row.seed.0.is_empty() { None } else { Some(row.seed.0.clone().try_into().map_err(damaged)?) };
    let public = match (row.public_key, &seed) {
        (Some(public), _) => public.try_into().map_err(damaged)?,
        (None, Some(seed)) => public_key(seed),
        (None, None) => return Err(damaged(Vec::new()).into()),
    };
    Ok(Key { kid: row.kid, seed, public })
}

fn new_row(key: &Key, now: Timestamp) -> signing_key::ActiveModel {
    signing_key::ActiveModel {
        id: NotSet,
        kid: Set(key.kid.clone()),
        seed: Set(Seed(key.seed.map(|seed| seed.to_vec()).unwrap_or_default())),
        public_key: Set(Some(key.public.to_vec())),
        is_active: Set(true),
        created_at: Set(now),
        retired_at: Set(None),
        verifies_until: Set(None),
    }
}

impl SqlAccounts {
    async fn reload_keys(&self) -> Result<Arc<TokenCodec>> {
        let codec = Arc::new(load(&self.0.db, &self.0.settings).await?);
        let mut current = self.0.keys.codec.write().unwrap_or_else(PoisonError::into_inner);
        current.clone_from(&codec);
        Ok(codec)
    }

    /// Verifies a token, except for its expiry. Whether its key is still valid has to be checked in the
    /// database.
    pub(super) async fn verify_token_allow_expired(&self, token: &str, token_type: TokenType) -> Result<VerifiedToken> {
        let now = self.0.clock.now();
        self.verify_with(|codec| codec.verify_allow_expired(token, token_type, now)).await
    }

    /// Verifies a token, including its expiry. Whether its key is still valid has to be checked in the
    /// database.
    pub(super) async fn verify_token(&self, token: &str, token_type: TokenType) -> Result<VerifiedToken> {
        let now = self.0.clock.now();
        self.verify_with(|codec| codec.verify(token, token_type, now)).await
    }

    /// Reloads the keys and tries again if the key is unknown.
    async fn verify_with(
        &self,
        verify: impl Fn(&TokenCodec) -> Result<VerifiedToken, TokenError> + Send + Sync,
    ) -> Result<VerifiedToken> {
        match verify(&self.0.keys.codec()) {
            Err(TokenError::UnknownKey) if self.0.keys.should_reload() => {
                let codec = self.reload_keys().await?;
                Ok(verify(&codec)?)
            }
            result => Ok(result?),
        }
    }

    /// The codec with this signing key, reloaded if necessary.
    pub(super) async fn codec_with(&self, kid: &str) -> Result<Arc<TokenCodec>> {
        let codec = self.0.keys.codec();
        if codec.can_sign(kid) { Ok(codec) } else { self.reload_keys().await }
    }

    /// Creates a new signing key and retires the current one, whose tokens remain valid until they expire.
    /// With `compromised`, all earlier keys are deleted, all tokens become invalid and every user has to
    /// sign in again. Returns the id of the new key.
    pub async fn rotate_keys(&self, compromised: bool) -> Result<String> {
        let now = self.0.clock.now();
        let key = Key::generate()?;
        let row = new_row(&key, now);
        let until = now + self.0.settings.max_token_lifetime();
        self.0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let conn = &tx;
                    if compromised {
                        signing_key::Entity::delete_many().exec(conn).await?;
                    } else {
                        signing_key::Entity::update_many()
                            .col_expr(signing_key::Column::IsActive, Expr::value(false))
                            .col_expr(signing_key::Column::RetiredAt, Expr::value(now))
                            .col_expr(signing_key::Column::VerifiesUntil, Expr::value(until))
                            .filter(Expr::col(signing_key::Column::IsActive))
                            .exec(conn)
                            .await?;
                    }
                    signing_key::Entity::insert(row).exec_without_returning(conn).await?;
                    let event = audit::AuditEvent::new("accounts.rotate_keys").with("compromised", compromised);
                    event.record(conn, now).await
                }
            })
            .await?;
        self.reload_keys().await?;
        Ok(key.kid)
    }

    /// Deletes the seeds of retired keys, and the keys whose tokens have all expired. Returns the number of
    /// deleted keys.
    pub(super) async fn prune_keys(&self) -> Result<u64> {
        let now = self.0.clock.now();
        let deleted = self.0.db.write(|tx| async move {
            signing_key::Entity::update_many()
                .col_expr(signing_key::Column::Seed, Expr::value(Seed(Vec::new())))
                .filter(signing_key::COLUMN.retired_at.lt(now - SIGNS_AFTER))
                .filter(Expr::col(signing_key::Column::Seed).ne(Expr::value(Seed(Vec::new()))))
                .exec(&tx)
                .await?;
            signing_key::Entity::delete_many().filter(signing_key::COLUMN.verifies_until.lte(now)).exec(&tx).await
        });
        Ok(deleted.await?.rows_affected)
    }
}
