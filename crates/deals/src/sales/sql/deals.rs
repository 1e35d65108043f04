//! Deals.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, FieldErrors, IfMatch, Ordering, Page, PageQuery, Timestamp, UserId,
    db::Tx,
    idempotency::{self, IdempotencyKey, Idempotent, KeyScope},
    text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Set,
    sea_query::{Expr, Query, UnionType},
};

use super::{
    contacts, lines,
    pipelines::{required_fields, stages_of},
};
use crate::{
    Amount, Change, ClientId, ClientStub, CloseDeal, Currency, CustomFieldTarget, Day, Deal, DealId, DealPatch,
    DealRef, DealStatus, Deals, DeletedKind, Error, Filter, MemberId, MoveDeal, NewDeal, OrganizationId, PaymentStatus,
    PipelineId, Result, SqlSales, StageChange, StageId, StageRef, Verdict, Verification, Viewed,
    core::{Conn, Field, People, ValueKind, access::Access, as_field, execute, lock, next_number, scalar_i64, store},
    custom::sql::{self as custom, TargetId},
    entity::{client, custom_field, deal, member, organization, pipeline, stage, stage_change},
    event::{self, DealCreated, DealData, DealDeleted},
    permission::{Permission, Scope},
    rank,
    views::sql::apply_view,
};

/// The text that is searched: title and number, and the client's name on a line of its own.
pub(crate) fn search_text(title: &str, code: &str, client: &client::Model) -> String {
    format!("{} {}\n{}", text::fold(title), text::fold(code), client.name_key)
}

/// The sort key of the expected close date. Deals without a date sort last.
pub(crate) fn close_key(day: Option<&Day>) -> String {
    day.map_or_else(|| "~".to_owned(), ToString::to_string)
}

/// How much of a deal is paid.
fn payment_status(row: &deal::Model) -> PaymentStatus {
    match row.verified_minor {
        0 => PaymentStatus::Unpaid,
        paid if paid < row.value_minor => PaymentStatus::Partial,
        paid if paid == row.value_minor => PaymentStatus::Full,
        _ => PaymentStatus::Over,
    }
}

/// The names of clients, stages and people that deals refer to.
#[derive(Default)]
struct Names {
    clients: HashMap<ClientId, String>,
    stages: HashMap<StageId, String>,
    people: People,
}

fn show(row: deal::Model, names: &Names, fields: &[custom_field::Model]) -> Deal {
    let Names { clients, stages, people } = names;
    let money = |minor: i64| row.currency.format(i128::from(minor));
    Deal {
        id: row.id,
        number: row.code.clone(),
        deal_id: row.code.clone(),
        client: ClientStub { id: row.client_id, name: clients.get(&row.client_id).cloned().unwrap_or_default() },
        client_id: row.client_id,
        contact_id: row.contact_id,
        pipeline_id: row.pipeline_id,
        stage: stages.get(&row.stage_id).cloned().unwrap_or_default(),
        stage_id: row.stage_id,
        stage_entered_at: row.stage_entered_at,
        status: row.status,
        value: money(row.value_minor),
        paid_total: money(row.received_minor),
        verified_total: money(row.verified_minor),
        balance: row.currency.format(i128::from(row.value_minor) - i128::from(row.received_minor)),
        payment_status: payment_status(&row),
        currency: row.currency,
        probability: row.probability,
        source: row.source,
        expected_close_date: row.expected_close_date,
        closed_at: row.closed_at,
        lost_reason: row.lost_reason,
        verification_status: row.verification,
        verification_note: row.verification_note,
        owner: people.get(row.owner_id),
        created_by: people.get(row.created_by),
        custom: custom::values_by_key(&row.custom, fields),
        archived_at: row.archived_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        title: row.title,
        description: row.description,
    }
}

/// Parses the value of a deal into minor units.
pub(crate) fn parse_value(amount: &Amount, currency: &Currency) -> Result<i64> {
    let minor = amount.minor(currency).map_err(|message| Error::field("value", message))?;
    if minor < 0 { Err(Error::field("value", "Value must not be negative.")) } else { Ok(minor) }
}

