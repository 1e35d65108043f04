//! Fills a database with an organization that has many deals.

use guildhall_deals::{Clients, Members, NewClient, NewMember, NewOrganization, OrganizationId, Organizations};
use guildhall_gateway::{Services, Settings, Sources};
use guildhall_kernel::{Caller, Db, PageQuery, Roles, Timestamp, UserId};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// Number of clients.
const CLIENT_COUNT: i64 = 1_000;
/// One of this many deals is in the trash.
const TRASH_INTERVAL: i64 = 20;
/// A second in the database's unit of time.
const SECOND: i64 = 1_000_000;

// Ids start at 1 in an empty database: the organization and its pipeline have the id 1, the stages have 1 to 6.
const CLIENTS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(2 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    INSERT INTO deals_client (org_id, name, name_key, email, phone, website, address, tax_id, notes, owner_id, \
    created_by, search_text, created_at, updated_at) \
    SELECT c.org_id, 'Client ' || i, 'client ' || i, '', '', '', '', '', '', c.owner_id, c.created_by, \
    'client ' || i || '  ', c.created_at, c.updated_at FROM n CROSS JOIN deals_client c WHERE c.id = 1";
const TRASH: &str = "INSERT INTO deals_deletion (org_id, kind, label, deleted_by, deleted_at) \
    SELECT org_id, 'deal', 'many', created_by, $1 FROM deals_client WHERE id = 1";
const DEALS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1), \
    numbered AS (SELECT i, \
        'DLID' || CASE WHEN i < 10000 THEN substr(CAST(10000 + i AS text), 2) ELSE CAST(i AS text) END AS code, \
        CAST(2025 + i % 24 / 12 AS text) || '-' || substr(CAST(101 + i % 12 AS text), 2) || '-' \
            || substr(CAST(101 + i % 28 AS text), 2) AS day, i % 6 AS stage FROM n) \
    INSERT INTO deals_deal (org_id, number, code, title, description, client_id, pipeline_id, stage_id, status, \
    position, owner_id, created_by, value_minor, currency, received_minor, verified_minor, probability, source, \
    expected_close_date, close_key, closed_at, lost_reason, verification, verification_note, stage_entered_at, \
    search_text, created_at, updated_at, deleted_at, deletion_id) \
    SELECT c.org_id, i, code, 'Deal ' || i, '', 1 + i % $2, s.pipeline_id, s.id, s.kind, \
    substr(CAST(1000000000000 + i AS text), 2), m.lowest + i % m.many, c.created_by, 100000000 + i, \
    CASE i % 3 WHEN 0 THEN 'USD' WHEN 1 THEN 'EUR' ELSE 'JPY' END, 1000, 1000, s.probability, '', day, day, \
    CASE WHEN s.kind <> 'open' THEN $3 + i * 10 END, '', 'pending', '', $3 + i * 10, \
    'deal ' || i || ' dlid' || substr(code, 5) || '{newline}client ' || (1 + i % $2), $3 + i * 10, $3 + i * 10, \
    CASE WHEN i % $4 = 0 THEN $3 + i * 10 END, CASE WHEN i % $4 = 0 THEN 1 END \
    FROM numbered JOIN deals_client c ON c.id = 1 JOIN deals_stage s ON s.id = 1 + stage \
    CROSS JOIN (SELECT MIN(id) AS lowest, COUNT(*) AS many FROM deals_member) m ORDER BY i";
const PAYMENTS: &str = "INSERT INTO deals_payment (org_id, number, code, deal_id, kind, amount_minor, currency, method, \
    reference, received_on, recorded_by, state, decided_by, decided_at, reason, refunded_minor, is_reversed, \
    created_at, updated_at) \
    SELECT org_id, number, 'TXN-' || number, id, 'payment', 1000, currency, 'bank', '', expected_close_date, \
    created_by, 'verified', created_by, created_at, '', 0, false, created_at, created_at FROM deals_deal";
const COUNTERS: &str = "UPDATE deals_counter SET next = $1 + 1";

