//! Random secrets, and the keys that the installation makes for itself, once, and that all its nodes share.

use sea_orm::{EntityTrait, Set};
use sha2::{Digest, Sha256};

use crate::{Db, Error, Result, Timestamp, entity::secret};

/// 256 bits that nobody outside of the database knows.
pub type Secret = [u8; 32];

/// `N` bytes from the system's generator.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes)
}

/// What is kept of a token with at least 128 random bits: too many to guess, so that a plain hash
/// (SHA-256) cannot be turned back.
pub fn fingerprint(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// The secret with this name, made when it is first asked for. Of several nodes that ask at once
/// one makes it.
pub async fn open(db: &Db, name: &'static str) -> Result<Secret> {
    if let Some(found) = secret::Entity::find_by_id(name).one(db.conn()).await? {
        return read(found);
    }
    let bytes = random::<32>()?;
    let row = db
        .write(|tx| async move {
            let row = secret::ActiveModel {
                name: Set(name.to_owned()),
                value: Set(secret::Bytes(bytes.to_vec())),
                created_at: Set(Timestamp::now()),
            };
            secret::Entity::insert(row).on_conflict_do_nothing().exec_without_returning(tx.conn()).await?;
            secret::Entity::find_by_id(name).one(tx.conn()).await
        })
        .await?;
    read(row.ok_or_else(|| Error::internal(format!("the secret {name} was not stored")))?)
}

/// Has this secret been made?
pub async fn exists(db: &Db, name: &'static str) -> Result<bool> {
    Ok(secret::Entity::find_by_id(name).one(db.conn()).await?.is_some())
}

fn read(row: secret::Model) -> Result<Secret> {
    row.value.0.try_into().map_err(|_| Error::internal(format!("the secret {} is damaged", row.name)))
}
