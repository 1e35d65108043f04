//! Organizations: making, changing and removing them.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Quota, Slice, SliceQuery, Timestamp, audit, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Set,
};

use super::{
    SqlDeals,
    access::{Access, active_members},
    lock, lock_to_remove, many, number,
    pipelines::usual_stages,
    store,
};
use crate::{
    Change, Currency, Error, Found, Holding, MemberStatus, NewOrganization, Organization, OrganizationId,
    OrganizationPatch, Organizations, Overpayment, Own, Result,
    entity::{client, counter, member, organization, pipeline, role},
    permission::{Grants, OWNER, PRESETS, Permission},
};

/// An organization as somebody with this role sees it.
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
        overpayment: if row.takes_credit { Overpayment::Credit } else { Overpayment::Reject },
        requires_if_match: row.requires_if_match,
        four_eyes: row.four_eyes,
        creator_keeps_access: row.creator_keeps_access,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

#[derive(DerivePartialModel)]
#[sea_orm(entity = "organization::Entity", from_query_result)]
struct Listed {
    id: OrganizationId,
}

/// The roles and the pipeline that every organization begins with, and its owner.
async fn furnish(
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
        let grants =
            if preset.key == OWNER { Grants::everything() } else { Grants::parse(preset.words).unwrap_or_default() };
        let row = role::ActiveModel {
            id: NotSet,
            org_id: Set(org),
            key: Set(Some(preset.key.to_owned())),
            name: Set(preset.name.to_owned()),
            name_key: Set(text::fold(preset.name)),
            permissions: Set(serde_json::Value::from(grants.words()).to_string()),
            created_at: Set(now),
            updated_at: Set(now),
        };
        roles.push(row.insert(conn).await?);
    }
    // The owner's role stands first.
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
    for stage in usual_stages(org, pipeline.id, now) {
        stage.insert(conn).await?;
    }
    Ok((member, role))
}

impl SqlDeals {
    async fn insert(&self, caller: &Caller, new: &NewOrganization, slug: &str) -> Result<Organization> {
        let now = self.now();
        let name = new.name.trim();
        let row = &organization::ActiveModel {
            id: NotSet,
            name: Set(name.to_owned()),
            name_key: Set(text::fold(name)),
            slug: Set(slug.to_owned()),
            is_test: Set(new.is_test),
            default_currency: Set(match &new.default_currency {
                Some(currency) => currency.clone(),
                None => Currency::from_code("USD").ok_or_else(|| Error::field("default_currency", "Name one."))?,
            }),
            number_prefix: Set("DLID".to_owned()),
            number_pad: Set(4),
            takes_credit: Set(false),
            requires_if_match: Set(false),
            four_eyes: Set(false),
            creator_keeps_access: Set(true),
            created_at: Set(now),
            updated_at: Set(now),
            has_webhooks: Set(false),
            time_zone: Set("UTC".to_owned()),
            approval_above_minor: Set(None),
        };
        self.act(|tx| async move {
            let conn = tx.conn();
            let quota = Quota::per_day("organizations", self.host.settings.organizations_per_day.into());
            quota.take(conn, caller.user, 1, now).await?;
            let org = row.clone().insert(conn).await?;
            let (member, role) = furnish(conn, org.id, caller, now).await?;
            let access = Access::of(org, member, role);
            self.made(conn, (caller, &access), "deals.create_organization", &access.org).await?;
            Ok(show(access.org, access.role.name))
        })
        .await
    }
}

#[async_trait]
impl Organizations for SqlDeals {
    async fn create_organization(&self, caller: &Caller, new: NewOrganization) -> Result<Organization> {
        new.validate()?;
        let [plain, distinct] = text::slugs(&new.name, "organization")?;
        match self.insert(caller, &new, &plain).await {
            Err(error) if error.broken_rule().is_some_and(|rule| rule.contains("slug")) => {
                self.insert(caller, &new, &distinct).await
            }
            outcome => outcome,
        }
    }

