//! Custom fields. The values are stored twice: as JSON in the row of the client or deal, by field id, so that they are
//! read and audited with it; and in a table of their own, so that lists can be filtered by them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, FieldErrors, IfMatch, Ordering, Page, PageQuery, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, Set, Value as SqlValue, sea_query::LockType,
};
use serde_json::{Map, Value};

use crate::{
    ClientId, CustomField, CustomFieldId, CustomFieldPatch, CustomFieldTarget, CustomFieldType, CustomFields, Day,
    DealId, Error, Filter, NewCustomField, OrganizationId, Result,
    core::{Core, access::Access, lock, lock_as, store},
    entity::{custom_field, custom_value, organization},
    money::{format_fixed_point, parse_fixed_point},
    permission::Permission,
};

/// The maximum number of fields for clients, and for deals.
const MAX_FIELDS: u64 = 50;
/// The number of characters of a text value that filters compare.
const INDEXED_CHARS: usize = 200;
/// The maximum length of a text value, in characters.
const MAX_TEXT_CHARS: usize = 500;
/// The maximum number of decimal places of a number.
const DECIMAL_PLACES: usize = 6;
const KEY_TAKEN: &str = "A field with this key already exists.";

/// The prefix of a key in filters and table columns.
pub(crate) const PREFIX: &str = "cf_";

/// Values of custom fields, by key.
pub(crate) type CustomValues = BTreeMap<String, Value>;

/// A value in the form in which it is indexed for filters.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Indexed {
    Text(String),
    Number(i64),
}

/// Validated values, ready to be stored.
#[derive(Clone, Default)]
pub(crate) struct ValidatedValues {
    /// The JSON for the `custom` column of the row.
    pub(crate) json: String,
    /// The indexed values by field; `None` for a value that is removed.
    values: Vec<(CustomFieldId, Option<Indexed>)>,
}

/// The client or deal that values belong to.
#[derive(Clone, Copy)]
pub(crate) enum TargetId {
    Client(ClientId),
    Deal(DealId),
}

