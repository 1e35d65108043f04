//! Deals.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Ordering, Page, PageQuery, Slice, SliceQuery, Timestamp, UserId,
    idempotency::{Made, Once},
    text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Set,
    sea_query::{Expr, Query, UnionType},
};

use super::{
    Conn, People, SqlDeals,
    access::Access,
    as_field, contacts,
    custom::{self, About},
    lines, lock, next_number, number,
    pipelines::{required_fields, stages_of},
    store,
};
use crate::{
    Amount, Change, ClientId, ClientStub, Closing, Currency, Customized, Day, Deal, DealPatch, DealStatus, Deals,
    DeletedKind, Error, Filter, MemberId, Move, NewDeal, OrganizationId, PaymentStatus, PipelineId, Place, Result,
    StageChange, StageId, StageRef, Verdict, Verification, Viewed,
    entity::{client, custom_field, deal, member, organization, pipeline, stage, stage_change},
    filter::{Field, Holds},
    permission::{Permission, Scope},
    place::at_the_end,
};

/// What is searched: what is sold and its number, and the client in a line of its own.
pub(super) fn search_text(title: &str, code: &str, client: &client::Model) -> String {
    format!("{} {}\n{}", text::fold(title), text::fold(code), client.name_key)
}

/// What has no day is expected after everything that has.
pub(super) fn close_key(day: Option<&Day>) -> String {
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

/// What deals name.
#[derive(Default)]
struct Named {
    clients: HashMap<ClientId, String>,
    stages: HashMap<StageId, String>,
    people: People,
}

fn show(row: deal::Model, named: &Named, fields: &[custom_field::Model]) -> Deal {
    let Named { clients, stages, people } = named;
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
        custom: custom::shown(&row.custom, fields),
        archived_at: row.archived_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        title: row.title,
        description: row.description,
    }
}

/// What a deal is worth, in minor units.
pub(super) fn worth(amount: &Amount, currency: &Currency) -> Result<i64> {
    let minor = amount.minor(currency).map_err(|message| Error::field("value", message))?;
    if minor < 0 { Err(Error::field("value", "A deal is worth nothing at least.")) } else { Ok(minor) }
}

/// Does a deal have what its stage asks for?
pub(super) fn has_what_it_needs(row: &deal::Model, stage: &stage::Model) -> Result<()> {
    let lacking = |field: &String| match field.as_str() {
        "value" => row.value_minor == 0,
        "contact_id" => row.contact_id.is_none(),
        "expected_close_date" => row.expected_close_date.is_none(),
        "description" => row.description.trim().is_empty(),
        "source" => row.source.trim().is_empty(),
        _ => false,
    };
    let missing = required_fields(stage).into_iter().filter(lacking);
    let errors: guildhall_kernel::FieldErrors =
        missing.map(|field| (field, vec![format!("The stage {} needs this.", stage.name)])).collect();
    if errors.is_empty() { Ok(()) } else { Err(guildhall_kernel::Error::invalid(errors).into()) }
}