/// Creates an organization with this many deals in a database that has users; the first `people` become members.
pub async fn fill(url: &str, people: u32, deals: u32) -> anyhow::Result<()> {
    let variables = [("GUILDHALL__DATABASE__URL".to_owned(), url.to_owned())].into();
    let settings = Settings::load(&Sources { variables, ..Sources::default() }).map_err(anyhow::Error::msg)?;
    let services = Services::open(&settings, false).await?;
    // Users added by staff become members without an invitation.
    let owner = Caller::new(UserId(1), Roles { staff: true, ..Roles::default() });
    let new = NewOrganization { name: "Acme".to_owned(), ..NewOrganization::default() };
    let org = services.deals.tenancy.create_organization(&owner, new).await?.id;
    anyhow::ensure!(org == OrganizationId(1), "the database already has organizations");
    let roles = guildhall_deals::Roles::roles(&services.deals.tenancy, &owner, org, PageQuery::new(1, 100)).await?;
    let role_id = roles.results.iter().find(|role| role.key.as_deref() == Some("admin")).map(|role| role.id);
    let role_id = role_id.ok_or_else(|| anyhow::anyhow!("there is no admin role"))?;
    for user in 2..=i64::from(people) {
        let new = NewMember { user_id: UserId(user), role_id, team_id: None, leads_team: false };
        services.deals.tenancy.add_member(&owner, org, new).await?;
    }
    let new = NewClient { name: "Client 1".to_owned(), ..NewClient::default() };
    services.deals.clients.create_client(&owner, org, new).await?;
    services.db.close().await?;
    let db = Db::connect(url, 1).await?;
    fill_with_sql(&db, i64::from(deals)).await?;
    Ok(db.close().await?)
}

async fn fill_with_sql(db: &Db, deals: i64) -> Result<(), DbErr> {
    let backend = db.backend();
    let start = Timestamp::now().unix_micros() - deals * 10 - SECOND;
    let newline = if backend == DbBackend::Sqlite { "' || char(10) || '" } else { "' || chr(10) || '" };
    let statement = |sql: &str, values: Vec<i64>| {
        Statement::from_sql_and_values(backend, sql, values.into_iter().map(sea_orm::Value::from))
    };
    let statements = vec![
        statement(CLIENTS, vec![CLIENT_COUNT]),
        statement(TRASH, vec![start]),
        statement(&DEALS.replace("{newline}", newline), vec![deals, CLIENT_COUNT, start, TRASH_INTERVAL]),
        statement(PAYMENTS, Vec::new()),
        statement(COUNTERS, vec![deals]),
    ];
    db.write(|tx| {
        let statements = statements.clone();
        async move {
            for statement in statements {
                tx.execute_raw(statement).await?;
            }
            Ok::<(), DbErr>(())
        }
    })
    .await?;
    let analyze = if backend == DbBackend::Postgres { "VACUUM ANALYZE" } else { "ANALYZE" };
    if backend == DbBackend::Postgres {
        db.conn().execute_unprepared(analyze).await?;
    } else {
        db.write(|tx| async move { tx.execute_unprepared(analyze).await.map(|_| ()) }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::TestDb;

    use super::*;
    use crate::fill::{Volume, fill as fill_people};

    #[tokio::test]
    async fn a_filled_organization_is_consistent() {
        let db = TestDb::with_connections(guildhall_migration::all, 2).await;
        fill_people(&db, Volume { people: 20, groups: 1, posts: 10, deals: 0, messages: 0 }, "a hash").await.unwrap();
        fill(db.url(), 3, 120).await.unwrap();
        let variables = [("GUILDHALL__DATABASE__URL".to_owned(), db.url().to_owned())].into();
        let settings = Settings::load(&Sources { variables, ..Sources::default() }).unwrap();
        let services = Services::open(&settings, false).await.unwrap();
        let findings = services.deals.examine(false).await.unwrap();
        assert!(findings.iter().all(|finding| !finding.is_error()), "{findings:?}");
        let caller = Caller::new(UserId(2), Roles::default());
        let filter = guildhall_deals::Filter::new([("q", "dlid0119")]);
        let first_page = PageQuery::new(1, 20);
        let page =
            guildhall_deals::Deals::deals(&services.deals.sales, &caller, OrganizationId(1), None, filter, first_page);
        assert_eq!(page.await.unwrap().results[0].title, "Deal 119");
    }
}
