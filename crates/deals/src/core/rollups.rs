//! Stored totals: the deals of each stage, and the verified revenue of each day. Database triggers update them in the
//! transaction of the change. They cover a whole organization, so they are used only for callers who see all of it; for
//! others the rows are summed.

use std::collections::HashMap;

use guildhall_kernel::doctor::Finding;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select, Statement,
    sea_query::{Expr, Func},
};

use crate::{
    Result, StageId, Total,
    core::{
        Core,
        access::Access,
        execute,
        sums::{MonthSum, Span, Sum},
    },
    entity::{revenue, rollup},
    permission::{Permission, Scope},
};

/// The correct totals of the stages.
const STAGE_TOTALS: &str = "SELECT org_id, stage_id, currency, substr(close_key, 1, 7) AS month, \
     archived_at IS NOT NULL AS is_archived, COUNT(*) AS n, \
     CAST(SUM(value_minor / 1000000000) AS bigint) AS hi, CAST(SUM(value_minor % 1000000000) AS bigint) AS lo, \
     CAST(SUM((value_minor / 1000000000) * probability) AS bigint) AS weighted_hi, \
     CAST(SUM((value_minor % 1000000000) * probability) AS bigint) AS weighted_lo \
     FROM deals_deal WHERE deleted_at IS NULL \
     GROUP BY org_id, stage_id, currency, substr(close_key, 1, 7), archived_at IS NOT NULL";
/// The correct revenue of the days. Refunds and reversals of payments that were not verified do not count.
const REVENUE: &str = "SELECT p.org_id, p.received_on AS day, p.currency, SUM(1) AS n, \
     CAST(SUM((p.amount_minor / 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END) AS bigint) AS hi, \
     CAST(SUM((p.amount_minor % 1000000000) * CASE WHEN p.kind = 'payment' THEN 1 ELSE -1 END) AS bigint) AS lo \
     FROM deals_payment p \
     JOIN deals_deal d ON d.org_id = p.org_id AND d.id = p.deal_id AND d.deleted_at IS NULL \
     LEFT JOIN deals_payment o ON o.org_id = p.org_id AND o.id = p.of_id \
     WHERE p.state = 'verified' AND (o.id IS NULL OR o.state = 'verified') \
     GROUP BY p.org_id, p.received_on, p.currency";

/// Whether the caller has all of these permissions for the whole organization.
pub(crate) fn sees_all(access: &Access, permissions: &[Permission]) -> bool {
    permissions.iter().all(|permission| access.grants.scope(*permission) == Some(Scope::All))
}

/// The stored totals of stages, to be grouped.
fn stage_totals(access: &Access) -> Select<rollup::Entity> {
    let sum = |column: &str| Expr::cust(format!("CAST(SUM({column}) AS bigint)"));
    rollup::Entity::find()
        .filter(rollup::COLUMN.org_id.eq(access.org.id))
        .filter(rollup::COLUMN.n.gt(0))
        .select_only()
        .column(rollup::Column::Currency)
        .expr_as(sum("n"), "n")
        .expr_as(sum("hi"), "hi")
        .expr_as(sum("lo"), "lo")
        .expr_as(sum("weighted_hi"), "weighted_hi")
        .expr_as(sum("weighted_lo"), "weighted_lo")
}

impl Core {
    /// The stored totals of stages, by stage and currency; `archived` includes archived deals.
    pub(crate) async fn rollup_totals_by_stage(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        stages: impl IntoIterator<Item = StageId>,
        archived: bool,
    ) -> Result<HashMap<StageId, Vec<Total>>> {
        let mut select =
            stage_totals(access).column(rollup::Column::StageId).filter(rollup::COLUMN.stage_id.is_in(stages));
        if !archived {
            select = select.filter(rollup::COLUMN.is_archived.eq(false));
        }
        let grouped = select.group_by(rollup::Column::StageId).group_by(rollup::Column::Currency);
        let mut by_stage: HashMap<StageId, Vec<Total>> = HashMap::new();
        for sum in grouped.into_model::<Sum>().all(conn).await? {
            by_stage.entry(sum.stage_id).or_default().push(sum.show());
        }
        for totals in by_stage.values_mut() {
            totals.sort_by(|one, other| one.currency.cmp(&other.currency));
        }
        Ok(by_stage)
    }