/// A deal in a stage that nothing is known of yet: no client, no number, worth nothing; its maker's.
pub(super) fn draft(access: &Access, stage: &stage::Model, now: Timestamp) -> deal::Model {
    deal::Model {
        id: crate::DealId(0),
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

/// Has somebody to verify a deal before it is won?
fn needs_approval(org: &organization::Model, row: &deal::Model) -> bool {
    // Amounts of two currencies cannot be compared.
    let is_above = |limit| row.currency != org.default_currency || row.value_minor > limit;
    org.approval_above_minor.is_some_and(is_above) && row.verification != Verification::Verified
}

/// Is a deal won that somebody has to verify first?
pub(super) fn is_approved(org: &organization::Model, row: &deal::Model, stage: &stage::Model) -> Result<()> {
    let too_early = stage.kind == DealStatus::Won && needs_approval(org, row);
    if too_early { Err(Error::ApprovalRequired) } else { Ok(()) }
}

impl SqlDeals {
    /// What these deals name, in one statement, and in one of the directory's.
    async fn named_by(&self, conn: &impl ConnectionTrait, rows: &[deal::Model]) -> Result<Named> {
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
        let (mut named, mut users) = (Named::default(), Vec::new());
        for row in conn.query_all(&all).await? {
            let (id, name): (i64, String) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            match row.try_get_by_index::<i64>(0)? {
                0 => drop(named.clients.insert(ClientId(id), name)),
                1 => drop(named.stages.insert(StageId(id), name)),
                _ => users.extend(row.try_get_by_index::<Option<i64>>(3)?.map(|user| (MemberId(id), UserId(user)))),
            }
        }
        let people = self.people(users.iter().map(|(_, user)| *user)).await?;
        let person = |(id, user): (MemberId, UserId)| Some((id, people.get(&user)?.clone()));
        named.people = People::of(users.into_iter().filter_map(person));
        Ok(named)
    }

    /// Deals as they are shown, in three statements however many there are.
    pub(super) async fn show_deals(&self, conn: &impl ConnectionTrait, rows: Vec<deal::Model>) -> Result<Vec<Deal>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let named = self.named_by(conn, &rows).await?;
        let org = rows.first().map(|row| row.org_id);
        let fields = custom::fields_for(conn, org, Customized::Deal, rows.iter().map(|row| &row.custom)).await?;
        Ok(rows.into_iter().map(|row| show(row, &named, &fields)).collect())
    }

    pub(super) async fn show_deal(&self, conn: &impl ConnectionTrait, row: deal::Model) -> Result<Deal> {
        let id = row.id;
        self.show_deals(conn, vec![row]).await?.pop().ok_or(Error::DealNotFound(id))
    }

    /// The member whose things are asked for (`?owner=me`, or an account's id); one that there is none of where
    /// nobody has it.
    pub(super) async fn owner_of(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        filter: &Filter,
    ) -> Result<Option<MemberId>> {
        if filter.get("owner") == Some("me") {
            return Ok(Some(access.member.id));
        }
        let Some(user) = filter.number("owner")? else { return Ok(None) };
        let found = member::Entity::find()
            .select_only()
            .column(member::Column::Id)
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .filter(member::COLUMN.user_id.eq(user));
        Ok(Some(found.into_tuple().one(conn).await?.unwrap_or(MemberId(0))))
    }

    /// The deals that the caller may see and that a filter lets through.
    pub(super) async fn narrowed_deals(
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
            Field { name: "id", column: deal::Column::Id, holds: Holds::Number },
            Field { name: "client_id", column: deal::Column::ClientId, holds: Holds::Number },
            Field { name: "contact_id", column: deal::Column::ContactId, holds: Holds::Number },
            Field { name: "pipeline_id", column: deal::Column::PipelineId, holds: Holds::Number },
            Field { name: "stage_id", column: deal::Column::StageId, holds: Holds::Number },
            Field { name: "status", column: deal::Column::Status, holds: Holds::Word(&["open", "won", "lost"]) },
            Field {
                name: "verification_status",
                column: deal::Column::Verification,
                holds: Holds::Word(&["pending", "verified", "rejected"]),
            },
            Field { name: "currency", column: deal::Column::Currency, holds: Holds::Currency },
            Field { name: "value", column: deal::Column::ValueMinor, holds: Holds::Money },
            Field { name: "probability", column: deal::Column::Probability, holds: Holds::Number },
            Field { name: "expected_close_date", column: deal::Column::ExpectedCloseDate, holds: Holds::Day },
            Field { name: "closed_at", column: deal::Column::ClosedAt, holds: Holds::Moment },
            Field { name: "created_at", column: deal::Column::CreatedAt, holds: Holds::Moment },
            Field { name: "updated_at", column: deal::Column::UpdatedAt, holds: Holds::Moment },
        ];
        let condition = filter.condition(&fields, &["q", "search", "owner", "archived", "stage", custom::PREFIX])?;
        let said = custom::condition(conn, access, Customized::Deal, deal::Column::Id, filter).await?;
        select = filter.archived(select.filter(condition).filter(said), deal::Column::ArchivedAt)?;
        if let Some(words) = filter.get("q").or_else(|| filter.get("search")).filter(|words| !words.trim().is_empty()) {
            select = self.with_words(select, deal::Column::Id, "deals_deal", words).await?;
        }
        if let Some(owner) = self.owner_of(conn, access, filter).await? {
            select = select.filter(deal::COLUMN.owner_id.eq(owner));
        }
        if let Some(wanted) = filter.get("stage") {
            let stages = self.stages_named(conn, access, wanted).await?;
            select = select.filter(deal::COLUMN.stage_id.is_in(stages));
        }
        Ok(select)
    }

    /// The stages that a filter names: by ids with commas between, or by a name, which every pipeline may have.
    pub(super) async fn stages_named(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        wanted: &str,
    ) -> Result<Vec<StageId>> {
        let ids: std::result::Result<Vec<i64>, _> = wanted.split(',').map(|id| id.trim().parse()).collect();
        let named = stage::Entity::find()
            .select_only()
            .column(stage::Column::Id)
            .filter(stage::COLUMN.org_id.eq(access.org.id))
            .order_by_asc(stage::Column::Id);
        let named = match ids {
            Ok(ids) if ids.len() <= 100 => named.filter(stage::COLUMN.id.is_in(ids.into_iter().map(StageId))),
            _ => named.filter(stage::COLUMN.name_key.eq(text::fold(wanted))),
        };
        let stages: Vec<StageId> = named.into_tuple().all(conn).await?;
        if stages.is_empty() { Err(Error::field("stage", "There is no such stage.")) } else { Ok(stages) }
    }

    /// The stage that is meant, within a pipeline where one is named; the first of the usual pipeline else.
    pub(super) async fn stage_meant(
        &self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        pipeline: Option<PipelineId>,
        wanted: Option<&StageRef>,
    ) -> Result<stage::Model> {
        let mut found = stage::Entity::find().filter(stage::COLUMN.org_id.eq(org));
        match (pipeline, wanted) {
            (Some(id), _) => found = found.filter(stage::COLUMN.pipeline_id.eq(id)),
            (None, Some(StageRef::Id(_))) => {}
            (None, _) => {
                let usual = pipeline::Entity::find()
                    .select_only()
                    .column(pipeline::Column::Id)
                    .filter(pipeline::COLUMN.org_id.eq(org))
                    .filter(Expr::cust("deals_pipeline.is_default"));
                found = found.filter(stage::Column::PipelineId.in_subquery(usual.into_query()));
            }
        }
        found = match wanted {
            Some(StageRef::Id(id)) => found.filter(stage::COLUMN.id.eq(*id)),
            Some(StageRef::Name(name)) => found.filter(stage::COLUMN.name_key.eq(text::fold(name))),
            None => found,
        };
        let found = found.order_by_asc(stage::Column::Position).order_by_asc(stage::Column::Id).one(conn).await?;
        found.ok_or_else(|| Error::field("stage", "There is no such stage."))
    }

    async fn insert_deal(
        &self,
        conn: &impl ConnectionTrait,
        act: (&Caller, &Access),
        client: Option<ClientId>,
        new: &NewDeal,
    ) -> Result<(deal::Model, client::Model, stage::Model)> {
        let (caller, access) = act;
        let org = &access.org;
        let named = client.or(new.client_id);
        let named = named.ok_or_else(|| Error::field("client_id", "This field is required."))?;
        lock::<client::Entity>(conn, named).await?;
        let found = access.find_client(conn, named).await;
        let client = match client {
            Some(_) => found?,
            None => found.map_err(as_field("client_id", "There is no such client."))?,
        };
        let currency = new.currency.clone().unwrap_or_else(|| org.default_currency.clone());
        let value = new.value.as_ref().map_or(Ok(0), |amount| worth(amount, &currency))?;
        let stage = self.stage_meant(conn, org.id, new.pipeline_id, new.stage.as_ref()).await?;
        if stage.kind != DealStatus::Open {
            access.may(Permission::DealClose)?;
        }
        let owner = match new.owner_id {
            Some(user) => access.heir(conn, "owner_id", user).await?.id,
            None => access.member.id,
        };
        if owner != access.member.id {
            access.may_hand_to(Permission::DealReassign, owner)?;
        }
        if let Some(contact) = new.contact_id {
            let found = contacts::find(conn, access, client.id, contact).await;
            found.map_err(as_field("contact_id", "There is no such person at this client."))?;
        }
        let custom = custom::take_new(conn, org.id, Customized::Deal, &new.custom).await?;
        let now = self.now();
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
            custom: custom.stored.clone(),
            ..draft(access, &stage, now)
        };
        has_what_it_needs(&row, &stage)?;
        is_approved(org, &row, &stage)?;
        row.number = next_number(conn, org.id, "deal").await?;
        let pad = usize::try_from(org.number_pad).unwrap_or(4);
        row.code = format!("{}{:0pad$}", org.number_prefix, row.number);
        row.position = at_the_end(now, row.number);
        row.search_text = search_text(&row.title, &row.code, &client);
        let row = deal::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(conn).await?;
        custom.keep(conn, org.id, About::Deal(row.id)).await?;
        self.note_stage(conn, access, &row, None, &stage).await?;
        self.made(conn, (caller, access), "deals.create_deal", &row).await?;
        Ok((row, client, stage))
    }

    /// Keeps that a deal came into a stage.
    async fn note_stage(
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

    /// Puts a deal into a stage, at its end; what a stage means for a deal happens here and nowhere else.
    pub(super) async fn go_to(
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
                return Err(Error::IllegalTransition("A deal that is won or lost has to be opened first."));
            }
        }
        has_what_it_needs(row, stage)?;
        is_approved(&access.org, row, stage)?;
        let from = stage::Entity::find_by_id(row.stage_id).one(conn).await?;
        let now = self.now();
        row.pipeline_id = stage.pipeline_id;
        row.stage_id = stage.id;
        row.stage_entered_at = now;
        row.probability = stage.probability;
        row.position = at_the_end(now, row.number);
        if stage.kind != row.status {
            row.status = stage.kind;
            row.closed_at = (stage.kind != DealStatus::Open).then_some(now);
            if stage.kind == DealStatus::Lost {
                lost_reason.trim().clone_into(&mut row.lost_reason);
            } else {
                row.lost_reason.clear();
            }
        }
        self.note_stage(conn, access, row, from.as_ref(), stage).await
    }

    /// A deal that the caller may do something with, locked until the transaction ends.
    pub(super) async fn open_deal<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        permission: Permission,
    ) -> Result<Opened> {
        lock::<deal::Entity>(conn, at.deal).await?;
        let access = self.enter(conn, caller, org).await?;
        let before = access.deal_for(conn, at, permission).await?;
        Ok(Opened { access, after: before.clone(), before })
    }

    /// Stores what became of a deal, and notes it; nothing where nothing became of it.
    pub(super) async fn keep_deal(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        opened: Opened,
        action: &'static str,
    ) -> Result<deal::Model> {
        let Opened { access, before, mut after } = opened;
        if after != before {
            after.updated_at = self.now();
            store(conn, &before, &after).await?;
            self.changed(conn, (caller, &access), action, &before, &after).await?;
        }
        Ok(after)
    }
}

