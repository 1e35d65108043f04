//! Checks of stored totals and counters against the rows that they count.

use guildhall_kernel::{db, doctor::Finding};
use sea_orm::DbErr;

use crate::{
    Result, SqlDeals,
    ledger::sums::{is_received, is_verified, sign},
};

/// A comparison of stored numbers with their rows.
struct Check {
    name: &'static str,
    /// What the check reports if all is well.
    ok: &'static str,
    /// What it reports otherwise, after the number of differences.
    wrong: &'static str,
    /// Counts the differences.
    count: &'static str,
    /// Statements that remove them.
    repair: &'static [&'static str],
}

/// The totals of the stages, from the deals.
macro_rules! stage_totals {
    () => {
        "SELECT org_id, stage_id, currency, substr(close_key, 1, 7) AS month, archived_at IS NOT NULL AS is_archived, \
         COUNT(*) AS n, \
         CAST(SUM(value_minor / 1000000000) AS bigint) AS hi, CAST(SUM(value_minor % 1000000000) AS bigint) AS lo, \
         CAST(SUM((value_minor / 1000000000) * probability) AS bigint) AS weighted_hi, \
         CAST(SUM((value_minor % 1000000000) * probability) AS bigint) AS weighted_lo \
         FROM deals_deal WHERE deleted_at IS NULL \
         GROUP BY org_id, stage_id, currency, substr(close_key, 1, 7), archived_at IS NOT NULL"
    };
}

/// The revenue of the days, from the ledger.
macro_rules! revenue {
    () => {
        concat!(
            "SELECT deals_payment.org_id, deals_payment.received_on AS day, deals_payment.currency, COUNT(*) AS n, \
             CAST(SUM((deals_payment.amount_minor / 1000000000) * ",
            sign!(),
            ") AS bigint) AS hi, CAST(SUM((deals_payment.amount_minor % 1000000000) * ",
            sign!(),
            ") AS bigint) AS lo \
             FROM deals_payment JOIN deals_deal d ON d.org_id = deals_payment.org_id AND d.id = deals_payment.deal_id \
             WHERE d.deleted_at IS NULL AND ",
            is_verified!(),
            " GROUP BY deals_payment.org_id, deals_payment.received_on, deals_payment.currency"
        )
    };
}

/// Counts the rows in which a table of totals differs from the query that defines it.
macro_rules! differences {
    ($table:literal, $query:ident) => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT * FROM (SELECT * FROM ",
            $table,
            " WHERE n <> 0) a EXCEPT SELECT * FROM (",
            $query!(),
            ") b UNION ALL SELECT * FROM (SELECT * FROM (",
            $query!(),
            ") c EXCEPT SELECT * FROM (SELECT * FROM ",
            $table,
            " WHERE n <> 0) d) e) differing"
        )
    };
}

/// The sum of the entries of a deal that count.
macro_rules! sum_of_deal {
    ($counts:ident) => {
        concat!(
            "COALESCE((SELECT SUM(deals_payment.amount_minor * ",
            sign!(),
            ") FROM deals_payment WHERE deals_payment.org_id = deals_deal.org_id \
             AND deals_payment.deal_id = deals_deal.id AND ",
            $counts!(),
            "), 0)"
        )
    };
}

/// Condition on counters: the next number is already taken.
macro_rules! is_behind {
    ($kind:literal, $table:literal) => {
        concat!(
            "kind = '",
            $kind,
            "' AND next <= (SELECT COALESCE(MAX(t.number), 0) FROM ",
            $table,
            " t WHERE t.org_id = deals_counter.org_id)"
        )
    };
}

/// Advances counters to the first free number.
macro_rules! advance_counter {
    ($kind:literal, $table:literal) => {
        concat!(
            "UPDATE deals_counter SET next = (SELECT MAX(t.number) + 1 FROM ",
            $table,
            " t WHERE t.org_id = deals_counter.org_id) WHERE ",
            is_behind!($kind, $table)
        )
    };
}

const CHECKS: [Check; 5] = [
    Check {
        name: "deals_rollups",
        ok: "the stage totals match their rows",
        wrong: "stage totals do not match their rows",
        count: differences!("deals_rollup", stage_totals),
        repair: &["DELETE FROM deals_rollup", concat!("INSERT INTO deals_rollup ", stage_totals!())],
    },
    Check {
        name: "deals_revenue",
        ok: "the daily revenues match their rows",
        wrong: "daily revenues do not match their rows",
        count: differences!("deals_revenue", revenue),
        repair: &["DELETE FROM deals_revenue", concat!("INSERT INTO deals_revenue ", revenue!())],
    },
    Check {
        name: "deals_paid",
        ok: "the payment totals of deals are correct",
        wrong: "deals have wrong payment totals",
        count: concat!(
            "SELECT COUNT(*) FROM deals_deal WHERE received_minor <> ",
            sum_of_deal!(is_received),
            " OR verified_minor <> ",
            sum_of_deal!(is_verified)
        ),
        repair: &[concat!(
            "UPDATE deals_deal SET received_minor = ",
            sum_of_deal!(is_received),
            ", verified_minor = ",
            sum_of_deal!(is_verified),
            " WHERE received_minor <> ",
            sum_of_deal!(is_received),
            " OR verified_minor <> ",
            sum_of_deal!(is_verified)
        )],
    },
    Check {
        name: "deals_numbers",
        ok: "the counters of deal numbers are correct",
        wrong: "counters would assign a deal number twice",
        count: concat!("SELECT COUNT(*) FROM deals_counter WHERE ", is_behind!("deal", "deals_deal")),
        repair: &[advance_counter!("deal", "deals_deal")],
    },
    Check {
        name: "payments_numbers",
        ok: "the counters of payment numbers are correct",
        wrong: "counters would assign a payment number twice",
        count: concat!("SELECT COUNT(*) FROM deals_counter WHERE ", is_behind!("payment", "deals_payment")),
        repair: &[advance_counter!("payment", "deals_payment")],
    },
];

impl SqlDeals {
    /// Compares counters and stored totals with the rows that they count; `fix` repairs them.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for check in &CHECKS {
            findings.push(self.run_check(check, fix).await?);
        }
        Ok(findings)
    }

    async fn run_check(&self, check: &Check, fix: bool) -> Result<Finding> {
        let db = &self.ledger.core.db;
        let count: i64 = db::scalar(db.conn(), check.count, []).await?.unwrap_or_default();
        if count == 0 {
            return Ok(Finding::ok(check.name, check.ok));
        }
        let finding = Finding::error(check.name, format!("{count} {}", check.wrong));
        if !fix {
            return Ok(finding);
        }
        db.write(|tx| async move {
            for statement in check.repair {
                db::execute(&tx, *statement, []).await?;
            }
            Ok::<_, DbErr>(())
        })
        .await?;
        Ok(finding.fixed())
    }
}
