//! Definitions of custom fields: the service.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Ordering, Page, PageQuery,
    db::{self, QueryTemplate, Tx},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Set,
    sea_query::{LockType, SelectStatement},
};
use serde_json::Value;

use crate::{
    CustomField, CustomFieldId, CustomFieldPatch, CustomFieldTarget, CustomFieldType, CustomFields, Error,
    NewCustomField, OrganizationId, Result, SqlCustomFields,
    core::access::Access,
    entity::{custom_field, organization},
    permission::Permission,
};

/// The maximum number of fields for clients, and for deals.
pub(super) const MAX_FIELDS: u64 = 50;
const KEY_TAKEN: &str = "A field with this key already exists.";

fn show(row: custom_field::Model) -> CustomField {
    CustomField {
        id: row.id,
        entity: row.entity,
        options: options_of(&row),
        key: row.key,
        name: row.name,
        kind: row.kind,
        is_required: row.is_required,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn all_fields(org: OrganizationId, entity: CustomFieldTarget) -> Select<custom_field::Entity> {
    custom_field::Entity::find()
        .filter(custom_field::COLUMN.org_id.eq(org))
        .filter(custom_field::COLUMN.entity.eq(entity))
        .order_by_asc(custom_field::Column::Id)
        .limit(MAX_FIELDS)
}

static FIELDS: QueryTemplate<CustomFieldTarget> = QueryTemplate::new(|entity, ids| {
    let [org] = *ids else { return SelectStatement::new() };
    all_fields(OrganizationId(org), *entity).into_query()
});

/// The custom fields of an organization.
pub(crate) async fn fields_of(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    entity: CustomFieldTarget,
) -> Result<Vec<custom_field::Model>> {
    Ok(FIELDS.rows(conn, &entity, &[org.0]).await?)
}

/// Locks the custom fields for an operation that stores values: they cannot be deleted until the transaction ends.
pub(crate) async fn lock_fields(tx: &Tx, org: OrganizationId, entity: CustomFieldTarget) -> Result<()> {
    db::lock_rows(tx, || all_fields(org, entity), LockType::KeyShare).await?;
    Ok(())
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

pub(super) fn options_of(field: &custom_field::Model) -> Vec<String> {
    serde_json::from_str(&field.options).unwrap_or_default()
}

pub(super) fn options_json(options: &[String]) -> String {
    Value::from(options.iter().map(|option| option.trim()).collect::<Vec<_>>()).to_string()
}

/// A custom field of the organization.
async fn find(conn: &impl ConnectionTrait, access: &Access, id: CustomFieldId) -> Result<custom_field::Model> {
    let found = custom_field::Entity::find_by_id(id).filter(custom_field::COLUMN.org_id.eq(access.org.id));
    found.one(conn).await?.ok_or(Error::NotFound("field"))
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
        Ok(page.with_results(|rows| rows.into_iter().map(show).collect()))
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<custom_field::Entity>(conn, id).await?;
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
                if let Some(is_required) = patch.is_required {
                    after.is_required = is_required;
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<custom_field::Entity>(conn, id).await?;
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