/// A deal in the hands of somebody who changes it.
pub(super) struct Opened {
    pub(super) access: Access,
    pub(super) before: deal::Model,
    pub(super) after: deal::Model,
}

impl Opened {
    /// What it means for a deal that it is worth something else than before.
    pub(super) fn settle_worth(&mut self) -> Result<()> {
        let Self { access, before, after } = self;
        if after.value_minor == before.value_minor && after.currency == before.currency {
            return Ok(());
        }
        if after.value_minor < after.received_minor && !access.org.takes_credit {
            let paid = after.currency.format(i128::from(after.received_minor));
            return Err(Error::field("value", format!("{paid} was paid already.")));
        }
        // What was verified is no longer what it says.
        after.verification = Verification::Pending;
        after.verification_note.clear();
        // What is won by now is not made larger than what may be won.
        if after.status == DealStatus::Won && needs_approval(&access.org, after) {
            return Err(Error::ApprovalRequired);
        }
        Ok(())
    }
}

#[async_trait]
impl Deals for SqlDeals {
    async fn deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Deal>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let (filter, page) = self.through_view(conn, &access, Viewed::Deals, filter, page).await?;
        let select = self.narrowed_deals(conn, &access, client, &filter).await?;
        if page.orders_by("value") && filter.get("currency").is_none() {
            let message = "Amounts are compared within one currency: name it with currency.";
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
            usual: "-number",
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
        once: Option<Once>,
    ) -> Result<Made<Deal>> {
        new.validate()?;
        let (new, once) = (&new, &once);
        // Whoever is named in the answer; asked for before the transaction, where nothing slow belongs.
        let own = self.people([caller.user].into_iter().chain(new.owner_id)).await?;
        let own = &own;
        self.act(|tx| async move {
            let conn = tx.conn();
            let access = self.enter_to(conn, caller, org, Permission::DealCreate).await?;
            let realm = access.realm();
            if let Some(once) = once
                && let Some(answer) = once.before(conn, &realm, caller, self.now()).await?
            {
                return Ok(Made::Before(answer));
            }
            let (row, client, stage) = self.insert_deal(conn, (caller, &access), client, new).await?;
            let owner = new.owner_id.unwrap_or(caller.user);
            let named = [(row.created_by, caller.user), (row.owner_id, owner)];
            let people = named.into_iter().filter_map(|(id, user)| Some((id, own.get(&user)?.clone())));
            let named = Named {
                clients: HashMap::from([(client.id, client.name)]),
                stages: HashMap::from([(stage.id, stage.name)]),
                people: People::of(people),
            };
            let fields = custom::fields_for(conn, Some(org), Customized::Deal, [&row.custom].into_iter()).await?;
            let deal = show(row, &named, &fields);
            if let Some(once) = once {
                once.after(conn, &realm, caller, &deal, self.now()).await?;
            }
            Ok::<_, Error>(Made::New(deal))
        })
        .await
    }

