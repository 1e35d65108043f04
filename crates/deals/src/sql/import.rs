//! Reading tables in: all of it is looked at before anything is stored, it is stored in pieces so that others can
//! write meanwhile, and what breaks off is taken back.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, Error as KernelError, Ordering, Page, PageQuery,
    idempotency::{Made, Once},
    text,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set, sea_query::LockType,
};

use super::{
    SqlDeals,
    access::Access,
    clients::{derive, email_key},
    custom::{self, About},
    deals::{close_key, draft, has_what_it_needs, is_approved, search_text, worth},
    export::{CLIENT_COLUMNS, DEAL_COLUMNS, headings, table_of_faults},
    lock_as, many, number, run,
    sheet::{self, Row, Sheet},
    store,
};
use crate::{
    Amount, ClientId, Currency, Customized, Day, DealStatus, Error, Exchange, Fault, Filter, Format, Import, ImportId,
    ImportKind, ImportMode, ImportStatus, NewClient, NewImport, OnDuplicate, OrganizationId, Result, Table,
    entity::{client, custom_field, custom_value, deal, import, stage, stage_change},
    permission::Permission,
    place::at_the_end,
};

/// How many rows are stored in one transaction.
const PIECE: usize = 500;
/// How many faults are kept.
const MOST_FAULTS: usize = 1000;
/// How many of them are shown at once.
const SHOWN_FAULTS: usize = 100;
/// How much of a cell is told.
const TOLD: usize = 100;

/// A row that is looked at, and what is wrong with it.
struct Place<'a> {
    row: &'a Row,
    sheet: &'a Sheet,
    /// Which column holds which field.
    columns: &'a HashMap<String, usize>,
    /// The fields of the organization's own.
    fields: &'a [custom_field::Model],
    wrong: Vec<Fault>,
}