fn show(row: custom_field::Model) -> CustomField {
    CustomField {
        id: row.id,
        entity: row.entity,
        key: row.key,
        name: row.name,
        kind: row.kind,
        options: serde_json::from_str(&row.options).unwrap_or_default(),
        is_required: row.is_required,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn parse_json(stored: &str) -> Map<String, Value> {
    serde_json::from_str(stored).unwrap_or_default()
}

/// The stored values of a row, by key. Values of deleted fields are left out.
pub(crate) fn values_by_key(stored: &str, fields: &[custom_field::Model]) -> CustomValues {
    let mut values = parse_json(stored);
    fields.iter().filter_map(|field| Some((field.key.clone(), values.remove(&field.id.to_string())?))).collect()
}

/// Parses the value of a field. Returns it as it is stored in the row, and as it is indexed.
fn parse_value(field: &custom_field::Model, value: &Value) -> Result<(Value, Indexed), String> {
    let text = value.as_str().map(str::trim);
    match (field.kind, text) {
        (CustomFieldType::Text, Some(text)) => {
            if text.is_empty() || text.chars().count() > MAX_TEXT_CHARS || text.contains(char::is_control) {
                return Err(format!("Must be a single line of up to {MAX_TEXT_CHARS} characters."));
            }
            Ok((text.into(), Indexed::Text(text::fold(text).chars().take(INDEXED_CHARS).collect())))
        }
        (CustomFieldType::Number, _) => {
            // JSON fractions are refused: most parsers read them as floats, which cannot represent 0.1.
            let decimal = text.map(str::to_owned).or_else(|| value.as_i64().map(|number| number.to_string()));
            let decimal = decimal.ok_or("Must be a decimal number as a string, such as \"12.5\".")?;
            let number = parse_fixed_point(&decimal, DECIMAL_PLACES)?;
            Ok((format_fixed_point(number, DECIMAL_PLACES).into(), Indexed::Number(number)))
        }
        (CustomFieldType::Day, Some(text)) => {
            let day = Day::parse(text).ok_or("Must be a date such as 2025-09-01.")?;
            Ok((day.as_str().into(), Indexed::Text(day.to_string())))
        }
        (CustomFieldType::Boolean, _) => {
            // Query strings and imported tables have text values only.
            let boolean = value.as_bool().or(match text {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            });
            let boolean = boolean.ok_or("Must be true or false.")?;
            Ok((boolean.into(), Indexed::Number(i64::from(boolean))))
        }
        (CustomFieldType::Choice, Some(text)) => {
            let options: Vec<String> = serde_json::from_str(&field.options).unwrap_or_default();
            if !options.iter().any(|option| option == text) {
                return Err(format!("Choose from: {}.", options.join(", ")));
            }
            Ok((text.into(), Indexed::Text(text::fold(text))))
        }
        _ => Err("Must be a string.".to_owned()),
    }
}

/// Validates input and merges it with the stored values. `stored` is `None` for a new object, which must have a value
/// for every required field.
///
/// # Errors
/// Messages by key.
pub(crate) fn validate(
    fields: &[custom_field::Model],
    stored: Option<&str>,
    input: &CustomValues,
) -> Result<ValidatedValues, kernel::FieldErrors> {
    let mut errors = FieldErrors::new();
    let mut row = parse_json(stored.unwrap_or_default());
    let mut values = Vec::new();
    for (key, value) in input {
        let Some(field) = fields.iter().find(|field| field.key == *key) else {
            errors.insert(format!("custom.{key}"), vec!["There is no such field.".to_owned()]);
            continue;
        };
        if value.is_null() {
            row.remove(&field.id.to_string());
            values.push((field.id, None));
            continue;
        }
        match parse_value(field, value) {
            Ok((value, indexed)) => {
                row.insert(field.id.to_string(), value);
                values.push((field.id, Some(indexed)));
            }
            Err(message) => {
                errors.insert(format!("custom.{key}"), vec![message]);
            }
        }
    }
    // A change need not add a value that was not required before.
    let is_checked = |field: &&custom_field::Model| stored.is_none() || input.contains_key(&field.key);
    for field in fields.iter().filter(|field| field.is_required).filter(is_checked) {
        let name = format!("custom.{}", field.key);
        if !row.contains_key(&field.id.to_string()) && !errors.contains_key(&name) {
            errors.insert(name, vec!["This field is required.".to_owned()]);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(ValidatedValues { json: to_json(row), values })
}

fn to_json(values: Map<String, Value>) -> String {
    if values.is_empty() { String::new() } else { Value::Object(values).to_string() }
}

/// Merges the stored values of two rows. Those of `preferred` take precedence.
pub(crate) fn merge(other: &str, preferred: &str) -> String {
    let mut values = parse_json(other);
    values.extend(parse_json(preferred));
    to_json(values)
}

impl ValidatedValues {
    /// The JSON of a row's stored values after these are merged into them.
    pub(crate) fn merged_into(&self, stored: &str) -> String {
        merge(stored, &self.json)
    }

    /// The indexed values as rows.
    pub(crate) fn rows(
        &self,
        org: OrganizationId,
        target: TargetId,
    ) -> impl Iterator<Item = custom_value::ActiveModel> {
        let row = move |(field, value): &(CustomFieldId, Option<Indexed>)| {
            let (text, number) = match value.clone()? {
                Indexed::Text(text) => (Some(text), None),
                Indexed::Number(number) => (None, Some(number)),
            };
            let (client, deal) = match target {
                TargetId::Client(client) => (Some(client), None),
                TargetId::Deal(deal) => (None, Some(deal)),
            };
            Some(custom_value::ActiveModel {
                id: NotSet,
                org_id: Set(org),
                field_id: Set(*field),
                client_id: Set(client),
                deal_id: Set(deal),
                text_value: Set(text),
                number_value: Set(number),
            })
        };
        self.values.iter().filter_map(row)
    }

    /// Stores the indexed values, replacing earlier ones.
    pub(crate) async fn store(self, conn: &impl ConnectionTrait, org: OrganizationId, target: TargetId) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let of_target = match target {
            TargetId::Client(client) => custom_value::COLUMN.client_id.eq(client),
            TargetId::Deal(deal) => custom_value::COLUMN.deal_id.eq(deal),
        };
        custom_value::Entity::delete_many()
            .filter(custom_value::COLUMN.org_id.eq(org))
            .filter(of_target)
            .filter(custom_value::COLUMN.field_id.is_in(self.values.iter().map(|(field, _)| *field)))
            .exec(conn)
            .await?;
        let rows: Vec<_> = self.rows(org, target).collect();
        if !rows.is_empty() {
            custom_value::Entity::insert_many(rows).exec_without_returning(conn).await?;
        }
        Ok(())
    }
}

fn all_fields(org: OrganizationId, entity: CustomFieldTarget) -> Select<custom_field::Entity> {
    custom_field::Entity::find()
        .filter(custom_field::COLUMN.org_id.eq(org))
        .filter(custom_field::COLUMN.entity.eq(entity))
        .order_by_asc(custom_field::Column::Id)
        .limit(MAX_FIELDS)
}

/// The custom fields of an organization.
pub(crate) async fn fields_of(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: CustomFieldTarget,
) -> Result<Vec<custom_field::Model>> {
    Ok(all_fields(org, entity).all(conn).await?)
}

/// The same for an operation that stores values: the fields cannot be deleted until the transaction ends.
async fn lock_fields(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: CustomFieldTarget,
) -> Result<Vec<custom_field::Model>> {
    lock_as(conn, all_fields(org, entity), LockType::KeyShare).await?;
    fields_of(conn, org, entity).await
}

/// The fields that are needed to show rows. They are not read if no row has values.
pub(crate) async fn fields_for(
    conn: &impl ConnectionTrait,
    org: Option<OrganizationId>,
    entity: CustomFieldTarget,
    mut stored: impl Iterator<Item = &String>,
) -> Result<Vec<custom_field::Model>> {
    match org {
        Some(org) if stored.any(|stored| !stored.is_empty()) => fields_of(conn, org, entity).await,
        _ => Ok(Vec::new()),
    }
}

/// Validates the values of a new object.
pub(crate) async fn validate_new(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: CustomFieldTarget,
    input: &CustomValues,
) -> Result<ValidatedValues> {
    let fields = if input.is_empty() {
        // Only required fields are checked. Nothing is stored that refers to a field, so no lock is needed.
        fields_of(conn, org, entity).await?
    } else {
        lock_fields(conn, org, entity).await?
    };
    Ok(validate(&fields, None, input).map_err(kernel::Error::invalid)?)
}

/// Validates changed values of an object.
pub(crate) async fn validate_changed(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: CustomFieldTarget,
    stored: &str,
    input: &CustomValues,
) -> Result<ValidatedValues> {
    let fields = lock_fields(conn, org, entity).await?;
    Ok(validate(&fields, Some(stored), input).map_err(kernel::Error::invalid)?)
}

/// The keys of an organization's fields, by their ids as text, as in stored values.
pub(crate) async fn keys_of(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<HashMap<String, String>> {
    let found = custom_field::Entity::find()
        .select_only()
        .column(custom_field::Column::Id)
        .column(custom_field::Column::Key)
        .filter(custom_field::COLUMN.org_id.eq(org))
        .limit(2 * MAX_FIELDS);
    let keys = found.into_tuple::<(CustomFieldId, String)>().all(conn).await?;
    Ok(keys.into_iter().map(|(id, key)| (id.to_string(), key)).collect())
}

/// The differences between two stored values `[before, after]`, by field. A deleted field is named by its id.
pub(crate) fn difference(change: &Value, keys: &HashMap<String, String>) -> Vec<(String, (Value, Value))> {
    let [before, after] = [0, 1].map(|index| parse_json(change[index].as_str().unwrap_or_default()));
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |row: &Map<String, Value>, id: &String| row.get(id).cloned().unwrap_or_default();
    let field =
        |id: &String| (format!("custom.{}", keys.get(id).unwrap_or(id)), (value(&before, id), value(&after, id)));
    ids.into_iter().map(field).filter(|(_, (before, after))| before != after).collect()
}

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

/// Checks that a choice has distinct options, and that no other type has any.
fn check_options(kind: CustomFieldType, options: &[String]) -> Result<()> {
    let mut options: Vec<&str> = options.iter().map(|option| option.trim()).collect();
    let count = options.len();
    options.sort_unstable();
    options.dedup();
    match kind {
        CustomFieldType::Choice if count == 0 => Err(Error::field("options", "A choice needs at least one option.")),
        CustomFieldType::Choice if options.len() < count => Err(Error::field("options", "Options must be unique.")),
        CustomFieldType::Choice => Ok(()),
        _ if count > 0 => Err(Error::field("options", "Only a choice can have options.")),
        _ => Ok(()),
    }
}

fn options_json(options: &[String]) -> String {
    Value::from(options.iter().map(|option| option.trim()).collect::<Vec<_>>()).to_string()
}

/// A custom field of the organization.
async fn find(conn: &impl ConnectionTrait, access: &Access, id: CustomFieldId) -> Result<custom_field::Model> {
    let found = custom_field::Entity::find_by_id(id).filter(custom_field::COLUMN.org_id.eq(access.org.id));
    found.one(conn).await?.ok_or(Error::NotFound("field"))
}

/// Custom fields, on a database.
#[derive(Clone)]
pub struct SqlCustomFields {
    pub(crate) core: Core,
}

#[async_trait]
impl CustomFields for SqlCustomFields {
    async fn custom_fields(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<CustomField>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let select = custom_field::Entity::find().filter(custom_field::COLUMN.org_id.eq(access.org.id));
        let ordering =
            Ordering { fields: &[("id", custom_field::Column::Id)], default: "id", id: custom_field::Column::Id };
        let page = Page::<custom_field::Model>::fetch(select, &ordering, &page, conn).await?;
        Ok(page.with(|rows| rows.into_iter().map(show).collect()))
    }

    async fn create_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        new: NewCustomField,
    ) -> Result<CustomField> {
        new.validate()?;
        check_options(new.kind, &new.options)?;
        let new = &new;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::CustomFieldManage).await?;
                if fields_of(conn, org, new.entity).await?.len() as u64 >= MAX_FIELDS {
                    return Err(Error::field("entity", format!("At most {MAX_FIELDS} fields are allowed.")));
                }
                let now = self.core.now();
                let row = custom_field::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    entity: Set(new.entity),
                    key: Set(new.key.clone()),
                    name: Set(new.name.trim().to_owned()),
                    kind: Set(new.kind),
                    options: Set(options_json(&new.options)),
                    is_required: Set(new.is_required),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                let row = row.insert(conn).await?;
                self.core.record_created(conn, (caller, &access), "deals.create_custom_field", &row).await?;
                Ok(show(row))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["key"], KEY_TAKEN))
    }

    async fn custom_field(&self, caller: &Caller, org: OrganizationId, id: CustomFieldId) -> Result<CustomField> {
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        Ok(show(find(self.core.db.conn(), &access, id).await?))
    }

    async fn change_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: CustomFieldId,
        patch: CustomFieldPatch,
        known: IfMatch,
    ) -> Result<CustomField> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<custom_field::Entity>(conn, id).await?;
                let access = self.core.authorize(conn, caller, org, Permission::CustomFieldManage).await?;
                let before = find(conn, &access, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                if let Some(key) = &patch.key {
                    after.key.clone_from(key);
                }
                if let Some(name) = &patch.name {
                    name.trim().clone_into(&mut after.name);
                }
                if let Some(options) = &patch.options {
                    check_options(before.kind, options)?;
                    after.options = options_json(options);
                }
                after.is_required = patch.is_required.unwrap_or(after.is_required);
                after.updated_at = self.core.now();
                store(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_custom_field", &before, &after).await?;
                Ok(show(after))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["key"], KEY_TAKEN))
    }

    async fn delete_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: CustomFieldId,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<custom_field::Entity>(conn, id).await?;
                let access = self.core.authorize(conn, caller, org, Permission::CustomFieldManage).await?;
                let row = find(conn, &access, id).await?;
                access.check(known, row.updated_at)?;
                custom_field::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("key", row.key.into()), ("name", row.name.into())];
                let object = ("custom_field", id.0);
                self.core.record(conn, (caller, &access), "deals.delete_custom_field", object, detail).await
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;
    use serde_json::json;

    use super::*;

    fn field(id: i64, kind: CustomFieldType, is_required: bool) -> custom_field::Model {
        custom_field::Model {
            id: CustomFieldId(id),
            org_id: OrganizationId(1),
            entity: CustomFieldTarget::Deal,
            key: format!("f{id}"),
            name: String::new(),
            kind,
            options: options_json(&["Nord".to_owned(), "Süd".to_owned()]),
            is_required,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn values_are_parsed_by_the_type_of_their_field() {
        let text = |text: &str| Indexed::Text(text.to_owned());
        for (kind, input, stored, indexed) in [
            (CustomFieldType::Text, json!(" Straße "), json!("Straße"), text("strasse")),
            (CustomFieldType::Number, json!("012.50"), json!("12.5"), Indexed::Number(12_500_000)),
            (CustomFieldType::Number, json!(-3), json!("-3"), Indexed::Number(-3_000_000)),
            (CustomFieldType::Day, json!("2025-02-28"), json!("2025-02-28"), text("2025-02-28")),
            (CustomFieldType::Boolean, json!(true), json!(true), Indexed::Number(1)),
            (CustomFieldType::Choice, json!("Süd"), json!("Süd"), text("süd")),
        ] {
            assert_eq!(parse_value(&field(1, kind, false), &input), Ok((stored, indexed)), "{input}");
        }
        for (kind, input) in [
            (CustomFieldType::Text, json!("")),
            (CustomFieldType::Text, json!("a\nb")),
            (CustomFieldType::Text, json!(1)),
            (CustomFieldType::Number, json!(0.1)),
            (CustomFieldType::Number, json!("1e3")),
            (CustomFieldType::Number, json!("1.1234567")),
            (CustomFieldType::Day, json!("2025-02-29")),
            (CustomFieldType::Boolean, json!("yes")),
            (CustomFieldType::Choice, json!("West")),
        ] {
            assert!(parse_value(&field(1, kind, false), &input).is_err(), "{input}");
        }
    }

    #[test]
    fn required_fields_are_checked_for_new_objects_and_cannot_be_cleared() {
        let fields = [field(1, CustomFieldType::Text, true), field(2, CustomFieldType::Boolean, false)];
        let values = |value: Value| serde_json::from_value::<CustomValues>(value).unwrap();
        let errors = validate(&fields, None, &CustomValues::new()).err().unwrap();
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["custom.f1"]);
        let valid = validate(&fields, None, &values(json!({"f1": "x"}))).ok().unwrap();
        assert_eq!(values_by_key(&valid.json, &fields), values(json!({"f1": "x"})));
        // An object that is older than the requirement may stay without a value.
        assert!(validate(&fields, Some(""), &values(json!({"f2": true}))).is_ok());
        assert!(validate(&fields, Some(&valid.json), &values(json!({"f1": null}))).is_err());
        assert!(validate(&fields, Some(&valid.json), &values(json!({"f3": 1}))).is_err());
        // Values of deleted fields are not shown.
        assert_eq!(values_by_key(&valid.json, &fields[1..]), CustomValues::new());
    }
}
