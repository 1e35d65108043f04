//! Fields of an organization's own. What they say of something stands in its row, by the numbers of the fields, so
//! that it is read and audited with it; and once more by itself, so that lists can be narrowed by it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, FieldErrors, IfMatch, Ordering, Page, PageQuery, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, Set, Value as SqlValue, sea_query::LockType,
};
use serde_json::{Map, Value};

use super::{SqlDeals, access::Access, lock, lock_as, store};
use crate::{
    ClientId, CustomField, CustomFieldId, CustomFieldPatch, CustomFields, CustomKind, Customized, Day, DealId, Error,
    Filter, NewCustomField, OrganizationId, Result,
    entity::{custom_field, custom_value, organization},
    money::{fixed_point, write_fixed_point},
    permission::Permission,
};

/// How many fields clients have at most, and deals.
const MOST: u64 = 50;
/// How many characters of a text a list can be narrowed by.
const INDEXED: usize = 200;
/// The longest text, in characters.
const LONGEST: usize = 500;
/// Digits after the point.
const DIGITS: usize = 6;
const TAKEN: &str = "There is a field with this key.";

/// What programs write before a key that is a filter or a column.
pub(super) const PREFIX: &str = "cf_";

/// What fields say, by their keys.
pub(super) type Given = BTreeMap<String, Value>;

/// A value as a list is narrowed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Indexed {
    Text(String),
    Number(i64),
}

/// What is to be stored of what was given.
#[derive(Clone, Default)]
pub(super) struct Taken {
    /// For the row itself.
    pub(super) stored: String,
    /// By field: its value, or none where it goes.
    values: Vec<(CustomFieldId, Option<Indexed>)>,
}

