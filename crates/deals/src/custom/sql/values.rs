//! Values of custom fields: how they are read, validated and stored.

use std::collections::BTreeMap;

use guildhall_kernel::{self as kernel, FieldErrors, db::Tx, text};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::{Map, Value};

use super::definitions::options_of;
use crate::{
    ClientId, CustomFieldId, CustomFieldType, Day, DealId, OrganizationId, Result,
    entity::{custom_field, custom_value},
    money::{format_fixed_point, parse_fixed_point},
};

/// The number of characters of a text value that filters compare.
const INDEXED_CHARS: usize = 200;
/// The maximum length of a text value, in characters.
const MAX_TEXT_CHARS: usize = 500;
/// The maximum number of decimal places of a number.
const DECIMAL_PLACES: usize = 6;

/// Values of custom fields, by key.
pub(crate) type CustomValues = BTreeMap<String, Value>;

/// A value in the form in which it is indexed for filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Indexed {
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

pub(super) fn parse_json(stored: &str) -> Map<String, Value> {
    serde_json::from_str(stored).unwrap_or_default()
}

fn to_json(values: Map<String, Value>) -> String {
    if values.is_empty() { String::new() } else { Value::Object(values).to_string() }
}

/// The stored values of a row, by key. Values of deleted fields are left out.
pub(crate) fn values_by_key(stored: &str, fields: &[custom_field::Model]) -> CustomValues {
    let mut values = parse_json(stored);
    fields.iter().filter_map(|field| Some((field.key.clone(), values.remove(&field.id.to_string())?))).collect()
}

/// Parses the value of a field. Returns it as it is stored in the row, and as it is indexed.
pub(super) fn parse_value(field: &custom_field::Model, value: &Value) -> Result<(Value, Indexed), String> {
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
            let options = options_of(field);
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
) -> Result<ValidatedValues, FieldErrors> {
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

/// Validates the values of a new object.
pub(crate) fn validate_new(fields: &[custom_field::Model], input: &CustomValues) -> Result<ValidatedValues> {
    Ok(validate(fields, None, input).map_err(kernel::Error::invalid)?)
}

/// Validates changed values of an object.
pub(crate) fn validate_changed(
    fields: &[custom_field::Model],
    stored: &str,
    input: &CustomValues,
) -> Result<ValidatedValues> {
    Ok(validate(fields, Some(stored), input).map_err(kernel::Error::invalid)?)
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

    /// Stores the indexed values of a new object.
    pub(crate) async fn insert(&self, tx: &Tx, org: OrganizationId, target: TargetId) -> Result<()> {
        let rows: Vec<_> = self.rows(org, target).collect();
        if !rows.is_empty() {
            custom_value::Entity::insert_many(rows).exec_without_returning(&tx.deferred()).await?;
        }
        Ok(())
    }

    /// Stores the indexed values, replacing earlier ones.
    pub(crate) async fn replace(&self, tx: &Tx, org: OrganizationId, target: TargetId) -> Result<()> {
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
            .exec(&tx.deferred())
            .await?;
        self.insert(tx, org, target).await
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{CustomFieldTarget, custom::sql::definitions::options_json};

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
