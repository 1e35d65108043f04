//! What is counted, held against what it counts.

use guildhall_kernel::doctor::Finding;
use sea_orm::{ConnectionTrait, Statement};

use super::{SqlDeals, run};
use crate::Result;

/// What a deal says that was paid, by its ledger: everything that stands, without what went back.
const RECEIVED: &str = "COALESCE((SELECT SUM(CASE WHEN p.kind = 'payment' THEN p.amount_minor ELSE -p.amount_minor END) \
     FROM deals_payment p WHERE p.org_id = deals_deal.org_id AND p.deal_id = deals_deal.id AND p.state <> 'rejected'), 0)";
/// What of it is verified: a reversal of what was pending takes nothing off.
const VERIFIED: &str = "COALESCE((SELECT SUM(CASE WHEN p.kind = 'payment' THEN p.amount_minor ELSE -p.amount_minor END) \
     FROM deals_payment p LEFT JOIN deals_payment o ON o.org_id = p.org_id AND o.id = p.of_id \
     WHERE p.org_id = deals_deal.org_id AND p.deal_id = deals_deal.id AND p.state = 'verified' \
     AND (o.id IS NULL OR o.state = 'verified')), 0)";

impl SqlDeals {
    /// Holds what is counted against what it counts: what was paid for deals, the next numbers, and the sums
    /// that reports read. `fix` mends it.
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
                "deals say what was paid for them",
                "deals do not say what was paid for them",
            ),
            (
                "deals_numbers",
                "deals_counter",
                counter("deals_deal", "deal"),
                next("deals_deal"),
                "no deal gets a number that was given",
                "counters would give a deal's number twice",
            ),
            (
                "payments_numbers",
                "deals_counter",
                counter("deals_payment", "payment"),
                next("deals_payment"),
                "no payment gets a number that was given",
                "counters would give a payment's number twice",
            ),
        ];
        let mut findings = self.examine_rollups(fix).await?;
        for (check, table, wrong, right, well, ill) in checks {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE {wrong}");
            let row = self.db.conn().query_one_raw(Statement::from_string(self.db.backend(), sql)).await?;
            let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
            if count == 0 {
                findings.push(Finding::ok(check, well));
                continue;
            }
            let finding = Finding::fault(check, format!("{count} {ill}"));
            if fix {
                let sql = &format!("UPDATE {table} SET {right} WHERE {wrong}");
                self.act(|tx| async move { run(tx.conn(), sql.as_str(), []).await }).await?;
                findings.push(finding.fixed());
            } else {
                findings.push(finding);
            }
        }
        Ok(findings)
    }
}