/// Checks that a deal has the fields that its stage requires.
pub(crate) fn check_required_fields(row: &deal::Model, stage: &stage::Model) -> Result<()> {
    let is_missing = |field: &String| match field.as_str() {
        "value" => row.value_minor == 0,
        "contact_id" => row.contact_id.is_none(),
        "expected_close_date" => row.expected_close_date.is_none(),
        "description" => row.description.trim().is_empty(),
        "source" => row.source.trim().is_empty(),
        _ => false,
    };
    let missing = required_fields(stage).into_iter().filter(is_missing);
    let errors: FieldErrors =
        missing.map(|field| (field, vec![format!("Required in the stage {}.", stage.name)])).collect();
    if errors.is_empty() { Ok(()) } else { Err(guildhall_kernel::Error::invalid(errors).into()) }
}

/// A new deal with default values: without client and number, with value 0, owned by the caller.
pub(crate) fn draft(access: &Access, stage: &stage::Model, now: Timestamp) -> deal::Model {
    deal::Model {
        id: DealId(0),
        org_id: access.org.id,
        number: 0,
        code: String::new(),
        title: String::new(),
        description: String::new(),
        client_id: ClientId(0),
        contact_id: None,
        pipeline_id: stage.pipeline_id,
        stage_id: stage.id,
        status: stage.kind,
        position: String::new(),
        owner_id: access.member.id,
        created_by: access.member.id,
        value_minor: 0,
        currency: access.org.default_currency.clone(),
        received_minor: 0,
        verified_minor: 0,
        probability: stage.probability,
        source: String::new(),
        close_key: close_key(None),
        expected_close_date: None,
        closed_at: (stage.kind != DealStatus::Open).then_some(now),
        lost_reason: String::new(),
        verification: Verification::Pending,
        verification_note: String::new(),
        stage_entered_at: now,
        search_text: String::new(),
        archived_at: None,
        deleted_at: None,
        deletion_id: None,
        created_at: now,
        updated_at: now,
        import_id: None,
        custom: String::new(),
    }
}

/// Whether a deal must be verified before it can be won.
fn needs_approval(org: &organization::Model, row: &deal::Model) -> bool {
    // The limit is in the default currency. Deals in other currencies always need approval.
    let is_above = |limit| row.currency != org.default_currency || row.value_minor > limit;
    org.approval_above_minor.is_some_and(is_above) && row.verification != Verification::Verified
}

/// Checks that a deal which needs approval does not enter a won stage without it.
pub(crate) fn check_approval(org: &organization::Model, row: &deal::Model, stage: &stage::Model) -> Result<()> {
    let is_unapproved = stage.kind == DealStatus::Won && needs_approval(org, row);
    if is_unapproved { Err(Error::ApprovalRequired) } else { Ok(()) }
}

impl SqlSales {
    /// The names that deals refer to, in one statement and one query of the directory.
    async fn load_names(&self, conn: &impl ConnectionTrait, rows: &[deal::Model]) -> Result<Names> {
        let clients: HashSet<ClientId> = rows.iter().map(|row| row.client_id).collect();
        let stages: HashSet<StageId> = rows.iter().map(|row| row.stage_id).collect();
        let members: HashSet<MemberId> = rows.iter().flat_map(|row| [row.owner_id, row.created_by]).collect();
        let kind = |number: i64| Expr::cust(format!("CAST({number} AS bigint)"));
        let clients = Query::select()
            .expr(kind(0))
            .column(client::Column::Id)
            .column(client::Column::Name)
            .expr(Expr::cust("CAST(NULL AS bigint)"))
            .from(client::Entity)
            .and_where(client::Column::Id.is_in(clients))
            .to_owned();
        let stages = Query::select()
            .expr(kind(1))
            .column(stage::Column::Id)
            .column(stage::Column::Name)
            .expr(Expr::cust("CAST(NULL AS bigint)"))
            .from(stage::Entity)
            .and_where(stage::Column::Id.is_in(stages))
            .to_owned();
        let members = Query::select()
            .expr(kind(2))
            .column(member::Column::Id)
            .expr(Expr::cust("''"))
            .column(member::Column::UserId)
            .from(member::Entity)
            .and_where(member::Column::Id.is_in(members))
            .to_owned();
        let mut all = clients;
        all.union(UnionType::All, stages).union(UnionType::All, members);
        let (mut names, mut users) = (Names::default(), Vec::new());
        for row in conn.query_all(&all).await? {
            let (id, name): (i64, String) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            match row.try_get_by_index::<i64>(0)? {
                0 => drop(names.clients.insert(ClientId(id), name)),
                1 => drop(names.stages.insert(StageId(id), name)),
                _ => users.extend(row.try_get_by_index::<Option<i64>>(3)?.map(|user| (MemberId(id), UserId(user)))),
            }
        }
        let people = self.core.people(users.iter().map(|(_, user)| *user)).await?;
        let person = |(id, user): (MemberId, UserId)| Some((id, people.get(&user)?.clone()));
        names.people = People::new(users.into_iter().filter_map(person));
        Ok(names)
    }

