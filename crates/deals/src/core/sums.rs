//! Sums of money. The database returns them in two parts, since the sum of large 64-bit numbers would overflow on
//! SQLite and become a decimal on PostgreSQL.

use std::collections::HashMap;

use guildhall_kernel::{Timestamp, db};
use sea_orm::{
    ConnectionTrait, FromQueryResult, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Func},
};

use crate::{
    Currency, Day, Result, StageId, Total,
    core::to_u64,
    entity::deal,
    money::{PART, divide_half_even},
};

/// The total of the deals of a stage in one currency.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Sum {
    pub(crate) stage_id: StageId,
    pub(crate) currency: Currency,
    n: i64,
    hi: i64,
    lo: i64,
    weighted_hi: i64,
    weighted_lo: i64,
}

/// Joins the two parts of a sum.
pub(crate) fn join_parts(hi: i64, lo: i64) -> i128 {
    i128::from(hi) * i128::from(PART) + i128::from(lo)
}

impl Sum {
    pub(crate) fn show(&self) -> Total {
        let weighted = divide_half_even(join_parts(self.weighted_hi, self.weighted_lo), 100);
        Total {
            count: to_u64(self.n),
            value: self.currency.format(join_parts(self.hi, self.lo)),
            weighted: self.currency.format(weighted),
            currency: self.currency.clone(),
        }
    }
}

/// The columns of a sum, in two parts.
pub(crate) fn parts_of_sum(terms: impl Into<Expr>) -> [(Expr, &'static str); 2] {
    let terms = terms.into();
    [(db::cast_sum(terms.clone().div(PART)), "hi"), (db::cast_sum(terms.modulo(PART)), "lo")]
}

/// The columns of the sum of the values of deals, in two parts, and of that sum weighted by probability.
pub(crate) fn sum_columns() -> [(Expr, &'static str); 4] {
    let (value, probability) = (|| Expr::col(deal::Column::ValueMinor), || Expr::col(deal::Column::Probability));
    let [hi, lo] = parts_of_sum(value());
    let weighted_hi = db::cast_sum(value().div(PART).mul(probability()));
    let weighted_lo = db::cast_sum(value().modulo(PART).mul(probability()));
    [hi, lo, (weighted_hi, "weighted_hi"), (weighted_lo, "weighted_lo")]
}

/// A sum of one month, in two parts.
#[derive(Debug, FromQueryResult)]
pub(crate) struct MonthSum {
    pub(crate) month: Option<String>,
    pub(crate) currency: Currency,
    pub(crate) n: i64,
    pub(crate) hi: i64,
    pub(crate) lo: i64,
    pub(crate) weighted_hi: i64,
    pub(crate) weighted_lo: i64,
}

/// A period: its first and last day, and the same as times, of which `end` is exclusive.
pub(crate) struct Span {
    pub(crate) from: Day,
    pub(crate) to: Day,
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
}

/// Sums deals by stage and currency.
pub(crate) async fn by_stage(
    deals: Select<deal::Entity>,
    conn: &impl ConnectionTrait,
) -> Result<HashMap<StageId, Vec<Total>>> {
    let mut select = deals
        .select_only()
        .column(deal::Column::StageId)
        .column(deal::Column::Currency)
        .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
    for (expr, name) in sum_columns() {
        select = select.expr_as(expr, name);
    }
    let grouped =
        select.group_by(deal::Column::StageId).group_by(deal::Column::Currency).order_by_asc(deal::Column::Currency);
    let mut by_stage: HashMap<StageId, Vec<Total>> = HashMap::new();
    for sum in grouped.into_model::<Sum>().all(conn).await? {
        by_stage.entry(sum.stage_id).or_default().push(sum.show());
    }
    Ok(by_stage)
}
