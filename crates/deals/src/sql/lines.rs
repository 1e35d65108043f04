//! What deals are made up of.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{SqlDeals, deals::Opened, number, store};
use crate::{
    Amount, Currency, Error, Line, LineId, LinePatch, Lines, NewLine, OrganizationId, Place, Result,
    entity::{deal, line},
    money::{LIMIT, divide_half_even, write_fixed_point},
    permission::Permission,
};

/// How many lines a deal has at most.
const MOST: usize = 100;
/// Digits after the point of a quantity, and a million of it is the most.
const QUANTITY_PLACES: usize = 6;
const LARGEST_QUANTITY: i64 = 1_000_000_000_000;
/// Digits after the point of a per cent.
const PERCENT_PLACES: usize = 2;
const WHOLE: i64 = 10_000;

fn show(row: line::Model, currency: &Currency) -> Line {
    Line {
        id: row.id,
        deal_id: row.deal_id,
        name: row.name,
        quantity: write_fixed_point(row.quantity_micro, QUANTITY_PLACES),
        unit_price: currency.format(i128::from(row.unit_minor)),
        discount: write_fixed_point(row.discount_bp, PERCENT_PLACES),
        tax: write_fixed_point(row.tax_bp, PERCENT_PLACES),
        total: currency.format(i128::from(row.total_minor)),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// What a line costs altogether: rounded once, half to even.
fn total(row: &line::Model) -> Result<i64> {
    let factors = [row.quantity_micro, row.unit_minor, WHOLE - row.discount_bp, WHOLE + row.tax_bp];
    let product = factors.into_iter().map(i128::from).try_fold(1_i128, i128::checked_mul);
    let scale = i128::from(LARGEST_QUANTITY / 1_000_000) * i128::from(WHOLE) * i128::from(WHOLE);
    let total = product.map(|product| divide_half_even(product, scale)).and_then(|total| i64::try_from(total).ok());
    total.filter(|total| *total < LIMIT).ok_or_else(|| Error::field("unit_price", "That is too much."))
}

/// Reads what is given into a line.
fn read(row: &mut line::Model, given: &LinePatch, currency: &Currency) -> Result<()> {
    let read = |field: &'static str, amount: &Amount, places: usize| {
        amount.units(places).map_err(|message| Error::field(field, message))
    };
    if let Some(name) = &given.name {
        name.trim().clone_into(&mut row.name);
    }
    if let Some(quantity) = &given.quantity {
        row.quantity_micro = read("quantity", quantity, QUANTITY_PLACES)?;
        if !(1..=LARGEST_QUANTITY).contains(&row.quantity_micro) {
            return Err(Error::field("quantity", "More than nothing and at most a million is needed."));
        }
    }
    if let Some(price) = &given.unit_price {
        row.unit_minor = price.minor(currency).map_err(|message| Error::field("unit_price", message))?;
        if row.unit_minor < 0 {
            return Err(Error::field("unit_price", "It costs nothing at least."));
        }
    }
    for (field, percent, own) in
        [("discount", &given.discount, &mut row.discount_bp), ("tax", &given.tax, &mut row.tax_bp)]
    {
        if let Some(percent) = percent {
            *own = read(field, percent, PERCENT_PLACES)?;
            if !(0..=WHOLE).contains(own) {
                return Err(Error::field(field, "A per cent from 0 to 100 is needed."));
            }
        }
    }
    row.total_minor = total(row)?;
    Ok(())
}

/// The lines of a deal, in their order.
async fn lines_of(conn: &impl ConnectionTrait, deal: &deal::Model) -> Result<Vec<line::Model>> {
    let found = line::Entity::find()
        .filter(line::COLUMN.org_id.eq(deal.org_id))
        .filter(line::COLUMN.deal_id.eq(deal.id))
        .order_by_asc(line::Column::Position)
        .order_by_asc(line::Column::Id)
        .limit(MOST as u64);
    Ok(found.all(conn).await?)
}

/// Is a deal made up of lines?
pub(super) async fn has_lines(conn: &impl ConnectionTrait, deal: &deal::Model) -> Result<bool> {
    let sql = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM deals_line WHERE org_id = $1 AND deal_id = $2) \
               THEN 1 ELSE 0 END AS bigint)";
    Ok(number(conn, sql, [deal.org_id.into(), deal.id.into()]).await? > 0)
}