    /// Converts rows to deals. The number of statements does not depend on the number of rows.
    pub(crate) async fn show_deals(&self, conn: &impl ConnectionTrait, rows: Vec<deal::Model>) -> Result<Vec<Deal>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.load_names(conn, &rows).await?;
        let org = rows.first().map(|row| row.org_id);
        let fields = custom::fields_for(conn, org, CustomFieldTarget::Deal, rows.iter().map(|row| &row.custom)).await?;
        Ok(rows.into_iter().map(|row| show(row, &names, &fields)).collect())
    }

    pub(crate) async fn show_deal(&self, conn: &impl ConnectionTrait, row: deal::Model) -> Result<Deal> {
        let id = row.id;
        self.show_deals(conn, vec![row]).await?.pop().ok_or(Error::DealNotFound(id))
    }

    /// The member of the filter `owner`, which is `me` or a user ID. An unknown user gives an id that no row has.
    pub(crate) async fn owner_filter(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        filter: &Filter,
    ) -> Result<Option<MemberId>> {
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

    /// The deals that the caller may see and that match a filter.
    pub(crate) async fn filtered_deals(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        client: Option<ClientId>,
        filter: &Filter,
    ) -> Result<Select<deal::Entity>> {
        access.may(Permission::DealRead)?;
        let mut select = access.deals();
        if let Some(client) = client {
            access.find_client(conn, client).await?;
            select = select.filter(deal::COLUMN.client_id.eq(client));
        }
        let fields = [
            Field { name: "id", column: deal::Column::Id, kind: ValueKind::Number },
            Field { name: "client_id", column: deal::Column::ClientId, kind: ValueKind::Number },
            Field { name: "contact_id", column: deal::Column::ContactId, kind: ValueKind::Number },
            Field { name: "pipeline_id", column: deal::Column::PipelineId, kind: ValueKind::Number },
            Field { name: "stage_id", column: deal::Column::StageId, kind: ValueKind::Number },
            Field { name: "status", column: deal::Column::Status, kind: ValueKind::OneOf(&["open", "won", "lost"]) },
            Field {
                name: "verification_status",
                column: deal::Column::Verification,
                kind: ValueKind::OneOf(&["pending", "verified", "rejected"]),
            },
            Field { name: "currency", column: deal::Column::Currency, kind: ValueKind::Currency },
            Field { name: "value", column: deal::Column::ValueMinor, kind: ValueKind::Money },
            Field { name: "probability", column: deal::Column::Probability, kind: ValueKind::Number },
            Field { name: "expected_close_date", column: deal::Column::ExpectedCloseDate, kind: ValueKind::Day },
            Field { name: "closed_at", column: deal::Column::ClosedAt, kind: ValueKind::Timestamp },
            Field { name: "created_at", column: deal::Column::CreatedAt, kind: ValueKind::Timestamp },
            Field { name: "updated_at", column: deal::Column::UpdatedAt, kind: ValueKind::Timestamp },
        ];
        let condition = filter.condition(&fields, &["q", "search", "owner", "archived", "stage", custom::PREFIX])?;
        let custom = custom::condition(conn, access, CustomFieldTarget::Deal, deal::Column::Id, filter).await?;
        select = filter.archived(select.filter(condition).filter(custom), deal::Column::ArchivedAt)?;
        if let Some(query) = filter.get("q").or_else(|| filter.get("search")).filter(|query| !query.trim().is_empty()) {
            select = self.apply_search(select, deal::Column::Id, "deals_deal", query).await?;
        }
        if let Some(owner) = self.owner_filter(conn, access, filter).await? {
            select = select.filter(deal::COLUMN.owner_id.eq(owner));
        }
        if let Some(stages) = filter.get("stage") {
            let stages = self.find_stages(conn, access, stages).await?;
            select = select.filter(deal::COLUMN.stage_id.is_in(stages));
        }
        Ok(select)
    }

    /// The stages that a filter refers to: by comma-separated ids, or by a name, which may occur in several pipelines.
    pub(crate) async fn find_stages(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        ids_or_name: &str,
    ) -> Result<Vec<StageId>> {
        let ids: std::result::Result<Vec<i64>, _> = ids_or_name.split(',').map(|id| id.trim().parse()).collect();
        let select = stage::Entity::find()
            .select_only()
            .column(stage::Column::Id)
            .filter(stage::COLUMN.org_id.eq(access.org.id))
            .order_by_asc(stage::Column::Id);
        let select = match ids {
            Ok(ids) if ids.len() <= 100 => select.filter(stage::COLUMN.id.is_in(ids.into_iter().map(StageId))),
            _ => select.filter(stage::COLUMN.name_key.eq(text::fold(ids_or_name))),
        };
        let stages: Vec<StageId> = select.into_tuple().all(conn).await?;
        if stages.is_empty() { Err(Error::field("stage", "There is no such stage.")) } else { Ok(stages) }
    }

    /// Finds a stage by reference, in the given pipeline or else in the default one. Without a reference it is the
    /// first stage.
    pub(crate) async fn resolve_stage(
        &self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        pipeline: Option<PipelineId>,
        stage: Option<&StageRef>,
    ) -> Result<stage::Model> {
        let mut select = stage::Entity::find().filter(stage::COLUMN.org_id.eq(org));
        match (pipeline, stage) {
            (Some(id), _) => select = select.filter(stage::COLUMN.pipeline_id.eq(id)),
            (None, Some(StageRef::Id(_))) => {}
            (None, _) => {
                let default = pipeline::Entity::find()
                    .select_only()
                    .column(pipeline::Column::Id)
                    .filter(pipeline::COLUMN.org_id.eq(org))
                    .filter(Expr::cust("deals_pipeline.is_default"));
                select = select.filter(stage::Column::PipelineId.in_subquery(default.into_query()));
            }
        }
        select = match stage {
            Some(StageRef::Id(id)) => select.filter(stage::COLUMN.id.eq(*id)),
            Some(StageRef::Name(name)) => select.filter(stage::COLUMN.name_key.eq(text::fold(name))),
            None => select,
        };
        let row = select.order_by_asc(stage::Column::Position).order_by_asc(stage::Column::Id).one(conn).await?;
        row.ok_or_else(|| Error::field("stage", "There is no such stage."))
    }

    async fn insert_deal(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        client: Option<ClientId>,
        new: &NewDeal,
    ) -> Result<(deal::Model, client::Model, stage::Model)> {
        let org = &access.org;
        let client_id = client.or(new.client_id);
        let client_id = client_id.ok_or_else(|| Error::field("client_id", "This field is required."))?;
        lock::<client::Entity>(tx, client_id).await?;
        let found = access.find_client(tx, client_id).await;
        let client = match client {
            Some(_) => found?,
            None => found.map_err(as_field("client_id", "There is no such client."))?,
        };
        let currency = new.currency.clone().unwrap_or_else(|| org.default_currency.clone());
        let value = new.value.as_ref().map_or(Ok(0), |amount| parse_value(amount, &currency))?;
        let stage = self.resolve_stage(tx, org.id, new.pipeline_id, new.stage.as_ref()).await?;
        if stage.kind != DealStatus::Open {
            access.may(Permission::DealClose)?;
        }
        let owner = match new.owner_id {
            Some(user) => access.successor(tx, "owner_id", user).await?.id,
            None => access.member.id,
        };
        if owner != access.member.id {
            access.may_reassign_to(Permission::DealReassign, owner)?;
        }
        if let Some(contact) = new.contact_id {
            let found = contacts::find(tx, access, client.id, contact).await;
            found.map_err(as_field("contact_id", "This client has no such contact."))?;
        }
        let custom = custom::validate_new(tx, org.id, CustomFieldTarget::Deal, &new.custom).await?;
        let now = self.core.now();
        let mut row = deal::Model {
            title: new.title.trim().to_owned(),
            description: new.description.clone(),
            client_id: client.id,
            contact_id: new.contact_id,
            owner_id: owner,
            value_minor: value,
            currency,
            probability: new.probability.unwrap_or(stage.probability),
            source: new.source.trim().to_owned(),
            close_key: close_key(new.expected_close_date.as_ref()),
            expected_close_date: new.expected_close_date.clone(),
            custom: custom.json.clone(),
            ..draft(access, &stage, now)
        };
        check_required_fields(&row, &stage)?;
        check_approval(org, &row, &stage)?;
        row.number = next_number(tx, org.id, "deal").await?;
        let pad = usize::try_from(org.number_pad).unwrap_or(4);
        row.code = format!("{}{:0pad$}", org.number_prefix, row.number);
        row.position = rank::last(now, row.number);
        row.search_text = search_text(&row.title, &row.code, &client);
        let row = deal::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(tx).await?;
        custom.store(tx, org.id, TargetId::Deal(row.id)).await?;
        self.record_stage_change(tx, access, &row, None, &stage).await?;
        self.core.record_created(tx, (caller, access), "deals.create_deal", &row).await?;
        tx.emit(&DealCreated { organization_id: org.id, deal: DealData::from(&row) }).await?;
        Ok((row, client, stage))
    }

    /// Adds a row to the history of stages.
    async fn record_stage_change(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        row: &deal::Model,
        from: Option<&stage::Model>,
        to: &stage::Model,
    ) -> Result<()> {
        let change = stage_change::ActiveModel {
            id: NotSet,
            org_id: Set(row.org_id),
            deal_id: Set(row.id),
            from_stage_id: Set(from.map(|stage| stage.id)),
            to_stage_id: Set(Some(to.id)),
            from_name: Set(from.map_or_else(String::new, |stage| stage.name.clone())),
            to_name: Set(to.name.clone()),
            moved_by: Set(access.member.id),
            moved_at: Set(row.stage_entered_at),
        };
        stage_change::Entity::insert(change).exec_without_returning(conn).await?;
        Ok(())
    }

    /// Moves a deal to the end of a stage, and sets everything that depends on the stage. This is the only place where
    /// an existing deal enters a stage.
    pub(crate) async fn enter_stage(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        row: &mut deal::Model,
        stage: &stage::Model,
        lost_reason: &str,
    ) -> Result<()> {
        if stage.id == row.stage_id {
            return Ok(());
        }
        if stage.kind != row.status {
            access.may_with(Permission::DealClose, row.owner_id, row.created_by)?;
            if stage.kind != DealStatus::Open && row.status != DealStatus::Open {
                return Err(Error::IllegalTransition("Reopen the deal first: it is already won or lost."));
            }
        }
        check_required_fields(row, stage)?;
        check_approval(&access.org, row, stage)?;
        let from = stage::Entity::find_by_id(row.stage_id).one(conn).await?;
        let now = self.core.now();
        row.pipeline_id = stage.pipeline_id;
        row.stage_id = stage.id;
        row.stage_entered_at = now;
        row.probability = stage.probability;
        row.position = rank::last(now, row.number);
        if stage.kind != row.status {
            row.status = stage.kind;
            row.closed_at = (stage.kind != DealStatus::Open).then_some(now);
            if stage.kind == DealStatus::Lost {
                lost_reason.trim().clone_into(&mut row.lost_reason);
            } else {
                row.lost_reason.clear();
            }
        }
        self.record_stage_change(conn, access, row, from.as_ref(), stage).await
    }

    /// Locks a deal until the transaction ends, for an operation that needs this permission.
    pub(crate) async fn lock_deal<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        permission: Permission,
    ) -> Result<DealChange> {
        lock::<deal::Entity>(conn, deal_ref.deal).await?;
        let access = self.core.access(conn, caller, org).await?;
        let before = access.deal_for(conn, deal_ref, permission).await?;
        Ok(DealChange { access, after: before.clone(), before })
    }

    /// Stores a changed deal, records the change in the audit log and emits an event. Does nothing if nothing changed.
    pub(crate) async fn store_deal(
        &self,
        tx: &Tx,
        caller: &Caller,
        change: DealChange,
        action: &'static str,
    ) -> Result<deal::Model> {
        let DealChange { access, before, mut after } = change;
        if after != before {
            after.updated_at = self.core.now();
            store(tx, &before, &after).await?;
            self.core.record_changed(tx, (caller, &access), action, &before, &after).await?;
            event::deal_updated(tx, &before, &after).await?;
        }
        Ok(after)
    }
}

