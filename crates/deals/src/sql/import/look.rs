//! Looking at a table before anything of it is stored.

use std::collections::{BTreeMap, HashMap, HashSet};

use garde::Validate;
use guildhall_kernel::{Error as KernelError, UserId, text};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::{
    super::{
        SqlDeals,
        access::{Access, active_members},
        clients::email_key,
        custom,
        deals::{close_key, draft, has_what_it_needs, is_approved, worth},
        export::{CLIENT_COLUMNS, DEAL_COLUMNS, headings},
        sheet::{Cell, Row, Sheet},
    },
    PIECE,
};
use crate::{
    Amount, Currency, CustomKind, Customized, Day, DealStatus, Error, Fault, ImportKind, MemberId, NewClient,
    NewImport, OnDuplicate, PipelineId, Result,
    entity::{client, custom_field, deal, member, pipeline, stage},
    permission::Permission,
};

/// How many faults are kept.
const MOST_FAULTS: usize = 1000;
/// How much of a cell is told.
const TOLD: usize = 100;
/// What is wrong with a client's name that several clients have.
pub(super) const AMBIGUOUS: &str = "Several clients have this name.";
/// What may be written on several lines, and begin or end with a space.
const LONG: [&str; 2] = ["description", "notes"];

/// What the rows of a table can name.
struct Known {
    /// Which column holds which field.
    columns: HashMap<String, usize>,
    /// The fields of the organization's own.
    fields: Vec<custom_field::Model>,
    /// Who can own something, by their usernames.
    owners: HashMap<String, MemberId>,
}

/// The stages of every pipeline, by its name.
struct Pipelines {
    all: HashMap<String, Vec<stage::Model>>,
    /// Where deals begin that name none.
    usual: String,
}

/// A row that is looked at, and what is wrong with it.
struct Place<'a> {
    row: &'a Row,
    sheet: &'a Sheet,
    known: &'a Known,
    wrong: Vec<Fault>,
}

impl<'a> Place<'a> {
    fn new(row: &'a Row, sheet: &'a Sheet, known: &'a Known) -> Self {
        Self { row, sheet, known, wrong: Vec::new() }
    }

