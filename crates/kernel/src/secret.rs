//! Random bytes, token fingerprints, and secrets that are generated once per installation and shared by all nodes.

use sea_orm::{EntityTrait, Set};
use sha2::{Digest, Sha256};

use crate::{Db, Error, Result, Timestamp, entity::secret};

/// A random key of 256 bits, stored in the database.
pub type Secret = [u8; 32];

/// `N` bytes from the system's random generator.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes)
}

/// The hash under which a token is stored. SHA-256 without a salt is sufficient, since tokens have at least 128 random
/// bits.
pub fn fingerprint(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// The secret with this name, generated on first use. If several nodes do so at the same time, they get the same one.
pub async fn open(db: &Db, name: &'static str) -> Result<Secret> {
    if let Some(row) = secret::Entity::find_by_id(name).one(db.conn()).await? {
        return read(row);
    }
    let bytes = random::<32>()?;
    let row = db
        .write(|tx| async move {
            let row = secret::ActiveModel {
                name: Set(name.to_owned()),
                value: Set(secret::Bytes(bytes.to_vec())),
                created_at: Set(Timestamp::now()),
            };
            secret::Entity::insert(row).on_conflict_do_nothing().exec_without_returning(&tx).await?;
            secret::Entity::find_by_id(name).one(&tx).await
        })
        .await?;
    read(row.ok_or_else(|| Error::internal(format!("the secret {name} was not stored")))?)
}

/// Whether the secret exists.
pub async fn exists(db: &Db, name: &'static str) -> Result<bool> {
    Ok(secret::Entity::find_by_id(name).one(db.conn()).await?.is_some())
}

fn read(row: secret::Model) -> Result<Secret> {
    row.value.0.try_into().map_err(|_| Error::internal(format!("the secret {} is damaged", row.name)))
}
