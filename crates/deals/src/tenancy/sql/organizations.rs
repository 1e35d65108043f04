//! Organizations.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Ordering, Page, PageQuery, Quota, Timestamp, audit, db, text,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};

use crate::{
    Change, Currency, Error, MemberBlocker, MemberStatus, NewOrganization, Organization, OrganizationId,
    OrganizationPatch, Organizations, Overpayment, OwnMembership, Result, SqlTenancy,
    core::access::{Access, active_members},
    entity::{client, counter, member, organization, pipeline, role},
    permission::{Grants, OWNER, PRESETS, Permission},
    sales::sql::pipelines::default_stages,
};

/// Converts an organization to what a member with this role sees.
fn show(row: organization::Model, role: String) -> Organization {
    Organization {
        approval_above: row.approval_above_minor.map(|minor| row.default_currency.format(i128::from(minor))),
        time_zone: row.time_zone,
        id: row.id,
        name: row.name,
        slug: row.slug,
        is_test: row.is_test,
        default_currency: row.default_currency,
        role,
        number_prefix: row.number_prefix,
        number_pad: row.number_pad,
        overpayment: row.overpayment,
        requires_if_match: row.requires_if_match,
        four_eyes: row.four_eyes,
        creator_keeps_access: row.creator_keeps_access,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

#[derive(DerivePartialModel)]
#[sea_orm(entity = "organization::Entity", from_query_result)]
struct OrganizationKey {
    id: OrganizationId,
}

/// Creates the counters, preset roles and default pipeline of a new organization, and the membership of its owner.
async fn create_defaults(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    owner: &Caller,
    now: Timestamp,
) -> Result<(member::Model, role::Model)> {
    for kind in ["deal", "payment"] {
        let counter = counter::ActiveModel { org_id: Set(org), kind: Set(kind.to_owned()), next: Set(1) };
        counter::Entity::insert(counter).exec_without_returning(conn).await?;
    }
    let mut roles = Vec::new();
    for preset in PRESETS {
        let grants = if preset.key == OWNER {
            Grants::everything()
        } else {
            Grants::parse(preset.permissions).unwrap_or_default()
        };
        let row = role::ActiveModel {
            id: NotSet,
            org_id: Set(org),
            key: Set(Some(preset.key.to_owned())),
            name: Set(preset.name.to_owned()),
            name_key: Set(text::fold(preset.name)),
            permissions: Set(serde_json::Value::from(grants.names()).to_string()),
            created_at: Set(now),
            updated_at: Set(now),
        };
        roles.push(row.insert(conn).await?);
    }
    // The owner's role is the first preset.
    let role = roles.swap_remove(0);
    let row = member::ActiveModel {
        id: NotSet,
        org_id: Set(org),
        user_id: Set(Some(owner.user)),
        role_id: Set(role.id),
        team_id: Set(None),
        leads_team: Set(false),
        status: Set(MemberStatus::Active),
        invited_by: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
        commission_bp: Set(0),
    };
    let member = row.insert(conn).await?;
    let row = pipeline::ActiveModel {
        id: NotSet,
        org_id: Set(org),
        name: Set("Sales".to_owned()),
        name_key: Set("sales".to_owned()),
        position: Set(0),
        is_default: Set(true),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let pipeline = row.insert(conn).await?;
    for stage in default_stages(org, pipeline.id, now) {
        stage.insert(conn).await?;
    }
    Ok((member, role))
}

impl SqlTenancy {
    /// Whether there is any organization.
    pub async fn has_organizations(&self) -> Result<bool> {
        Ok(organization::Entity::find().one(self.core.db.conn()).await?.is_some())
    }

    async fn insert(&self, caller: &Caller, new: &NewOrganization, slug: &str) -> Result<Organization> {
        let now = self.core.now();
        let name = new.name.trim();
        let row = &organization::ActiveModel {
            id: NotSet,
            name: Set(name.to_owned()),
            name_key: Set(text::fold(name)),
            slug: Set(slug.to_owned()),
            is_test: Set(new.is_test),
            default_currency: Set(match &new.default_currency {
                Some(currency) => currency.clone(),
                None => Currency::from_code("USD")
                    .ok_or_else(|| Error::field("default_currency", "This field is required."))?,
            }),
            number_prefix: Set("DLID".to_owned()),
            number_pad: Set(4),
            overpayment: Set(Overpayment::Reject),
            requires_if_match: Set(false),
            four_eyes: Set(false),
            creator_keeps_access: Set(true),
            created_at: Set(now),
            updated_at: Set(now),
            has_webhooks: Set(false),
            time_zone: Set("UTC".to_owned()),
            approval_above_minor: Set(None),
        };
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let quota = Quota::per_day("organizations", self.core.host.settings.organizations_per_day.into());
                quota.consume(conn, caller.user, 1, now).await?;
                let org = row.clone().insert(conn).await?;
                let (member, role) = create_defaults(conn, org.id, caller, now).await?;
                let access = Access::new(org, member, role);
                self.core.record_created(conn, (caller, &access), "deals.create_organization", &access.org).await?;
                Ok(show(access.org, access.role.name))
            })
            .await
    }
}

#[async_trait]
impl Organizations for SqlTenancy {
    async fn create_organization(&self, caller: &Caller, new: NewOrganization) -> Result<Organization> {
        new.validate()?;
        let [plain, distinct] = text::slugs(&new.name, "organization")?;
        match self.insert(caller, &new, &plain).await {
            Err(error) if error.violated_constraint().is_some_and(|constraint| constraint.contains("slug")) => {
                self.insert(caller, &new, &distinct).await
            }
            outcome => outcome,
        }
    }

    async fn organizations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Organization>> {
        let conn = self.core.db.conn();
        let own = active_members().filter(member::COLUMN.user_id.eq(caller.user));
        let ids = own.clone().select_only().column(member::Column::OrgId).into_query();
        let ordering = Ordering {
            fields: &[("id", organization::Column::Id), ("name", organization::Column::NameKey)],
            default: "id",
            id: organization::Column::Id,
        };
        let select = organization::Entity::find().filter(organization::Column::Id.in_subquery(ids));
        let page = Page::<OrganizationKey>::fetch(select, &ordering, &page, conn).await?;
        let ids: Vec<OrganizationId> = page.results.iter().map(|key| key.id).collect();
        let rows = own
            .filter(member::COLUMN.org_id.is_in(ids))
            .find_also_related(organization::Entity)
            .find_also_related(role::Entity)
            .all(conn)
            .await?;
        let mut organizations: HashMap<_, _> =
            rows.into_iter().filter_map(|(_, org, role)| Some((org.as_ref()?.id, show(org?, role?.name)))).collect();
        Ok(page.with_results(|keys| keys.into_iter().filter_map(|key| organizations.remove(&key.id)).collect()))
    }

    async fn only_organization(&self, caller: &Caller) -> Result<OrganizationId> {
        let own = active_members().filter(member::COLUMN.user_id.eq(caller.user));
        let own =
            own.select_only().column(member::Column::OrgId).limit(2).into_tuple().all(self.core.db.conn()).await?;
        match own[..] {
            [only] => Ok(only),
            [] => Err(Error::NotFound("organization")),
            _ => Err(Error::OrganizationRequired),
        }
    }

    async fn organization(&self, caller: &Caller, org: OrganizationId) -> Result<Organization> {
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        Ok(show(access.org, access.role.name))
    }

    async fn change_organization(
        &self,
        caller: &Caller,
        org: OrganizationId,
        patch: OrganizationPatch,
        known: IfMatch,
    ) -> Result<Organization> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::OrganizationUpdate).await?;
                access.check(known, access.org.updated_at)?;
                if patch.is_test.is_some() {
                    // The cleanup of test data deletes the organization.
                    access.may(Permission::OrganizationDelete)?;
                }
                let before = access.org.clone();
                let mut after = before.clone();
                if let Some(name) = &patch.name {
                    name.trim().clone_into(&mut after.name);
                    after.name_key = text::fold(&after.name);
                }
                if let Some(prefix) = &patch.number_prefix {
                    after.number_prefix.clone_from(prefix);
                }
                if let Some(currency) = &patch.default_currency {
                    after.default_currency = currency.clone();
                }
                if let Some(zone) = &patch.time_zone {
                    after.time_zone.clone_from(zone);
                }
                match &patch.approval_above {
                    Some(Some(amount)) => {
                        let minor = amount.minor(&after.default_currency);
                        let minor = minor.map_err(|message| Error::field("approval_above", message))?;
                        if minor < 0 {
                            return Err(Error::field("approval_above", "Must not be negative."));
                        }
                        after.approval_above_minor = Some(minor);
                    }
                    Some(None) => after.approval_above_minor = None,
                    None if after.default_currency != before.default_currency
                        && after.approval_above_minor.is_some() =>
                    {
                        return Err(Error::field("approval_above", "Set this in the new currency as well."));
                    }
                    None => {}
                }
                after.is_test = patch.is_test.unwrap_or(after.is_test);
                after.number_pad = patch.number_pad.unwrap_or(after.number_pad);
                after.overpayment = patch.overpayment.unwrap_or(after.overpayment);
                after.requires_if_match = patch.requires_if_match.unwrap_or(after.requires_if_match);
                after.four_eyes = patch.four_eyes.unwrap_or(after.four_eyes);
                after.creator_keeps_access = patch.creator_keeps_access.unwrap_or(after.creator_keeps_access);
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_organization", &before, &after).await?;
                Ok(show(after, access.role.name))
            })
            .await
    }

    async fn delete_organization(&self, caller: &Caller, org: OrganizationId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock_to_remove::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::OrganizationDelete).await?;
                access.check(known, access.org.updated_at)?;
                let clients = client::Entity::find().filter(client::COLUMN.org_id.eq(org));
                let count = clients.clone().count(conn).await?;
                if count > 0 {
                    let names = clients.select_only().column(client::Column::Name).order_by_asc(client::Column::Id);
                    let examples = names.limit(5).into_tuple().all(conn).await?;
                    let blocker = MemberBlocker { model: "client", relation: "organization", count, examples };
                    let detail = "The organization still has clients, perhaps in the trash.";
                    return Err(Error::Protected(detail, vec![blocker], &["purge"]));
                }
                let detail = vec![("name", access.org.name.clone().into())];
                let object = ("organization", org.0);
                self.core.record(conn, (caller, &access), "deals.delete_organization", object, detail).await?;
                self.delete_all(conn, org).await?;
                Ok(())
            })
            .await
    }

    async fn own_membership(&self, caller: &Caller, org: OrganizationId) -> Result<OwnMembership> {
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        let permissions = access.grants.names();
        let member = self.show_members(&access, vec![(access.member.clone(), Some(access.role.clone()))]).await?;
        let member = member.into_iter().next().ok_or(Error::NotFound("member"))?;
        Ok(OwnMembership { member, permissions })
    }

    async fn changes(&self, caller: &Caller, org: OrganizationId, query: CursorQuery) -> Result<CursorPage<Change>> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::AuditRead).await?;
        let entries = audit::within(self.core.db.conn(), &access.scope(), &query).await?;
        self.core.show_changes(&access, entries).await
    }
}
