//! Checks of totals and counters against the rows that they count.

use guildhall_kernel::doctor::Finding;
use sea_orm::{ConnectionTrait, Statement};

use crate::{Result, SqlLedger, core::execute};

/// The amount received for a deal: all entries that are not rejected, minus refunds and reversals.
const RECEIVED: &str = "COALESCE((SELECT SUM(CASE WHEN p.kind = 'payment' THEN p.amount_minor ELSE -p.amount_minor END) \
     FROM deals_payment p WHERE p.org_id = deals_deal.org_id AND p.deal_id = deals_deal.id AND p.state <> 'rejected'), 0)";
/// The verified part of it. The reversal of a payment that was never verified takes nothing off.
const VERIFIED: &str = "COALESCE((SELECT SUM(CASE WHEN p.kind = 'payment' THEN p.amount_minor ELSE -p.amount_minor END) \
     FROM deals_payment p LEFT JOIN deals_payment o ON o.org_id = p.org_id AND o.id = p.of_id \
     WHERE p.org_id = deals_deal.org_id AND p.deal_id = deals_deal.id AND p.state = 'verified' \
     AND (o.id IS NULL OR o.state = 'verified')), 0)";

impl SqlLedger {
    /// Checks the payment totals of deals, the number counters and the totals of reports. `fix` repairs them.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        let counter = "next <= (SELECT COALESCE(MAX(t.number), 0) FROM {table} t WHERE t.org_id = deals_counter.org_id) \
                       AND kind = '{kind}'";
        let counter = |table: &str, kind: &str| counter.replace("{table}", table).replace("{kind}", kind);
        let next = |table: &str| {
            format!("next = (SELECT MAX(t.number) + 1 FROM {table} t WHERE t.org_id = deals_counter.org_id)")
        };
        let checks = [
            (
                "deals_paid",
                "deals_deal",
                format!("received_minor <> {RECEIVED} OR verified_minor <> {VERIFIED}"),
                format!("received_minor = {RECEIVED}, verified_minor = {VERIFIED}"),
                "the payment totals of deals are correct",
                "deals have wrong payment totals",
            ),
            (
                "deals_numbers",
                "deals_counter",
                counter("deals_deal", "deal"),
                next("deals_deal"),
                "the counters of deal numbers are correct",
                "counters would assign a deal number twice",
            ),
            (
                "payments_numbers",
                "deals_counter",
                counter("deals_payment", "payment"),
                next("deals_payment"),
                "the counters of payment numbers are correct",
                "counters would assign a payment number twice",
            ),
        ];
        let mut findings = Vec::new();
        for (check, table, is_wrong, correction, ok_message, error_message) in checks {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE {is_wrong}");
            let row = self.core.db.conn().query_one_raw(Statement::from_string(self.core.db.backend(), sql)).await?;
            let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
            if count == 0 {
                findings.push(Finding::ok(check, ok_message));
                continue;
            }
            let finding = Finding::error(check, format!("{count} {error_message}"));
            if fix {
                let sql = &format!("UPDATE {table} SET {correction} WHERE {is_wrong}");
                self.core.write(|tx| async move { execute(&tx, sql.as_str(), []).await }).await?;
                findings.push(finding.fixed());
            } else {
                findings.push(finding);
            }
        }
        Ok(findings)
    }
}