/// Of what something is said.
#[derive(Clone, Copy)]
pub(super) enum About {
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

fn parse(stored: &str) -> Map<String, Value> {
    serde_json::from_str(stored).unwrap_or_default()
}

/// What a row says, by the keys of the fields that there are.
pub(super) fn shown(stored: &str, fields: &[custom_field::Model]) -> Given {
    let mut values = parse(stored);
    fields.iter().filter_map(|field| Some((field.key.clone(), values.remove(&field.id.to_string())?))).collect()
}

/// Reads a value for a field: how it is stored, and how it is found.
fn read(field: &custom_field::Model, value: &Value) -> Result<(Value, Indexed), String> {
    let text = value.as_str().map(str::trim);
    match (field.kind, text) {
        (CustomKind::Text, Some(text)) => {
            if text.is_empty() || text.chars().count() > LONGEST || text.contains(char::is_control) {
                return Err(format!("One line of up to {LONGEST} characters is needed."));
            }
            Ok((text.into(), Indexed::Text(text::fold(text).chars().take(INDEXED).collect())))
        }
        (CustomKind::Number, _) => {
            // A JSON fraction is a float for most who read it, and 0.1 is none.
            let typed = text.map(str::to_owned).or_else(|| value.as_i64().map(|number| number.to_string()));
            let typed = typed.ok_or("A decimal number as a string like \"12.5\" is needed.")?;
            let number = fixed_point(&typed, DIGITS)?;
            Ok((write_fixed_point(number, DIGITS).into(), Indexed::Number(number)))
        }
        (CustomKind::Day, Some(text)) => {
            let day = Day::parse(text).ok_or("A day like 2025-09-01 is needed.")?;
            Ok((day.as_str().into(), Indexed::Text(day.to_string())))
        }
        (CustomKind::Boolean, _) => {
            // Addresses and tables know texts only.
            let typed = value.as_bool().or(match text {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            });
            let yes = typed.ok_or("Either true or false is needed.")?;
            Ok((yes.into(), Indexed::Number(i64::from(yes))))
        }
        (CustomKind::Choice, Some(text)) => {
            let options: Vec<String> = serde_json::from_str(&field.options).unwrap_or_default();
            if !options.iter().any(|option| option == text) {
                return Err(format!("Choose from: {}.", options.join(", ")));
            }
            Ok((text.into(), Indexed::Text(text::fold(text))))
        }
        _ => Err("A string is needed.".to_owned()),
    }
}

/// Takes over what was given. `stored` is what there was: none for something new, which has to have what is
/// required.
///
/// # Errors
/// What is wrong, by key.
pub(super) fn take(
    fields: &[custom_field::Model],
    stored: Option<&str>,
    given: &Given,
) -> Result<Taken, kernel::FieldErrors> {
    let mut errors = FieldErrors::new();
    let mut row = parse(stored.unwrap_or_default());
    let mut values = Vec::new();
    for (key, value) in given {
        let Some(field) = fields.iter().find(|field| field.key == *key) else {
            errors.insert(format!("custom.{key}"), vec!["There is no such field.".to_owned()]);
            continue;
        };
        if value.is_null() {
            row.remove(&field.id.to_string());
            values.push((field.id, None));
            continue;
        }
        match read(field, value) {
            Ok((value, indexed)) => {
                row.insert(field.id.to_string(), value);
                values.push((field.id, Some(indexed)));
            }
            Err(message) => {
                errors.insert(format!("custom.{key}"), vec![message]);
            }
        }
    }
    let asked = |field: &&custom_field::Model| stored.is_none() || given.contains_key(&field.key);
    for field in fields.iter().filter(|field| field.is_required).filter(asked) {
        let name = format!("custom.{}", field.key);
        if !row.contains_key(&field.id.to_string()) && !errors.contains_key(&name) {
            errors.insert(name, vec!["This field is required.".to_owned()]);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let stored = if row.is_empty() { String::new() } else { Value::Object(row).to_string() };
    Ok(Taken { stored, values })
}

/// What two rows say, of which the upper one has the last word.
pub(super) fn over(lower: &str, upper: &str) -> String {
    let mut all = parse(lower);
    all.extend(parse(upper));
    if all.is_empty() { String::new() } else { Value::Object(all).to_string() }
}

impl Taken {
    /// What there is of it and of what was there before, for the row itself.
    pub(super) fn over(&self, stored: &str) -> String {
        over(stored, &self.stored)
    }

    /// What there is to be found of it, as rows.
    pub(super) fn rows(&self, org: OrganizationId, about: About) -> impl Iterator<Item = custom_value::ActiveModel> {
        let row = move |(field, value): &(CustomFieldId, Option<Indexed>)| {
            let (text, number) = match value.clone()? {
                Indexed::Text(text) => (Some(text), None),
                Indexed::Number(number) => (None, Some(number)),
            };
            let (client, deal) = match about {
                About::Client(client) => (Some(client), None),
                About::Deal(deal) => (None, Some(deal)),
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

    /// Stores what there is to be found of it.
    pub(super) async fn keep(self, conn: &impl ConnectionTrait, org: OrganizationId, about: About) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let whose = match about {
            About::Client(client) => custom_value::COLUMN.client_id.eq(client),
            About::Deal(deal) => custom_value::COLUMN.deal_id.eq(deal),
        };
        custom_value::Entity::delete_many()
            .filter(custom_value::COLUMN.org_id.eq(org))
            .filter(whose)
            .filter(custom_value::COLUMN.field_id.is_in(self.values.iter().map(|(field, _)| *field)))
            .exec(conn)
            .await?;
        let rows: Vec<_> = self.rows(org, about).collect();
        if !rows.is_empty() {
            custom_value::Entity::insert_many(rows).exec_without_returning(conn).await?;
        }
        Ok(())
    }
}

fn all_fields(org: OrganizationId, entity: Customized) -> Select<custom_field::Entity> {
    custom_field::Entity::find()
        .filter(custom_field::COLUMN.org_id.eq(org))
        .filter(custom_field::COLUMN.entity.eq(entity))
        .order_by_asc(custom_field::Column::Id)
        .limit(MOST)
}

/// The fields that an organization has added.
pub(super) async fn fields_of(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: Customized,
) -> Result<Vec<custom_field::Model>> {
    Ok(all_fields(org, entity).all(conn).await?)
}

/// The same for an act that stores what they say: none of them goes before it is through.
async fn kept_fields(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: Customized,
) -> Result<Vec<custom_field::Model>> {
    lock_as(conn, all_fields(org, entity), LockType::KeyShare).await?;
    fields_of(conn, org, entity).await
}

/// The fields that are needed to show rows: none are read where no row says anything.
pub(super) async fn fields_for(
    conn: &impl ConnectionTrait,
    org: Option<OrganizationId>,
    entity: Customized,
    mut stored: impl Iterator<Item = &String>,
) -> Result<Vec<custom_field::Model>> {
    match org {
        Some(org) if stored.any(|stored| !stored.is_empty()) => fields_of(conn, org, entity).await,
        _ => Ok(Vec::new()),
    }
}

/// Takes over what is given for something new.
pub(super) async fn take_new(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: Customized,
    given: &Given,
) -> Result<Taken> {
    let fields = if given.is_empty() {
        // Only what is required is of interest, and nothing is stored that points at a field.
        fields_of(conn, org, entity).await?
    } else {
        kept_fields(conn, org, entity).await?
    };
    Ok(take(&fields, None, given).map_err(kernel::Error::invalid)?)
}

/// Takes over what is changed.
pub(super) async fn take_changed(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: Customized,
    stored: &str,
    given: &Given,
) -> Result<Taken> {
    let fields = kept_fields(conn, org, entity).await?;
    Ok(take(&fields, Some(stored), given).map_err(kernel::Error::invalid)?)
}

/// The keys of an organization's fields, by their ids as rows have them.
pub(super) async fn keys_of(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<HashMap<String, String>> {
    let found = custom_field::Entity::find()
        .select_only()
        .column(custom_field::Column::Id)
        .column(custom_field::Column::Key)
        .filter(custom_field::COLUMN.org_id.eq(org))
        .limit(2 * MOST);
    let keys = found.into_tuple::<(CustomFieldId, String)>().all(conn).await?;
    Ok(keys.into_iter().map(|(id, key)| (id.to_string(), key)).collect())
}

/// What became different in what rows say, field by field. A field that is gone is called by its id.
pub(super) fn difference(change: &Value, keys: &HashMap<String, String>) -> Vec<(String, (Value, Value))> {
    let [before, after] = [0, 1].map(|at| parse(change[at].as_str().unwrap_or_default()));
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |row: &Map<String, Value>, id: &String| row.get(id).cloned().unwrap_or_default();
    let of = |id: &String| (format!("custom.{}", keys.get(id).unwrap_or(id)), (value(&before, id), value(&after, id)));
    ids.into_iter().map(of).filter(|(_, (before, after))| before != after).collect()
}

fn value_of(indexed: Indexed) -> SqlValue {
    match indexed {
        Indexed::Text(text) => text.into(),
        Indexed::Number(number) => number.into(),
    }
}

/// What rows have to fulfil by the fields of the organization's own: `?cf_region=north`.
pub(super) async fn condition<C: ColumnTrait>(
    conn: &impl ConnectionTrait,
    access: &Access,
    entity: Customized,
    id: C,
    filter: &Filter,
) -> Result<Condition> {
    let mut all = Condition::all();
    let asked: Vec<(&str, &str)> = filter.beginning_with(PREFIX).collect();
    if asked.is_empty() {
        return Ok(all);
    }
    let fields = fields_of(conn, access.org.id, entity).await?;
    for (name, value) in asked {
        let refused = |message: String| Error::field(name, message);
        let (key, operator) = name.split_once("__").unwrap_or((name, ""));
        let key = key.strip_prefix(PREFIX).unwrap_or(key);
        let Some(field) = fields.iter().find(|field| field.key == key) else {
            return Err(refused("There is no such field.".to_owned()));
        };
        let indexed = |text: &str| read(field, &text.into()).map(|(_, indexed)| value_of(indexed)).map_err(refused);
        let column = match field.kind {
            CustomKind::Number | CustomKind::Boolean => custom_value::Column::NumberValue,
            _ => custom_value::Column::TextValue,
        };
        let said = match entity {
            Customized::Client => custom_value::Column::ClientId,
            Customized::Deal => custom_value::Column::DealId,
        };
        let values = custom_value::Entity::find()
            .select_only()
            .column(said)
            .filter(custom_value::COLUMN.org_id.eq(access.org.id))
            .filter(custom_value::COLUMN.field_id.eq(field.id))
            .filter(said.is_not_null());
        let ordered = matches!(field.kind, CustomKind::Number | CustomKind::Day);
        let found = match operator {
            "" => values.filter(column.eq(indexed(value)?)),
            "in" => {
                let words: Vec<&str> = value.split(',').map(str::trim).collect();
                if words.len() > 100 {
                    return Err(refused("No more than 100 values are taken.".to_owned()));
                }
                values.filter(column.is_in(words.into_iter().map(indexed).collect::<Result<Vec<_>>>()?))
            }
            "gte" if ordered => values.filter(column.gte(indexed(value)?)),
            "lte" if ordered => values.filter(column.lte(indexed(value)?)),
            "gt" if ordered => values.filter(column.gt(indexed(value)?)),
            "lt" if ordered => values.filter(column.lt(indexed(value)?)),
            "isnull" => values,
            _ => return Err(refused("There is no such comparison for this field.".to_owned())),
        };
        all = all.add(match (operator, value) {
            ("isnull", "true") => id.not_in_subquery(found.into_query()),
            ("isnull", "false") => id.in_subquery(found.into_query()),
            ("isnull", _) => return Err(refused("Either true or false is needed.".to_owned())),
            _ => id.in_subquery(found.into_query()),
        });
    }
    Ok(all)
}

/// A choice has something to choose from, and nothing else has.
fn check_options(kind: CustomKind, options: &[String]) -> Result<()> {
    let mut options: Vec<&str> = options.iter().map(|option| option.trim()).collect();
    let all = options.len();
    options.sort_unstable();
    options.dedup();
    match kind {
        CustomKind::Choice if all == 0 => Err(Error::field("options", "Say what may be chosen.")),
        CustomKind::Choice if options.len() < all => Err(Error::field("options", "Give each once.")),
        CustomKind::Choice => Ok(()),
        _ if all > 0 => Err(Error::field("options", "Only a choice has options.")),
        _ => Ok(()),
    }
}

fn write_options(options: &[String]) -> String {
    Value::from(options.iter().map(|option| option.trim()).collect::<Vec<_>>()).to_string()
}

/// A field of the organization.
async fn find(conn: &impl ConnectionTrait, access: &Access, id: CustomFieldId) -> Result<custom_field::Model> {
    let found = custom_field::Entity::find_by_id(id).filter(custom_field::COLUMN.org_id.eq(access.org.id));
    found.one(conn).await?.ok_or(Error::NotFound("field"))
}

#[async_trait]
impl CustomFields for SqlDeals {
    async fn custom_fields(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<CustomField>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let select = custom_field::Entity::find().filter(custom_field::COLUMN.org_id.eq(access.org.id));
        let ordering =
            Ordering { fields: &[("id", custom_field::Column::Id)], usual: "id", id: custom_field::Column::Id };
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
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::CustomFieldManage).await?;
            if fields_of(conn, org, new.entity).await?.len() as u64 >= MOST {
                return Err(Error::field("entity", format!("There are {MOST} fields at most.")));
            }
            let now = self.now();
            let row = custom_field::ActiveModel {
                id: NotSet,
                org_id: Set(org),
                entity: Set(new.entity),
                key: Set(new.key.clone()),
                name: Set(new.name.trim().to_owned()),
                kind: Set(new.kind),
                options: Set(write_options(&new.options)),
                is_required: Set(new.is_required),
                created_at: Set(now),
                updated_at: Set(now),
            };
            let row = row.insert(conn).await?;
            self.made(conn, (caller, &access), "deals.create_custom_field", &row).await?;
            Ok(show(row))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["key"], TAKEN))
    }

    async fn custom_field(&self, caller: &Caller, org: OrganizationId, id: CustomFieldId) -> Result<CustomField> {
        let access = self.enter(self.db.conn(), caller, org).await?;
        Ok(show(find(self.db.conn(), &access, id).await?))
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
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<custom_field::Entity>(conn, id).await?;
            let access = self.enter_to(conn, caller, org, Permission::CustomFieldManage).await?;
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
                after.options = write_options(options);
            }
            after.is_required = patch.is_required.unwrap_or(after.is_required);
            after.updated_at = self.now();
            store(conn, &before, &after).await?;
            self.changed(conn, (caller, &access), "deals.change_custom_field", &before, &after).await?;
            Ok(show(after))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["key"], TAKEN))
    }

