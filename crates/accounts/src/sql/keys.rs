//! The keys that tokens are signed with. They are in the database, so that every node has them, and
//! whether one is good still is asked there each time: what was rotated away elsewhere, at the
//! command line for instance, is known at once.

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
    Jwks, Result, Settings,
    entity::signing_key::{self, Seed},
    jwt::{Key, Read, Tokenizer, Unread, Use, public_half},
};

/// How often at most the keys are read again because of a token that names one that is not known.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);
/// How long a retired key can still sign, for tokens that are made again byte for byte.
pub(super) const SIGNS_AFTER: Duration = Duration::from_secs(3600);

pub(super) struct Keyring {
    tokenizer: RwLock<Arc<Tokenizer>>,
    reloaded: Mutex<Option<Instant>>,
}

/// What the database says of the keys.
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

    /// The key that signs now.
    pub(super) fn active(&self) -> Result<&str> {
        let active = self.0.iter().find(|(_, active, _)| *active);
        Ok(active.map(|(kid, ..)| kid.as_str()).ok_or_else(|| kernel::Error::internal("there is no signing key"))?)
    }

    /// Is what this key has signed still good?
    pub(super) fn is_good(&self, kid: &str, now: Timestamp) -> bool {
        let good = |(known, active, until): &(String, bool, Option<Timestamp>)| {
            known == kid && (*active || until.is_some_and(|until| until > now))
        };
        self.0.iter().any(good)
    }
}

impl Keyring {
    /// The keys of a database; makes the first one where there is none.
    pub(super) async fn open(db: &Db, settings: &Settings, now: Timestamp) -> Result<Self> {
        if !has_active(db).await? {
            let row = row_of(&Key::generate()?, now);
            db.write(|tx| {
                let row = row.clone();
                async move {
                    // Of several nodes that start at once one makes it.
                    let row = signing_key::Entity::insert(row).on_conflict_do_nothing();
                    row.exec_without_returning(tx.conn()).await
                }
            })
            .await?;
        }
        let tokenizer = load(db, settings).await?;
        Ok(Self { tokenizer: RwLock::new(Arc::new(tokenizer)), reloaded: Mutex::new(None) })
    }

    fn tokenizer(&self) -> Arc<Tokenizer> {
        self.tokenizer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn may_reload(&self) -> bool {
        let mut last = self.reloaded.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= RELOAD_PAUSE);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}

/// Is there a key to sign with?
pub(super) async fn has_active(db: &Db) -> Result<bool> {
    let active = signing_key::Entity::find().filter(Expr::col(signing_key::Column::IsActive));
    Ok(active.one(db.conn()).await?.is_some())
}

async fn load(db: &Db, settings: &Settings) -> Result<Tokenizer> {
    let rows = signing_key::Entity::find().order_by_desc(signing_key::Column::Id).all(db.conn()).await?;
    let keys = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Tokenizer::new(&keys, &settings.issuer, settings.longest_life()))
}

fn read(row: signing_key::Model) -> Result<Key> {
    let damaged = |_| kernel::Error::internal(format!("the signing key {} is damaged", row.kid));
    let seed: Option<[u8; 32]> =
        if row.seed.0.is_empty() { None } else { Some(row.seed.0.clone().try_into().map_err(damaged)?) };
    let public = match (row.public_key, &seed) {
        (Some(public), _) => public.try_into().map_err(damaged)?,
        (None, Some(seed)) => public_half(seed),
        (None, None) => return Err(damaged(Vec::new()).into()),
    };
    Ok(Key { kid: row.kid, seed, public })
}

fn row_of(key: &Key, now: Timestamp) -> signing_key::ActiveModel {
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
    async fn reload_keys(&self) -> Result<Arc<Tokenizer>> {
        let tokenizer = Arc::new(load(&self.0.db, &self.0.settings).await?);
        let mut held = self.0.keys.tokenizer.write().unwrap_or_else(PoisonError::into_inner);
        held.clone_from(&tokenizer);
        Ok(tokenizer)
    }

    /// What a token of ours says, expired or not. Whether its key is good still is for the database to
    /// say.
    pub(super) async fn read(&self, token: &str, usage: Use) -> Result<Read> {
        let now = self.0.clock.now();
        self.read_with(|tokenizer| tokenizer.read(token, usage, now)).await
    }

    /// The same, if it has not expired.
    pub(super) async fn read_live(&self, token: &str, usage: Use) -> Result<Read> {
        let now = self.0.clock.now();
        self.read_with(|tokenizer| tokenizer.read_live(token, usage, now)).await
    }

    async fn read_with(&self, read: impl Fn(&Tokenizer) -> Result<Read, Unread> + Send + Sync) -> Result<Read> {
        match read(&self.0.keys.tokenizer()) {
            Err(Unread::UnknownKey) if self.0.keys.may_reload() => {
                let tokenizer = self.reload_keys().await?;
                Ok(read(&tokenizer)?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// A tokenizer that can sign with this key.
    pub(super) async fn tokenizer_with(&self, kid: &str) -> Result<Arc<Tokenizer>> {
        let tokenizer = self.0.keys.tokenizer();
        if tokenizer.can_sign(kid) { Ok(tokenizer) } else { self.reload_keys().await }
    }

    pub(super) async fn current_jwks(&self) -> Result<Jwks> {
        let states = KeyStates::find(self.0.db.conn()).await?;
        let now = self.0.clock.now();
        let tokenizer = self.tokenizer_with(states.active()?).await?;
        Ok(tokenizer.jwks(|kid| states.is_good(kid, now)))
    }

    /// Makes a new key, with which everything is signed from now on. What the one before has signed is
    /// good until it expires; if that one is `compromised`, nothing that any earlier key has signed
    /// is good any more, and everybody has to sign in again. Gives the new key's id.
    pub async fn rotate_keys(&self, compromised: bool) -> Result<String> {
        let now = self.0.clock.now();
        let key = Key::generate()?;
        let row = row_of(&key, now);
        let until = now + self.0.settings.longest_life();
        self.0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let conn = tx.conn();
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
                    let event = audit::Event::new("accounts.rotate_keys").with("compromised", compromised);
                    event.record(conn, now).await
                }
            })
            .await?;
        self.reload_keys().await?;
        Ok(key.kid)
    }

    /// Forgets what retired keys signed with, and those that verify nothing any more; gives how many
    /// keys went.
    pub(super) async fn prune_keys(&self) -> Result<u64> {
        let now = self.0.clock.now();
        let gone = self.0.db.write(|tx| async move {
            signing_key::Entity::update_many()
                .col_expr(signing_key::Column::Seed, Expr::value(Seed(Vec::new())))
                .filter(signing_key::COLUMN.retired_at.lt(now - SIGNS_AFTER))
                .filter(Expr::col(signing_key::Column::Seed).ne(Expr::value(Seed(Vec::new()))))
                .exec(tx.conn())
                .await?;
            signing_key::Entity::delete_many().filter(signing_key::COLUMN.verifies_until.lte(now)).exec(tx.conn()).await
        });
        Ok(gone.await?.rows_affected)
    }
}
