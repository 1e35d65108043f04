//! Filters of lists by custom fields.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Value as SqlValue,
};

use super::{
    definitions::fields_of,
    values::{Indexed, parse_value},
};
use crate::{CustomFieldTarget, CustomFieldType, Error, Filter, Result, core::access::Access, entity::custom_value};

/// The prefix of a key in filters and table columns.
pub(crate) const PREFIX: &str = "cf_";

fn to_sql_value(indexed: Indexed) -> SqlValue {
    match indexed {
        Indexed::Text(text) => text.into(),
        Indexed::Number(number) => number.into(),
    }
}

/// The condition of the filters by custom fields, such as `?cf_region=north`.
pub(crate) async fn condition<C: ColumnTrait>(
    conn: &impl ConnectionTrait,
    access: &Access,
    entity: CustomFieldTarget,
    id: C,
    filter: &Filter,
) -> Result<Condition> {
    let mut condition = Condition::all();
    let filters: Vec<(&str, &str)> = filter.with_prefix(PREFIX).collect();
    if filters.is_empty() {
        return Ok(condition);
    }
    let fields = fields_of(conn, access.org.id, entity).await?;
    for (name, value) in filters {
        let invalid = |message: String| Error::field(name, message);
        let (key, operator) = name.split_once("__").unwrap_or((name, ""));
        let key = key.strip_prefix(PREFIX).unwrap_or(key);
        let Some(field) = fields.iter().find(|field| field.key == key) else {
            return Err(invalid("There is no such field.".to_owned()));
        };
        let parse = |text: &str| {
            let parsed = parse_value(field, &text.into());
            parsed.map(|(_, indexed)| to_sql_value(indexed)).map_err(invalid)
        };
        let column = match field.kind {
            CustomFieldType::Number | CustomFieldType::Boolean => custom_value::Column::NumberValue,
            _ => custom_value::Column::TextValue,
        };
        let target_column = match entity {
            CustomFieldTarget::Client => custom_value::Column::ClientId,
            CustomFieldTarget::Deal => custom_value::Column::DealId,
        };
        let values = custom_value::Entity::find()
            .select_only()
            .column(target_column)
            .filter(custom_value::COLUMN.org_id.eq(access.org.id))
            .filter(custom_value::COLUMN.field_id.eq(field.id))
            .filter(target_column.is_not_null());
        let is_ordered = matches!(field.kind, CustomFieldType::Number | CustomFieldType::Day);
        let matching = match operator {
            "" => values.filter(column.eq(parse(value)?)),
            "in" => {
                let texts: Vec<&str> = value.split(',').map(str::trim).collect();
                if texts.len() > 100 {
                    return Err(invalid("At most 100 values are allowed.".to_owned()));
                }
                values.filter(column.is_in(texts.into_iter().map(parse).collect::<Result<Vec<_>>>()?))
            }
            "gte" if is_ordered => values.filter(column.gte(parse(value)?)),
            "lte" if is_ordered => values.filter(column.lte(parse(value)?)),
            "gt" if is_ordered => values.filter(column.gt(parse(value)?)),
            "lt" if is_ordered => values.filter(column.lt(parse(value)?)),
            "isnull" => values,
            _ => return Err(invalid("This operator is not supported for this field.".to_owned())),
        };
        condition = condition.add(match (operator, value) {
            ("isnull", "true") => id.not_in_subquery(matching.into_query()),
            ("isnull", "false") => id.in_subquery(matching.into_query()),
            ("isnull", _) => return Err(invalid("Must be true or false.".to_owned())),
            _ => id.in_subquery(matching.into_query()),
        });
    }
    Ok(condition)
}