    fn cell(&self, field: &str) -> Option<&'a Cell> {
        self.known.columns.get(field).and_then(|at| self.row.cells.get(*at))
    }

    fn get(&self, field: &str) -> &'a str {
        let cell = self.cell(field).map(Cell::as_str).unwrap_or_default();
        if LONG.contains(&field) { cell } else { cell.trim() }
    }

    /// What is wrong with a row before it is known what it holds: formulas without a value, and cells without a column.
    fn check_cells(&mut self) {
        for field in self.known.columns.keys() {
            if let Some(Cell::Error(_)) = self.cell(field) {
                let fault = self.fault(field, "invalid", "The formula has no value.");
                self.wrong.push(fault);
            }
        }
        if let Some(text) = &self.row.beyond {
            let message = "There are more cells than columns: is something between two cells part of a text?";
            self.wrong.push(Fault {
                line: self.row.line,
                column: String::new(),
                field: String::new(),
                value: text.chars().take(TOLD).collect(),
                code: "extra_cells".to_owned(),
                message: message.to_owned(),
            });
        }
    }

    /// A number as it is written with a point. Text has a comma where that was said; a workbook's numbers are none.
    fn number(&self, field: &str, decimal_comma: bool) -> Result<String> {
        match self.cell(field) {
            Some(Cell::Number(number)) => Ok(number.clone()),
            _ if decimal_comma => with_point(self.get(field)).ok_or_else(|| {
                let message = "A number like 1.200,50 is needed: a point stands before three digits only.";
                Error::field(field, message)
            }),
            _ => Ok(self.get(field).to_owned()),
        }
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
        let broken = !LONG.contains(&field) && cell.contains(char::is_control);
        if needed && cell.is_empty() {
            self.wrong.push(self.fault(field, "required", "This field is required."));
        } else if broken || cell.chars().count() > most {
            let message = format!("One line of at most {most} characters is needed.");
            self.wrong.push(self.fault(field, "invalid", message));
        }
    }

    /// Whose it is to be, where somebody is named.
    fn owner(&mut self, access: &Access, permission: Permission) -> Option<MemberId> {
        let owners = &self.known.owners;
        let owner = self.read("owner", "That is no active member of the organization.", |name| {
            owners.get(&text::fold(name)).copied()
        });
        if let Some(owner) = owner.filter(|owner| *owner != access.member.id)
            && let Err(error) = access.may_hand_to(permission, owner)
        {
            self.wrong.push(self.fault("owner", "not_granted", error.to_string()));
        }
        owner
    }

    /// What the fields of the organization's own say.
    fn custom(&mut self, decimal_comma: bool) -> custom::Taken {
        let fields = &self.known.fields;
        let mut given = custom::Given::new();
        for field in fields {
            let name = format!("{}{}", custom::PREFIX, field.key);
            if self.get(&name).is_empty() {
                continue;
            }
            let is_number = field.kind == CustomKind::Number;
            match if is_number { self.number(&name, decimal_comma) } else { Ok(self.get(&name).to_owned()) } {
                Ok(cell) => drop(given.insert(field.key.clone(), cell.into())),
                Err(error) => self.refused(error),
            }
        }
        custom::take(fields, None, &given).unwrap_or_else(|faults| {
            for (name, messages) in faults {
                let field = name.replacen("custom.", custom::PREFIX, 1);
                self.wrong.push(self.fault(&field, "invalid", messages.join(" ")));
            }
            custom::Taken::default()
        })
    }

    fn fault(&self, field: &str, code: &str, message: impl Into<String>) -> Fault {
        let heading = self.known.columns.get(field).and_then(|at| self.sheet.headings.get(*at));
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

/// A number that is written with a comma, with a point instead; none where a point groups anything but three digits.
fn with_point(text: &str) -> Option<String> {
    let (whole, rest) = text.split_once(',').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let mut groups = digits.split('.');
    let first = groups.next().unwrap_or_default();
    let grouped = digits.contains('.');
    if (grouped && (first.is_empty() || first.len() > 3)) || groups.any(|group| group.len() != 3) || rest.contains('.')
    {
        return None;
    }
    let whole = whole.replace('.', "");
    Some(if text.contains(',') { format!("{whole}.{rest}") } else { whole })
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
            Some(field) if field.is_empty() => continue,
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
pub(super) struct DealRow {
    pub(super) client: String,
    pub(super) deal: deal::Model,
    pub(super) stage: String,
    pub(super) custom: custom::Taken,
}

/// A row of clients, looked at.
pub(super) struct ClientRow {
    pub(super) new: NewClient,
    /// Whose it is to be, where the table says so.
    pub(super) owner: Option<MemberId>,
    pub(super) custom: custom::Taken,
    /// The client that is there already.
    pub(super) there: Option<client::Model>,
}

/// What is to be stored.
pub(super) enum Rows {
    Deals(Vec<DealRow>),
    Clients(Vec<ClientRow>),
}

/// What was found out by looking.
pub(super) struct Looked {
    pub(super) rows: Rows,
    pub(super) faults: Vec<Fault>,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl SqlDeals {
    /// Looks at all of a table, and stores nothing.
    pub(super) async fn look(&self, access: &Access, new: &NewImport, sheet: &Sheet) -> Result<Looked> {
        let entity = match new.kind {
            ImportKind::Deals => Customized::Deal,
            ImportKind::Clients => Customized::Client,
        };
        let fields = custom::fields_of(self.db.conn(), access.org.id, entity).await?;
        let columns = columns(new, sheet, &fields)?;
        let owners = if columns.contains_key("owner") { self.owners(access).await? } else { HashMap::new() };
        let known = Known { columns, fields, owners };
        match new.kind {
            ImportKind::Deals => self.look_at_deals(access, new, sheet, &known).await,
            ImportKind::Clients => self.look_at_clients(access, new, sheet, &known).await,
        }
    }

    /// Those to whom something can be given, by their usernames.
    async fn owners(&self, access: &Access) -> Result<HashMap<String, MemberId>> {
        let members: Vec<(MemberId, Option<UserId>)> = active_members()
            .select_only()
            .column(member::Column::Id)
            .column(member::Column::UserId)
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .into_tuple()
            .all(self.db.conn())
            .await?;
        let people = self.people(members.iter().filter_map(|(_, user)| *user)).await?;
        let name = |(id, user): (MemberId, Option<UserId>)| Some((text::fold(&people.get(&user?)?.username), id));
        Ok(members.into_iter().filter_map(name).collect())
    }

    /// The pipelines that deals can go through.
    async fn pipelines_of(&self, access: &Access) -> Result<Pipelines> {
        let conn = self.db.conn();
        let pipelines = pipeline::Entity::find().filter(pipeline::COLUMN.org_id.eq(access.org.id)).all(conn).await?;
        let stages = stage::Entity::find()
            .filter(stage::COLUMN.org_id.eq(access.org.id))
            .order_by_asc(stage::Column::Position)
            .order_by_asc(stage::Column::Id);
        let mut by_pipeline: HashMap<PipelineId, Vec<stage::Model>> = HashMap::new();
        for stage in stages.all(conn).await? {
            by_pipeline.entry(stage.pipeline_id).or_default().push(stage);
        }
        let usual = pipelines.iter().find(|pipeline| pipeline.is_default).map(|usual| usual.name_key.clone());
        let named =
            |pipeline: pipeline::Model| (pipeline.name_key, by_pipeline.remove(&pipeline.id).unwrap_or_default());
        Ok(Pipelines { all: pipelines.into_iter().map(named).collect(), usual: usual.unwrap_or_default() })
    }

    /// The names in a table of deals that several clients have, of those whom the caller sees.
    async fn ambiguous_clients(&self, access: &Access, sheet: &Sheet, known: &Known) -> Result<HashSet<String>> {
        let names = sheet.rows.iter().map(|row| text::fold(Place::new(row, sheet, known).get("client")));
        let names: HashSet<String> = names.filter(|name| !name.is_empty()).collect();
        let names: Vec<String> = names.into_iter().collect();
        let mut ambiguous = HashSet::new();
        for piece in names.chunks(PIECE) {
            let found = access.clients().select_only().column(client::Column::NameKey);
            let found = found.filter(client::COLUMN.name_key.is_in(piece.iter().cloned()));
            let twice = found.group_by(client::Column::NameKey).having(Expr::cust("COUNT(*) > 1"));
            ambiguous.extend(twice.into_tuple::<String>().all(self.db.conn()).await?);
        }
        Ok(ambiguous)
    }

    async fn look_at_deals(&self, access: &Access, new: &NewImport, sheet: &Sheet, known: &Known) -> Result<Looked> {
        let pipelines = self.pipelines_of(access).await?;
        let ambiguous = self.ambiguous_clients(access, sheet, known).await?;
        let (mut rows, mut faults, mut failed) = (Vec::new(), Vec::new(), 0);
        for row in &sheet.rows {
            let mut place = Place::new(row, sheet, known);
            place.check_cells();
            if ambiguous.contains(&text::fold(place.get("client"))) {
                place.wrong.push(place.fault("client", "ambiguous", AMBIGUOUS));
            }
            let read = self.read_deal(access, new.decimal_comma, &pipelines, &mut place);
            if let Some(read) = read.filter(|_| place.wrong.is_empty()) {
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
        pipelines: &Pipelines,
        place: &mut Place<'_>,
    ) -> Option<DealRow> {
        place.line("title", 200, true);
        place.line("client", 200, true);
        place.line("source", 100, false);
        place.line("description", 10_000, false);
        place.line("lost_reason", 500, false);
        let currency = place.read("currency", "A currency of ISO 4217 like EUR is needed.", Currency::from_code);
        let currency = currency.unwrap_or_else(|| access.org.default_currency.clone());
        let value = match place.cell("value") {
            // A formula without a value is a fault already.
            None | Some(Cell::Error(_)) => Ok(0),
            Some(cell) if cell.as_str().trim().is_empty() => Ok(0),
            Some(_) => place.number("value", decimal_comma).and_then(|number| worth(&Amount::new(number), &currency)),
        };
        let value = value.unwrap_or_else(|error| {
            place.refused(error);
            0
        });
        let stages = place.read("pipeline", "There is no such pipeline.", |name| pipelines.all.get(&text::fold(name)));
        let stages = stages.or_else(|| pipelines.all.get(&pipelines.usual))?;
        let named = |name: &str| {
            let key = text::fold(name);
            stages.iter().find(|stage| stage.name_key == key)
        };
        let Some(stage) = place.read("stage", "There is no such stage.", named).or_else(|| stages.first()) else {
            place.wrong.push(place.fault("pipeline", "invalid", "This pipeline has no stage."));
            return None;
        };
        let owner = place.owner(access, Permission::DealReassign).unwrap_or(access.member.id);
        let day = place.read("expected_close_date", "A day like 2025-09-01 is needed.", Day::parse);
        let percent = |cell: &str| cell.parse().ok().filter(|percent| (0..=100).contains(percent));
        let probability = place.read("probability", "A whole number from 0 to 100 is needed.", percent);
        let custom = place.custom(decimal_comma);
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
            owner_id: owner,
            lost_reason: match stage.kind {
                DealStatus::Lost => place.get("lost_reason").to_owned(),
                DealStatus::Open | DealStatus::Won => String::new(),
            },
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
        Some(DealRow { client: place.get("client").to_owned(), deal, stage: stage.name.clone(), custom })
    }

    async fn look_at_clients(&self, access: &Access, new: &NewImport, sheet: &Sheet, known: &Known) -> Result<Looked> {
        let mut there = HashMap::new();
        let emails = sheet.rows.iter().map(|row| Place::new(row, sheet, known));
        let emails: Vec<String> = emails.filter_map(|place| email_key(place.get("email"))).collect();
        for piece in emails.chunks(PIECE) {
            // Also those that the caller may not see: an address is an organization's once.
            let same = client::Entity::find()
                .filter(client::COLUMN.org_id.eq(access.org.id))
                .filter(client::COLUMN.deleted_at.is_null())
                .filter(client::COLUMN.email_key.is_in(piece.iter().cloned()));
            for row in same.all(self.db.conn()).await? {
                there.insert(row.email_key.clone().unwrap_or_default(), row);
            }
        }
        let mut looked = Looked { rows: Rows::Clients(Vec::new()), faults: Vec::new(), failed: 0, skipped: 0 };
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        for row in &sheet.rows {
            let mut place = Place::new(row, sheet, known);
            place.check_cells();
            let custom = place.custom(new.decimal_comma);
            let owner = place.owner(access, Permission::ClientReassign);
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
            let same = key.and_then(|key| there.get(&key).cloned());
            let mine = |same: &client::Model| {
                access.may_with(Permission::ClientUpdate, same.owner_id, same.created_by).is_ok()
            };
            let taken = match (&same, new.on_duplicate) {
                _ if twice => Some("An earlier row has this address."),
                (Some(_), OnDuplicate::Error) => Some("A client has this address."),
                (Some(same), OnDuplicate::Update) if !mine(same) => Some("A client has this address."),
                _ => None,
            };
            if let Some(message) = taken {
                place.wrong.push(place.fault("email", "duplicate", message));
            }
            if let (Some(same), Some(owner)) = (&same, owner)
                && owner != same.owner_id
                && access.may_with(Permission::ClientReassign, same.owner_id, same.created_by).is_err()
            {
                let message = Error::NotGranted(Permission::ClientReassign.name()).to_string();
                place.wrong.push(place.fault("owner", "not_granted", message));
            }
            if !place.wrong.is_empty() {
                looked.failed += 1;
                looked.faults.append(&mut place.wrong);
                looked.faults.truncate(MOST_FAULTS);
            } else if same.is_some() && new.on_duplicate == OnDuplicate::Skip {
                looked.skipped += 1;
            } else {
                rows.push(ClientRow { new: new_client, owner, custom, there: same });
            }
        }
        looked.rows = Rows::Clients(rows);
        Ok(looked)
    }
}