/// A change of a locked deal in progress: the caller's access, and the row before and after.
pub(crate) struct DealChange {
    pub(crate) access: Access,
    pub(crate) before: deal::Model,
    pub(crate) after: deal::Model,
}

impl DealChange {
    /// Checks a change of value or currency, and resets the verification.
    pub(crate) fn apply_value_change(&mut self) -> Result<()> {
        let Self { access, before, after } = self;
        if after.value_minor == before.value_minor && after.currency == before.currency {
            return Ok(());
        }
        if after.value_minor < after.received_minor && !access.org.takes_credit {
            let paid = after.currency.format(i128::from(after.received_minor));
            return Err(Error::field("value", format!("Value must be at least {paid}, which has already been paid.")));
        }
        // A verification does not cover the new value.
        after.verification = Verification::Pending;
        after.verification_note.clear();
        // Otherwise a deal could be won first and raised above the limit afterwards.
        if after.status == DealStatus::Won && needs_approval(&access.org, after) {
            return Err(Error::ApprovalRequired);
        }
        Ok(())
    }
}

#[async_trait]
impl Deals for SqlSales {
    async fn deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Deal>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let (filter, page) = apply_view(conn, &access, Viewed::Deals, filter, page).await?;
        let select = self.filtered_deals(conn, &access, client, &filter).await?;
        if page.orders_by("value") && filter.get("currency").is_none() {
            let message = "Amounts can only be compared within one currency. Filter by currency as well.";
            return Err(Error::field("ordering", message));
        }
        let ordering = Ordering {
            fields: &[
                ("number", deal::Column::Number),
                ("id", deal::Column::Id),
                ("created_at", deal::Column::Number),
                ("value", deal::Column::ValueMinor),
                ("expected_close_date", deal::Column::CloseKey),
                ("updated_at", deal::Column::UpdatedAt),
            ],
            default: "-number",
            id: deal::Column::Id,
        };
        let page = Page::<deal::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_deals(conn, rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn create_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        new: NewDeal,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Deal>> {
        new.validate()?;
        let (new, key) = (&new, &key);
        // The people in the response are looked up before the transaction, to keep it short.
        let people = self.core.people([caller.user].into_iter().chain(new.owner_id)).await?;
        let people = &people;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let access = self.core.authorize(conn, caller, org, Permission::DealCreate).await?;
                let scope = access.scope();
                let scope = KeyScope { name: &scope, caller, now: self.core.now() };
                let operation = Box::pin(async {
                    let (row, client, stage) = self.insert_deal(conn, (caller, &access), client, new).await?;
                    let owner = new.owner_id.unwrap_or(caller.user);
                    let members = [(row.created_by, caller.user), (row.owner_id, owner)];
                    let members = members.into_iter().filter_map(|(id, user)| Some((id, people.get(&user)?.clone())));
                    let names = Names {
                        clients: HashMap::from([(client.id, client.name)]),
                        stages: HashMap::from([(stage.id, stage.name)]),
                        people: People::new(members),
                    };
                    let fields =
                        custom::fields_for(conn, Some(org), CustomFieldTarget::Deal, [&row.custom].into_iter()).await?;
                    Ok::<_, Error>(show(row, &names, &fields))
                });
                idempotency::run(conn, key.as_ref(), scope, operation).await
            })
            .await
    }

    async fn deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        as_of: Option<Timestamp>,
    ) -> Result<Deal> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let mut row = access.find_deal(conn, deal_ref).await?;
        let Some(as_of) = as_of else { return self.show_deal(conn, row).await };
        row = self.core.as_of(conn, &access, row, as_of).await?.ok_or(Error::DealNotFound(deal_ref.deal))?;
        // The stage may have been renamed or deleted since then.
        let stage_name: Option<String> = stage_change::Entity::find()
            .select_only()
            .column(stage_change::Column::ToName)
            .filter(stage_change::COLUMN.org_id.eq(org))
            .filter(stage_change::COLUMN.deal_id.eq(row.id))
            .filter(stage_change::COLUMN.moved_at.lte(as_of))
            .order_by_desc(stage_change::Column::Id)
            .into_tuple()
            .one(conn)
            .await?;
        let client_id = row.client_id;
        row.client_id = self.merged_into(conn, org, client_id).await?.unwrap_or(client_id);
        let mut deal = self.show_deal(conn, row).await?;
        deal.client_id = client_id;
        deal.stage = stage_name.unwrap_or(deal.stage);
        Ok(deal)
    }

    async fn change_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        patch: DealPatch,
        known: IfMatch,
    ) -> Result<Deal> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                change.access.check(known, change.before.updated_at)?;
                self.apply_patch(conn, &mut change, patch).await?;
                self.store_deal(conn, caller, change, "deals.change_deal").await
            })
            .await?;
        self.show_deal(self.core.db.conn(), row).await
    }

    async fn delete_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        purge: bool,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let DealChange { access, before, .. } =
                    self.lock_deal(conn, caller, org, deal_ref, Permission::DealDelete).await?;
                access.check(known, before.updated_at)?;
                if purge {
                    access.may(Permission::TrashPurge)?;
                }
                if access.grants.scope(Permission::DealDelete) == Some(Scope::Own) && before.verified_minor > 0 {
                    return Err(Error::NotGranted("deal.delete"));
                }
                let actor = (caller, &access);
                let label = format!("{} - {}", before.code, before.title);
                let deletion = self.create_deletion(conn, &access, DeletedKind::Deal, &label).await?;
                let sql = "UPDATE deals_deal SET deleted_at = $1, deletion_id = $2, updated_at = $1 \
                       WHERE org_id = $3 AND id = $4";
                let id = deal_ref.deal;
                execute(conn, sql, [self.core.now().into(), deletion.into(), org.into(), id.into()]).await?;
                tx.emit(&DealDeleted { organization_id: org, id, number: before.code.clone(), purge }).await?;
                let detail = vec![("number", before.code.into()), ("purge", purge.into())];
                self.core.record(conn, actor, "deals.delete_deal", ("deal", id.0), detail).await?;
                if purge { self.purge_deletion(conn, actor, deletion).await } else { Ok(()) }
            })
            .await
    }

    async fn move_deal(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, to: MoveDeal) -> Result<Deal> {
        to.validate()?;
        let to = &to;
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                let pipeline = Some(change.before.pipeline_id).filter(|_| matches!(to.stage, StageRef::Name(_)));
                let stage = self.resolve_stage(conn, org, pipeline, Some(&to.stage)).await?;
                // Serializes concurrent moves into a stage, so that no two deals get the same position.
                lock::<stage::Entity>(conn, stage.id).await?;
                self.enter_stage(conn, &change.access, &mut change.after, &stage, &to.lost_reason).await?;
                change.after.position = self.position_for(conn, &change.access, &change.after, to).await?;
                self.store_deal(conn, caller, change, "deals.move_deal").await
            })
            .await?;
        self.show_deal(self.core.db.conn(), row).await
    }

    async fn close_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        status: DealStatus,
        closing: CloseDeal,
    ) -> Result<Deal> {
        closing.validate()?;
        let closing = &closing;
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.lock_deal(conn, caller, org, deal_ref, Permission::DealClose).await?;
                if change.before.status == status {
                    return Err(Error::IllegalTransition("The deal already has this status."));
                }
                let stages = stages_of(conn, change.before.pipeline_id).await?;
                let last_open = if status == DealStatus::Open { last_stage(conn, &change.before).await? } else { None };
                let is_candidate = |stage: &&stage::Model| stage.kind == status;
                let target = stages.iter().filter(is_candidate).find(|stage| Some(stage.id) == last_open);
                let target = target.or_else(|| stages.iter().find(is_candidate));
                let target = target.ok_or(Error::IllegalTransition("The pipeline has no stage for this status."))?;
                self.enter_stage(conn, &change.access, &mut change.after, target, &closing.reason).await?;
                self.store_deal(conn, caller, change, "deals.close_deal").await
            })
            .await?;
        self.show_deal(self.core.db.conn(), row).await
    }

    async fn verify_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        verification: Verification,
        verdict: Verdict,
        known: IfMatch,
    ) -> Result<Deal> {
        verdict.validate()?;
        let (verdict, known) = (&verdict, &known);
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.lock_deal(conn, caller, org, deal_ref, Permission::DealVerify).await?;
                change.access.check(known, change.before.updated_at)?;
                if change.before.verification == verification || change.before.verification == Verification::Verified {
                    return Err(Error::IllegalTransition("The deal has already been verified or rejected."));
                }
                change.after.verification = verification;
                verdict.reason.trim().clone_into(&mut change.after.verification_note);
                self.store_deal(conn, caller, change, "deals.verify_deal").await
            })
            .await?;
        self.show_deal(self.core.db.conn(), row).await
    }

    async fn archive_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        archive: bool,
    ) -> Result<Deal> {
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                if archive != change.before.archived_at.is_some() {
                    change.after.archived_at = archive.then(|| self.core.now());
                }
                self.store_deal(conn, caller, change, "deals.archive_deal").await
            })
            .await?;
        self.show_deal(self.core.db.conn(), row).await
    }

    async fn stage_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<StageChange>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let row = access.find_deal(conn, deal_ref).await?;
        let of_deal = stage_change::Entity::find()
            .filter(stage_change::COLUMN.org_id.eq(org))
            .filter(stage_change::COLUMN.deal_id.eq(row.id));
        let rows = cursor.apply(of_deal, stage_change::Column::Id).all(conn).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row: &stage_change::Model| row.id, &cursor).take();
        let people = self.core.members_as_people(conn, rows.iter().map(|row| row.moved_by)).await?;
        let show = |row: stage_change::Model| StageChange {
            id: row.id,
            from_stage: (!row.from_name.is_empty()).then_some(row.from_name),
            to_stage: row.to_name,
            moved_by: people.get(row.moved_by),
            moved_at: row.moved_at,
        };
        Ok(page.with(rows.into_iter().map(show).collect()))
    }

    async fn deal_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Change>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let row = access.find_deal(conn, deal_ref).await?;
        self.core.changes_of(conn, &access, "deal", row.id.0, &cursor).await
    }
}

