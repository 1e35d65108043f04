//! Rows of deals: checking and storing them.

mod clients;

use std::collections::HashMap;

use guildhall_kernel::text;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
};

use self::clients::clients_of;
use super::{
    CHUNK,
    owners::Owner,
    row::{Checked, Context, RowCheck},
};
use crate::{
    Amount, Currency, Day, DealId, Error, ImportId, MAX_CLIENT_NAME, MAX_DEAL_DESCRIPTION, MAX_DEAL_SOURCE,
    MAX_DEAL_TITLE, MAX_PROBABILITY, MAX_REASON, NewImport, Result, SqlExchange,
    core::{access::Access, take_numbers},
    custom::sql::{TargetId, ValidatedValues},
    entity::{custom_value, deal, stage_change},
    exchange::table::sheet::{Cell, Sheet},
    permission::Permission,
    sales::sql::{
        deals::{
            draft::{DealInput, check_new_deal, currency_of, draft, number_deal, value_of},
            stage_changes::stage_change,
        },
        stages::lookup::{NO_SUCH_STAGE, PipelineStages, stage_named},
    },
};

/// A checked row of deals.
pub(super) struct DealRow {
    client: String,
    /// The owner, if the row names one.
    pub(super) owner: Option<Owner>,
    draft: deal::Model,
    stage: String,
    custom: ValidatedValues,
}

impl SqlExchange {
    /// Checks the rows of a table of deals.
    pub(super) async fn check_deals(
        &self,
        access: &Access,
        new: &NewImport,
        sheet: &Sheet,
        context: &Context,
    ) -> Result<Checked<Vec<DealRow>>> {
        let pipelines = PipelineStages::load(self.core.db.conn(), access.org.id).await?;
        let clients = self.named_clients(access, sheet, context).await?;
        let mut checked = Checked::new();
        for row in &sheet.rows {
            let mut check = RowCheck::new(row, sheet, context);
            check.check_cells();
            clients.check(&mut check);
            let deal = read_deal(access, new.decimal_comma, &pipelines, &mut check);
            if let Some(deal) = deal.filter(|_| check.errors.is_empty()) {
                checked.rows.push(deal);
            } else {
                checked.reject(check.errors);
            }
        }
        Ok(checked)
    }

    /// Stores a chunk of deals and the clients that do not exist yet.
    pub(super) async fn store_deals(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        import: ImportId,
        rows: &[DealRow],
    ) -> Result<()> {
        access.may(Permission::DealCreate)?;
        let (org, now) = (&access.org, self.core.now());
        let clients = clients_of(conn, access, import, rows, now).await?;
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let first = take_numbers(conn, org.id, "deal", count).await?;
        let mut models = Vec::new();
        for (number, row) in (first..).zip(rows) {
            let client = clients.get(&text::fold(&row.client)).ok_or(Error::NotFound("client"))?;
            let numbered = number_deal(row.draft.clone(), org, client, number, now);
            models.push(deal::Model { import_id: Some(import), ..numbered });
        }
        let insert = |model: &deal::Model| deal::ActiveModel { id: NotSet, ..model.clone().into() }.reset_all();
        deal::Entity::insert_many(models.iter().map(insert)).exec_without_returning(conn).await?;
        let ids: Vec<(i64, DealId)> = deal::Entity::find()
            .select_only()
            .column(deal::Column::Number)
            .column(deal::Column::Id)
            .filter(deal::COLUMN.org_id.eq(org.id))
            .filter(deal::COLUMN.number.gte(first))
            .filter(deal::COLUMN.number.lt(first + count))
            .into_tuple()
            .all(conn)
            .await?;
        let ids: HashMap<i64, DealId> = ids.into_iter().collect();
        for model in &mut models {
            model.id = *ids.get(&model.number).ok_or(Error::NotFound("deal"))?;
        }
        let stored = || models.iter().zip(rows);
        let values = stored().flat_map(|(model, row)| row.custom.rows(org.id, TargetId::Deal(model.id)));
        let values: Vec<_> = values.collect();
        // In chunks, because of the limit on the parameters of a statement.
        for values in values.chunks(CHUNK) {
            custom_value::Entity::insert_many(values.iter().cloned()).exec_without_returning(conn).await?;
        }
        let created = stored().map(|(model, row)| stage_change(model, None, row.stage.clone(), access.member.id));
        stage_change::Entity::insert_many(created).exec_without_returning(conn).await?;
        Ok(())
    }
}

/// Reads a row of deals; errors are added to `check`.
fn read_deal(
    access: &Access,
    decimal_comma: bool,
    pipelines: &PipelineStages,
    check: &mut RowCheck<'_>,
) -> Option<DealRow> {
    check.check_text("title", MAX_DEAL_TITLE, true);
    check.check_text("client", MAX_CLIENT_NAME, true);
    check.check_text("source", MAX_DEAL_SOURCE, false);
    check.check_text("description", MAX_DEAL_DESCRIPTION, false);
    check.check_text("lost_reason", MAX_REASON, false);
    let currency = check.parse("currency", "Must be an ISO 4217 currency code such as EUR.", Currency::from_code);
    let currency = currency_of(&access.org, currency);
    let amount = match check.cell("value") {
        // A formula without a value already has an error.
        None | Some(Cell::Error(_)) => Ok(None),
        Some(cell) if cell.as_str().trim().is_empty() => Ok(None),
        Some(_) => check.number("value", decimal_comma).map(|number| Some(Amount::new(number))),
    };
    let value_minor = amount.and_then(|amount| value_of(amount.as_ref(), &currency)).unwrap_or_else(|error| {
        check.add_field_errors(error);
        0
    });
    let stages = check.parse("pipeline", "There is no such pipeline.", |name| pipelines.named(name));
    let stages = stages.or_else(|| pipelines.default())?;
    let named = check.parse("stage", NO_SUCH_STAGE, |name| stage_named(stages, name));
    let Some(stage) = named.or_else(|| stages.first()) else {
        check.errors.push(check.error("pipeline", "invalid", "This pipeline has no stages."));
        return None;
    };
    let owner = check.owner(access, Permission::DealReassign);
    let expected_close_date = check.parse("expected_close_date", "Must be a date such as 2025-09-01.", Day::parse);
    let percent = |cell: &str| cell.parse().ok().filter(|percent| (0..=MAX_PROBABILITY).contains(percent));
    let message = "Must be a whole number from 0 to 100.";
    let probability = check.parse("probability", message, percent);
    let custom = check.custom(decimal_comma);
    let input = DealInput {
        title: check.get("title"),
        description: check.get("description"),
        source: check.get("source"),
        lost_reason: check.get("lost_reason"),
        value_minor,
        currency,
        probability,
        expected_close_date,
        contact_id: None,
        owner_id: owner.as_ref().map_or(access.member.id, |owner| owner.id),
        custom: custom.json.clone(),
    };
    let draft = draft(access, stage, input);
    for error in check_new_deal(access, &draft, stage) {
        match error {
            Error::NotGranted(_) => check.errors.push(check.error("stage", "not_granted", error.to_string())),
            Error::ApprovalRequired => check.errors.push(check.error("stage", "approval_required", error.to_string())),
            error => check.add_field_errors(error),
        }
    }
    Some(DealRow { client: check.get("client").to_owned(), owner, draft, stage: stage.name.clone(), custom })
}
