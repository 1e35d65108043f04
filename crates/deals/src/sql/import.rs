//! Reading tables in: all of it is looked at before anything is stored, it is stored in pieces so that others can
//! write meanwhile, and what breaks off is taken back.

mod look;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Error as KernelError, GateLimits, Kind, Ordering, Origin, Page, PageQuery, Timestamp, audit, background,
    gate::Turn,
    idempotency::{Made, Once},
    text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set,
    sea_query::{Expr, LockType},
};
use tracing::Instrument;

use self::look::{ClientRow, DealRow, Rows};
use super::{
    SqlDeals, access::Access, clients::derive, column_of, custom::About, deals::search_text, export::table_of_faults,
    lock_as, many, number, run, sheet, store,
};
use crate::{
    ClientId, Error, Exchange, Fault, Filter, Format, Import, ImportId, ImportKind, ImportMode, ImportStatus, MemberId,
    NewClient, NewImport, Node, OrganizationId, Result, Table,
    entity::{client, custom_value, deal, import, stage_change},
    permission::Permission,
    place::at_the_end,
};

/// How many rows are stored in one transaction.
const PIECE: usize = 500;
/// How many faults, or rows that stayed, are shown at once.
const SHOWN: usize = 100;
/// An import that has not got on for so long was broken off: whoever read it in is gone. A piece takes a second at most.
const STALLED: Duration = Duration::from_secs(60);
/// How long somebody waits for an import to be done; then it goes on without them.
const PATIENCE: Duration = Duration::from_secs(20);
/// One table at a time: reading it takes up to 300 MiB, and a core.
pub(super) const TABLES: GateLimits =
    GateLimits { at_once: 1, queue: 8, per_person: 2, patience: Duration::from_secs(15) };

impl SqlDeals {
    /// Stores a piece of deals, with the clients that are not there yet.
    async fn take_deals(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        import: ImportId,
        rows: &[DealRow],
    ) -> Result<u64> {
        let org = &access.org;
        access.may(Permission::DealCreate)?;
        let now = self.now();
        let mut keys: BTreeMap<String, &str> = BTreeMap::new();
        for row in rows {
            // As the first row spells it.
            keys.entry(text::fold(&row.client)).or_insert(&row.client);
        }
        let known = access.clients().filter(client::COLUMN.name_key.is_in(keys.keys().cloned()));
        lock_as(conn, known.clone().order_by_asc(client::Column::Id), LockType::NoKeyUpdate).await?;
        let mut clients: HashMap<String, client::Model> = HashMap::new();
        for row in known.all(conn).await? {
            // Somebody has added another one since it was looked at.
            if clients.insert(row.name_key.clone(), row).is_some() {
                return Err(Error::field("client", look::AMBIGUOUS));
            }
        }
        for (key, name) in keys {
            if clients.contains_key(&key) {
                continue;
            }
            access.may(Permission::ClientCreate)?;
            let new = NewClient { name: name.to_owned(), ..NewClient::default() };
            let row = new_client(access, &new, access.member.id, import, now);
            let row = client::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(conn).await?;
            clients.insert(key, row);
        }
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let sql = "UPDATE deals_counter SET next = next + $3 WHERE org_id = $1 AND kind = 'deal' RETURNING next - $3";
        let first = number(conn, sql, [org.id.into(), "deal".into(), count.into()]).await?;
        let pad = usize::try_from(org.number_pad).unwrap_or(4);
        let mut models = Vec::new();
        let mut stages = HashMap::new();
        let mut said = HashMap::new();
        for (number, row) in (first..).zip(rows) {
            said.insert(number, &row.custom);
            let client = clients.get(&text::fold(&row.client)).ok_or(Error::NotFound("client"))?;
            let code = format!("{}{number:0pad$}", org.number_prefix);
            stages.insert(number, row.stage.as_str());
            let model = deal::Model {
                number,
                client_id: client.id,
                position: at_the_end(now, number),
                search_text: search_text(&row.deal.title, &code, client),
                code,
                stage_entered_at: now,
                created_at: now,
                updated_at: now,
                import_id: Some(import),
                ..row.deal.clone()
            };
            models.push(deal::ActiveModel { id: NotSet, ..model.into() }.reset_all());
        }
        deal::Entity::insert_many(models).exec_without_returning(conn).await?;
        let stored: Vec<(crate::DealId, i64, crate::StageId)> = deal::Entity::find()
            .select_only()
            .column(deal::Column::Id)
            .column(deal::Column::Number)
            .column(deal::Column::StageId)
            .filter(deal::COLUMN.org_id.eq(org.id))
            .filter(deal::COLUMN.number.gte(first))
            .filter(deal::COLUMN.number.lt(first + count))
            .into_tuple()
            .all(conn)
            .await?;
        let values: Vec<_> = stored
            .iter()
            .filter_map(|(id, number, _)| Some((said.get(number)?, *id)))
            .flat_map(|(taken, id)| taken.rows(org.id, About::Deal(id)))
            .collect();
        // Few enough at once for the parameters of a statement.
        for values in values.chunks(PIECE) {
            custom_value::Entity::insert_many(values.iter().cloned()).exec_without_returning(conn).await?;
        }
        let changes = stored.into_iter().map(|(id, number, stage)| stage_change::ActiveModel {
            id: NotSet,
            org_id: Set(org.id),
            deal_id: Set(id),
            from_stage_id: Set(None),
            to_stage_id: Set(Some(stage)),
            from_name: Set(String::new()),
            to_name: Set(stages.get(&number).copied().unwrap_or_default().to_owned()),
            moved_by: Set(access.member.id),
            moved_at: Set(now),
        });
        stage_change::Entity::insert_many(changes).exec_without_returning(conn).await?;
        Ok(many(count))
    }

