use async_trait::async_trait;
use futures_util::future::try_join_all;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Timestamp,
    audit::{self, Entry, Filter},
    job::{self, JobState},
    outbox::{self, Stage, Summary},
};
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, Func, Order, Query},
};

use super::{SqlPanel, columns::col, history::shown, require_staff};
use crate::{Activity, History, Operations, Result, Series};

/// How many days are counted.
const DAYS: u16 = 30;
/// How many rows of a day's table are counted at most: the newest ones.
const MAX_ROWS: u64 = 100_000;
const DAY_MICROS: i64 = 24 * 3600 * 1_000_000;
/// How many messages and entries the dashboard shows.
const SHOWN: u64 = 10;

/// The tables whose new rows are counted; each has a column `created_at`.
const PEOPLE: [&str; 1] = ["users"];
const MESSAGES: [&str; 2] = ["messaging_message", "chat_message"];
const DEALS: [&str; 1] = ["deals_deal"];

#[async_trait]
impl Operations for SqlPanel {
    async fn activity(&self, caller: &Caller) -> Result<Activity> {
        require_staff(caller)?;
        let count = || async {
            let (people, messages, deals) =
                tokio::try_join!(self.series(&PEOPLE), self.series(&MESSAGES), self.series(&DEALS))?;
            Ok(Activity { people, messages, deals })
        };
        self.0.activity.get(self.0.clock.now(), count).await
    }

    async fn jobs(&self, caller: &Caller) -> Result<Vec<JobState>> {
        require_staff(caller)?;
        Ok(job::states(self.0.db.conn()).await?)
    }

    async fn run_job(&self, caller: &Caller, name: &str) -> Result<()> {
        require_staff(caller)?;
        Ok(job::run_soon(&self.0.db, caller, name, self.0.clock.now()).await?)
    }

    async fn messages(&self, caller: &Caller, stage: Option<Stage>, query: CursorQuery) -> Result<CursorPage<Summary>> {
        require_staff(caller)?;
        Ok(outbox::summaries(self.0.db.conn(), stage, &query).await?)
    }

    async fn unsent(&self, caller: &Caller) -> Result<Vec<Summary>> {
        require_staff(caller)?;
        Ok(outbox::unsent(self.0.db.conn(), SHOWN).await?)
    }

    async fn send_now(&self, caller: &Caller, id: i64) -> Result<()> {
        require_staff(caller)?;
        Ok(outbox::send_soon(&self.0.db, caller, id, self.0.clock.now()).await?)
    }

    async fn audit_log(&self, caller: &Caller, filter: &Filter, query: CursorQuery) -> Result<CursorPage<Entry>> {
        require_staff(caller)?;
        Ok(audit::filtered(self.0.db.conn(), filter, &query).await?)
    }

    async fn latest(&self, caller: &Caller) -> Result<Vec<History>> {
        require_staff(caller)?;
        Ok(audit::newest(self.0.db.conn(), SHOWN).await?.into_iter().map(shown).collect())
    }
}

impl SqlPanel {
    /// The new rows of some tables, by day.
    async fn series(&self, tables: &[&'static str]) -> Result<Series> {
        let now = self.0.clock.now().unix_micros();
        let today = now - now.rem_euclid(DAY_MICROS);
        let first = today - DAY_MICROS * i64::from(DAYS - 1);
        let counted = try_join_all(tables.iter().map(|table| self.new_rows(table, first))).await?;
        let mut days = vec![0; usize::from(DAYS)];
        for (day, number) in counted.into_iter().flatten() {
            if let Some(count) = usize::try_from(day).ok().and_then(|day| days.get_mut(day)) {
                *count += number;
            }
        }
        Ok(Series { days, since: Some(Timestamp::from_unix_micros(first)) })
    }

    /// The numbers of new rows of a table by day. Ids grow with time, so that the newest rows are read by their key.
    async fn new_rows(&self, table: &str, first: i64) -> Result<Vec<(i64, u64)>> {
        if self.0.registry.find(table).is_none() {
            return Ok(Vec::new());
        }
        let mut newest = Query::select();
        newest.from(Alias::new(table)).column(Alias::new("created_at")).order_by(Alias::new("id"), Order::Desc);
        newest.limit(MAX_ROWS);
        let day = col("created_at").sub(Expr::val(first)).div(Expr::val(DAY_MICROS));
        let mut by_day = Query::select();
        by_day.expr_as(day, Alias::new("day")).from_subquery(newest, Alias::new("newest"));
        by_day.and_where(col("created_at").gte(first));
        let mut counts = Query::select();
        counts.column(Alias::new("day")).expr(Func::count(Expr::cust("*")));
        counts.from_subquery(by_day, Alias::new("days")).group_by_col(Alias::new("day"));
        let mut found = Vec::new();
        for row in self.0.db.conn().query_all(&counts).await? {
            let number: i64 = row.try_get_by_index(1)?;
            found.push((row.try_get_by_index(0)?, u64::try_from(number).unwrap_or_default()));
        }
        Ok(found)
    }
}
