//! Locks and changes of rows.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, Iterable, ModelTrait,
    PrimaryKeyTrait, QuerySelect, Select,
    sea_query::{Expr, LockType},
};

/// Locks a row until the transaction ends. Rows that reference it can still be inserted.
///
/// The lock is a statement of its own: on PostgreSQL, a statement that waits for a lock reads the locked row anew, but
/// other rows from its old snapshot.
pub async fn lock<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    id: impl Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
) -> Result<(), DbErr> {
    lock_rows(conn, || E::find_by_id(id), LockType::NoKeyUpdate).await
}

/// Locks a row that is about to be deleted. Also waits for transactions that insert rows that reference it, so that
/// these rows are counted.
pub async fn lock_to_remove<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    id: impl Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
) -> Result<(), DbErr> {
    lock_rows(conn, || E::find_by_id(id), LockType::Update).await
}

/// Locks rows on PostgreSQL. SQLite has a single writer, so there is nothing to wait for, and the query is not built. To
/// avoid deadlocks, order the rows.
pub async fn lock_rows<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    rows: impl FnOnce() -> Select<E>,
    lock_type: LockType,
) -> Result<(), DbErr> {
    if conn.get_database_backend() == DbBackend::Postgres {
        rows().select_only().expr(Expr::val(1)).lock(lock_type).into_tuple::<i32>().all(conn).await?;
    }
    Ok(())
}

/// Updates the columns of a row that differ between two versions of it.
pub async fn store_changes<M, A>(conn: &impl ConnectionTrait, before: &M, after: &M) -> Result<(), DbErr>
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity>,
{
    let mut row = before.clone().into_active_model();
    for column in <M::Entity as EntityTrait>::Column::iter() {
        let value = after.get(column);
        if before.get(column) != value {
            row.set(column, value);
        }
    }
    M::Entity::update(row).exec_without_returning(conn).await?;
    Ok(())
}
