//! Storing changed rows.

use guildhall_kernel::db::Tx;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable, ModelTrait, QueryTrait};

use crate::Result;

/// Updates the columns of a row that differ between two versions of it. On SQLite the statement is sent with the next
/// one: use it only for changes that no input can make fail, of a row that the same transaction has read.
pub(crate) async fn defer_changes<M, A>(tx: &Tx, before: &M, after: &M) -> Result<()>
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity>,
{
    let mut row = before.clone().into_active_model();
    let mut has_changed = false;
    for column in <M::Entity as EntityTrait>::Column::iter() {
        let value = after.get(column);
        if before.get(column) != value {
            row.set(column, value);
            has_changed = true;
        }
    }
    if has_changed {
        let update = M::Entity::update(row).validate()?;
        tx.deferred().execute(&update.into_query()).await?;
    }
    Ok(())
}