    async fn deal(&self, caller: &Caller, org: OrganizationId, at: Place, as_of: Option<Timestamp>) -> Result<Deal> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let mut row = access.find_deal(conn, at).await?;
        let Some(moment) = as_of else { return self.show_deal(conn, row).await };
        row = self.as_of(conn, &access, row, moment).await?.ok_or(Error::DealNotFound(at.deal))?;
        // Where it was then may have another name by now, or be gone.
        let entered: Option<String> = stage_change::Entity::find()
            .select_only()
            .column(stage_change::Column::ToName)
            .filter(stage_change::COLUMN.org_id.eq(org))
            .filter(stage_change::COLUMN.deal_id.eq(row.id))
            .filter(stage_change::COLUMN.moved_at.lte(moment))
            .order_by_desc(stage_change::Column::Id)
            .into_tuple()
            .one(conn)
            .await?;
        let client_id = row.client_id;
        row.client_id = self.merged_into(conn, org, client_id).await?.unwrap_or(client_id);
        let mut shown = self.show_deal(conn, row).await?;
        shown.client_id = client_id;
        shown.stage = entered.unwrap_or(shown.stage);
        Ok(shown)
    }

    async fn change_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        patch: DealPatch,
        known: IfMatch,
    ) -> Result<Deal> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                let mut opened = self.open_deal(conn, caller, org, at, Permission::DealUpdate).await?;
                opened.access.check(known, opened.before.updated_at)?;
                self.apply(conn, &mut opened, patch).await?;
                self.keep_deal(conn, caller, opened, "deals.change_deal").await
            })
            .await?;
        self.show_deal(self.db.conn(), row).await
    }

    async fn delete_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        purge: bool,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            let Opened { access, before, .. } = self.open_deal(conn, caller, org, at, Permission::DealDelete).await?;
            access.check(known, before.updated_at)?;
            if purge {
                access.may(Permission::TrashPurge)?;
            }
            if access.grants.scope(Permission::DealDelete) == Some(Scope::Own) && before.verified_minor > 0 {
                return Err(Error::NotGranted("deal.delete"));
            }
            let act = (caller, &access);
            let label = format!("{} - {}", before.code, before.title);
            let deletion = self.open_deletion(conn, &access, DeletedKind::Deal, &label).await?;
            let sql = "UPDATE deals_deal SET deleted_at = $1, deletion_id = $2, updated_at = $1 \
                       WHERE org_id = $3 AND id = $4";
            super::run(conn, sql, [self.now().into(), deletion.into(), org.into(), at.deal.into()]).await?;
            let detail = vec![("number", before.code.into()), ("purge", purge.into())];
            self.noted(conn, act, "deals.delete_deal", ("deal", at.deal.0), detail).await?;
            if purge { self.purge_deletion(conn, act, deletion).await } else { Ok(()) }
        })
        .await
    }

    async fn move_deal(&self, caller: &Caller, org: OrganizationId, at: Place, to: Move) -> Result<Deal> {
        to.validate()?;
        let to = &to;
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                let mut opened = self.open_deal(conn, caller, org, at, Permission::DealUpdate).await?;
                let pipeline = Some(opened.before.pipeline_id).filter(|_| matches!(to.stage, StageRef::Name(_)));
                let stage = self.stage_meant(conn, org, pipeline, Some(&to.stage)).await?;
                // Of two who put something into one place the second sees what the first has put there.
                lock::<stage::Entity>(conn, stage.id).await?;
                self.go_to(conn, &opened.access, &mut opened.after, &stage, &to.lost_reason).await?;
                opened.after.position = self.place_for(conn, &opened.access, &opened.after, to).await?;
                self.keep_deal(conn, caller, opened, "deals.move_deal").await
            })
            .await?;
        self.show_deal(self.db.conn(), row).await
    }

    async fn close_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        status: DealStatus,
        closing: Closing,
    ) -> Result<Deal> {
        closing.validate()?;
        let closing = &closing;
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                let mut opened = self.open_deal(conn, caller, org, at, Permission::DealClose).await?;
                if opened.before.status == status {
                    return Err(Error::IllegalTransition("It is so already."));
                }
                let stages = stages_of(conn, opened.before.pipeline_id).await?;
                let last_open = if status == DealStatus::Open { last_stage(conn, &opened.before).await? } else { None };
                let fits = |stage: &&stage::Model| stage.kind == status;
                let target = stages.iter().filter(fits).find(|stage| Some(stage.id) == last_open);
                let target = target.or_else(|| stages.iter().find(fits));
                let target = target.ok_or(Error::IllegalTransition("The pipeline has no stage for that."))?;
                self.go_to(conn, &opened.access, &mut opened.after, target, &closing.reason).await?;
                self.keep_deal(conn, caller, opened, "deals.close_deal").await
            })
            .await?;
        self.show_deal(self.db.conn(), row).await
    }

    async fn verify_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        verdict: Verification,
        why: Verdict,
        known: IfMatch,
    ) -> Result<Deal> {
        why.validate()?;
        let (why, known) = (&why, &known);
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                let mut opened = self.open_deal(conn, caller, org, at, Permission::DealVerify).await?;
                opened.access.check(known, opened.before.updated_at)?;
                if opened.before.verification == verdict || opened.before.verification == Verification::Verified {
                    return Err(Error::IllegalTransition("Somebody has decided about it already."));
                }
                opened.after.verification = verdict;
                why.reason.trim().clone_into(&mut opened.after.verification_note);
                self.keep_deal(conn, caller, opened, "deals.verify_deal").await
            })
            .await?;
        self.show_deal(self.db.conn(), row).await
    }

    async fn archive_deal(&self, caller: &Caller, org: OrganizationId, at: Place, aside: bool) -> Result<Deal> {
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                let mut opened = self.open_deal(conn, caller, org, at, Permission::DealUpdate).await?;
                if aside != opened.before.archived_at.is_some() {
                    opened.after.archived_at = aside.then(|| self.now());
                }
                self.keep_deal(conn, caller, opened, "deals.archive_deal").await
            })
            .await?;
        self.show_deal(self.db.conn(), row).await
    }

    async fn stage_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        slice: SliceQuery,
    ) -> Result<Slice<StageChange>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let row = access.find_deal(conn, at).await?;
        let of_deal = stage_change::Entity::find()
            .filter(stage_change::COLUMN.org_id.eq(org))
            .filter(stage_change::COLUMN.deal_id.eq(row.id));
        let rows = slice.cut(of_deal, stage_change::Column::Id).all(conn).await?;
        let (rows, slice) = Slice::of(rows, |row: &stage_change::Model| row.id, &slice).take();
        let people = self.members_as_people(conn, rows.iter().map(|row| row.moved_by)).await?;
        let show = |row: stage_change::Model| StageChange {
            id: row.id,
            from_stage: (!row.from_name.is_empty()).then_some(row.from_name),
            to_stage: row.to_name,
            moved_by: people.get(row.moved_by),
            moved_at: row.moved_at,
        };
        Ok(slice.with(rows.into_iter().map(show).collect()))
    }

    async fn deal_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        slice: SliceQuery,
    ) -> Result<Slice<Change>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let row = access.find_deal(conn, at).await?;
        self.changes_of(conn, &access, "deal", row.id.0, &slice).await
    }
}