fn find(lines: &[line::Model], id: LineId) -> Result<&line::Model> {
    lines.iter().find(|line| line.id == id).ok_or(Error::NotFound("line"))
}

impl SqlDeals {
    /// The deal is worth what its lines are worth together.
    async fn add_up(&self, conn: &impl ConnectionTrait, caller: &Caller, mut opened: Opened) -> Result<()> {
        let lines = lines_of(conn, &opened.before).await?;
        if lines.is_empty() {
            return Ok(());
        }
        let sum: i128 = lines.iter().map(|line| i128::from(line.total_minor)).sum();
        let sum = i64::try_from(sum).ok().filter(|sum| *sum < LIMIT);
        opened.after.value_minor = sum.ok_or_else(|| Error::field("unit_price", "That is too much."))?;
        opened.settle_worth()?;
        self.keep_deal(conn, caller, opened, "deals.add_up_lines").await?;
        Ok(())
    }
}

#[async_trait]
impl Lines for SqlDeals {
    async fn lines(&self, caller: &Caller, org: OrganizationId, at: Place) -> Result<Vec<Line>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let deal = access.find_deal(conn, at).await?;
        Ok(lines_of(conn, &deal).await?.into_iter().map(|row| show(row, &deal.currency)).collect())
    }

    async fn add_line(&self, caller: &Caller, org: OrganizationId, at: Place, new: NewLine) -> Result<Line> {
        new.validate()?;
        let given = &LinePatch {
            name: Some(new.name),
            quantity: new.quantity,
            unit_price: Some(new.unit_price),
            discount: new.discount,
            tax: new.tax,
        };
        self.act(|tx| async move {
            let conn = tx.conn();
            let opened = self.open_deal(conn, caller, org, at, Permission::DealUpdate).await?;
            let deal = &opened.before;
            let others = lines_of(conn, deal).await?;
            if others.len() >= MOST {
                return Err(Error::field("name", format!("A deal has at most {MOST} lines.")));
            }
            let now = self.now();
            let mut row = line::Model {
                id: LineId(0),
                org_id: org,
                deal_id: deal.id,
                position: others.last().map_or(0, |last| last.position + 1),
                name: String::new(),
                quantity_micro: LARGEST_QUANTITY / 1_000_000,
                unit_minor: 0,
                discount_bp: 0,
                tax_bp: 0,
                total_minor: 0,
                created_at: now,
                updated_at: now,
            };
            let currency = deal.currency.clone();
            read(&mut row, given, &currency)?;
            let row = line::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(conn).await?;
            self.made(conn, (caller, &opened.access), "deals.add_line", &row).await?;
            self.add_up(conn, caller, opened).await?;
            Ok(show(row, &currency))
        })
        .await
    }

    async fn change_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: LineId,
        patch: LinePatch,
        known: IfMatch,
    ) -> Result<Line> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.act(|tx| async move {
            let conn = tx.conn();
            let opened = self.open_deal(conn, caller, org, at, Permission::DealUpdate).await?;
            let lines = lines_of(conn, &opened.before).await?;
            let before = find(&lines, id)?;
            opened.access.check(known, before.updated_at)?;
            let mut after = before.clone();
            let currency = opened.before.currency.clone();
            read(&mut after, patch, &currency)?;
            after.updated_at = self.now();
            store(conn, before, &after).await?;
            self.changed(conn, (caller, &opened.access), "deals.change_line", before, &after).await?;
            self.add_up(conn, caller, opened).await?;
            Ok(show(after, &currency))
        })
        .await
    }

    async fn remove_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: LineId,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            let opened = self.open_deal(conn, caller, org, at, Permission::DealUpdate).await?;
            let lines = lines_of(conn, &opened.before).await?;
            let row = find(&lines, id)?;
            opened.access.check(known, row.updated_at)?;
            line::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("name", row.name.clone().into()), ("deal", at.deal.0.into())];
            self.noted(conn, (caller, &opened.access), "deals.remove_line", ("line", id.0), detail).await?;
            self.add_up(conn, caller, opened).await
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
        let given = LinePatch {
            name: None,
            quantity: amount(quantity),
            unit_price: amount(price),
            discount: amount(discount),
            tax: amount(tax),
        };
        read(&mut row, &given, &Currency::from_code("EUR").unwrap())?;
        Ok(row)
    }

    #[test]
    fn a_line_is_rounded_once_half_to_even() {
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