/// The stage that a deal was in before its last stage change.
async fn last_stage(conn: &impl ConnectionTrait, row: &deal::Model) -> Result<Option<StageId>> {
    let last = stage_change::Entity::find()
        .filter(stage_change::COLUMN.org_id.eq(row.org_id))
        .filter(stage_change::COLUMN.deal_id.eq(row.id))
        .order_by_desc(stage_change::Column::Id)
        .one(conn)
        .await?;
    Ok(last.and_then(|change| change.from_stage_id))
}

impl SqlSales {
    async fn apply_patch(&self, conn: &impl ConnectionTrait, change: &mut DealChange, patch: &DealPatch) -> Result<()> {
        let DealChange { before, after, .. } = &mut *change;
        for (field, value) in [
            (&mut after.title, &patch.title),
            (&mut after.description, &patch.description),
            (&mut after.source, &patch.source),
        ] {
            if let Some(value) = value {
                value.trim().clone_into(field);
            }
        }
        if after.title != before.title {
            let client = client::Entity::find_by_id(before.client_id).one(conn).await?;
            let client = client.ok_or(Error::ClientNotFound(before.client_id))?;
            after.search_text = search_text(&after.title, &after.code, &client);
        }
        if (patch.value.is_some() || patch.currency.is_some()) && lines::has_lines(conn, before).await? {
            let field = if patch.value.is_some() { "value" } else { "currency" };
            return Err(Error::field(field, "The deal's value is the total of its line items. Change those instead."));
        }
        if let Some(currency) = patch.currency.as_ref().filter(|currency| **currency != before.currency) {
            let sql = "SELECT COUNT(*) FROM deals_payment WHERE org_id = $1 AND deal_id = $2";
            if scalar_i64(conn, sql, [before.org_id.into(), before.id.into()]).await? > 0 {
                return Err(Error::CurrencyLocked);
            }
            // Without a new value the number stays, if the new currency has enough decimal places for it.
            let same = Amount::new(before.currency.format(i128::from(before.value_minor)));
            after.currency = currency.clone();
            after.value_minor = parse_value(patch.value.as_ref().unwrap_or(&same), currency)?;
        } else if let Some(value) = &patch.value {
            after.value_minor = parse_value(value, &before.currency)?;
        }
        change.apply_value_change()?;
        let DealChange { access, before, after } = change;
        if let Some(contact) = patch.contact_id {
            if let Some(contact) = contact {
                let found = contacts::find(conn, access, before.client_id, contact).await;
                found.map_err(as_field("contact_id", "This client has no such contact."))?;
            }
            after.contact_id = contact;
        }
        if let Some(day) = &patch.expected_close_date {
            after.expected_close_date.clone_from(day);
            after.close_key = close_key(day.as_ref());
        }
        if let Some(user) = patch.owner_id {
            let successor = access.successor(conn, "owner_id", user).await?.id;
            if successor != before.owner_id {
                access.may_with(Permission::DealReassign, before.owner_id, before.created_by)?;
                access.may_reassign_to(Permission::DealReassign, successor)?;
                after.owner_id = successor;
            }
        }
        if let Some(input) = &patch.custom {
            let values =
                custom::validate_changed(conn, before.org_id, CustomFieldTarget::Deal, &before.custom, input).await?;
            after.custom.clone_from(&values.json);
            values.store(conn, before.org_id, TargetId::Deal(before.id)).await?;
        }
        if let Some(stage) = &patch.stage {
            let pipeline = Some(before.pipeline_id).filter(|_| matches!(stage, StageRef::Name(_)));
            let stage = self.resolve_stage(conn, before.org_id, pipeline, Some(stage)).await?;
            self.enter_stage(conn, access, after, &stage, "").await?;
        }
        after.probability = patch.probability.unwrap_or(after.probability);
        Ok(())
    }
}
