//! Filters that several lists have: the search, and the owner.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Select, Value,
    sea_query::{ArrayType, Expr, ExprTrait, extension::postgres::PgFunc},
};

use crate::{
    Error, Filter, MemberId, Result,
    core::{Core, access::Access, search_condition},
    entity::member,
};

/// The maximum length of a query, in characters.
pub(super) const MAX_QUERY_CHARS: usize = 200;
/// Up to this number of matches, the ids are read before the list.
const MAX_IDS: u64 = 1000;

impl Core {
    /// Restricts rows to those that contain all terms of a query.
    ///
    /// PostgreSQL plans without knowing the terms. It assumes that they are common and scans the rows in list order
    /// until a page is full; for rare terms that is the whole table. So the ids of the first matches are read in any
    /// order, for which it uses the trigram index. If there are no more matches, the list is restricted to these ids.
    pub(crate) async fn apply_search<E: EntityTrait>(
        &self,
        rows: Select<E>,
        id: E::Column,
        table: &'static str,
        query: &str,
    ) -> Result<Select<E>> {
        if query.chars().count() > MAX_QUERY_CHARS {
            return Err(Error::field("q", format!("Must have at most {MAX_QUERY_CHARS} characters.")));
        }
        let matching = rows.clone().filter(search_condition(table, query, self.db.backend()));
        // SQLite has a full-text index, and needs no help.
        if self.db.backend() != DbBackend::Postgres {
            return Ok(matching);
        }
        let ids = matching.clone().select_only().column(id).limit(MAX_IDS + 1);
        let ids: Vec<i64> = ids.into_tuple().all(self.db.conn()).await?;
        if ids.len() as u64 > MAX_IDS {
            return Ok(matching);
        }
        let ids = Value::Array(ArrayType::BigInt, Some(Box::new(ids.into_iter().map(Value::from).collect())));
        Ok(rows.filter(Expr::col(id.as_column_ref()).eq(PgFunc::any(Expr::val(ids)))))
    }
}

/// The query of the filter `q`, which is also called `search`, unless it is blank.
pub(super) fn query(filter: &Filter) -> Option<&str> {
    filter.get("q").or_else(|| filter.get("search")).filter(|query| !query.trim().is_empty())
}

/// The member of the filter `owner`, which is `me` or a user ID. An unknown user gives an id that no row has.
pub(super) async fn owner(conn: &impl ConnectionTrait, access: &Access, filter: &Filter) -> Result<Option<MemberId>> {
    if filter.get("owner") == Some("me") {
        return Ok(Some(access.member.id));
    }
    let Some(user) = filter.number("owner")? else { return Ok(None) };
    let member = member::Entity::find()
        .select_only()
        .column(member::Column::Id)
        .filter(member::COLUMN.org_id.eq(access.org.id))
        .filter(member::COLUMN.user_id.eq(user));
    Ok(Some(member.into_tuple().one(conn).await?.unwrap_or(MemberId(0))))
}
