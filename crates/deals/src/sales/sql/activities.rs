//! Activities.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery,
    db::{self, Tx},
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select, Set,
};

use crate::{
    Activities, Activity, ClientId, DealId, DealRef, NewActivity, OrganizationId, Result, SqlTasks,
    core::{People, access::Access},
    entity::{activity, client, deal},
    permission::Permission,
};

fn show(row: activity::Model, people: &People) -> Activity {
    Activity {
        id: row.id,
        client_id: row.client_id,
        deal_id: row.deal_id,
        kind: row.kind,
        content: row.content,
        happened_at: row.happened_at,
        created_by: people.get(row.created_by),
        created_at: row.created_at,
    }
}

impl SqlTasks {
    async fn read_activities(
        &self,
        select: Select<activity::Entity>,
        cursor: &CursorQuery,
    ) -> Result<CursorPage<Activity>> {
        let conn = self.core.db.conn();
        let rows = cursor.apply(select, activity::Column::Id).all(conn).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row: &activity::Model| row.id.0, cursor).split();
        let people = self.core.members_as_people(conn, rows.iter().map(|row| row.created_by)).await?;
        Ok(page.with_results(rows.into_iter().map(|row| show(row, &people)).collect()))
    }

    async fn insert_activity(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        client: ClientId,
        deal: Option<DealId>,
        new: &NewActivity,
    ) -> Result<activity::Model> {
        let now = self.core.now();
        let row = activity::ActiveModel {
            id: NotSet,
            org_id: Set(access.org.id),
            client_id: Set(client),
            deal_id: Set(deal),
            kind: Set(new.kind),
            content: Set(new.content.trim().to_owned()),
            happened_at: Set(new.happened_at.unwrap_or(now)),
            created_by: Set(access.member.id),
            created_at: Set(now),
        };
        let row = db::insert(tx, row).await?;
        let detail = vec![("client", client.0.into()), ("deal", deal.map(|deal| deal.0).into())];
        self.core.record(tx, (caller, access), "deals.log_activity", ("activity", row.id.0), detail).await?;
        Ok(row)
    }

    /// An activity that the caller has logged.
    async fn show_logged(&self, caller: &Caller, row: activity::Model) -> Result<Activity> {
        let people = self.core.accounts_as_people([(row.created_by, caller.user)]).await?;
        Ok(show(row, &people))
    }
}

#[async_trait]
impl Activities for SqlTasks {
    async fn timeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Activity>> {
        let conn = self.core.db.conn();
        let (access, _) = self.core.access_to_client(conn, caller, (org, client), Permission::ClientRead).await?;
        // Without activities about deals that the caller may not see.
        let deals = access.deals().select_only().column(deal::Column::Id).into_query();
        let is_visible =
            Condition::any().add(activity::COLUMN.deal_id.is_null()).add(activity::Column::DealId.in_subquery(deals));
        let select = activity::Entity::find()
            .filter(activity::COLUMN.org_id.eq(org))
            .filter(activity::COLUMN.client_id.eq(client))
            .filter(is_visible);
        self.read_activities(select, &cursor).await
    }

    async fn activities(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Activity>> {
        let conn = self.core.db.conn();
        let (_, deal) = self.core.access_to_deal(conn, caller, (org, deal_ref), Permission::DealRead).await?;
        let select = activity::Entity::find()
            .filter(activity::COLUMN.org_id.eq(org))
            .filter(activity::COLUMN.deal_id.eq(deal.id));
        self.read_activities(select, &cursor).await
    }

    async fn log_with_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewActivity,
    ) -> Result<Activity> {
        new.validate()?;
        let new = &new;
        let row = self
            .core
            .db
            .write(|tx| async move {
                db::lock::<client::Entity>(&tx, client).await?;
                let path = (org, client);
                let (access, _) = self.core.access_to_client(&tx, caller, path, Permission::ClientUpdate).await?;
                self.insert_activity(&tx, (caller, &access), client, None, new).await
            })
            .await?;
        self.show_logged(caller, row).await
    }

    async fn log_activity(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        new: NewActivity,
    ) -> Result<Activity> {
        new.validate()?;
        let new = &new;
        let row = self
            .core
            .db
            .write(|tx| async move {
                let locked = self.core.lock_deal(&tx, caller, org, deal_ref, Permission::DealUpdate).await?;
                let (access, deal) = (locked.access, locked.before);
                self.insert_activity(&tx, (caller, &access), deal.client_id, Some(deal.id), new).await
            })
            .await?;
        self.show_logged(caller, row).await
    }
}
