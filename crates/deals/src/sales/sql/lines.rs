//! Line items of deals.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, db::Tx};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::deal_change::DealChange;
use crate::{
    Amount, Currency, DealRef, Error, Line, LineId, LineItems, LinePatch, NewLine, OrganizationId, Result, SqlSales,
    core::store::defer_changes,
    entity::{deal, line},
    money::{LIMIT, divide_half_even, format_fixed_point},
    permission::Permission,
};

/// The maximum number of line items of a deal.
const MAX_LINES: usize = 100;
/// Quantities are stored in millionths.
const QUANTITY_PLACES: usize = 6;
const QUANTITY_ONE: i64 = 1_000_000;
/// A quantity of one million.
const MAX_QUANTITY: i64 = 1_000_000 * QUANTITY_ONE;
/// Percentages are stored in basis points (hundredths of a percent).
const PERCENT_PLACES: usize = 2;
/// 100 percent in basis points.
const FULL_BP: i64 = 10_000;
const TOO_LARGE: &str = "The total is too large.";

fn show(row: line::Model, currency: &Currency) -> Line {
    Line {
        id: row.id,
        deal_id: row.deal_id,
        name: row.name,
        quantity: format_fixed_point(row.quantity_micro, QUANTITY_PLACES),
        unit_price: currency.format(i128::from(row.unit_minor)),
        discount: format_fixed_point(row.discount_bp, PERCENT_PLACES),
        tax: format_fixed_point(row.tax_bp, PERCENT_PLACES),
        total: currency.format(i128::from(row.total_minor)),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The total of a line item, rounded once, half to even.
fn total(row: &line::Model) -> Result<i64> {
    let factors = [row.quantity_micro, row.unit_minor, FULL_BP - row.discount_bp, FULL_BP + row.tax_bp];
    let product = factors.into_iter().map(i128::from).try_fold(1_i128, i128::checked_mul);
    let scale = i128::from(QUANTITY_ONE) * i128::from(FULL_BP) * i128::from(FULL_BP);
    let total = product.map(|product| divide_half_even(product, scale)).and_then(|total| i64::try_from(total).ok());
    total.filter(|total| *total < LIMIT).ok_or_else(|| Error::field("unit_price", TOO_LARGE))
}

/// Applies a change to a line item, and computes its total.
fn apply_patch(row: &mut line::Model, patch: &LinePatch, currency: &Currency) -> Result<()> {
    let parse = |field: &'static str, amount: &Amount, places: usize| {
        amount.units(places).map_err(|message| Error::field(field, message))
    };
    if let Some(name) = &patch.name {
        name.trim().clone_into(&mut row.name);
    }
    if let Some(quantity) = &patch.quantity {
        row.quantity_micro = parse("quantity", quantity, QUANTITY_PLACES)?;
        if !(1..=MAX_QUANTITY).contains(&row.quantity_micro) {
            return Err(Error::field("quantity", "Quantity must be greater than zero and at most a million."));
        }
    }
    if let Some(price) = &patch.unit_price {
        row.unit_minor = price.minor(currency).map_err(|message| Error::field("unit_price", message))?;
        if row.unit_minor < 0 {
            return Err(Error::field("unit_price", "Price must not be negative."));
        }
    }
    for (field, percent, basis_points) in
        [("discount", &patch.discount, &mut row.discount_bp), ("tax", &patch.tax, &mut row.tax_bp)]
    {
        if let Some(percent) = percent {
            *basis_points = parse(field, percent, PERCENT_PLACES)?;
            if !(0..=FULL_BP).contains(basis_points) {
                return Err(Error::field(field, "Must be between 0 and 100 percent."));
            }
        }
    }
    row.total_minor = total(row)?;
    Ok(())
}

/// The line items of a deal, in order.
async fn lines_of(conn: &impl ConnectionTrait, deal: &deal::Model) -> Result<Vec<line::Model>> {
    let select = line::Entity::find()
        .filter(line::COLUMN.org_id.eq(deal.org_id))
        .filter(line::COLUMN.deal_id.eq(deal.id))
        .order_by_asc(line::Column::Position)
        .order_by_asc(line::Column::Id)
        .limit(MAX_LINES as u64);
    Ok(select.all(conn).await?)
}

/// Whether a deal has line items.
pub(super) async fn has_lines(conn: &impl ConnectionTrait, deal: &deal::Model) -> Result<bool> {
    let first = line::Entity::find()
        .select_only()
        .column(line::Column::Id)
        .filter(line::COLUMN.org_id.eq(deal.org_id))
        .filter(line::COLUMN.deal_id.eq(deal.id));
    Ok(first.into_tuple::<LineId>().one(conn).await?.is_some())
}

fn find(lines: &[line::Model], id: LineId) -> Result<&line::Model> {
    lines.iter().find(|line| line.id == id).ok_or(Error::NotFound("line"))
}

impl SqlSales {
    /// Sets the value of a deal to the total of its line items, if it has any.
    async fn update_value(&self, tx: &Tx, caller: &Caller, mut change: DealChange) -> Result<()> {
        let lines = lines_of(tx, &change.before).await?;
        if lines.is_empty() {
            return Ok(());
        }
        let sum: i128 = lines.iter().map(|line| i128::from(line.total_minor)).sum();
        let sum = i64::try_from(sum).ok().filter(|sum| *sum < LIMIT);
        change.after.value_minor = sum.ok_or_else(|| Error::field("unit_price", TOO_LARGE))?;
        change.apply_value_change()?;
        self.core.store_deal(tx, caller, change, "deals.add_up_lines").await?;
        Ok(())
    }
}

#[async_trait]
impl LineItems for SqlSales {
    async fn lines(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef) -> Result<Vec<Line>> {
        let conn = self.core.db.conn();
        let (_, deal) = self.core.access_to_deal(conn, caller, (org, deal_ref), Permission::DealRead).await?;
        Ok(lines_of(conn, &deal).await?.into_iter().map(|row| show(row, &deal.currency)).collect())
    }

    async fn add_line(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, new: NewLine) -> Result<Line> {
        new.validate()?;
        let patch = &LinePatch {
            name: Some(new.name),
            quantity: new.quantity,
            unit_price: Some(new.unit_price),
            discount: new.discount,
            tax: new.tax,
        };
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                let deal = &change.before;
                let others = lines_of(conn, deal).await?;
                if others.len() >= MAX_LINES {
                    return Err(Error::field("name", format!("A deal can have at most {MAX_LINES} line items.")));
                }
                let now = self.core.now();
                let mut row = line::Model {
                    id: LineId(0),
                    org_id: org,
                    deal_id: deal.id,
                    position: others.last().map_or(0, |last| last.position + 1),
                    name: String::new(),
                    quantity_micro: QUANTITY_ONE,
                    unit_minor: 0,
                    discount_bp: 0,
                    tax_bp: 0,
                    total_minor: 0,
                    created_at: now,
                    updated_at: now,
                };
                let currency = deal.currency.clone();
                apply_patch(&mut row, patch, &currency)?;
                let row = line::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(conn).await?;
                self.core.record_created(conn, (caller, &change.access), "deals.add_line", &row).await?;
                self.update_value(conn, caller, change).await?;
                Ok(show(row, &currency))
            })
            .await
    }

    async fn change_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: LineId,
        patch: LinePatch,
        known: IfMatch,
    ) -> Result<Line> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                let lines = lines_of(conn, &change.before).await?;
                let before = find(&lines, id)?;
                change.access.check(known, before.updated_at)?;
                let mut after = before.clone();
                let currency = change.before.currency.clone();
                apply_patch(&mut after, patch, &currency)?;
                after.updated_at = self.core.now();
                defer_changes(conn, before, &after).await?;
                self.core.record_changed(conn, (caller, &change.access), "deals.change_line", before, &after).await?;
                self.update_value(conn, caller, change).await?;
                Ok(show(after, &currency))
            })
            .await
    }

    async fn remove_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        id: LineId,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                let lines = lines_of(conn, &change.before).await?;
                let row = find(&lines, id)?;
                change.access.check(known, row.updated_at)?;
                line::Entity::delete_by_id(id).exec(&tx.deferred()).await?;
                let detail = vec![("name", row.name.clone().into()), ("deal", deal_ref.deal.0.into())];
                self.core.record(conn, (caller, &change.access), "deals.remove_line", ("line", id.0), detail).await?;
                self.update_value(conn, caller, change).await
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;

    use super::*;
    use crate::DealId;

    fn line(quantity: &str, price: &str, discount: &str, tax: &str) -> Result<line::Model> {
        let mut row = line::Model {
            id: LineId(1),
            org_id: OrganizationId(1),
            deal_id: DealId(1),
            position: 0,
            name: "x".to_owned(),
            quantity_micro: 0,
            unit_minor: 0,
            discount_bp: 0,
            tax_bp: 0,
            total_minor: 0,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        };
        let amount = |text: &str| Some(Amount::new(text));
        let patch = LinePatch {
            name: None,
            quantity: amount(quantity),
            unit_price: amount(price),
            discount: amount(discount),
            tax: amount(tax),
        };
        apply_patch(&mut row, &patch, &Currency::from_code("EUR").unwrap())?;
        Ok(row)
    }

    #[test]
    fn a_line_item_is_rounded_once_half_to_even() {
        for (quantity, price, discount, tax, total) in [
            ("1", "10.00", "0", "0", "10.00"),
            ("2.5", "19.90", "10", "19", "53.28"),
            ("0.5", "0.01", "0", "0", "0.00"),
            ("1.5", "0.01", "0", "0", "0.02"),
            ("3", "33.33", "33.33", "7.7", "71.80"),
            ("1000000", "9999999999.99", "0", "0", "9999999999990000.00"),
            ("1", "10", "100", "19", "0.00"),
        ] {
            let row = line(quantity, price, discount, tax).unwrap();
            let shown = show(row, &Currency::from_code("EUR").unwrap());
            assert_eq!(shown.total, total, "{quantity} * {price} - {discount}% + {tax}%");
        }
        for (quantity, price, discount, tax) in [
            ("0", "1", "0", "0"),
            ("-1", "1", "0", "0"),
            ("1000000.000001", "1", "0", "0"),
            ("1", "-1", "0", "0"),
            ("1", "1", "100.01", "0"),
            ("1", "1", "0.001", "0"),
            ("1", "1", "0", "-1"),
            ("1000000", "9999999999999999.99", "0", "0"),
        ] {
            assert!(line(quantity, price, discount, tax).is_err(), "{quantity} * {price} - {discount}% + {tax}%");
        }
    }
}