    async fn organizations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Organization>> {
        let conn = self.db.conn();
        let own = active_members().filter(member::COLUMN.user_id.eq(caller.user));
        let ids = own.clone().select_only().column(member::Column::OrgId).into_query();
        let ordering = Ordering {
            fields: &[("id", organization::Column::Id), ("name", organization::Column::NameKey)],
            usual: "id",
            id: organization::Column::Id,
        };
        let select = organization::Entity::find().filter(organization::Column::Id.in_subquery(ids));
        let page = Page::<Listed>::fetch(select, &ordering, &page, conn).await?;
        let shown: Vec<OrganizationId> = page.results.iter().map(|listed| listed.id).collect();
        let found = own
            .filter(member::COLUMN.org_id.is_in(shown))
            .find_also_related(organization::Entity)
            .find_also_related(role::Entity)
            .all(conn)
            .await?;
        let mut seen: std::collections::HashMap<_, _> =
            found.into_iter().filter_map(|(_, org, role)| Some((org.as_ref()?.id, show(org?, role?.name)))).collect();
        Ok(page.with(|listed| listed.into_iter().filter_map(|listed| seen.remove(&listed.id)).collect()))
    }

    async fn only_organization(&self, caller: &Caller) -> Result<OrganizationId> {
        let own = active_members().filter(member::COLUMN.user_id.eq(caller.user));
        let own = own.select_only().column(member::Column::OrgId).limit(2).into_tuple().all(self.db.conn()).await?;
        match own[..] {
            [only] => Ok(only),
            [] => Err(Error::NotFound("organization")),
            _ => Err(Error::OrganizationRequired),
        }
    }

    async fn organization(&self, caller: &Caller, org: OrganizationId) -> Result<Organization> {
        let access = self.enter(self.db.conn(), caller, org).await?;
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
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::OrganizationUpdate).await?;
            access.check(known, access.org.updated_at)?;
            if patch.is_test.is_some() {
                // What is marked as a test's is cleaned away.
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
                        return Err(Error::field("approval_above", "Nothing at least."));
                    }
                    after.approval_above_minor = Some(minor);
                }
                Some(None) => after.approval_above_minor = None,
                None if after.default_currency != before.default_currency && after.approval_above_minor.is_some() => {
                    return Err(Error::field("approval_above", "Say it in the new currency, too."));
                }
                None => {}
            }
            after.is_test = patch.is_test.unwrap_or(after.is_test);
            after.number_pad = patch.number_pad.unwrap_or(after.number_pad);
            after.takes_credit = patch.overpayment.map_or(after.takes_credit, |what| what == Overpayment::Credit);
            after.requires_if_match = patch.requires_if_match.unwrap_or(after.requires_if_match);
            after.four_eyes = patch.four_eyes.unwrap_or(after.four_eyes);
            after.creator_keeps_access = patch.creator_keeps_access.unwrap_or(after.creator_keeps_access);
            after.updated_at = self.now();
            store(conn, &before, &after).await?;
            self.changed(conn, (caller, &access), "deals.change_organization", &before, &after).await?;
            Ok(show(after, access.role.name))
        })
        .await
    }

    async fn delete_organization(&self, caller: &Caller, org: OrganizationId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock_to_remove::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::OrganizationDelete).await?;
            access.check(known, access.org.updated_at)?;
            let clients = number(conn, "SELECT COUNT(*) FROM deals_client WHERE org_id = $1", [org.into()]).await?;
            if clients > 0 {
                let names = client::Entity::find()
                    .select_only()
                    .column(client::Column::Name)
                    .filter(client::COLUMN.org_id.eq(org))
                    .order_by_asc(client::Column::Id)
                    .limit(5);
                let examples = names.into_tuple().all(conn).await?;
                let held = Holding { model: "client", relation: "organization", count: many(clients), examples };
                let detail = "The organization still has clients, in the trash perhaps.";
                return Err(Error::Protected(detail, vec![held], &["purge"]));
            }
            let detail = vec![("name", access.org.name.clone().into())];
            let what = ("organization", org.0);
            self.noted(conn, (caller, &access), "deals.delete_organization", what, detail).await?;
            self.clear(conn, org).await?;
            Ok(())
        })
        .await
    }

    async fn own_membership(&self, caller: &Caller, org: OrganizationId) -> Result<Own> {
        let access = self.enter(self.db.conn(), caller, org).await?;
        let permissions = access.grants.words();
        let member = self.show_members(&access, vec![(access.member.clone(), Some(access.role.clone()))]).await?;
        let member = member.into_iter().next().ok_or(Error::NotFound("member"))?;
        Ok(Own { member, permissions })
    }

    async fn search(&self, caller: &Caller, org: OrganizationId, words: String) -> Result<Found> {
        self.find_anything(caller, org, &words).await
    }

    async fn changes(&self, caller: &Caller, org: OrganizationId, slice: SliceQuery) -> Result<Slice<Change>> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::AuditRead).await?;
        let entries = audit::within(self.db.conn(), &access.realm(), &slice).await?;
        self.show_changes(&access, entries).await
    }
}