    /// The stored totals of stages taken together, by currency.
    pub(crate) async fn rollup_totals(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        stages: impl IntoIterator<Item = StageId>,
    ) -> Result<Vec<Total>> {
        let select = stage_totals(access)
            .expr_as(Func::min(Expr::col(rollup::Column::StageId)), "stage_id")
            .filter(rollup::COLUMN.stage_id.is_in(stages))
            .group_by(rollup::Column::Currency);
        let mut totals: Vec<Total> = select.into_model::<Sum>().all(conn).await?.iter().map(Sum::show).collect();
        totals.sort_by(|one, other| one.currency.cmp(&other.currency));
        Ok(totals)
    }

    /// The stored totals of stages taken together, by expected month and currency.
    pub(crate) async fn rollup_months(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        stages: impl IntoIterator<Item = StageId>,
    ) -> Result<Vec<MonthSum>> {
        let select = stage_totals(access)
            .expr_as(Expr::cust("NULLIF(month, '~')"), "month")
            .filter(rollup::COLUMN.stage_id.is_in(stages))
            .group_by(Expr::cust("NULLIF(month, '~')"))
            .group_by(rollup::Column::Currency);
        Ok(select.into_model::<MonthSum>().all(conn).await?)
    }

    /// The stored revenue of a period, by month and currency.
    pub(crate) async fn rollup_revenue(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        span: &Span,
    ) -> Result<Vec<MonthSum>> {
        let month = || Expr::cust("substr(day, 1, 7)");
        let sum = |column: &str| Expr::cust(format!("CAST(SUM({column}) AS bigint)"));
        let select = revenue::Entity::find()
            .filter(revenue::COLUMN.org_id.eq(access.org.id))
            .filter(revenue::COLUMN.day.gte(span.from.clone()))
            .filter(revenue::COLUMN.day.lte(span.to.clone()))
            .filter(revenue::COLUMN.n.gt(0))
            .select_only()
            .expr_as(month(), "month")
            .column(revenue::Column::Currency)
            .expr_as(sum("n"), "n")
            .expr_as(sum("hi"), "hi")
            .expr_as(sum("lo"), "lo")
            .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_hi")
            .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_lo")
            .group_by(month())
            .group_by(revenue::Column::Currency);
        Ok(select.into_model::<MonthSum>().all(conn).await?)
    }

    /// Compares the stored totals with the rows that they summarize; `fix` recomputes them.
    pub(crate) async fn examine_rollups(&self, fix: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (check, table, expected, what) in [
            ("deals_rollups", "deals_rollup", STAGE_TOTALS, "stage totals"),
            ("deals_revenue", "deals_revenue", REVENUE, "daily revenues"),
        ] {
            let stored = format!("SELECT * FROM {table} WHERE n <> 0");
            let sql = format!(
                "SELECT COUNT(*) FROM (SELECT * FROM ({stored}) a EXCEPT SELECT * FROM ({expected}) b \
                 UNION ALL SELECT * FROM (SELECT * FROM ({expected}) c EXCEPT SELECT * FROM ({stored}) d) e) differing"
            );
            let row = self.db.conn().query_one_raw(Statement::from_string(self.db.backend(), sql)).await?;
            let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
            if count == 0 {
                findings.push(Finding::ok(check, format!("the {what} match their rows")));
                continue;
            }
            let finding = Finding::error(check, format!("{count} {what} do not match their rows"));
            if !fix {
                findings.push(finding);
                continue;
            }
            let (delete, insert) = (&format!("DELETE FROM {table}"), &format!("INSERT INTO {table} {expected}"));
            self.write(|tx| async move {
                execute(&tx, delete.as_str(), []).await?;
                execute(&tx, insert.as_str(), []).await
            })
            .await?;
            findings.push(finding.fixed());
        }
        Ok(findings)
    }
}
