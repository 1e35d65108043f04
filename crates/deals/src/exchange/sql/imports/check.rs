//! Checking a table before anything is stored.

use std::collections::{BTreeMap, HashMap, HashSet};

use garde::Validate;
use guildhall_kernel::{Error as KernelError, UserId, text};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::CHUNK;
use crate::{
    Amount, Currency, CustomFieldTarget, CustomFieldType, Day, DealStatus, Error, ImportError, ImportKind, MemberId,
    NewClient, NewImport, OnDuplicate, PipelineId, Result, SqlExchange,
    core::access::{Access, active_members},
    custom::sql as custom,
    entity::{client, custom_field, deal, member, pipeline, stage},
    exchange::{
        sql::exports::{CLIENT_COLUMNS, DEAL_COLUMNS, headings},
        table::csv::{Cell, Row, Sheet},
    },
    permission::Permission,
    sales::sql::{
        clients::email_key,
        deals::{check_approval, check_required_fields, close_key, draft, parse_value},
    },
};

/// How many errors are stored.
const MAX_ERRORS: usize = 1000;
/// How many characters of a cell an error shows.
const MAX_VALUE: usize = 100;
/// The error of a client name that is not unique.
pub(crate) const AMBIGUOUS: &str = "Several clients have this name.";
/// The fields that may have several lines, and whose surrounding whitespace is preserved.
const MULTILINE: [&str; 2] = ["description", "notes"];

/// The columns of a table, and what its rows can refer to.
struct Context {
    /// The column of each field.
    columns: HashMap<String, usize>,
    /// The custom fields.
    fields: Vec<custom_field::Model>,
    /// The possible owners, by username.
    owners: HashMap<String, MemberId>,
}

/// The stages of each pipeline, by its name.
struct Pipelines {
    all: HashMap<String, Vec<stage::Model>>,
    /// The pipeline of deals without one.
    default: String,
}

/// A row that is being checked, and its errors.
struct RowCheck<'a> {
    row: &'a Row,
    sheet: &'a Sheet,
    context: &'a Context,
    errors: Vec<ImportError>,
}

impl<'a> RowCheck<'a> {
    fn new(row: &'a Row, sheet: &'a Sheet, context: &'a Context) -> Self {
        Self { row, sheet, context, errors: Vec::new() }
    }