    /// Stores a piece of clients; gives how many were added and how many changed.
    async fn take_clients(
        &self,
        conn: &impl ConnectionTrait,
        act: (&Caller, &Access),
        import: ImportId,
        rows: &[ClientRow],
    ) -> Result<(u64, u64)> {
        let (caller, access) = act;
        access.may(Permission::ClientCreate)?;
        let now = self.now();
        let (mut added, mut one_by_one, mut changed) = (Vec::new(), 0, 0);
        for row in rows {
            let Some(there) = &row.there else {
                let owner = row.owner.unwrap_or(access.member.id);
                let mut model = new_client(access, &row.new, owner, import, now);
                model.custom.clone_from(&row.custom.stored);
                let model = client::ActiveModel { id: NotSet, ..model.into() }.reset_all();
                if row.custom.stored.is_empty() {
                    added.push(model);
                } else {
                    let id = model.insert(conn).await?.id;
                    row.custom.clone().keep(conn, access.org.id, About::Client(id)).await?;
                    one_by_one += 1;
                }
                continue;
            };
            super::lock::<client::Entity>(conn, there.id).await?;
            let before = access.client_for(conn, there.id, Permission::ClientUpdate).await?;
            let mut after = before.clone();
            if let Some(owner) = row.owner.filter(|owner| *owner != before.owner_id) {
                access.may_with(Permission::ClientReassign, before.owner_id, before.created_by)?;
                after.owner_id = owner;
            }
            for (own, told) in [
                (&mut after.name, &row.new.name),
                (&mut after.phone, &row.new.phone),
                (&mut after.website, &row.new.website),
                (&mut after.address, &row.new.address),
                (&mut after.tax_id, &row.new.tax_id),
                (&mut after.notes, &row.new.notes),
            ] {
                if !told.is_empty() {
                    own.clone_from(told);
                }
            }
            derive(&mut after);
            after.custom = row.custom.over(&before.custom);
            row.custom.clone().keep(conn, access.org.id, About::Client(there.id)).await?;
            after.updated_at = now;
            store(conn, &before, &after).await?;
            self.rename_in_deals(conn, &after).await?;
            self.changed(conn, (caller, access), "deals.import_client", &before, &after).await?;
            changed += 1;
        }
        let count = added.len() as u64 + one_by_one;
        if !added.is_empty() {
            client::Entity::insert_many(added).exec_without_returning(conn).await?;
        }
        Ok((count, changed))
    }