impl<'a> Place<'a> {
    fn get(&self, field: &str) -> &'a str {
        let cell = self.columns.get(field).and_then(|at| self.row.cells.get(*at));
        cell.map(|cell| cell.trim()).unwrap_or_default()
    }

    /// What a cell says; none where it is empty, or says nothing that is understood, which is a fault.
    fn read<T>(&mut self, field: &str, message: &str, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let cell = self.get(field);
        if cell.is_empty() {
            return None;
        }
        let value = read(cell);
        if value.is_none() {
            self.wrong.push(self.fault(field, "invalid", message));
        }
        value
    }

    /// A text has to be one line of at most so many characters; several where it is a description.
    fn line(&mut self, field: &str, most: usize, needed: bool) {
        let cell = self.get(field);
        let broken = field != "description" && cell.contains(char::is_control);
        if needed && cell.is_empty() {
            self.wrong.push(self.fault(field, "required", "This field is required."));
        } else if broken || cell.chars().count() > most {
            let message = format!("One line of at most {most} characters is needed.");
            self.wrong.push(self.fault(field, "invalid", message));
        }
    }

    /// What the fields of the organization's own say.
    fn custom(&mut self) -> custom::Taken {
        let cells =
            self.fields.iter().map(|field| (field.key.clone(), self.get(&format!("{}{}", custom::PREFIX, field.key))));
        let given: custom::Given =
            cells.filter(|(_, cell)| !cell.is_empty()).map(|(key, cell)| (key, cell.into())).collect();
        custom::take(self.fields, None, &given).unwrap_or_else(|faults| {
            for (name, messages) in faults {
                let field = name.replacen("custom.", custom::PREFIX, 1);
                self.wrong.push(self.fault(&field, "invalid", messages.join(" ")));
            }
            custom::Taken::default()
        })
    }

    fn fault(&self, field: &str, code: &str, message: impl Into<String>) -> Fault {
        let heading = self.columns.get(field).and_then(|at| self.sheet.headings.get(*at));
        Fault {
            line: self.row.line,
            column: heading.cloned().unwrap_or_default(),
            field: field.to_owned(),
            value: self.get(field).chars().take(TOLD).collect(),
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// The input was refused: by the fields that are named.
    fn refused(&mut self, error: Error) {
        for (field, messages) in KernelError::from(error).fields() {
            self.wrong.push(self.fault(field, "invalid", messages.join(" ")));
        }
    }
}

/// Which column holds which field: as the mapping says, else by its own heading.
fn columns(new: &NewImport, sheet: &Sheet, fields: &[custom_field::Model]) -> Result<HashMap<String, usize>> {
    let known: &[&str] = match new.kind {
        ImportKind::Deals => &DEAL_COLUMNS,
        ImportKind::Clients => &CLIENT_COLUMNS,
    };
    let known = headings(known, fields);
    let mut columns = HashMap::new();
    for (at, heading) in sheet.headings.iter().enumerate() {
        let field = match new.mapping.get(heading) {
            Some(field) if known.contains(field) => field.clone(),
            Some(field) => {
                let message = format!("There is no field {field}; there are: {}.", known.join(", "));
                return Err(Error::field("mapping", message));
            }
            None => text::fold(heading).replace([' ', '-'], "_"),
        };
        if known.contains(&field) && columns.insert(field.clone(), at).is_some() {
            return Err(Error::field("mapping", format!("Two columns hold {field}.")));
        }
    }
    if let Some(strange) = new.mapping.keys().find(|heading| !sheet.headings.contains(heading)) {
        return Err(Error::field("mapping", format!("There is no column {strange}.")));
    }
    let needed: &[&str] = match new.kind {
        ImportKind::Deals => &["title", "client"],
        ImportKind::Clients => &["name"],
    };
    match needed.iter().find(|field| !columns.contains_key(**field)) {
        Some(field) => Err(Error::field("mapping", format!("A column for {field} is needed."))),
        None => Ok(columns),
    }
}

/// A row of deals, looked at.
struct DealRow {
    client: String,
    deal: deal::Model,
    stage: String,
    custom: custom::Taken,
}

/// A row of clients, looked at.
struct ClientRow {
    new: NewClient,
    custom: custom::Taken,
    /// The client that is there already.
    there: Option<client::Model>,
}

/// What is to be stored.
enum Rows {
    Deals(Vec<DealRow>),
    Clients(Vec<ClientRow>),
}

/// What was found out by looking.
struct Looked {
    rows: Rows,
    faults: Vec<Fault>,
    failed: u64,
    skipped: u64,
}

impl SqlDeals {
    /// Looks at all of a table, and stores nothing.
    async fn look(&self, access: &Access, new: &NewImport, sheet: &Sheet) -> Result<Looked> {
        let entity = match new.kind {
            ImportKind::Deals => Customized::Deal,
            ImportKind::Clients => Customized::Client,
        };
        let fields = custom::fields_of(self.db.conn(), access.org.id, entity).await?;
        let columns = columns(new, sheet, &fields)?;
        match new.kind {
            ImportKind::Deals => self.look_at_deals(access, new, sheet, (&columns, &fields)).await,
            ImportKind::Clients => self.look_at_clients(access, new, sheet, (&columns, &fields)).await,
        }
    }

    async fn look_at_deals(
        &self,
        access: &Access,
        new: &NewImport,
        sheet: &Sheet,
        (columns, fields): (&HashMap<String, usize>, &[custom_field::Model]),
    ) -> Result<Looked> {
        let conn = self.db.conn();
        let first = self.stage_meant(conn, access.org.id, None, None).await?;
        let stages: HashMap<String, stage::Model> = super::pipelines::stages_of(conn, first.pipeline_id)
            .await?
            .into_iter()
            .map(|stage| (stage.name_key.clone(), stage))
            .collect();
        let (mut rows, mut faults, mut failed) = (Vec::new(), Vec::new(), 0);
        for row in &sheet.rows {
            let mut place = Place { row, sheet, columns, fields, wrong: Vec::new() };
            let read = self.read_deal(access, new.decimal_comma, (&stages, &first), &mut place);
            if place.wrong.is_empty() {
                rows.push(read);
            } else {
                failed += 1;
                faults.extend(place.wrong);
                faults.truncate(MOST_FAULTS);
            }
        }
        Ok(Looked { rows: Rows::Deals(rows), faults, failed, skipped: 0 })
    }

    /// Reads a row of deals; what is wrong with it is left with its place.
    fn read_deal(
        &self,
        access: &Access,
        decimal_comma: bool,
        (stages, first): (&HashMap<String, stage::Model>, &stage::Model),
        place: &mut Place<'_>,
    ) -> DealRow {
        place.line("title", 200, true);
        place.line("client", 200, true);
        place.line("source", 100, false);
        place.line("description", 10_000, false);
        let currency = place.read("currency", "A currency of ISO 4217 like EUR is needed.", Currency::from_code);
        let currency = currency.unwrap_or_else(|| access.org.default_currency.clone());
        let value = match place.get("value") {
            "" => Ok(0),
            cell if decimal_comma => worth(&Amount::new(cell.replace('.', "").replace(',', ".")), &currency),
            cell => worth(&Amount::new(cell), &currency),
        };
        let value = value.unwrap_or_else(|error| {
            place.refused(error);
            0
        });
        let stage = place.read("stage", "There is no such stage.", |name| stages.get(&text::fold(name)));
        let stage = stage.unwrap_or(first);
        let day = place.read("expected_close_date", "A day like 2025-09-01 is needed.", Day::parse);
        let percent = |cell: &str| cell.parse().ok().filter(|percent| (0..=100).contains(percent));
        let probability = place.read("probability", "A whole number from 0 to 100 is needed.", percent);
        let custom = place.custom();
        let now = self.now();
        let deal = deal::Model {
            title: place.get("title").to_owned(),
            description: place.get("description").to_owned(),
            value_minor: value,
            currency,
            probability: probability.unwrap_or(stage.probability),
            source: place.get("source").to_owned(),
            close_key: close_key(day.as_ref()),
            expected_close_date: day,
            custom: custom.stored.clone(),
            ..draft(access, stage, now)
        };
        if stage.kind != DealStatus::Open
            && let Err(error) = access.may(Permission::DealClose)
        {
            place.wrong.push(place.fault("stage", "not_granted", error.to_string()));
        }
        if let Err(error) = has_what_it_needs(&deal, stage) {
            place.refused(error);
        }
        if let Err(error) = is_approved(&access.org, &deal, stage) {
            place.wrong.push(place.fault("stage", "approval_required", error.to_string()));
        }
        DealRow { client: place.get("client").to_owned(), deal, stage: stage.name.clone(), custom }
    }

    async fn look_at_clients(
        &self,
        access: &Access,
        new: &NewImport,
        sheet: &Sheet,
        (columns, fields): (&HashMap<String, usize>, &[custom_field::Model]),
    ) -> Result<Looked> {
        let mut there = HashMap::new();
        let emails = sheet.rows.iter().map(|row| Place { row, sheet, columns, fields, wrong: Vec::new() });
        let emails: Vec<String> = emails.filter_map(|place| email_key(place.get("email"))).collect();
        for piece in emails.chunks(PIECE) {
            // Also those that the caller may not see: an address is an organization's once.
            let known = client::Entity::find()
                .filter(client::COLUMN.org_id.eq(access.org.id))
                .filter(client::COLUMN.deleted_at.is_null())
                .filter(client::COLUMN.email_key.is_in(piece.iter().cloned()));
            for row in known.all(self.db.conn()).await? {
                there.insert(row.email_key.clone().unwrap_or_default(), row);
            }
        }
        let mut looked = Looked { rows: Rows::Clients(Vec::new()), faults: Vec::new(), failed: 0, skipped: 0 };
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        for row in &sheet.rows {
            let mut place = Place { row, sheet, columns, fields, wrong: Vec::new() };
            let custom = place.custom();
            let cell = |field: &str| place.get(field).to_owned();
            let new_client = NewClient {
                name: cell("name"),
                email: cell("email"),
                phone: cell("phone"),
                website: cell("website"),
                address: cell("address"),
                tax_id: cell("tax_id"),
                notes: cell("notes"),
                owner_id: None,
                custom: BTreeMap::new(),
            };
            if let Err(report) = new_client.validate() {
                place.refused(report.into());
            }
            let key = email_key(&new_client.email);
            let twice = key.as_ref().is_some_and(|key| !seen.insert(key.clone()));
            let known = key.and_then(|key| there.get(&key).cloned());
            let mine = |known: &client::Model| {
                access.may_with(Permission::ClientUpdate, known.owner_id, known.created_by).is_ok()
            };
            let taken = match (&known, new.on_duplicate) {
                _ if twice => Some("An earlier row has this address."),
                (Some(_), OnDuplicate::Error) => Some("A client has this address."),
                (Some(known), OnDuplicate::Update) if !mine(known) => Some("A client has this address."),
                _ => None,
            };
            if let Some(message) = taken {
                place.wrong.push(place.fault("email", "duplicate", message));
            }
            if !place.wrong.is_empty() {
                looked.failed += 1;
                looked.faults.append(&mut place.wrong);
                looked.faults.truncate(MOST_FAULTS);
            } else if known.is_some() && new.on_duplicate == OnDuplicate::Skip {
                looked.skipped += 1;
            } else {
                rows.push(ClientRow { new: new_client, custom, there: known });
            }
        }
        looked.rows = Rows::Clients(rows);
        Ok(looked)
    }

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
            clients.entry(row.name_key.clone()).or_insert(row);
        }
        for (key, name) in keys {
            if clients.contains_key(&key) {
                continue;
            }
            access.may(Permission::ClientCreate)?;
            let new = NewClient { name: name.to_owned(), ..NewClient::default() };
            let row = new_client(access, &new, import, now);
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
                let mut model = new_client(access, &row.new, import, now);
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
            errors.truncate(SHOWN_FAULTS);
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
                errors,
                created_by: people.get(row.created_by),
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn show_import(&self, row: import::Model) -> Result<Import> {
        self.show_imports(vec![row]).await?.pop().ok_or(Error::NotFound("import"))
    }

    async fn import_row(&self, access: &Access, id: ImportId) -> Result<import::Model> {
        let found = import::Entity::find_by_id(id).filter(import::COLUMN.org_id.eq(access.org.id));
        found.one(self.db.conn()).await?.ok_or(Error::NotFound("import"))
    }

    /// Says what became of an import, in a transaction of its own.
    async fn note_import(&self, row: &import::Model) -> Result<()> {
        self.act(|tx| async move {
            let row = import::ActiveModel::from(import::Model { updated_at: self.now(), ..row.clone() });
            import::Entity::update(row.reset_all()).exec_without_returning(tx.conn()).await?;
            Ok::<_, Error>(())
        })
        .await
    }

    /// Stores what was looked at, piece by piece.
    async fn take(&self, caller: &Caller, org: OrganizationId, row: &mut import::Model, rows: &Rows) -> Result<()> {
        let id = row.id;
        match rows {
            Rows::Deals(rows) => {
                for piece in rows.chunks(PIECE) {
                    let added = self.act(|tx| async move {
                        let access = self.enter_to(tx.conn(), caller, org, Permission::ImportRun).await?;
                        self.take_deals(tx.conn(), &access, id, piece).await
                    });
                    row.created += i64::try_from(added.await?).unwrap_or_default();
                }
            }
            Rows::Clients(rows) => {
                for piece in rows.chunks(PIECE) {
                    let counts = self.act(|tx| async move {
                        let access = self.enter_to(tx.conn(), caller, org, Permission::ImportRun).await?;
                        self.take_clients(tx.conn(), (caller, &access), id, piece).await
                    });
                    let (added, changed) = counts.await?;
                    row.created += i64::try_from(added).unwrap_or_default();
                    row.updated += i64::try_from(changed).unwrap_or_default();
                }
            }
        }
        Ok(())
    }

    /// Takes back what came with an import, but for what somebody has changed since; gives how many rows stayed.
    async fn take_back(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<i64> {
        let untouched = "org_id = $1 AND import_id = $2 AND updated_at = created_at AND deleted_at IS NULL";
        let deals = format!(
            "DELETE FROM deals_deal WHERE id IN (SELECT d.id FROM deals_deal d WHERE {} \
             AND NOT EXISTS (SELECT 1 FROM deals_payment p WHERE p.org_id = d.org_id AND p.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_activity a WHERE a.org_id = d.org_id AND a.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_file f WHERE f.org_id = d.org_id AND f.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_line l WHERE l.org_id = d.org_id AND l.deal_id = d.id) \
             AND NOT EXISTS (SELECT 1 FROM deals_task t WHERE t.org_id = d.org_id AND t.deal_id = d.id) \
             ORDER BY d.id LIMIT {PIECE})",
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
        for sql in [&deals, &clients] {
            loop {
                let gone = self.act(|tx| async move {
                    self.enter_to(tx.conn(), caller, org, Permission::ImportRun).await?;
                    run(tx.conn(), sql.as_str(), [org.into(), id.into()]).await
                });
                if gone.await? == 0 {
                    break;
                }
            }
        }
        let left = "SELECT (SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND import_id = $2) \
                    + (SELECT COUNT(*) FROM deals_client WHERE org_id = $1 AND import_id = $2)";
        number(self.db.conn(), left, [org.into(), id.into()]).await
    }
}

fn new_client(access: &Access, new: &NewClient, import: ImportId, now: guildhall_kernel::Timestamp) -> client::Model {
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
        owner_id: access.member.id,
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
        let access = self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        let realm = &access.realm();
        let once = &once;
        if let Some(once) = once {
            let before =
                self.act(|tx| async move { Ok::<_, Error>(once.before(tx.conn(), realm, caller, self.now()).await?) });
            if let Some(answer) = before.await? {
                return Ok(Made::Before(answer));
            }
        }
        let given = new.clone();
        let sheet = tokio::task::spawn_blocking(move || sheet::read(&given)).await.map_err(KernelError::internal)??;
        let looked = self.look(&access, &new, &sheet).await?;
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
            total: Set(count(sheet.rows.len() as u64)),
            created: Set(0),
            updated: Set(0),
            skipped: Set(count(looked.skipped)),
            failed: Set(count(looked.failed)),
            errors: Set(serde_json::to_string(&looked.faults).map_err(KernelError::internal)?),
            created_by: Set(access.member.id),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let mut row = self.act(|tx| async move { Ok::<_, Error>(row.clone().insert(tx.conn()).await?) }).await?;
        if status == ImportStatus::Running {
            if let Err(error) = self.take(caller, org, &mut row, &looked.rows).await {
                self.take_back(caller, org, row.id).await?;
                row.status = ImportStatus::Failed;
                row.created = 0;
                self.note_import(&row).await?;
                return Err(error);
            }
            row.status = ImportStatus::Done;
            self.note_import(&row).await?;
        }
        let detail = &vec![
            ("file_name", row.file_name.clone().into()),
            ("created", row.created.into()),
            ("updated", row.updated.into()),
        ];
        let (access, id) = (&access, row.id.0);
        let import = self.show_import(row).await?;
        let shown = &import;
        self.act(|tx| async move {
            self.noted(tx.conn(), (caller, access), "deals.import", ("import", id), detail.clone()).await?;
            if let Some(once) = once {
                once.after(tx.conn(), realm, caller, shown, self.now()).await?;
            }
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Made::New(import))
    }

    async fn imports(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Import>> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::ImportRun).await?;
        let select = import::Entity::find().filter(import::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering { fields: &[("id", import::Column::Id)], usual: "-id", id: import::Column::Id };
        let page = Page::<import::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_imports(rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn find_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        self.show_import(self.import_row(&access, id).await?).await
    }

    async fn import_errors(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Table> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        let row = self.import_row(&access, id).await?;
        Ok(table_of_faults(&serde_json::from_str::<Vec<Fault>>(&row.errors).unwrap_or_default()))
    }

    async fn revert_import(&self, caller: &Caller, org: OrganizationId, id: ImportId) -> Result<Import> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::ImportRun).await?;
        let mut row = self.import_row(&access, id).await?;
        if row.status != ImportStatus::Done {
            return Err(Error::IllegalTransition("Only what was read in is taken back."));
        }
        row.failed = self.take_back(caller, org, id).await?;
        row.status = ImportStatus::Reverted;
        self.note_import(&row).await?;
        let (access, kept) = (&access, row.failed);
        self.act(|tx| async move {
            let detail = vec![("kept", kept.into())];
            self.noted(tx.conn(), (caller, access), "deals.revert_import", ("import", id.0), detail).await
        })
        .await?;
        self.show_import(row).await
    }
}