    fn cell(&self, field: &str) -> Option<&'a Cell> {
        self.context.columns.get(field).and_then(|column| self.row.cells.get(*column))
    }

    fn get(&self, field: &str) -> &'a str {
        let cell = self.cell(field).map(Cell::as_str).unwrap_or_default();
        if MULTILINE.contains(&field) { cell } else { cell.trim() }
    }

    /// Checks the cells regardless of their fields: for formulas without a value, and for cells without a column.
    fn check_cells(&mut self) {
        for field in self.context.columns.keys() {
            if let Some(Cell::Error(_)) = self.cell(field) {
                let error = self.error(field, "invalid", "The formula has no value.");
                self.errors.push(error);
            }
        }
        if let Some(text) = &self.row.extra {
            let message = "The row has more cells than there are columns. Quote text that contains the delimiter.";
            self.errors.push(ImportError {
                line: self.row.line,
                column: String::new(),
                field: String::new(),
                value: text.chars().take(MAX_VALUE).collect(),
                code: "extra_cells".to_owned(),
                message: message.to_owned(),
            });
        }
    }

    /// A number with a decimal point. The decimal comma only applies to text, not to the numbers of a workbook.
    fn number(&self, field: &str, decimal_comma: bool) -> Result<String> {
        match self.cell(field) {
            Some(Cell::Number(number)) => Ok(number.clone()),
            _ if decimal_comma => with_decimal_point(self.get(field)).ok_or_else(|| {
                let message = "Must be a number like 1.200,50. A point may only separate groups of three digits.";
                Error::field(field, message)
            }),
            _ => Ok(self.get(field).to_owned()),
        }
    }

    /// The value of a cell; `None` if it is empty or, with an error, if it cannot be parsed.
    fn parse<T>(&mut self, field: &str, message: &str, parse: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let cell = self.get(field);
        if cell.is_empty() {
            return None;
        }
        let value = parse(cell);
        if value.is_none() {
            self.errors.push(self.error(field, "invalid", message));
        }
        value
    }

    /// Checks the length of a text, and that it is one line unless the field may have several.
    fn check_text(&mut self, field: &str, max: usize, required: bool) {
        let cell = self.get(field);
        let is_multiline = MULTILINE.contains(&field);
        if required && cell.is_empty() {
            self.errors.push(self.error(field, "required", "This field is required."));
        } else if (!is_multiline && cell.contains(char::is_control)) || cell.chars().count() > max {
            let message = if is_multiline {
                format!("Must have at most {max} characters.")
            } else {
                format!("Must be one line of at most {max} characters.")
            };
            self.errors.push(self.error(field, "invalid", message));
        }
    }

    /// The owner, if the row names one.
    fn owner(&mut self, access: &Access, permission: Permission) -> Option<MemberId> {
        let owners = &self.context.owners;
        let owner = self
            .parse("owner", "Not an active member of the organization.", |name| owners.get(&text::fold(name)).copied());
        if let Some(owner) = owner.filter(|owner| *owner != access.member.id)
            && let Err(error) = access.may_reassign_to(permission, owner)
        {
            self.errors.push(self.error("owner", "not_granted", error.to_string()));
        }
        owner
    }

    /// The custom fields.
    fn custom(&mut self, decimal_comma: bool) -> custom::ValidatedValues {
        let fields = &self.context.fields;
        let mut values = custom::CustomValues::new();
        for field in fields {
            let name = format!("{}{}", custom::PREFIX, field.key);
            if self.get(&name).is_empty() {
                continue;
            }
            let is_number = field.kind == CustomFieldType::Number;
            match if is_number { self.number(&name, decimal_comma) } else { Ok(self.get(&name).to_owned()) } {
                Ok(cell) => drop(values.insert(field.key.clone(), cell.into())),
                Err(error) => self.add_field_errors(error),
            }
        }
        custom::validate(fields, None, &values).unwrap_or_else(|errors| {
            for (name, messages) in errors {
                let field = name.replacen("custom.", custom::PREFIX, 1);
                self.errors.push(self.error(&field, "invalid", messages.join(" ")));
            }
            custom::ValidatedValues::default()
        })
    }

    /// An error of a field.
    fn error(&self, field: &str, code: &str, message: impl Into<String>) -> ImportError {
        let heading = self.context.columns.get(field).and_then(|column| self.sheet.headings.get(*column));
        ImportError {
            line: self.row.line,
            column: heading.cloned().unwrap_or_default(),
            field: field.to_owned(),
            value: self.get(field).chars().take(MAX_VALUE).collect(),
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// Adds the field errors of a rejected input.
    fn add_field_errors(&mut self, error: Error) {
        for (field, messages) in KernelError::from(error).fields() {
            self.errors.push(self.error(field, "invalid", messages.join(" ")));
        }
    }
}

/// Replaces the decimal comma of a number by a decimal point; `None` if a point separates anything but groups of three
/// digits.
fn with_decimal_point(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once(',').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let mut groups = digits.split('.');
    let first = groups.next().unwrap_or_default();
    let is_grouped = digits.contains('.');
    if (is_grouped && (first.is_empty() || first.len() > 3))
        || groups.any(|group| group.len() != 3)
        || fraction.contains('.')
    {
        return None;
    }
    let whole = whole.replace('.', "");
    Some(if text.contains(',') { format!("{whole}.{fraction}") } else { whole })
}

/// The column of each field, by the mapping or else by its heading.
fn columns(new: &NewImport, sheet: &Sheet, fields: &[custom_field::Model]) -> Result<HashMap<String, usize>> {
    let columns: &[&str] = match new.kind {
        ImportKind::Deals => &DEAL_COLUMNS,
        ImportKind::Clients => &CLIENT_COLUMNS,
    };
    let known = headings(columns, fields);
    let mut columns = HashMap::new();
    for (column, heading) in sheet.headings.iter().enumerate() {
        let field = match new.mapping.get(heading) {
            Some(field) if field.is_empty() => continue,
            Some(field) if known.contains(field) => field.clone(),
            Some(field) => {
                let message = format!("Unknown field {field}. Choose from: {}.", known.join(", "));
                return Err(Error::field("mapping", message));
            }
            None => text::fold(heading).replace([' ', '-'], "_"),
        };
        if known.contains(&field) && columns.insert(field.clone(), column).is_some() {
            return Err(Error::field("mapping", format!("Two columns hold the field {field}.")));
        }
    }
    if let Some(unknown) = new.mapping.keys().find(|heading| !sheet.headings.contains(heading)) {
        return Err(Error::field("mapping", format!("There is no column {unknown}.")));
    }
    let required: &[&str] = match new.kind {
        ImportKind::Deals => &["title", "client"],
        ImportKind::Clients => &["name"],
    };
    match required.iter().find(|field| !columns.contains_key(**field)) {
        Some(field) => Err(Error::field("mapping", format!("A column for {field} is required."))),
        None => Ok(columns),
    }
}

/// A checked row of deals.
pub(crate) struct DealRow {
    pub(crate) client: String,
    pub(crate) deal: deal::Model,
    pub(crate) stage: String,
    pub(crate) custom: custom::ValidatedValues,
}

/// A checked row of clients.
pub(crate) struct ClientRow {
    pub(crate) new: NewClient,
    /// The owner, if the row names one.
    pub(crate) owner: Option<MemberId>,
    pub(crate) custom: custom::ValidatedValues,
    /// The client with this email address, if there is one.
    pub(crate) existing: Option<client::Model>,
}

/// The rows to be stored.
pub(crate) enum Rows {
    Deals(Vec<DealRow>),
    Clients(Vec<ClientRow>),
}

/// The result of checking a table.
pub(crate) struct Checked {
    pub(crate) rows: Rows,
    pub(crate) errors: Vec<ImportError>,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl SqlExchange {
    /// Checks a whole table without storing anything.
    pub(crate) async fn check(&self, access: &Access, new: &NewImport, sheet: &Sheet) -> Result<Checked> {
        let target = match new.kind {
            ImportKind::Deals => CustomFieldTarget::Deal,
            ImportKind::Clients => CustomFieldTarget::Client,
        };
        let fields = custom::fields_of(self.core.db.conn(), access.org.id, target).await?;
        let columns = columns(new, sheet, &fields)?;
        let owners = if columns.contains_key("owner") { self.owners(access).await? } else { HashMap::new() };
        let context = Context { columns, fields, owners };
        match new.kind {
            ImportKind::Deals => self.check_deals(access, new, sheet, &context).await,
            ImportKind::Clients => self.check_clients(access, new, sheet, &context).await,
        }
    }

    /// The active members, by username.
    async fn owners(&self, access: &Access) -> Result<HashMap<String, MemberId>> {
        let members: Vec<(MemberId, Option<UserId>)> = active_members()
            .select_only()
            .column(member::Column::Id)
            .column(member::Column::UserId)
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .into_tuple()
            .all(self.core.db.conn())
            .await?;
        let people = self.core.people(members.iter().filter_map(|(_, user)| *user)).await?;
        let by_name = |(id, user): (MemberId, Option<UserId>)| Some((text::fold(&people.get(&user?)?.username), id));
        Ok(members.into_iter().filter_map(by_name).collect())
    }

    /// The pipelines of the organization.
    async fn pipelines_of(&self, access: &Access) -> Result<Pipelines> {
        let conn = self.core.db.conn();
        let pipelines = pipeline::Entity::find().filter(pipeline::COLUMN.org_id.eq(access.org.id)).all(conn).await?;
        let stages = stage::Entity::find()
            .filter(stage::COLUMN.org_id.eq(access.org.id))
            .order_by_asc(stage::Column::Position)
            .order_by_asc(stage::Column::Id);
        let mut by_pipeline: HashMap<PipelineId, Vec<stage::Model>> = HashMap::new();
        for stage in stages.all(conn).await? {
            by_pipeline.entry(stage.pipeline_id).or_default().push(stage);
        }
        let default = pipelines.iter().find(|pipeline| pipeline.is_default).map(|pipeline| pipeline.name_key.clone());
        let by_name =
            |pipeline: pipeline::Model| (pipeline.name_key, by_pipeline.remove(&pipeline.id).unwrap_or_default());
        Ok(Pipelines { all: pipelines.into_iter().map(by_name).collect(), default: default.unwrap_or_default() })
    }

    /// The client names in a table of deals that several clients have, among those that the caller sees.
    async fn ambiguous_clients(&self, access: &Access, sheet: &Sheet, context: &Context) -> Result<HashSet<String>> {
        let names = sheet.rows.iter().map(|row| text::fold(RowCheck::new(row, sheet, context).get("client")));
        let names: HashSet<String> = names.filter(|name| !name.is_empty()).collect();
        let names: Vec<String> = names.into_iter().collect();
        let mut ambiguous = HashSet::new();
        for names in names.chunks(CHUNK) {
            let query = access.clients().select_only().column(client::Column::NameKey);
            let query = query.filter(client::COLUMN.name_key.is_in(names.iter().cloned()));
            let query = query.group_by(client::Column::NameKey).having(Expr::cust("COUNT(*) > 1"));
            ambiguous.extend(query.into_tuple::<String>().all(self.core.db.conn()).await?);
        }
        Ok(ambiguous)
    }

    async fn check_deals(&self, access: &Access, new: &NewImport, sheet: &Sheet, context: &Context) -> Result<Checked> {
        let pipelines = self.pipelines_of(access).await?;
        let ambiguous = self.ambiguous_clients(access, sheet, context).await?;
        let (mut rows, mut errors, mut failed) = (Vec::new(), Vec::new(), 0);
        for row in &sheet.rows {
            let mut check = RowCheck::new(row, sheet, context);
            check.check_cells();
            if ambiguous.contains(&text::fold(check.get("client"))) {
                check.errors.push(check.error("client", "ambiguous", AMBIGUOUS));
            }
            let deal = self.read_deal(access, new.decimal_comma, &pipelines, &mut check);
            if let Some(deal) = deal.filter(|_| check.errors.is_empty()) {
                rows.push(deal);
            } else {
                failed += 1;
                errors.extend(check.errors);
                errors.truncate(MAX_ERRORS);
            }
        }
        Ok(Checked { rows: Rows::Deals(rows), errors, failed, skipped: 0 })
    }

    /// Reads a row of deals; errors are added to `check`.
    fn read_deal(
        &self,
        access: &Access,
        decimal_comma: bool,
        pipelines: &Pipelines,
        check: &mut RowCheck<'_>,
    ) -> Option<DealRow> {
        check.check_text("title", 200, true);
        check.check_text("client", 200, true);
        check.check_text("source", 100, false);
        check.check_text("description", 10_000, false);
        check.check_text("lost_reason", 500, false);
        let currency = check.parse("currency", "Must be an ISO 4217 currency code such as EUR.", Currency::from_code);
        let currency = currency.unwrap_or_else(|| access.org.default_currency.clone());
        let value = match check.cell("value") {
            // A formula without a value already has an error.
            None | Some(Cell::Error(_)) => Ok(0),
            Some(cell) if cell.as_str().trim().is_empty() => Ok(0),
            Some(_) => {
                check.number("value", decimal_comma).and_then(|number| parse_value(&Amount::new(number), &currency))
            }
        };
        let value = value.unwrap_or_else(|error| {
            check.add_field_errors(error);
            0
        });
        let stages = check.parse("pipeline", "There is no such pipeline.", |name| pipelines.all.get(&text::fold(name)));
        let stages = stages.or_else(|| pipelines.all.get(&pipelines.default))?;
        let named = |name: &str| {
            let key = text::fold(name);
            stages.iter().find(|stage| stage.name_key == key)
        };
        let Some(stage) = check.parse("stage", "There is no such stage.", named).or_else(|| stages.first()) else {
            check.errors.push(check.error("pipeline", "invalid", "This pipeline has no stages."));
            return None;
        };
        let owner = check.owner(access, Permission::DealReassign).unwrap_or(access.member.id);
        let day = check.parse("expected_close_date", "Must be a date such as 2025-09-01.", Day::parse);
        let percent = |cell: &str| cell.parse().ok().filter(|percent| (0..=100).contains(percent));
        let probability = check.parse("probability", "Must be a whole number from 0 to 100.", percent);
        let custom = check.custom(decimal_comma);
        let now = self.core.now();
        let deal = deal::Model {
            title: check.get("title").to_owned(),
            description: check.get("description").to_owned(),
            value_minor: value,
            currency,
            probability: probability.unwrap_or(stage.probability),
            source: check.get("source").to_owned(),
            close_key: close_key(day.as_ref()),
            expected_close_date: day,
            custom: custom.json.clone(),
            owner_id: owner,
            lost_reason: match stage.kind {
                DealStatus::Lost => check.get("lost_reason").to_owned(),
                DealStatus::Open | DealStatus::Won => String::new(),
            },
            ..draft(access, stage, now)
        };
        if stage.kind != DealStatus::Open
            && let Err(error) = access.may(Permission::DealClose)
        {
            check.errors.push(check.error("stage", "not_granted", error.to_string()));
        }
        if let Err(error) = check_required_fields(&deal, stage) {
            check.add_field_errors(error);
        }
        if let Err(error) = check_approval(&access.org, &deal, stage) {
            check.errors.push(check.error("stage", "approval_required", error.to_string()));
        }
        Some(DealRow { client: check.get("client").to_owned(), deal, stage: stage.name.clone(), custom })
    }

    async fn check_clients(
        &self,
        access: &Access,
        new: &NewImport,
        sheet: &Sheet,
        context: &Context,
    ) -> Result<Checked> {
        let mut by_email = HashMap::new();
        let checks = sheet.rows.iter().map(|row| RowCheck::new(row, sheet, context));
        let emails: Vec<String> = checks.filter_map(|check| email_key(check.get("email"))).collect();
        for emails in emails.chunks(CHUNK) {
            // Including those that the caller may not see: an email address is unique in an organization.
            let existing = client::Entity::find()
                .filter(client::COLUMN.org_id.eq(access.org.id))
                .filter(client::COLUMN.deleted_at.is_null())
                .filter(client::COLUMN.email_key.is_in(emails.iter().cloned()));
            for row in existing.all(self.core.db.conn()).await? {
                by_email.insert(row.email_key.clone().unwrap_or_default(), row);
            }
        }
        let mut checked = Checked { rows: Rows::Clients(Vec::new()), errors: Vec::new(), failed: 0, skipped: 0 };
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        for row in &sheet.rows {
            let mut check = RowCheck::new(row, sheet, context);
            check.check_cells();
            let custom = check.custom(new.decimal_comma);
            let owner = check.owner(access, Permission::ClientReassign);
            let cell = |field: &str| check.get(field).to_owned();
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
                check.add_field_errors(report.into());
            }
            let key = email_key(&new_client.email);
            let is_repeated = key.as_ref().is_some_and(|key| !seen.insert(key.clone()));
            let existing = key.and_then(|key| by_email.get(&key).cloned());
            let may_update = |existing: &client::Model| {
                access.may_with(Permission::ClientUpdate, existing.owner_id, existing.created_by).is_ok()
            };
            let taken = match (&existing, new.on_duplicate) {
                _ if is_repeated => Some("An earlier row has this email address."),
                (Some(_), OnDuplicate::Error) => Some("Another client has this email address."),
                (Some(existing), OnDuplicate::Update) if !may_update(existing) => {
                    Some("Another client has this email address.")
                }
                _ => None,
            };
            if let Some(message) = taken {
                check.errors.push(check.error("email", "duplicate", message));
            }
            if let (Some(existing), Some(owner)) = (&existing, owner)
                && owner != existing.owner_id
                && access.may_with(Permission::ClientReassign, existing.owner_id, existing.created_by).is_err()
            {
                let message = Error::NotGranted(Permission::ClientReassign.name()).to_string();
                check.errors.push(check.error("owner", "not_granted", message));
            }
            if !check.errors.is_empty() {
                checked.failed += 1;
                checked.errors.append(&mut check.errors);
                checked.errors.truncate(MAX_ERRORS);
            } else if existing.is_some() && new.on_duplicate == OnDuplicate::Skip {
                checked.skipped += 1;
            } else {
                rows.push(ClientRow { new: new_client, owner, custom, existing });
            }
        }
        checked.rows = Rows::Clients(rows);
        Ok(checked)
    }
}