/// The stage that a deal came from when it was closed.
async fn last_stage(conn: &impl ConnectionTrait, row: &deal::Model) -> Result<Option<StageId>> {
    let last = stage_change::Entity::find()
        .filter(stage_change::COLUMN.org_id.eq(row.org_id))
        .filter(stage_change::COLUMN.deal_id.eq(row.id))
        .order_by_desc(stage_change::Column::Id)
        .one(conn)
        .await?;
    Ok(last.and_then(|change| change.from_stage_id))
}

impl SqlDeals {
    async fn apply(&self, conn: &impl ConnectionTrait, opened: &mut Opened, patch: &DealPatch) -> Result<()> {
        let Opened { before, after, .. } = &mut *opened;
        for (field, change) in [
            (&mut after.title, &patch.title),
            (&mut after.description, &patch.description),
            (&mut after.source, &patch.source),
        ] {
            if let Some(change) = change {
                change.trim().clone_into(field);
            }
        }
        if after.title != before.title {
            let client = client::Entity::find_by_id(before.client_id).one(conn).await?;
            let client = client.ok_or(Error::ClientNotFound(before.client_id))?;
            after.search_text = search_text(&after.title, &after.code, &client);
        }
        if (patch.value.is_some() || patch.currency.is_some()) && lines::has_lines(conn, before).await? {
            let field = if patch.value.is_some() { "value" } else { "currency" };
            return Err(Error::field(field, "The deal is worth what its lines are worth: change those."));
        }
        if let Some(currency) = patch.currency.as_ref().filter(|currency| **currency != before.currency) {
            let sql = "SELECT COUNT(*) FROM deals_payment WHERE org_id = $1 AND deal_id = $2";
            if number(conn, sql, [before.org_id.into(), before.id.into()]).await? > 0 {
                return Err(Error::CurrencyLocked);
            }
            // The same number in the other currency, if it has as many digits.
            let same = Amount::new(before.currency.format(i128::from(before.value_minor)));
            after.currency = currency.clone();
            after.value_minor = worth(patch.value.as_ref().unwrap_or(&same), currency)?;
        } else if let Some(value) = &patch.value {
            after.value_minor = worth(value, &before.currency)?;
        }
        opened.settle_worth()?;
        let Opened { access, before, after } = opened;
        if let Some(contact) = patch.contact_id {
            if let Some(contact) = contact {
                let found = contacts::find(conn, access, before.client_id, contact).await;
                found.map_err(as_field("contact_id", "There is no such person at this client."))?;
            }
            after.contact_id = contact;
        }
        if let Some(day) = &patch.expected_close_date {
            after.expected_close_date.clone_from(day);
            after.close_key = close_key(day.as_ref());
        }
        if let Some(user) = patch.owner_id {
            let heir = access.heir(conn, "owner_id", user).await?.id;
            if heir != before.owner_id {
                access.may_with(Permission::DealReassign, before.owner_id, before.created_by)?;
                access.may_hand_to(Permission::DealReassign, heir)?;
                after.owner_id = heir;
            }
        }
        if let Some(given) = &patch.custom {
            let taken = custom::take_changed(conn, before.org_id, Customized::Deal, &before.custom, given).await?;
            after.custom.clone_from(&taken.stored);
            taken.keep(conn, before.org_id, About::Deal(before.id)).await?;
        }
        if let Some(wanted) = &patch.stage {
            let pipeline = Some(before.pipeline_id).filter(|_| matches!(wanted, StageRef::Name(_)));
            let stage = self.stage_meant(conn, before.org_id, pipeline, Some(wanted)).await?;
            self.go_to(conn, access, after, &stage, "").await?;
        }
        after.probability = patch.probability.unwrap_or(after.probability);
        Ok(())
    }
}