    async fn delete_custom_field(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: CustomFieldId,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<custom_field::Entity>(conn, id).await?;
            let access = self.enter_to(conn, caller, org, Permission::CustomFieldManage).await?;
            let row = find(conn, &access, id).await?;
            access.check(known, row.updated_at)?;
            custom_field::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("key", row.key.into()), ("name", row.name.into())];
            let what = ("custom_field", id.0);
            self.noted(conn, (caller, &access), "deals.delete_custom_field", what, detail).await
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;
    use serde_json::json;

    use super::*;

    fn field(id: i64, kind: CustomKind, is_required: bool) -> custom_field::Model {
        custom_field::Model {
            id: CustomFieldId(id),
            org_id: OrganizationId(1),
            entity: Customized::Deal,
            key: format!("f{id}"),
            name: String::new(),
            kind,
            options: write_options(&["Nord".to_owned(), "Süd".to_owned()]),
            is_required,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_value_is_read_as_its_field_says() {
        let text = |text: &str| Indexed::Text(text.to_owned());
        for (kind, given, stored, indexed) in [
            (CustomKind::Text, json!(" Straße "), json!("Straße"), text("strasse")),
            (CustomKind::Number, json!("012.50"), json!("12.5"), Indexed::Number(12_500_000)),
            (CustomKind::Number, json!(-3), json!("-3"), Indexed::Number(-3_000_000)),
            (CustomKind::Day, json!("2025-02-28"), json!("2025-02-28"), text("2025-02-28")),
            (CustomKind::Boolean, json!(true), json!(true), Indexed::Number(1)),
            (CustomKind::Choice, json!("Süd"), json!("Süd"), text("süd")),
        ] {
            assert_eq!(read(&field(1, kind, false), &given), Ok((stored, indexed)), "{given}");
        }
        for (kind, given) in [
            (CustomKind::Text, json!("")),
            (CustomKind::Text, json!("a\nb")),
            (CustomKind::Text, json!(1)),
            (CustomKind::Number, json!(0.1)),
            (CustomKind::Number, json!("1e3")),
            (CustomKind::Number, json!("1.1234567")),
            (CustomKind::Day, json!("2025-02-29")),
            (CustomKind::Boolean, json!("yes")),
            (CustomKind::Choice, json!("West")),
        ] {
            assert!(read(&field(1, kind, false), &given).is_err(), "{given}");
        }
    }

    #[test]
    fn what_is_required_is_needed_once_and_never_cleared() {
        let fields = [field(1, CustomKind::Text, true), field(2, CustomKind::Boolean, false)];
        let given = |value: Value| serde_json::from_value::<Given>(value).unwrap();
        let missing = take(&fields, None, &Given::new()).err().unwrap();
        assert_eq!(missing.keys().collect::<Vec<_>>(), ["custom.f1"]);
        let taken = take(&fields, None, &given(json!({"f1": "x"}))).ok().unwrap();
        assert_eq!(shown(&taken.stored, &fields), given(json!({"f1": "x"})));
        // What was there before the field became required may go on without.
        assert!(take(&fields, Some(""), &given(json!({"f2": true}))).is_ok());
        assert!(take(&fields, Some(&taken.stored), &given(json!({"f1": null}))).is_err());
        assert!(take(&fields, Some(&taken.stored), &given(json!({"f3": 1}))).is_err());
        // A field that is gone says nothing any more.
        assert_eq!(shown(&taken.stored, &fields[1..]), Given::new());
    }
}