    async fn show_imports(&self, rows: Vec<import::Model>) -> Result<Vec<Import>> {
        let people = self.members_as_people(self.db.conn(), rows.iter().map(|row| row.created_by)).await?;
        let show = |row: import::Model| {
            let mut errors: Vec<Fault> = serde_json::from_str(&row.errors).unwrap_or_default();
            errors.truncate(SHOWN);
            Import {
                id: row.id,
                kind: row.kind,
                file_name: row.file_name,
                status: row.status,
                total: row.total,
                created: row.created,
                updated: row.updated,
                skipped: row.skipped,
                failed: row.failed,
                kept: row.kept,
                kept_rows: Vec::new(),
                errors,
                created_by: people.get(row.created_by),
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// An import with the rows that stayed when it was taken back, as far as the caller may see them.
    async fn show_import(&self, access: &Access, row: import::Model) -> Result<Import> {
        let conn = self.db.conn();
        let (id, has_kept) = (row.id, row.kept > 0);
        let mut shown = self.show_imports(vec![row]).await?.pop().ok_or(Error::NotFound("import"))?;
        if has_kept {
            let deals = access.deals().filter(deal::COLUMN.import_id.eq(id)).order_by_asc(deal::Column::Id);
            let clients = access.clients().filter(client::COLUMN.import_id.eq(id)).order_by_asc(client::Column::Id);
            let deal =
                |row: deal::Model| Node { model: "deal", id: row.id.0, label: format!("{} - {}", row.code, row.title) };
            let client = |row: client::Model| Node { model: "client", id: row.id.0, label: row.name };
            let deals = deals.limit(SHOWN as u64).all(conn).await?.into_iter().map(deal);
            let clients = clients.limit(SHOWN as u64).all(conn).await?.into_iter().map(client);
            shown.kept_rows = deals.chain(clients).take(SHOWN).collect();
        }
        Ok(shown)
    }

    async fn import_row(&self, access: &Access, id: ImportId) -> Result<import::Model> {
        let found = imports_of(access).filter(import::COLUMN.id.eq(id));
        found.one(self.db.conn()).await?.ok_or(Error::NotFound("import"))
    }

    /// The import that was begun with this key; none where there was none, or where it broke off.
    async fn begun_before(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        once: Option<&Once>,
    ) -> Result<Option<import::Model>> {
        let Some(once) = once else { return Ok(None) };
        let realm = access.realm();
        let Some(answer) = once.before(conn, &realm, caller, self.now()).await? else { return Ok(None) };
        let id = answer["id"].as_i64().map(ImportId).ok_or(Error::NotFound("import"))?;
        match import::Entity::find_by_id(id).one(conn).await? {
            Some(row) if row.status == ImportStatus::Running => {
                let detail = "A request with this Idempotency-Key is being done.";
                Err(KernelError::new(Kind::Conflict, "idempotency_in_progress", detail).into())
            }
            Some(row) if row.status != ImportStatus::Failed => Ok(Some(row)),
            _ => {
                once.forget(conn, &realm, caller).await?;
                Ok(None)
            }
        }
    }

    /// The answer to whoever sends an import again.
    async fn again(&self, access: &Access, row: import::Model) -> Result<Made<Import>> {
        let shown = serde_json::to_value(self.show_import(access, row).await?).map_err(KernelError::internal)?;
        Ok(Made::Before(shown))
    }

    /// Stores what was looked at, piece by piece, and says with each how far it has come.
    async fn take(&self, caller: &Caller, org: OrganizationId, row: &mut import::Model, rows: &Rows) -> Result<()> {
        let id = row.id;
        match rows {
            Rows::Deals(rows) => {
                for piece in rows.chunks(PIECE) {
                    let (known, now) = (row.updated_at, self.now());
                    let added = self.act(|tx| async move {
                        let access = self.enter_to(tx.conn(), caller, org, Permission::ImportRun).await?;
                        let added = self.take_deals(tx.conn(), &access, id, piece).await?;
                        advance(tx.conn(), id, known, now, (added, 0)).await?;
                        Ok::<_, Error>(added)
                    });
                    row.created += i64::try_from(added.await?).unwrap_or_default();
                    row.updated_at = now;
                }
            }
            Rows::Clients(rows) => {
                for piece in rows.chunks(PIECE) {
                    let (known, now) = (row.updated_at, self.now());
                    let counts = self.act(|tx| async move {
                        let access = self.enter_to(tx.conn(), caller, org, Permission::ImportRun).await?;
                        let counts = self.take_clients(tx.conn(), (caller, &access), id, piece).await?;
                        advance(tx.conn(), id, known, now, counts).await?;
                        Ok::<_, Error>(counts)
                    });
                    let (added, changed) = counts.await?;
                    row.created += i64::try_from(added).unwrap_or_default();
                    row.updated += i64::try_from(changed).unwrap_or_default();
                    row.updated_at = now;
                }
            }
        }
        Ok(())
    }

    /// Stores all of an import, or nothing of it, also where whoever has sent it does not wait.
    async fn take_all(self, caller: Caller, mut row: import::Model, rows: Rows, turn: Turn) -> Result<()> {
        let _turn = turn;
        let taken = match self.take(&caller, row.org_id, &mut row, &rows).await {
            Ok(()) => self.finish(&caller, &row).await,
            broken => broken,
        };
        if let Err(error) = taken {
            tracing::warn!(import.id = row.id.0, %error, "an import broke off and is taken back");
            self.break_off(row.org_id, row.id).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Says that all of an import is stored.
    async fn finish(&self, caller: &Caller, row: &import::Model) -> Result<()> {
        let detail = &vec![
            ("file_name", row.file_name.clone().into()),
            ("created", row.created.into()),
            ("updated", row.updated.into()),
        ];
        self.act(|tx| async move {
            let conn = tx.conn();
            advance(conn, row.id, row.updated_at, self.now(), (0, 0)).await?;
            let sql = "UPDATE deals_import SET status = 'done' WHERE id = $1";
            run(conn, sql, [row.id.into()]).await?;
            let access = self.enter_to(conn, caller, row.org_id, Permission::ImportRun).await?;
            self.noted(conn, (caller, &access), "deals.import", ("import", row.id.0), detail.clone()).await
        })
        .await
    }

    /// Takes back all of an import that broke off.
    async fn break_off(&self, org: OrganizationId, id: ImportId) -> Result<()> {
        let gone = self.take_back(org, id, Numbers::GiveBack).await?.numbers;
        let gone = &gone;
        self.act(|tx| async move {
            let (conn, now) = (tx.conn(), self.now());
            let sql = "UPDATE deals_import SET status = 'failed', created = 0, updated_at = $1 \
                       WHERE id = $2 AND status = 'running'";
            run(conn, sql, [now.into(), id.into()]).await?;
            let realm = format!("deals/{org}");
            let object = format!("{realm}/import/{id}");
            let event = audit::Event::new("deals.break_off_import").with("numbers", ranges(gone.clone()));
            Ok::<_, Error>(event.of(realm, object).record(conn, now).await?)
        })
        .await
    }

    /// Takes back the imports that were broken off because their server has gone.
    pub(super) async fn break_off_stalled(&self) -> Result<()> {
        let now = self.now();
        let stalled = import::Entity::find()
            .filter(Expr::cust("deals_import.status = 'running'"))
            .filter(import::COLUMN.updated_at.lt(now - STALLED))
            .order_by_asc(import::Column::Id);
        for row in stalled.all(self.db.conn()).await? {
            // From now on whoever still reads it in, slowly, cannot go on.
            let row = &row;
            let claimed = self.act(|tx| async move { advance(tx.conn(), row.id, row.updated_at, now, (0, 0)).await });
            match claimed.await {
                Ok(()) => self.break_off(row.org_id, row.id).await?,
                Err(Error::IllegalTransition(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes back what came with an import, but for what somebody has changed since.
    async fn take_back(&self, org: OrganizationId, id: ImportId, then: Numbers) -> Result<TakenBack> {
        let untouched = "org_id = $1 AND import_id = $2 AND updated_at = created_at AND deleted_at IS NULL";
        let deals = format!(
            "DELETE FROM deals_deal WHERE id IN (SELECT d.id FROM deals_deal d WHERE {} \
             AND NOT EXISTS (SELECT 1 FROM deals_payment p WHERE p.org_id = d.org_id AND p.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_activity a WHERE a.org_id = d.org_id AND a.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_file f WHERE f.org_id = d.org_id AND f.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_line l WHERE l.org_id = d.org_id AND l.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_task t WHERE t.org_id = d.org_id AND t.deal_id = d.id) \
             ORDER BY d.number DESC LIMIT {PIECE}) RETURNING number",
            untouched.replace("org_id", "d.org_id").replace("import_id", "d.import_id")
        );
        let clients = format!(
            "DELETE FROM deals_client WHERE id IN (SELECT c.id FROM deals_client c WHERE {} \
             AND NOT EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = c.org_id AND d.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_contact p WHERE p.org_id = c.org_id AND p.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_activity a WHERE a.org_id = c.org_id AND a.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_task t WHERE t.org_id = c.org_id AND t.client_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_merged_client m WHERE m.org_id = c.org_id AND m.client_id = c.id) \
             ORDER BY c.id LIMIT {PIECE})",
            untouched.replace("org_id", "c.org_id").replace("import_id", "c.import_id")
        );
        let mut numbers = Vec::new();
        loop {
            let sql = deals.as_str();
            let piece = self.act(|tx| async move {
                let conn = tx.conn();
                let gone = column_of(conn, sql, [org.into(), id.into()]).await?;
                match then {
                    Numbers::GiveBack => give_back(conn, org, gone.clone()).await.map(|kept| (gone.len(), kept)),
                    Numbers::Keep => Ok((gone.len(), gone)),
                }
            });
            let (gone, kept) = piece.await?;
            numbers.extend(kept);
            if gone == 0 {
                break;
            }
        }
        loop {
            let sql = clients.as_str();
            let gone = self.act(|tx| async move { run(tx.conn(), sql, [org.into(), id.into()]).await });
            if gone.await? == 0 {
                break;
            }
        }
        let left = "SELECT (SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND import_id = $2) \
                    + (SELECT COUNT(*) FROM deals_client WHERE org_id = $1 AND import_id = $2)";
        Ok(TakenBack { stayed: number(self.db.conn(), left, [org.into(), id.into()]).await?, numbers })
    }

    /// Takes back an import that was done.
    async fn revert(self, caller: Caller, org: OrganizationId, id: ImportId) -> Result<()> {
        let TakenBack { stayed, numbers } = self.take_back(org, id, Numbers::Keep).await?;
        let (deals, caller, numbers) = (&self, &caller, &numbers);
        self.act(|tx| async move {
            let conn = tx.conn();
            let sql = "UPDATE deals_import SET status = 'reverted', kept = $1, updated_at = $2 \
                       WHERE id = $3 AND status = 'done'";
            if run(conn, sql, [stayed.into(), deals.now().into(), id.into()]).await? == 0 {
                return Err(Error::IllegalTransition("Only what was read in is taken back."));
            }
            let access = deals.enter_to(conn, caller, org, Permission::ImportRun).await?;
            let detail = vec![("kept", stayed.into()), ("numbers", ranges(numbers.clone()).into())];
            deals.noted(conn, (caller, &access), "deals.revert_import", ("import", id.0), detail).await
        })
        .await
    }
}

/// What becomes of the numbers of deals that are taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// The last ones are given again: what has them was never done.
    GiveBack,
    /// They are never given again.
    Keep,
}

/// What came of taking an import back.
struct TakenBack {
    /// How many rows stayed.
    stayed: i64,
    /// The numbers that nothing has any more and that are not given again.
    numbers: Vec<i64>,
}

/// Lets the numbers of deals that are gone be given again, as far as none was given after them; gives the others.
async fn give_back(conn: &impl ConnectionTrait, org: OrganizationId, mut numbers: Vec<i64>) -> Result<Vec<i64>> {
    numbers.sort_unstable();
    // Locks the counter, as everybody who takes a number does.
    let lock = "UPDATE deals_counter SET next = next WHERE org_id = $1 AND kind = 'deal' RETURNING next";
    let before = number(conn, lock, [org.into()]).await?;
    let mut next = before;
    while numbers.last().is_some_and(|last| last + 1 == next) {
        numbers.pop();
        next -= 1;
    }
    if next < before {
        let sql = "UPDATE deals_counter SET next = $1 WHERE org_id = $2 AND kind = 'deal'";
        run(conn, sql, [next.into(), org.into()]).await?;
    }
    Ok(numbers)
}

/// Numbers as the log has them: `1-14000, 14007`.
fn ranges(mut numbers: Vec<i64>) -> String {
    numbers.sort_unstable();
    let ranges = numbers.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// Says how far an import has come, in the transaction that has brought it there; refused where somebody has begun
/// to take it back.
async fn advance(
    conn: &impl ConnectionTrait,
    id: ImportId,
    known: Timestamp,
    now: Timestamp,
    (created, updated): (u64, u64),
) -> Result<()> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE deals_import SET created = created + $1, updated = updated + $2, updated_at = $3 \
               WHERE id = $4 AND status = 'running' AND updated_at = $5";
    let values = [count(created).into(), count(updated).into(), now.into(), id.into(), known.into()];
    match run(conn, sql, values).await? {
        0 => Err(Error::IllegalTransition("It is being taken back.")),
        _ => Ok(()),
    }
}

/// Runs an operation of several transactions in a task of its own, so that it comes to an end although whoever has asked
/// for it does not wait; waits for it for a while.
async fn beside(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let origin = (*Origin::current()).clone();
    let task = tokio::spawn(origin.scope(work).instrument(tracing::Span::current()));
    match tokio::time::timeout(PATIENCE, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(broken)) => Err(KernelError::internal(broken).into()),
        Err(_) => Ok(()),
    }
}

/// The imports that the caller may know of: their own, and those of people whose rows they see.
fn imports_of(access: &Access) -> Select<import::Entity> {
    let by = |kind: ImportKind, permission: Permission| {
        let all = Condition::all().add(import::COLUMN.kind.eq(kind));
        match access.reached_members(permission) {
            None => all,
            Some(members) => all.add(import::COLUMN.created_by.is_in(members)),
        }
    };
    let known = Condition::any()
        .add(import::COLUMN.created_by.eq(access.member.id))
        .add(by(ImportKind::Deals, Permission::DealRead))
        .add(by(ImportKind::Clients, Permission::ClientRead));
    import::Entity::find().filter(import::COLUMN.org_id.eq(access.org.id)).filter(known)
}

fn new_client(access: &Access, new: &NewClient, owner: MemberId, import: ImportId, now: Timestamp) -> client::Model {
    let mut row = client::Model {
        id: ClientId(0),
        org_id: access.org.id,
        name: new.name.trim().to_owned(),
        name_key: String::new(),
        email: new.email.trim().to_owned(),
        email_key: None,
        phone: new.phone.trim().to_owned(),
        phone_key: None,
        website: new.website.trim().to_owned(),
        address: new.address.clone(),
        tax_id: new.tax_id.trim().to_owned(),
        notes: new.notes.clone(),
        owner_id: owner,
        created_by: access.member.id,
        search_text: String::new(),
        archived_at: None,
        deleted_at: None,
        deletion_id: None,
        created_at: now,
        updated_at: now,
        import_id: Some(import),
        custom: String::new(),
    };
    derive(&mut row);
    row
}

#[async_trait]
impl Exchange for SqlDeals {
    async fn export_deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        format: Format,
    ) -> Result<Table> {
        self.table_of_deals(caller, org, &filter, format).await
    }

    async fn export_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        filter: Filter,
        format: Format,
    ) -> Result<Table> {
        self.table_of_clients(caller, org, &filter, format).await
    }

    async fn import(
        &self,
        caller: &Caller,
        org: OrganizationId,
        new: NewImport,
        once: Option<Once>,
    ) -> Result<Made<Import>> {
        let access = &self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        let act = (caller, access);
        let once = once.as_ref();
        // Nothing is looked at twice.
        if let Some(row) = self.act(|tx| async move { self.begun_before(tx.conn(), act, once).await }).await? {
            return self.again(access, row).await;
        }
        self.host.files.check_room()?;
        self.host.files.count_upload(caller.user, new.bytes.len()).await?;
        let turn = self.tables.enter(Some(caller.user)).await?;
        let (this, own, given) = (self.clone(), access.clone(), new.clone());
        let looking = async move {
            let sheet = sheet::read(&given)?;
            let looked = this.look(&own, &given, &sheet).await?;
            // The turn goes with the work, which goes on where nobody waits for it.
            Ok::<_, Error>((looked, sheet.rows.len() as u64, turn))
        };
        let (looked, total, turn) = background::run_blocking(looking).await??;
        let refused = looked.failed > 0 && new.mode == ImportMode::Atomic;
        let status = match (new.dry_run, refused) {
            (true, _) => ImportStatus::Checked,
            (false, true) => ImportStatus::Refused,
            (false, false) => ImportStatus::Running,
        };
        let now = self.now();
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let row = &import::ActiveModel {
            id: NotSet,
            org_id: Set(org),
            kind: Set(new.kind),
            file_name: Set(new.file_name.clone()),
            status: Set(status),
            total: Set(count(total)),
            created: Set(0),
            updated: Set(0),
            skipped: Set(count(looked.skipped)),
            failed: Set(count(looked.failed)),
            kept: Set(0),
            errors: Set(serde_json::to_string(&looked.faults).map_err(KernelError::internal)?),
            created_by: Set(access.member.id),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let (row, is_new) = self
            .act(|tx| async move {
                let conn = tx.conn();
                // Somebody may have sent it while it was looked at.
                if let Some(row) = self.begun_before(conn, act, once).await? {
                    return Ok((row, false));
                }
                let row = row.clone().insert(conn).await?;
                if let Some(once) = once {
                    let begun = serde_json::json!({ "id": row.id });
                    once.after(conn, &access.realm(), caller, &begun, self.now()).await?;
                }
                Ok::<_, Error>((row, true))
            })
            .await?;
        if !is_new {
            return self.again(access, row).await;
        }
        if row.status == ImportStatus::Running {
            // Half an import is nobody's wish: it goes on, and can be asked for, although its client has hung up.
            beside(self.clone().take_all(*caller, row.clone(), looked.rows, turn)).await?;
        }
        let row = self.import_row(access, row.id).await?;
        Ok(Made::New(self.show_import(access, row).await?))
    }

    async fn imports(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Import>> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::ImportRun).await?;
        let select = imports_of(&access);
        let ordering = Ordering { fields: &[("id", import::Column::Id)], usual: "-id", id: import::Column::Id };
        let page = Page::<import::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_imports(rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn find_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        self.show_import(&access, self.import_row(&access, id).await?).await
    }

    async fn import_errors(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Table> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        let row = self.import_row(&access, id).await?;
        Ok(table_of_faults(&serde_json::from_str::<Vec<Fault>>(&row.errors).unwrap_or_default()))
    }

    async fn revert_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        let row = self.import_row(&access, id).await?;
        if row.created_by != access.member.id {
            let permission = match row.kind {
                ImportKind::Clients => Permission::ClientDelete,
                ImportKind::Deals => Permission::DealDelete,
            };
            access.may_with(permission, row.created_by, row.created_by)?;
        }
        if row.status != ImportStatus::Done {
            return Err(Error::IllegalTransition("Only what was read in is taken back."));
        }
        beside(self.clone().revert(*caller, org, id)).await?;
        self.show_import(&access, self.import_row(&access, id).await?).await
    }
}
